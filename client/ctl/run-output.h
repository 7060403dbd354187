/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The two output streams of a job: passed through to our own stdout and stderr as they come, or
 * kept for --json.
 */

#include "common/macro.h"

struct run_stream {
        int fd;                 /* where it goes; -EBADF: kept */
        bool small;             /* fd takes only so much without blocking */
        bool closed;            /* nothing more is written to fd */
        const uint8_t *pending; /* to be written to fd; borrowed */
        size_t pending_size;
        uint8_t *kept;
        size_t kept_size;
        size_t kept_room;
        uint64_t received; /* in all */
};

/* fd as in struct run_stream. Never makes fd non-blocking: others share its open file. */
void run_stream_init(struct run_stream *s, int fd);
void run_stream_done(struct run_stream *s);

/* Takes bytes of the job: keeps a copy, or has them pending until run_stream_write() has written
 * them; of a closed stream they are dropped. There must be none pending. -ENOMEM. */
int run_stream_take(struct run_stream *s, const void *data, size_t size);
/* Writes what the fd takes without blocking, after poll() said that it takes something. 0, or a
 * negative errno with nothing pending any more: -EPIPE when nobody reads. */
int run_stream_write(struct run_stream *s);
/* Drops what is pending and all that comes after it. */
void run_stream_close(struct run_stream *s);
