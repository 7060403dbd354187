/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is kept of a job's output: of each stream a beginning, in the order in which it was read.
 * Append only, so that readers keep a place in it. Memory is charged as it is taken; knows no client
 * and no event loop.
 */

#include "common/macro.h"

enum store_stream {
        STORE_STDOUT,
        STORE_STDERR,
        _STORE_STREAMS,
};

struct store_block;

struct store {
        struct store_block *first;
        struct store_block *last;
        uint64_t cap;                  /* bytes to keep of each stream */
        uint64_t kept[_STORE_STREAMS]; /* bytes of each */
        bool full[_STORE_STREAMS];     /* nothing more is kept: at the cap, or for want of room */
        bool refused;                  /* for want of room */
        /* Whether that many bytes more may be held. */
        bool (*charge)(void *userdata, uint64_t size);
        void *userdata;
};

/* A place in the store. All zero is its beginning. */
struct store_cursor {
        const struct store_block *block; /* NULL: before the first */
        size_t at;                       /* of the record that is being read */
        size_t done;                     /* bytes of it that were */
};

void store_init(struct store *s, uint64_t cap, bool (*charge)(void *userdata, uint64_t size),
        void *userdata);
/* Frees what is kept. What was charged for it is released by whoever charged. */
void store_done(struct store *s);

/* Keeps the bytes, or the first of them that may be. */
void store_append(struct store *s, enum store_stream stream, const void *data, size_t size);

/* The bytes at the cursor, all of one stream; 0 when there are none yet. */
size_t store_peek(const struct store *s, struct store_cursor *c, enum store_stream *ret_stream,
        const uint8_t **ret_data);
/* Goes on by size bytes, at most as many as store_peek() returned. */
void store_skip(struct store_cursor *c, size_t size);
