/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One output pipe of a job, bounded: bytes up to the limit are kept, those beyond are read, counted
 * and dropped, so that a job is not blocked by its own chatter. Knows no client and no event loop.
 */

#include "common/macro.h"

struct output {
        int fd;           /* the read end, non-blocking; -EBADF when closed */
        uint64_t limit;   /* bytes kept */
        uint64_t kill_at; /* bytes at which the job is to be killed */
        uint64_t written; /* by the job, kept or not */
        uint64_t kept;
};

/* Takes the fd over. strict: the job may not pass the limit at all. */
void output_init(struct output *o, int fd, uint64_t limit, bool strict);
void output_done(struct output *o);

/* Reads once into buffer. Returns the count, of which the first *ret_kept bytes are to be kept, 0
 * at the end, or -EAGAIN. At the end the caller closes, once the fd is in no event loop any more.
 */
ssize_t output_read(struct output *o, void *buffer, size_t size, size_t *ret_kept);

/* Bytes that were to be kept, and were not: they count as beyond the limit, as do all that come. */
void output_give_up(struct output *o, size_t size);

/* Nobody takes any more: what still comes is beyond the limit. */
static inline void output_keep_no_more(struct output *o)
{
        o->limit = o->kept;
}

/* Bytes that will still be kept. */
static inline uint64_t output_room(const struct output *o)
{
        return o->limit - o->kept;
}

static inline bool output_ended(const struct output *o)
{
        return o->fd < 0;
}

static inline bool output_truncated(const struct output *o)
{
        return o->written > o->kept;
}

static inline bool output_is_excessive(const struct output *o)
{
        return o->written >= o->kill_at;
}
