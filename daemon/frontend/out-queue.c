/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames for a client, and the fds that go with them. Runs in the frontend. Knows no message.
 */
#include "daemon/frontend/out-queue.h"

#include <sys/socket.h>

#include "common/io.h"

void out_queue_init(struct out_queue *q, struct account_book *accounts, uid_t uid)
{
        *q = (struct out_queue) { .accounts = accounts, .uid = uid };
}

/* How many went with the first n frames that had some. */
static size_t count_fds(const struct out_queue *q, size_t n)
{
        size_t fds = 0;

        for (size_t i = 0; i < n; i++)
                fds += q->fds[i].n_fds;
        return fds;
}

/* Of the first frames, those that were sent. */
static void forget_sent(struct out_queue *q, size_t n)
{
        if (n == 0)
                return;
        account_release(q->accounts, q->uid, ACCOUNT_SOCKETS, count_fds(q, n));
        q->n_sent -= n;
        q->n_fds -= n;
        memmove(q->fds, q->fds + n, q->n_fds * sizeof(*q->fds));
}

/* The next frame to be sent with some. */
static struct out_fds *next_fds(struct out_queue *q)
{
        return q->n_sent < q->n_fds ? &q->fds[q->n_sent] : NULL;
}

/* The client has them from here on, or the kernel for it. */
static void close_next(struct out_queue *q)
{
        struct out_fds *f = next_fds(q);

        io_close_all(f->fds, f->n_fds);
        q->n_sent++;
}

void out_queue_settle(struct out_queue *q, int fd)
{
        size_t left, most, n = 0;

        if (q->n_sent == 0)
                return;
        /* No more bytes than that, and no more sends. */
        left = io_socket_unread(fd);
        most = (left + IO_SOCKET_SEND_MIN - 1) / IO_SOCKET_SEND_MIN;
        while (n < q->n_sent && (q->n_sent - n > most || q->fds[n].at + left < q->sent))
                n++;
        forget_sent(q, n);
}

void out_queue_drop(struct out_queue *q)
{
        while (q->n_fds > q->n_sent) {
                struct out_fds *f = &q->fds[--q->n_fds];

                io_close_all(f->fds, f->n_fds);
                account_release(q->accounts, q->uid, ACCOUNT_SOCKETS, f->n_fds);
        }
        queue_done(&q->bytes);
}

size_t out_queue_done(struct out_queue *q)
{
        size_t fds;

        out_queue_drop(q);
        fds = count_fds(q, q->n_sent);
        q->n_sent = q->n_fds = q->room = 0;
        free(q->fds);
        q->fds = NULL;
        return fds;
}

int out_queue_attach(struct out_queue *q, uint64_t job, size_t frame, int *fds, size_t n_fds)
{
        size_t room = MAX(2 * q->room, (size_t) 4);
        struct out_fds *f;

        ASSERT(n_fds > 0 && n_fds <= OUT_FDS_MAX && frame > 0 && frame <= out_queue_size(q));
        if (q->n_fds == q->room) {
                f = reallocarray(q->fds, room, sizeof(*f));
                if (!f)
                        return -ENOMEM;
                q->fds = f;
                q->room = room;
        }
        f = &q->fds[q->n_fds++];
        *f = (struct out_fds) {
                .at = q->sent + out_queue_size(q) - frame,
                .frame = frame,
                .job = job,
                .n_fds = n_fds,
        };
        for (size_t i = 0; i < n_fds; i++)
                f->fds[i] = TAKE_FD(fds[i]);
        return 0;
}

/* One send: with the fds of its first byte, and up to the next byte that has some. */
static ssize_t send_some(struct out_queue *q, int fd)
{
        union {
                struct cmsghdr header;
                uint8_t room[CMSG_SPACE(OUT_FDS_MAX * sizeof(int))];
        } control = {};
        const struct queue *b = &q->bytes;
        const struct out_fds *f = next_fds(q), *with = f && f->at == q->sent ? f : NULL, *stop = f;
        struct iovec iov = { .iov_base = b->data + b->start, .iov_len = queue_size(b) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (with)
                stop = q->n_sent + 1 < q->n_fds ? f + 1 : NULL;
        if (stop)
                iov.iov_len = (size_t) (stop->at - q->sent);
        if (with) {
                size_t size = with->n_fds * sizeof(int);

                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(size);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(size);
                memcpy(CMSG_DATA(&control.header), with->fds, size);
        }
        do
                n = sendmsg(fd, &msg, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if (with)
                close_next(q);
        return n;
}

static void skip(struct out_queue *q, size_t size)
{
        queue_skip(&q->bytes, size);
        q->sent += size;
}

/* How many fds may be on their way to clients that do not read is limited, for all of them together. */
static ssize_t refuse_next(struct out_queue *q, uint64_t *ret_job)
{
        struct out_fds *f = next_fds(q);

        ASSERT(f && f->at == q->sent);
        *ret_job = f->job;
        skip(q, f->frame);
        io_close_all(f->fds, f->n_fds);
        account_release(q->accounts, q->uid, ACCOUNT_SOCKETS, f->n_fds);
        q->n_fds--;
        memmove(f, f + 1, (q->n_fds - q->n_sent) * sizeof(*f));
        return -ETOOMANYREFS;
}

ssize_t out_queue_send(struct out_queue *q, int fd, uint64_t *ret_job)
{
        size_t done = 0;

        while (out_queue_size(q) > 0) {
                ssize_t n = send_some(q, fd);

                if (n == -ETOOMANYREFS)
                        return refuse_next(q, ret_job);
                if (n == -EAGAIN && done > 0)
                        break;
                if (n < 0)
                        return n;
                skip(q, (size_t) n);
                done += (size_t) n;
        }
        return (ssize_t) done;
}
