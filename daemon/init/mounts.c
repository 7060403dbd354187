/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's file system. Runs in init, as root in the initial user namespace and before any
 * byte of the job is read: what is mounted here belongs to the initial user namespace, so the
 * payload could not undo it even with every capability in its own.
 *
 * The template namespace that the monitor made brings what every root has in common: /etc, /dev,
 * the sources of the masks. Each job sees it through an overlay of its own, as it sees /usr.
 */
#include "daemon/init/init.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/io.h"

/* Linked statically against a libc that may be older than the kernel headers: no wrappers. */
#define MS_BIND_FLAG 4096UL

static int sys_fsopen(const char *type)
{
        return (int) syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

static int sys_fsset(int fs, const char *key, const char *value)
{
        return (int) syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0);
}

static int sys_fsmount(int fs, unsigned attributes)
{
        if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -1;
        return (int) syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
}

static int sys_move_mount(int mount, const char *target)
{
        return (int) syscall(SYS_move_mount, mount, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

static int sys_bind(const char *source, const char *target)
{
        return (int) syscall(SYS_mount, source, target, NULL, MS_BIND_FLAG, NULL);
}

/* Read-only, and the job's own: a plain bind, or a tree shared as it is, would let inotify events
 * and file locks cross between jobs. Overlayfs wants two lower layers. */
static int make_overlay(const char *layers, unsigned attributes, enum setup_step step)
{
        _cleanup_close_ int fs = sys_fsopen("overlay");
        int mount;

        if (fs < 0 || sys_fsset(fs, "lowerdir", layers) < 0)
                init_fail(step, -errno);
        mount = sys_fsmount(fs,
                attributes | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        if (mount < 0)
                init_fail(step, -errno);
        return mount;
}

/* Puts the job's root over the template's and makes it "/". Safe because what is covered stays out
 * of reach without CAP_SYS_CHROOT, and holds nothing but the read-only template. pivot_root() and
 * an unmount would do the same and wait for an RCU grace period. */
static void enter_root(int root)
{
        if (sys_move_mount(root, "/") < 0 || fchdir(root) < 0 || chroot(".") < 0)
                init_fail(SETUP_STEP_ROOT, -errno);
}

/* Safe because the root stays nodev, and its /dev, read-only like the rest, has five harmless
 * nodes. */
static void allow_devices(void)
{
        struct mount_attr attr = { .attr_clr = MOUNT_ATTR_NODEV };
        _cleanup_close_ int dev =
                (int) syscall(SYS_open_tree, AT_FDCWD, "/dev", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

        if (dev < 0 ||
                syscall(SYS_mount_setattr, dev, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0 ||
                sys_move_mount(dev, "/dev") < 0)
                init_fail(SETUP_STEP_ROOT, -errno);
}

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

/* owned: by the payload, as tools that look at their working directory's owner expect it. */
static void mount_tmpfs(const struct launch_prepare *p, const char *target, const char *mode,
        bool owned)
{
        _cleanup_close_ int fs = sys_fsopen("tmpfs");
        _cleanup_close_ int mount = -EBADF;
        char size[24], inodes[16], id[16];

        (void) snprintf(size, sizeof(size), "%" PRIu64, p->tmp_size);
        (void) snprintf(inodes, sizeof(inodes), "%" PRIu32, p->tmp_inodes);
        (void) snprintf(id, sizeof(id), "%" PRIu32, p->payload_id);
        if (fs < 0 || sys_fsset(fs, "source", "tmpfs") < 0 || sys_fsset(fs, "size", size) < 0 ||
                sys_fsset(fs, "nr_inodes", inodes) < 0 || sys_fsset(fs, "mode", mode) < 0)
                init_fail(SETUP_STEP_TMPFS, -errno);
        if (owned && (sys_fsset(fs, "uid", id) < 0 || sys_fsset(fs, "gid", id) < 0))
                init_fail(SETUP_STEP_TMPFS, -errno);
        mount = sys_fsmount(fs, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
        if (mount < 0 || sys_move_mount(mount, target) < 0)
                init_fail(SETUP_STEP_TMPFS, -errno);
}

/* Puts a file of this sandbox alone over target: made on /dev/shm, bound, unlinked. Returns the fd
 * that it was written through. */
static int bind_private_file(const char *name, const char *target, mode_t mode, unsigned attributes)
{
        struct mount_attr attr = { .attr_set = attributes };
        char path[64];
        int fd;

        (void) snprintf(path, sizeof(path), "/dev/shm/%s", name);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
        if (fd < 0 || fchmod(fd, mode) < 0 || sys_bind(path, target) < 0 ||
                syscall(SYS_mount_setattr, AT_FDCWD, target, 0, &attr, sizeof(attr)) < 0 ||
                unlink(path) < 0)
                init_fail(SETUP_STEP_MASK, -errno);
        return fd;
}

static void show_memory(const struct launch_prepare *p)
{
        _cleanup_close_ int fd = bind_private_file(".meminfo", "/proc/meminfo", 0444,
                MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        uint64_t kib = p->memory_bytes / KIB;
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
        if (io_write_full(fd, text, (size_t) n) < 0)
                init_fail(SETUP_STEP_MASK, -errno);
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

/* Safe because a bind covers and reveals nothing: the sources are the template's empty ones. */
static void mask_proc(const struct launch_prepare *p)
{
        const char *end = p->masks + p->masks_size;

        for (const char *m = p->masks; m < end; m += strlen(m) + 1) {
                char target[256];

                (void) snprintf(target, sizeof(target), "/proc/%s", m + 1);
                if (sys_bind(m[0] == 'd' ? LAUNCH_EMPTY_DIR : LAUNCH_EMPTY_FILE, target) < 0)
                        init_fail(SETUP_STEP_MASK, -errno);
        }
}

/* The job sees copies of the few settings that programs ask for; the real tree stays reachable for
 * init alone, through sys_fd, until it sheds its privileges. */
static void replace_proc_sys(struct init *i)
{
        static const char uuid[] = "kernel/random/uuid";
        _cleanup_close_ int clone = -EBADF;

        i->sys_fd = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (i->sys_fd < 0)
                init_fail(SETUP_STEP_MASK, -errno);
        clone = (int) syscall(SYS_open_tree, i->sys_fd, uuid, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
        if (clone < 0 || sys_bind(LAUNCH_PROC_DIR "/sys", "/proc/sys") < 0 ||
                sys_move_mount(clone, "/proc/sys/kernel/random/uuid") < 0 ||
                sys_bind(LAUNCH_PROC_DIR "/loadavg", "/proc/loadavg") < 0)
                init_fail(SETUP_STEP_MASK, -errno);
}

void init_mounts(struct init *i)
{
        const struct launch_prepare *p = &i->prepare;
        _cleanup_close_ int usr = -EBADF, root = -EBADF;

        /* Safe because uts, ipc and pid namespaces are this sandbox's own since clone3(). */
        if (sethostname("sandbox", strlen("sandbox")) < 0 || setdomainname("", 0) < 0)
                init_fail(SETUP_STEP_HOSTNAME, -errno);
        /* Made while the host's /usr can still be named, attached where it cannot. The second layer
         * is the empty directory that the monitor has as its working directory. */
        usr = make_overlay("/usr:.", 0, SETUP_STEP_USR);
        /* Safe because the fd is the monitor's, of a namespace in which nobody runs; the copy that
         * unshare() makes is ours alone, and its root is the template's. */
        if (setns(i->mntns_fd, CLONE_NEWNS) < 0 || unshare(CLONE_NEWNS) < 0)
                init_fail(SETUP_STEP_ROOT, -errno);
        i->mntns_fd = safe_close(i->mntns_fd);
        root = make_overlay(LAUNCH_TEMPLATE_TREE ":" LAUNCH_TEMPLATE_EMPTY, MOUNT_ATTR_NOEXEC,
                SETUP_STEP_ROOT);
        enter_root(root);
        allow_devices();
        if (sys_move_mount(usr, "/usr") < 0)
                init_fail(SETUP_STEP_USR, -errno);
        mount_proc();
        mount_tmpfs(p, "/tmp", "1777", false);
        mount_tmpfs(p, "/dev/shm", "1777", false);
        mount_tmpfs(p, "/box", "0755", true);
        show_memory(p);
        show_cpus(p);
        mask_proc(p);
        replace_proc_sys(i);
        i->return_fd = bind_private_file(".return", LAUNCH_RETURN_FILE, 0666,
                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}
