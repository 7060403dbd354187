/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fds from the daemon. Runs in the client's process. Whatever comes, each is handed over or closed.
 */
#include "client/lib/arrivals.h"

#include <sys/socket.h>

#include "common/io.h"

static void drop_first(struct arrivals *a)
{
        io_close_all(a->list[0].fds, a->list[0].n);
        a->n--;
        memmove(a->list, a->list + 1, a->n * sizeof(*a->list));
}

void arrivals_done(struct arrivals *a)
{
        while (a->n > 0)
                drop_first(a);
}

/* All the fds of a message, of which the control buffer has room for one too many at most. */
static size_t collect(struct msghdr *msg, int fds[static ARRIVALS_FDS_MAX + 1])
{
        size_t n = 0;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
                size_t more = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                ASSERT(n + more <= ARRIVALS_FDS_MAX + 1);
                memcpy(fds + n, CMSG_DATA(c), more * sizeof(int));
                n += more;
        }
        return n;
}

static int admit(struct arrivals *a, struct msghdr *msg)
{
        int fds[ARRIVALS_FDS_MAX + 1];
        bool cut = msg->msg_flags & MSG_CTRUNC;
        size_t n = collect(msg, fds);

        if (n == 0 && !cut)
                return 0;
        /* What is cut although there was room is what this process cannot have. */
        if (n > ARRIVALS_FDS_MAX || a->n == ELEMENTSOF(a->list)) {
                io_close_all(fds, n);
                return -EBADMSG;
        }
        if (cut) {
                io_close_all(fds, n);
                n = 0;
        }
        a->list[a->n] = (struct arrival) { .n = n, .cut = cut };
        memcpy(a->list[a->n++].fds, fds, n * sizeof(int));
        return 0;
}

ssize_t arrivals_receive(struct arrivals *a, struct frame_reader *reader, int fd)
{
        union {
                struct cmsghdr header;
                uint8_t room[CMSG_SPACE((ARRIVALS_FDS_MAX + 1) * sizeof(int))];
        } control = {};
        struct iovec iov = {};
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n;
        int r;

        r = frame_reader_reserve(reader, &iov.iov_base, &iov.iov_len);
        if (r < 0)
                return r;
        do
                n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        r = admit(a, &msg);
        if (r < 0)
                return r;
        frame_reader_advance(reader, (size_t) n);
        return n;
}

int arrivals_take(struct arrivals *a, int *ret, size_t n)
{
        int r = 0;

        if (a->n == 0 || (!a->list[0].cut && a->list[0].n != n))
                return -EBADMSG;
        if (a->list[0].cut)
                r = -EMFILE;
        else
                for (size_t i = 0; i < n; i++)
                        ret[i] = TAKE_FD(a->list[0].fds[i]);
        drop_first(a);
        return r;
}

int arrivals_check(const struct arrivals *a, bool partial)
{
        return a->n > (partial ? 1 : 0) ? -EBADMSG : 0;
}
