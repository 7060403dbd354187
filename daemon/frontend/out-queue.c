/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames for a client, and the fds that go with them. Runs in the frontend. Knows no message.
 */
#include "daemon/frontend/out-queue.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/io.h"

void out_queue_init(struct out_queue *q, struct account_book *accounts, uid_t uid)
{
        *q = (struct out_queue) { .accounts = accounts, .uid = uid };
}

/* What the kernel counts at least for the bytes of one send(), which fds came with. */
#define SENT_SIZE_MIN 512

/* Those of the first frame that has some. */
static void close_first(struct out_queue *q)
{
        io_close_all(q->fds[0].fds, q->fds[0].n_fds);
        q->n_fds--;
        memmove(q->fds, q->fds + 1, q->n_fds * sizeof(*q->fds));
}

static void drop_first(struct out_queue *q)
{
        account_release(q->accounts, q->uid, ACCOUNT_SOCKETS, q->fds[0].n_fds);
        close_first(q);
}

/* The client keeps them, or the kernel does for it. */
static void note_first_sent(struct out_queue *q)
{
        q->n_unreceived += q->fds[0].n_fds;
        close_first(q);
}

static void release_sent(struct out_queue *q, size_t n)
{
        account_release(q->accounts, q->uid, ACCOUNT_SOCKETS, n);
        q->n_unreceived -= n;
}

void out_queue_settle(struct out_queue *q, int fd)
{
        size_t most = q->n_unreceived;
        int left = 0;

        /* How much its receiver has not taken, in what it costs the kernel. */
        if (most > 0 && ioctl(fd, SIOCOUTQ, &left) == 0)
                most = ((size_t) left + SENT_SIZE_MIN - 1) / SENT_SIZE_MIN * OUT_FDS_MAX;
        if (most < q->n_unreceived)
                release_sent(q, q->n_unreceived - most);
}

void out_queue_done(struct out_queue *q)
{
        while (q->n_fds > 0)
                drop_first(q);
        release_sent(q, q->n_unreceived);
        free(q->fds);
        q->fds = NULL;
        q->room = 0;
        queue_done(&q->bytes);
}

int out_queue_attach(struct out_queue *q, uint64_t request, size_t frame, int *fds, size_t n_fds)
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
                .request = request,
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
        bool with_fds = q->n_fds > 0 && q->fds[0].at == q->sent;
        size_t next = with_fds ? 1 : 0;
        struct iovec iov = { .iov_base = b->data + b->start, .iov_len = queue_size(b) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (next < q->n_fds)
                iov.iov_len = (size_t) (q->fds[next].at - q->sent);
        if (with_fds) {
                size_t size = q->fds[0].n_fds * sizeof(int);

                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(size);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(size);
                memcpy(CMSG_DATA(&control.header), q->fds[0].fds, size);
        }
        do
                n = sendmsg(fd, &msg, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if (with_fds)
                note_first_sent(q);
        return n;
}

static void skip(struct out_queue *q, size_t size)
{
        queue_skip(&q->bytes, size);
        q->sent += size;
}

/* How many fds may be on their way to clients that do not read is limited, for all of them together. */
static ssize_t refuse_first(struct out_queue *q, uint64_t *ret_request)
{
        ASSERT(q->n_fds > 0 && q->fds[0].at == q->sent);
        *ret_request = q->fds[0].request;
        skip(q, q->fds[0].frame);
        drop_first(q);
        return -ETOOMANYREFS;
}

ssize_t out_queue_send(struct out_queue *q, int fd, uint64_t *ret_request)
{
        size_t done = 0;

        while (out_queue_size(q) > 0) {
                ssize_t n = send_some(q, fd);

                if (n == -ETOOMANYREFS)
                        return refuse_first(q, ret_request);
                if (n == -EAGAIN && done > 0)
                        break;
                if (n < 0)
                        return n;
                skip(q, (size_t) n);
                done += (size_t) n;
        }
        return (ssize_t) done;
}
