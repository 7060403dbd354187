/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The stdin of a job, by credit: the client may have so many bytes under way, and gets credit
 * back as the job reads. So a job that never reads stdin costs that much and no more. Knows no
 * client and no event loop.
 */

#include "daemon/frontend/queue.h"

#define INPUT_CREDIT (256 * KIB)
/* Of a user with very many of them, who has as much as all may have together. */
#define INPUT_CREDIT_LEAST (16 * KIB)
#define INPUT_CREDIT_MOST (16 * MIB)

struct input {
        int fd;          /* the write end, non-blocking; -EBADF when closed here */
        uint64_t credit; /* bytes the client may still send */
        uint64_t owed;   /* written to the job, not yet given back as credit */
        bool eof;        /* the client has sent all */
        bool closed;     /* the job has closed its end */
        bool waits;      /* for its pipe: what comes meanwhile is kept */
        struct queue queue;
};

/* Takes the fd over; -EBADF: input_open() will bring it. */
void input_init(struct input *in, int fd, uint64_t credit);
void input_open(struct input *in, int fd);
void input_done(struct input *in);

/* Takes bytes of the client. -EDQUOT when they are more than the credit, -EBADE after its eof,
 * -ENOMEM. Bytes for a stdin that the job has closed are dropped. */
int input_push(struct input *in, const void *data, size_t size, bool eof);

/* Gives the job what it takes now. */
void input_flush(struct input *in);
/* The job has closed its end: what is left is of no use. */
void input_set_closed(struct input *in);
/* Whether nothing more can be written: the caller closes, once the fd is in no event loop any more.
 */
bool input_is_over(const struct input *in);

/* The credit to give back now; 0 while it is not yet worth a message. */
uint64_t input_take_credit(struct input *in);

static inline bool input_pending(const struct input *in)
{
        return in->fd >= 0 && queue_size(&in->queue) > 0;
}
