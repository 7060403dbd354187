/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The two output streams of a job: passed through to our own stdout and stderr as they come, or
 * kept for --json.
 */

#include "common/macro.h"

struct run_stream {
        int fd;      /* where it goes; -EBADF: kept */
        bool small;  /* fd takes only so much without blocking */
        bool closed; /* nothing more is written to fd */
        char *data;  /* kept, or to be written to fd */
        size_t size;
        size_t written; /* of data, so far */
        size_t room;
        uint64_t received; /* in all */
};

/* fd as in struct run_stream. Never makes fd non-blocking: others share its open file. */
void run_stream_init(struct run_stream *s, int fd);
void run_stream_done(struct run_stream *s);

/* Takes bytes of the job: a copy is kept, or pending until run_stream_write() has written it; of a
 * closed stream they are dropped. -ENOMEM. */
int run_stream_take(struct run_stream *s, const void *data, size_t size);
/* Bytes that wait to be written. */
size_t run_stream_pending(const struct run_stream *s);
/* Writes what the fd takes without blocking, after poll() said that it takes something: how many
 * bytes, or a negative errno: -EPIPE when nobody reads. */
ssize_t run_stream_write(struct run_stream *s);
/* Drops what is pending and all that comes after it. Returns how much was pending. */
size_t run_stream_close(struct run_stream *s);
