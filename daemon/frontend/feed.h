/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The files of a job that are too large for its spec, on their way into a pipe that its sandbox reads.
 * By credit: the client may have FEED_CREDIT bytes under way, and gets credit back as the pipe takes
 * them. Knows no client and no event loop.
 */

#include "daemon/frontend/plan.h"
#include "daemon/frontend/queue.h"

#define FEED_CREDIT (1 * MIB)

struct feed {
        int fd;            /* the write end, non-blocking; -EBADF: not there yet, or closed here */
        uint32_t first;    /* index of the request's first file in the spec */
        size_t n_files;    /* of the request */
        uint64_t *left;    /* bytes of each file that are still to come */
        uint64_t left_all; /* of all of them */
        uint64_t credit;   /* bytes that the client may still send */
        bool closed;       /* nobody reads any more: what comes is dropped */
        struct queue queue;
        size_t queue_max;
        uint32_t last_file; /* of the last record in the queue */
        size_t last_size;   /* and its bytes; 0: there is none that could grow */
};

/* Takes what the request has of each file. */
int feed_init(struct feed *f, const struct plan *plan, const Sandboxd__V1__Run *run);
void feed_done(struct feed *f);

/* The next bytes of a file. -ENOENT for a file that is none, -EFBIG for more bytes than its size, -EDQUOT
 * for more than the credit, or in too small parts; -ENOMEM. */
int feed_push(struct feed *f, size_t file, const void *data, size_t size);
/* Gives the pipe what it takes now. */
void feed_flush(struct feed *f);
/* Its reader has gone. */
void feed_set_closed(struct feed *f);
/* The credit to give back now; 0 while it is not yet worth a message. */
uint64_t feed_take_credit(struct feed *f);

/* Whether the client still has bytes to send. */
static inline bool feed_is_owed(const struct feed *f)
{
        return f->left_all > 0;
}

/* Whether all bytes there are were taken by the pipe. */
static inline bool feed_is_over(const struct feed *f)
{
        return !feed_is_owed(f) && queue_size(&f->queue) == 0;
}

/* The most that it keeps in memory, for the books. */
uint64_t feed_memory(const struct plan *plan, const Sandboxd__V1__Run *run);
