/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Builds the template mount namespace in a short-lived child, and keeps it by an fd. Runs in the
 * monitor at start, and in the child of a reload; reads only what the system administrator installed.
 */
#include "daemon/monitor/template.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "common/io.h"

#define ROOT_OPTIONS "mode=0755,size=8m,nr_inodes=4096"

static const struct {
        const char *name;
        unsigned major;
        unsigned minor;
} devices[] = {
        { "null", 1, 3 },
        { "zero", 1, 5 },
        { "full", 1, 7 },
        { "random", 1, 8 },
        { "urandom", 1, 9 },
};

static const struct {
        const char *name;
        const char *target;
} device_links[] = {
        { "fd", "/proc/self/fd" },
        { "stdin", "/proc/self/fd/0" },
        { "stdout", "/proc/self/fd/1" },
        { "stderr", "/proc/self/fd/2" },
};

static int fail(struct error *e, const char *what)
{
        return error_set(e, -errno, "the sandbox template cannot be built: %s failed (%s)", what,
                strerror(errno));
}

/* Nodes and not binds: a bind would show the host's devtmpfs in the job's mount table. */
static int make_dev(struct error *ret_error)
{
        if (mkdir("dev", 0755) < 0)
                return fail(ret_error, "mkdir dev");
        for (size_t i = 0; i < ELEMENTSOF(devices); i++) {
                char path[32];

                (void) snprintf(path, sizeof(path), "dev/%s", devices[i].name);
                /* Safe because these five hold no state and are open to everyone on every host. */
                if (mknod(path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)) < 0 ||
                        chmod(path, 0666) < 0)
                        return fail(ret_error, path);
        }
        for (size_t i = 0; i < ELEMENTSOF(device_links); i++) {
                char path[32];

                (void) snprintf(path, sizeof(path), "dev/%s", device_links[i].name);
                if (symlink(device_links[i].target, path) < 0)
                        return fail(ret_error, path);
        }
        if (mkdir("dev/shm", 01777) < 0)
                return fail(ret_error, "mkdir dev/shm");
        return 0;
}

/* Every job mounts an overlay and a tmpfs of its own; asking now loads the modules, and tells an
 * administrator what no job could. */
static int check_file_systems(struct error *ret_error)
{
        static const char *const types[] = { "overlay", "tmpfs", "proc" };

        for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                int fs = (int) syscall(SYS_fsopen, types[i], FSOPEN_CLOEXEC);

                if (fs < 0)
                        return error_set(ret_error, -errno,
                                "this kernel cannot mount %s (%s): load it with 'modprobe %s'",
                                types[i], strerror(errno), types[i]);
                (void) close(fs);
        }
        return 0;
}

static int enter_root(const struct template_options *o, struct error *ret_error)
{
        /* Safe because the namespace is new and private: nothing done here reaches the host. */
        if (unshare(CLONE_NEWNS) < 0)
                return fail(ret_error, "unshare");
        if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                mount("tmpfs", o->work_dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                        ROOT_OPTIONS) < 0 ||
                chdir(o->work_dir) < 0 || mkdir(&LAUNCH_TEMPLATE_EMPTY[1], 0755) < 0 ||
                mkdir(&LAUNCH_TEMPLATE_TREE[1], 0755) < 0 || chdir(&LAUNCH_TEMPLATE_TREE[1]) < 0)
                return fail(ret_error, "mounting the root");
        return 0;
}

static int leave_host(struct error *ret_error)
{
        /* Safe because it happens in the builder's own mount namespace; from here on the host's
         * file system is out of this namespace for good. */
        if (chdir("..") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
                umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
                return fail(ret_error, "pivot_root");
        if (mount(NULL, "/", NULL,
                    MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                return fail(ret_error, "making the root read-only");
        return 0;
}

/* The builder's process: sends the namespace's fd, or the sentence of what went wrong. */
static _noreturn_ void build(const struct template_options *o, uint32_t n_cpus, int socket,
        pid_t parent)
{
        struct error error = {};
        int fd = -EBADF, r;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* It may have died before that. */
        if (getppid() != parent)
                _exit(EXIT_FAILURE);
        (void) umask(0);
        r = check_file_systems(&error);
        if (r == 0)
                r = enter_root(o, &error);
        if (r == 0) {
                fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        r = fail(&error, "opening /proc/self/ns/mnt");
        }
        if (r == 0)
                r = template_populate(o, n_cpus, &error);
        if (r == 0)
                r = make_dev(&error);
        if (r == 0)
                r = leave_host(&error);
        r = io_send_message(socket, error.text, sizeof(error.text), &fd, r == 0);
        _exit(r < 0);
}

static int receive_namespace(int socket, int *ret_fd, struct error *ret_error)
{
        struct error error = {};
        size_t n_fds = 0;
        ssize_t n;

        n = io_receive_message(socket, error.text, sizeof(error.text), ret_fd, 1, &n_fds);
        if (n > 0 && n_fds == 1)
                return 0;
        if (n > 0 && error.text[0])
                return error_set(ret_error, -EIO, "%s", error.text);
        return error_set(ret_error, -EIO, "the sandbox template cannot be built: its builder died");
}

/* There is a text for each number of processors that a job can be shown; beyond some, more of them
 * tell a program nothing, and the texts would fill the tmpfs. */
#define VISIBLE_CPUS_MAX UINT64_C(64)

static uint32_t visible_cpus(uint64_t max_quota)
{
        uint64_t host = (uint64_t) MAX(sysconf(_SC_NPROCESSORS_CONF), 1L);
        uint64_t wanted = ROUND_UP(max_quota, UINT64_C(100));

        return (uint32_t) MAX(MIN(MIN(host, wanted), VISIBLE_CPUS_MAX), UINT64_C(1));
}

int template_build(const struct template_options *o, struct template *ret, struct error *ret_error)
{
        struct template t = { .mntns_fd = -EBADF };
        pid_t pid, parent = getpid();
        int pair[2], r;

        t.n_cpus = visible_cpus(o->max_quota);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return fail(ret_error, "socketpair");
        pid = fork();
        if (pid == 0)
                build(o, t.n_cpus, pair[1], parent);
        (void) close(pair[1]);
        r = pid < 0 ? fail(ret_error, "fork") : receive_namespace(pair[0], &t.mntns_fd, ret_error);
        (void) close(pair[0]);
        if (pid > 0)
                (void) waitpid(pid, NULL, 0);
        if (r < 0)
                return r;
        *ret = t;
        return 0;
}

void template_done(struct template *t)
{
        t->mntns_fd = safe_close(t->mntns_fd);
}
