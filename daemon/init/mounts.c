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
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemon/init/mount-api.h"

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
int mounts_bind_private(const char *name, const char *target, mode_t mode, unsigned attributes)
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
        mount_tmpfs(p, "/tmp", "1777", false);
        mount_tmpfs(p, "/dev/shm", "1777", false);
        mount_tmpfs(p, "/box", "0755", true);
        init_proc(i);
        i->return_fd = mounts_bind_private(".return", LAUNCH_RETURN_FILE, 0666,
                MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}
