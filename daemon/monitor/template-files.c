/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is in the template's root: the usual links, a minimal /etc, mount points, the launchers, and
 * the texts that stand in for host-wide files of /proc. Runs in the template builder's process,
 * whose working directory is the new root; the host is still in view.
 */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemon/monitor/template.h"

#define COPY_MAX (4 * MIB)
#define PRIVATE_DIR ".sandbox"
#define PROC_DIR PRIVATE_DIR "/proc"

static int fail(struct error *e, int error, const char *path)
{
        return error_set(e, error, "the sandbox template cannot be built: /%s cannot be made (%s)",
                path, strerror(-error));
}

static int write_text(const char *path, const void *text, size_t size)
{
        _cleanup_close_ int fd =
                open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0444);

        return fd < 0 ? -errno : io_write_full(fd, text, size);
}

/* A small file of the host's under a new name; a missing one is left out. */
static int copy_file(const char *source, const char *path)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = io_read_file(AT_FDCWD, source, COPY_MAX, &text, &size);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        return write_text(path, text, size);
}

static int make_dirs(struct error *e)
{
        static const char *const dirs[] = {
                "usr",
                "proc",
                "tmp",
                "box",
                "etc",
                "etc/alternatives",
                PRIVATE_DIR,
                PRIVATE_DIR "/launchers",
                PRIVATE_DIR "/empty-dir",
                PROC_DIR,
                PROC_DIR "/sys",
                PROC_DIR "/sys/kernel",
                PROC_DIR "/sys/kernel/random",
                PROC_DIR "/sys/vm",
                PROC_DIR "/sys/fs",
                PROC_DIR "/sys/net",
                PROC_DIR "/sys/net/core",
                PROC_DIR "/sys/net/ipv4",
        };

        for (size_t i = 0; i < ELEMENTSOF(dirs); i++)
                if (mkdir(dirs[i], 0755) < 0)
                        return fail(e, -errno, dirs[i]);
        return 0;
}

/* /bin and the like, as the host has them: links into /usr. */
static int make_links(struct error *e)
{
        static const char *const names[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char host[16], target[32];
                struct stat st;

                (void) snprintf(host, sizeof(host), "/usr/%s", names[i]);
                (void) snprintf(target, sizeof(target), "usr/%s", names[i]);
                if (stat(host, &st) == 0 && symlink(target, names[i]) < 0)
                        return fail(e, -errno, names[i]);
        }
        return 0;
}

static int make_etc(struct error *e)
{
        static const struct {
                const char *path;
                const char *text;
        } files[] = {
                { "etc/passwd", "root:x:0:0:root:/:/usr/sbin/nologin\n"
                                "init:x:1:1:sandbox init:/:/usr/sbin/nologin\n"
                                "sandbox:x:1000:1000:sandbox:/box:/bin/sh\n"
                                "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n" },
                { "etc/group", "root:x:0:\ninit:x:1:\nsandbox:x:1000:\nnogroup:x:65534:\n" },
                { "etc/hosts", "127.0.0.1 localhost sandbox\n::1 localhost sandbox\n" },
                { "etc/hostname", "sandbox\n" },
                { "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n" },
                { "etc/resolv.conf", "" },
                { "etc/shells", "/bin/sh\n/bin/bash\n" },
                { PRIVATE_DIR "/empty-file", "" },
                { PRIVATE_DIR "/return", "" },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                r = write_text(files[i].path, files[i].text, strlen(files[i].text));
                if (r < 0)
                        return fail(e, r, files[i].path);
        }
        if (symlink("../usr/lib/os-release", "etc/os-release") < 0 ||
                symlink("../usr/share/zoneinfo/UTC", "etc/localtime") < 0)
                return fail(e, -errno, "etc/os-release");
        /* Names of libraries below /usr and nothing else; without it every exec searches for them.
         */
        r = copy_file("/etc/ld.so.cache", "etc/ld.so.cache");
        return r < 0 ? fail(e, r, "etc/ld.so.cache") : 0;
}

/* awk, java and the like are links through /etc/alternatives: those into /usr are remade. */
static int make_alternatives(struct error *e)
{
        DIR *dir = opendir("/etc/alternatives");
        struct dirent *d;
        int r = 0;

        if (!dir)
                return errno == ENOENT ? 0 : fail(e, -errno, "etc/alternatives");
        while (r == 0 && (d = readdir(dir))) {
                char target[1024], path[512];
                ssize_t n = readlinkat(dirfd(dir), d->d_name, target, sizeof(target) - 1);

                if (n <= 0)
                        continue;
                target[n] = '\0';
                if (strncmp(target, "/usr/", 5) != 0 && strncmp(target, "/bin/", 5) != 0)
                        continue;
                (void) snprintf(path, sizeof(path), "etc/alternatives/%s", d->d_name);
                if (symlink(target, path) < 0)
                        r = fail(e, -errno, path);
        }
        (void) closedir(dir);
        return r;
}

