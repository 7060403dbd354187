/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Frames that wait for a client to take them, some with fds. The kernel hands fds over with the bytes
 * that they are sent with, so those of a frame go with its first byte: no send begins before that byte
 * and passes over it. An fd is charged to the client's uid by who queues it, and released here when it is
 * dropped, or known to be received: until then the kernel keeps it for a client that may never read.
 */

#include "daemon/frontend/account.h"
#include "daemon/frontend/queue.h"

/* The most fds that go with one frame. */
#define OUT_FDS_MAX 3

/* Those of one frame. */
struct out_fds {
        uint64_t at;  /* its first byte, counted as in out_queue.sent */
        size_t frame; /* its size */
        uint64_t job;
        int fds[OUT_FDS_MAX];
        size_t n_fds;
};

struct out_queue {
        struct queue bytes; /* frames alone are pushed here */
        uint64_t sent;      /* bytes, in all */
        struct out_fds *fds;
        size_t n_fds;  /* frames that have some */
        size_t n_sent; /* of these, the first, which were sent, are closed and still charged */
        size_t room;
        struct account_book *accounts;
        uid_t uid;
};

void out_queue_init(struct out_queue *q, struct account_book *accounts, uid_t uid);
/* Drops what was not sent. */
void out_queue_drop(struct out_queue *q);
/* The same. Returns how many fds were sent and may not be received yet: the caller takes over what they
 * are charged. */
size_t out_queue_done(struct out_queue *q);

static inline size_t out_queue_size(const struct out_queue *q)
{
        return queue_size(&q->bytes);
}

/* Takes fds over, to go with the frame of that size that was pushed last, which is for a job. Each is
 * charged as ACCOUNT_SOCKETS. -ENOMEM. */
int out_queue_attach(struct out_queue *q, uint64_t job, size_t frame, int *fds, size_t n_fds);

/* Releases what of the fds that were sent by this socket cannot be in it any more. */
void out_queue_settle(struct out_queue *q, int fd);

/* Sends as much as the socket takes. Returns how much; -EAGAIN when it took nothing, or another errno.
 * -ETOOMANYREFS: the kernel does not take the fds for *ret_job; their frame was dropped with them, and the
 * others are still to be sent. */
ssize_t out_queue_send(struct out_queue *q, int fd, uint64_t *ret_job);
