/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's user and network namespace. Runs in init, or ahead of it in the maker, and in a child of
 * that, the holder, that lives only while they are made.
 *
 * The kernel charges what a user namespace uses (inotify instances, message queues, and more) to
 * the user who made it as well. Were that root, one job could use up root's share on the host and
 * every other job's. So the holder makes it as the sandbox's own init id. It also takes the making
 * of a network namespace, the slowest step of all, off init's way: init mounts meanwhile.
 */
#include "daemon/init/init.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/io.h"

/* What the holder sends: its own /proc directory, its user and its network namespace. */
enum holder_fd {
        HOLDER_PROC,
        HOLDER_USERNS,
        HOLDER_NETNS,
        _HOLDER_FDS,
};

/* The network namespace belongs to the new user namespace, so that CAP_NET_ADMIN there is enough to
 * bring lo up and the monitor needs none. */
static int bring_loopback_up(void)
{
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

        return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0 ? -errno : 0;
}

/* The holder's process: has every capability in the new user namespace and none outside. Stays
 * until its parent lets go of the socket, since the id maps are files of a living process. */
static _noreturn_ void hold(bool loopback, int socket)
{
        int fds[_HOLDER_FDS] = {
                [HOLDER_PROC] = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC),
                [HOLDER_USERNS] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC),
        };
        char end;
        int r = 0;

        /* Safe because a new network namespace has no way out but the loopback in it. */
        if (fds[HOLDER_PROC] < 0 || fds[HOLDER_USERNS] < 0 || unshare(CLONE_NEWNET) < 0)
                r = -errno;
        if (r == 0 && loopback)
                r = bring_loopback_up();
        if (r == 0) {
                fds[HOLDER_NETNS] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
                if (fds[HOLDER_NETNS] < 0)
                        r = -errno;
        }
        (void) io_send_message(socket, &r, sizeof(r), fds, r == 0 ? _HOLDER_FDS : 0);
        (void) !read(socket, &end, 1);
        _exit(0);
}

void userns_begin(uint32_t owner, bool loopback, struct userns_holder *ret)
{
        int pair[2];
        long pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                init_fail(SETUP_STEP_USERNS, -errno);
        /* Safe because the effective id alone changes, for the one call that makes the namespace,
         * to an id that nobody else has. Raw calls: this program has one thread. */
        if (syscall(SYS_setresuid, -1, owner, -1) < 0)
                init_fail(SETUP_STEP_USERNS, -errno);
        pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0);
        if (pid < 0)
                init_fail(SETUP_STEP_USERNS, -errno);
        if (pid == 0) {
                (void) close(pair[0]);
                hold(loopback, pair[1]);
        }
        /* Safe because it is what we came with; the mounts that follow take it. */
        if (syscall(SYS_setresuid, -1, 0, -1) < 0)
                init_fail(SETUP_STEP_USERNS, -errno);
        (void) close(pair[1]);
        *ret = (struct userns_holder) { .pid = (pid_t) pid, .fd = pair[0] };
}

static void receive_namespaces(int holder, int fds[static _HOLDER_FDS])
{
        size_t n_fds = 0;
        int error = 0;
        ssize_t n;

        n = io_receive_message(holder, &error, sizeof(error), fds, _HOLDER_FDS, &n_fds);
        if (n != sizeof(error))
                init_fail(SETUP_STEP_NETWORK, n < 0 ? (int) n : -ECHILD);
        if (error < 0 || n_fds != _HOLDER_FDS)
                init_fail(SETUP_STEP_NETWORK, error < 0 ? error : -EBADMSG);
}

/* Two ids, one for init and one for the payload; nothing else exists in the sandbox. */
static void write_map(uint32_t init_id, uint32_t payload_id, int proc, const char *file)
{
        char map[96];
        int r;

        (void) snprintf(map, sizeof(map), "%d %" PRIu32 " 1\n%d %" PRIu32 " 1\n", LAUNCH_PAYLOAD_ID,
                payload_id, LAUNCH_INIT_ID, init_id);
        r = io_write_file(proc, file, map);
        if (r < 0)
                init_fail(SETUP_STEP_MAPS, r);
}

void userns_finish(struct userns_holder *h, uint32_t init_id, uint32_t payload_id, int *ret_userns,
        int *ret_netns)
{
        int fds[_HOLDER_FDS];

        receive_namespaces(h->fd, fds);
        /* Safe because the monitor gave us these two ids and no other sandbox has them. */
        write_map(init_id, payload_id, fds[HOLDER_PROC], "uid_map");
        write_map(init_id, payload_id, fds[HOLDER_PROC], "gid_map");
        (void) close(fds[HOLDER_PROC]);
        h->fd = safe_close(h->fd);
        *ret_userns = fds[HOLDER_USERNS];
        *ret_netns = fds[HOLDER_NETNS];
}

void userns_prepare(struct init *i)
{
        if (!i->prepare.has_namespaces)
                userns_begin(i->prepare.init_id, i->prepare.loopback, &i->holder);
}

void userns_await_holder(const struct userns_holder *h)
{
        if (h->pid > 0)
                (void) waitpid(h->pid, NULL, 0);
}

void userns_enter(struct init *i)
{
        int r;

        if (!i->prepare.has_namespaces)
                userns_finish(&i->holder, i->prepare.init_id, i->prepare.payload_id, &i->userns_fd,
                        &i->netns_fd);
        /* Safe because it only takes rights away: what was mounted before belongs to the initial
         * user namespace. From here on we have every capability in the new one and none outside,
         * but our kernel uid is still 0, which owns root's files: nothing of the job is read before
         * that is gone too. */
        if (setns(i->userns_fd, CLONE_NEWUSER) < 0)
                init_fail(SETUP_STEP_USERNS, -errno);
        if (setns(i->netns_fd, CLONE_NEWNET) < 0)
                init_fail(SETUP_STEP_NETWORK, -errno);
        i->userns_fd = safe_close(i->userns_fd);
        i->netns_fd = safe_close(i->netns_fd);
        /* Safe because it takes a right away, and from this namespace alone: the payload could
         * otherwise make itself a user namespace with every capability in it. The
         * file is looked up only now, since the kernel gives the opener its own namespace's. */
        r = io_write_file(i->sys_fd, "user/max_user_namespaces", "0");
        if (r < 0)
                init_fail(SETUP_STEP_USERNS, r);
        i->sys_fd = safe_close(i->sys_fd);
        /* Joining refilled it. Now, so that it is done once for all who are forked from here. */
        drop_bounding_set();
}
