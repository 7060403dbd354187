/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fds of clients. Runs in the frontend. Knows no connection and no job; asks an fd nothing that a file
 * system would have to answer.
 */
#include "daemon/frontend/passed.h"

#include <fcntl.h>
#include <sys/socket.h>

/* In the order of the bits of Run.passed_fds. */
static const struct {
        const char *name;
        int access;
} streams[_PASSED_STREAMS] = {
        [PASSED_STDIN] = { "stdin", O_RDONLY },
        [PASSED_STDOUT] = { "stdout", O_WRONLY },
        [PASSED_STDERR] = { "stderr", O_WRONLY },
};

void passed_init(struct passed *p, struct account_book *accounts, uid_t uid)
{
        *p = (struct passed) {
                .accounts = accounts,
                .uid = uid,
                .taken = { [0 ... _PASSED_STREAMS - 1] = -EBADF },
        };
}

static bool is_pipe(int fd)
{
        return fcntl(fd, F_GETPIPE_SZ) > 0;
}

/* Whether close(2) asks nobody. It calls a file system's flush(), which FUSE answers when its server
 * does, and a terminal may wait for what was written to it; neither wait can be ended from here. Of a
 * socket, a memfd, or what was opened with O_PATH there is no such call. */
static bool closes_at_once(int fd)
{
        socklen_t size = sizeof(int);
        int flags = fcntl(fd, F_GETFL), type;

        return (flags >= 0 && flags & O_PATH) || fcntl(fd, F_GET_SEALS) >= 0 ||
               getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) >= 0;
}

/* What is no pipe is of no use here. One that stays open is charged even over the limit: it is here. */
static void drop_other(struct passed *p, int fd)
{
        if (closes_at_once(fd))
                (void) safe_close(fd);
        else
                (void) account_charge(p->accounts, p->uid, ACCOUNT_HELD, 1, ACCOUNT_UNLIMITED,
                        ACCOUNT_UNLIMITED);
}

/* Takes one fd over. */
static int admit(struct passed *p, int fd, uint64_t max_pipes)
{
        int r = p->n_waiting < PASSED_WAITING_MAX ? 0 : -E2BIG;
        bool pipe = is_pipe(fd);

        if (!pipe)
                drop_other(p, fd);
        else if (r >= 0)
                r = account_charge(p->accounts, p->uid, ACCOUNT_PIPES, 1, max_pipes,
                        ACCOUNT_UNLIMITED);
        if (r >= 0)
                p->waiting[p->n_waiting++] = pipe ? fd : -EBADF;
        else if (pipe)
                (void) safe_close(fd);
        return r;
}

static void close_waiting(struct passed *p)
{
        for (size_t i = 0; i < p->n_waiting; i++)
                (void) passed_close(p->accounts, p->uid, p->waiting[i]);
        p->n_waiting = 0;
}

/* What the kernel's cutting of the fds means: more than there was room for, or no fd left for one. */
static int check_cut(const struct msghdr *msg)
{
        if (!(msg->msg_flags & MSG_CTRUNC))
                return 0;
        return msg->msg_controllen < CMSG_LEN(PASSED_WAITING_MAX * sizeof(int)) ? -EMFILE : -E2BIG;
}

/* Queues the fds of one message; all of them or none. */
static int admit_all(struct passed *p, struct msghdr *msg, uint64_t max_pipes)
{
        int fds[PASSED_WAITING_MAX], r = check_cut(msg);

        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
                size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                ASSERT(n <= ELEMENTSOF(fds));
                memcpy(fds, CMSG_DATA(c), n * sizeof(int));
                for (size_t i = 0; i < n; i++) {
                        int e = admit(p, fds[i], max_pipes);

                        r = r < 0 ? r : e;
                }
        }
        if (r < 0)
                close_waiting(p);
        return r;
}

ssize_t passed_receive(struct passed *p, struct frame_reader *reader, int fd, uint64_t max_pipes)
{
        union {
                struct cmsghdr header;
                uint8_t room[CMSG_SPACE(PASSED_WAITING_MAX * sizeof(int))];
        } control = {};
        bool full = account_held(p->accounts, p->uid, ACCOUNT_HELD) >= PASSED_HELD_MAX;
        struct iovec iov = {};
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                /* With no room for fds the kernel drops them: they are never closed, only released. */
                .msg_control = full ? NULL : &control,
                .msg_controllen = full ? 0 : sizeof(control),
        };
        ssize_t n;
        int r;

        r = frame_reader_reserve(reader, &iov.iov_base, &iov.iov_len);
        if (r < 0)
                return r;
        do
                n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if (full && msg.msg_flags & MSG_CTRUNC)
                return -EDQUOT;
        r = admit_all(p, &msg, max_pipes);
        if (r < 0)
                return r;
        frame_reader_advance(reader, (size_t) n);
        return n;
}

int passed_take(struct passed *p, uint32_t passed_fds)
{
        size_t n = 0;

        if (passed_fds >> _PASSED_STREAMS != 0 ||
                (size_t) __builtin_popcount(passed_fds) > p->n_waiting)
                return -EBADMSG;
        for (size_t i = 0; i < _PASSED_STREAMS; i++)
                if (passed_fds & 1U << i)
                        p->taken[i] = p->waiting[n++];
        p->n_waiting -= n;
        memmove(p->waiting, p->waiting + n, p->n_waiting * sizeof(int));
        return 0;
}

static bool is_end(int fd, int access)
{
        int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

        return flags >= 0 && (flags & O_ACCMODE) == access;
}

int passed_check(const struct passed *p, uint32_t passed_fds, const char **ret_name)
{
        for (size_t i = 0; i < _PASSED_STREAMS; i++) {
                if (!(passed_fds & 1U << i) || is_end(p->taken[i], streams[i].access))
                        continue;
                *ret_name = streams[i].name;
                return -EINVAL;
        }
        return 0;
}

void passed_hand_over(struct passed *p, int ret[static _PASSED_STREAMS])
{
        for (size_t i = 0; i < _PASSED_STREAMS; i++)
                ret[i] = TAKE_FD(p->taken[i]);
}

void passed_drop_taken(struct passed *p)
{
        for (size_t i = 0; i < _PASSED_STREAMS; i++)
                p->taken[i] = passed_close(p->accounts, p->uid, p->taken[i]);
}

int passed_close(struct account_book *accounts, uid_t uid, int fd)
{
        if (fd >= 0)
                account_release(accounts, uid, ACCOUNT_PIPES, 1);
        return safe_close(fd);
}

void passed_done(struct passed *p)
{
        close_waiting(p);
        passed_drop_taken(p);
}
