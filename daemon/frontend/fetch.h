/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The files of a job on their way out: what init writes into a pipe when the job has ended, taken apart,
 * and no more of it read than its taker has room for. Knows no client and no event loop.
 */

#include "common/error.h"
#include "common/limit.h"
#include "daemon/wire/transfer.h"

/* A record, or bytes of the file that was named last. */
struct fetch_event {
        enum transfer_kind kind;
        const char *name; /* of all but DATA */
        uint32_t mode;
        uint64_t size;
        enum transfer_error error;
        int number;
        const uint8_t *data; /* of DATA */
        size_t data_size;
};

struct fetch {
        int fd;       /* the read end, non-blocking; -EBADF: not there, or closed here */
        bool pending; /* files were asked for, and not all of them came or were given up yet */
        struct transfer_reader reader;
};

/* Takes the fd over. max is that of all files together. */
void fetch_init(struct fetch *f, int fd, uint64_t max);
void fetch_done(struct fetch *f);

/* Whether only data could be next: what else there is needs no room. */
static inline bool fetch_wants_data(const struct fetch *f)
{
        return transfer_reader_wants_data(&f->reader);
}

/* Reads once: of data at most room bytes, which must be more than 0 when data is next. 1 with an event,
 * whose pointers are good until the next call; 0 when there is none yet; -EAGAIN when the pipe is
 * empty; -EPIPE when it ended too early, -EBADMSG when it is none of ours. */
int fetch_read(struct fetch *f, uint8_t *buffer, size_t buffer_size, size_t room,
        struct fetch_event *ret);

/* The sentence about a file that does not come; the name in it is cleaned. limits are the job's. */
void fetch_format_error(const struct fetch_event *e, const struct limits *limits,
        struct error *text);
