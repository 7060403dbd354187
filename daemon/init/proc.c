/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's /proc: mounted, masked, and given texts that show the job's limits instead of the
 * host. Runs in init, as root in the initial user namespace, before any byte of the job is read.
 */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemon/init/init.h"
#include "daemon/init/mount-api.h"

/* Safe because it is the /proc of this sandbox's own pid namespace. hidepid keeps pid 1, which has
 * another uid, out of the payload's sight altogether. */
static void mount_proc(void)
{
        _cleanup_close_ int fs = sys_fsopen("proc");
        _cleanup_close_ int mount = -EBADF;

        if (fs < 0 || sys_fsset(fs, "hidepid", "invisible") < 0)
                init_fail(SETUP_STEP_PROC, -errno);
        mount = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        if (mount < 0 || sys_move_mount(mount, "/proc") < 0)
                init_fail(SETUP_STEP_PROC, -errno);
}

int proc_write_meminfo(int fd, uint64_t memory_bytes)
{
        uint64_t kib = memory_bytes / KIB;
        char text[512];
        int n;

        n = snprintf(text, sizeof(text),
                "MemTotal:       %8" PRIu64 " kB\n"
                "MemFree:        %8" PRIu64 " kB\n"
                "MemAvailable:   %8" PRIu64 " kB\n"
                "Buffers:               0 kB\n"
                "Cached:                0 kB\n"
                "SwapCached:            0 kB\n"
                "SwapTotal:             0 kB\n"
                "SwapFree:              0 kB\n",
                kib, kib, kib);
        if (pwrite(fd, text, (size_t) n, 0) != n)
                return -errno;
        return ftruncate(fd, n) < 0 ? -errno : 0;
}

int proc_show_job_memory(const struct init *i, uint64_t memory_bytes)
{
        if (memory_bytes == i->prepare.memory_bytes)
                return 0;
        return proc_write_meminfo(i->parking.meminfo_fd, memory_bytes);
}

uint64_t proc_read_last_pid(int loadavg_fd)
{
        char text[128];
        ssize_t n = pread(loadavg_fd, text, sizeof(text) - 1, 0);
        const char *last;

        if (n <= 0)
                return 0;
        text[n] = '\0';
        last = strrchr(text, ' ');
        return last ? strtoull(last, NULL, 10) : 0;
}

static void show_memory(struct init *i)
{
        int r;

        i->parking.meminfo_fd = mounts_bind_private(".meminfo", "/proc/meminfo", 0444,
                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        r = proc_write_meminfo(i->parking.meminfo_fd, i->prepare.memory_bytes);
        if (r < 0)
                init_fail(SETUP_STEP_MASK, r);
}

/* cpuinfo.N and stat.N in the template show N processors. */
static void show_cpus(const struct launch_prepare *p)
{
        static const char *const names[] = { "cpuinfo", "stat" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char source[64], target[32];

                (void) snprintf(source, sizeof(source), LAUNCH_PROC_DIR "/%s.%" PRIu32, names[i],
                        p->cpus);
                (void) snprintf(target, sizeof(target), "/proc/%s", names[i]);
                if (sys_bind(source, target) < 0)
                        init_fail(SETUP_STEP_MASK, -errno);
        }
}

/* An allow-list: an entry at the top of /proc stays if it is about the reader's own processes and
 * namespaces, says nothing of the host, or is synthesised. */
static bool is_kept(const char *name)
{
        static const char *const kept[] = {
                "self", "thread-self", "mounts", "net",         /* links to the reader's own */
                "sysvipc",                                      /* of the ipc namespace */
                "filesystems", "version", "uptime",             /* as uname and sysinfo tell */
                "cpuinfo", "meminfo", "stat", "loadavg", "sys", /* synthesised */
        };

        if (name[0] == '.' || (name[0] >= '0' && name[0] <= '9'))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(kept); i++)
                if (streq(name, kept[i]))
                        return true;
        return false;
}

/* Whatever else the kernel offers to everyone is covered; what only root may read needs no cover, since
 * no id in the sandbox is root's. Asked of this very /proc, so that an entry that a module brought a
 * moment ago counts. Safe because the covers are the template's empty file and directory. */
static void mask_proc(void)
{
        DIR *dir = opendir("/proc");
        struct dirent *e;

        if (!dir)
                init_fail(SETUP_STEP_MASK, -errno);
        while (errno = 0, (e = readdir(dir))) {
                char target[sizeof(e->d_name) + 8];
                struct stat st;

                if (is_kept(e->d_name))
                        continue;
                if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
                        if (errno == ENOENT)
                                continue;
                        init_fail(SETUP_STEP_MASK, -errno);
                }
                if ((!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) || !(st.st_mode & 0007))
                        continue;
                (void) snprintf(target, sizeof(target), "/proc/%s", e->d_name);
                if (sys_bind(S_ISDIR(st.st_mode) ? LAUNCH_EMPTY_DIR : LAUNCH_EMPTY_FILE, target) <
                                0 &&
                        errno != ENOENT)
                        init_fail(SETUP_STEP_MASK, -errno);
        }
        if (errno != 0)
                init_fail(SETUP_STEP_MASK, -errno);
        (void) closedir(dir);
}

/* The job sees copies of the few settings that programs ask for; the real tree stays reachable for
 * init alone, through sys_fd, until it sheds its privileges. */
static void replace_proc_sys(struct init *i)
{
        static const char uuid[] = "kernel/random/uuid";
        _cleanup_close_ int clone = -EBADF;

        i->sys_fd = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
        i->parking.loadavg_fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
        if (i->sys_fd < 0 || i->parking.loadavg_fd < 0)
                init_fail(SETUP_STEP_MASK, -errno);
        clone = (int) syscall(SYS_open_tree, i->sys_fd, uuid, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (clone < 0 || sys_bind(LAUNCH_PROC_DIR "/sys", "/proc/sys") < 0 ||
                sys_move_mount(clone, "/proc/sys/kernel/random/uuid") < 0 ||
                sys_bind(LAUNCH_PROC_DIR "/loadavg", "/proc/loadavg") < 0)
                init_fail(SETUP_STEP_MASK, -errno);
}

void init_proc(struct init *i)
{
        mount_proc();
        show_memory(i);
        show_cpus(&i->prepare);
        mask_proc();
        replace_proc_sys(i);
}