static int copy_launchers(const char *source, struct error *e)
{
        DIR *dir = opendir(source);
        struct dirent *d;
        int r = 0;

        if (!dir)
                return errno == ENOENT ? 0
                                       : error_set(e, -errno, "%s cannot be read (%s)", source,
                                                 strerror(errno));
        while (r == 0 && (d = readdir(dir))) {
                char from[1024], to[512];

                if (d->d_name[0] == '.')
                        continue;
                (void) snprintf(from, sizeof(from), "%s/%s", source, d->d_name);
                (void) snprintf(to, sizeof(to), PRIVATE_DIR "/launchers/%s", d->d_name);
                (void) unlink(to);
                r = copy_file(from, to);
                if (r == -EISDIR)
                        r = 0;
                if (r < 0)
                        r = fail(e, r, to);
        }
        (void) closedir(dir);
        return r;
}

/* The end of the n-th processor's block in /proc/cpuinfo. */
static const char *cpuinfo_end(const char *text, uint32_t n)
{
        for (; n > 0; n--) {
                const char *end = strstr(text, "\n\n");

                if (!end)
                        return text + strlen(text);
                text = end + 2;
        }
        return text;
}

static int write_stat(const char *path, uint32_t n)
{
        _cleanup_free_ char *text = NULL;
        size_t size = 256 + n * 48u, at;
        int r;

        text = malloc(size);
        if (!text)
                return -ENOMEM;
        at = (size_t) snprintf(text, size, "cpu  0 0 0 0 0 0 0 0 0 0\n");
        for (uint32_t i = 0; i < n; i++)
                at += (size_t) snprintf(text + at, size - at,
                        "cpu%" PRIu32 " 0 0 0 0 0 0 0 0 0 0\n", i);
        at += (size_t) snprintf(text + at, size - at,
                "intr 0\nctxt 0\nbtime 0\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n");
        r = write_text(path, text, at);
        return r;
}

/* cpuinfo.N and stat.N for every number of processors that a quota can come to. */
static int make_proc_cpus(uint32_t n_cpus, struct error *e)
{
        _cleanup_free_ char *cpuinfo = NULL;
        int r;

        r = io_read_file(AT_FDCWD, "/proc/cpuinfo", COPY_MAX, &cpuinfo, NULL);
        if (r < 0)
                return fail(e, r, "proc/cpuinfo");
        for (uint32_t n = 1; n <= n_cpus; n++) {
                char path[64];

                (void) snprintf(path, sizeof(path), PROC_DIR "/cpuinfo.%" PRIu32, n);
                r = write_text(path, cpuinfo, (size_t) (cpuinfo_end(cpuinfo, n) - cpuinfo));
                if (r < 0)
                        return fail(e, r, path);
                (void) snprintf(path, sizeof(path), PROC_DIR "/stat.%" PRIu32, n);
                r = write_stat(path, n);
                if (r < 0)
                        return fail(e, r, path);
        }
        return 0;
}

/* The settings below /proc/sys that libraries ask for, as they were at start; nothing that tells
 * one host from another. */
static int make_proc_sys(struct error *e)
{
        static const char *const names[] = {
                "kernel/cap_last_cap",
                "kernel/ngroups_max",
                "kernel/osrelease",
                "kernel/ostype",
                "kernel/version",
                "kernel/pid_max",
                "kernel/threads-max",
                "kernel/overflowuid",
                "kernel/overflowgid",
                "kernel/random/entropy_avail",
                "kernel/random/poolsize",
                "kernel/sem",
                "kernel/shmmax",
                "kernel/shmall",
                "kernel/shmmni",
                "kernel/msgmax",
                "kernel/msgmnb",
                "vm/overcommit_memory",
                "vm/max_map_count",
                "vm/mmap_min_addr",
                "fs/file-max",
                "fs/nr_open",
                "fs/pipe-max-size",
                "net/core/somaxconn",
                "net/ipv4/ip_local_port_range",
        };
        static const struct {
                const char *name;
                const char *text;
        } texts[] = {
                { PROC_DIR "/sys/kernel/hostname", "sandbox\n" },
                { PROC_DIR "/sys/kernel/random/boot_id", "00000000-0000-0000-0000-000000000000\n" },
                { PROC_DIR "/sys/kernel/random/uuid", "" }, /* a mount point: the real one */
                { PROC_DIR "/loadavg", "0.00 0.00 0.00 1/1 1\n" },
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char source[96], path[96];

                (void) snprintf(source, sizeof(source), "/proc/sys/%s", names[i]);
                (void) snprintf(path, sizeof(path), PROC_DIR "/sys/%s", names[i]);
                r = copy_file(source, path);
                if (r < 0 && r != -EACCES)
                        return fail(e, r, path);
        }
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                r = write_text(texts[i].name, texts[i].text, strlen(texts[i].text));
                if (r < 0)
                        return fail(e, r, texts[i].name);
        }
        return 0;
}

int template_populate(const struct template_options *o, uint32_t n_cpus, struct error *ret_error)
{
        static int (*const makers[])(struct error * e) = {
                make_dirs,
                make_links,
                make_etc,
                make_alternatives,
                make_proc_sys,
        };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(makers) && r == 0; i++)
                r = makers[i](ret_error);
        if (r == 0)
                r = make_proc_cpus(n_cpus, ret_error);
        for (size_t i = 0; i < ELEMENTSOF(o->launcher_dirs) && r == 0; i++)
                if (o->launcher_dirs[i])
                        r = copy_launchers(o->launcher_dirs[i], ret_error);
        return r;
}
