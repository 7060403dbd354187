/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kept output. Runs in the frontend; the bytes are hostile and are never looked at. Blocks of memory
 * hold records, a word of stream and length and then the bytes. What is charged is the memory of the
 * blocks: a job that changes its stream with every byte pays for the words, too.
 */
#include "daemon/frontend/store.h"

/* Sizes of blocks, of which each is twice the one before: most jobs say little. */
#define BLOCK_LEAST 256
#define BLOCK_MOST (64 * KIB)

struct store_block {
        struct store_block *next;
        uint32_t room;
        uint32_t used;
        uint32_t last; /* where its last record begins */
        uint8_t data[];
};

/* The word before the bytes of a record. */
#define RECORD_SIZE sizeof(uint32_t)
#define RECORD_STREAM (UINT32_C(1) << 31)

static uint32_t get_record(const struct store_block *b, size_t at)
{
        uint32_t word;

        memcpy(&word, b->data + at, RECORD_SIZE);
        return word;
}

static void put_record(struct store_block *b, size_t at, enum store_stream stream, size_t size)
{
        uint32_t word = (uint32_t) size | (stream == STORE_STDERR ? RECORD_STREAM : 0);

        memcpy(b->data + at, &word, RECORD_SIZE);
}

static enum store_stream record_stream(uint32_t word)
{
        return word & RECORD_STREAM ? STORE_STDERR : STORE_STDOUT;
}

static size_t record_size(uint32_t word)
{
        return word & ~RECORD_STREAM;
}

void store_init(struct store *s, uint64_t cap, bool (*charge)(void *userdata, uint64_t size),
        void *userdata)
{
        *s = (struct store) { .cap = cap, .charge = charge, .userdata = userdata };
}

void store_done(struct store *s)
{
        for (struct store_block *b = s->first, *next; b; b = next) {
                next = b->next;
                free(b);
        }
        *s = (struct store) {};
}

static bool add_block(struct store *s, size_t want)
{
        size_t size = BLOCK_LEAST;
        struct store_block *b;

        if (s->last)
                size = 2 * (sizeof(*b) + s->last->room);
        while (size < want + sizeof(*b) + RECORD_SIZE)
                size *= 2;
        size = MIN(size, BLOCK_MOST);
        /* As much as there is room for. */
        while (!s->charge(s->userdata, size)) {
                size /= 2;
                if (size < BLOCK_LEAST)
                        return false;
        }
        b = malloc(size);
        if (!b)
                return false;
        *b = (struct store_block) { .room = (uint32_t) (size - sizeof(*b)) };
        if (s->last)
                s->last->next = b;
        else
                s->first = b;
        s->last = b;
        return true;
}

/* Puts what fits into the last block: behind its last record when that is of the same stream. */
static size_t fill_block(struct store *s, enum store_stream stream, const uint8_t *data,
        size_t size)
{
        struct store_block *b = s->last;
        size_t old = 0, n;
        uint32_t word;

        if (!b)
                return 0;
        word = b->used > 0 ? get_record(b, b->last) : 0;
        if (b->used > 0 && record_stream(word) == stream)
                old = record_size(word);
        else if (b->room - b->used <= RECORD_SIZE)
                return 0;
        else {
                b->last = b->used;
                b->used += RECORD_SIZE;
        }
        n = MIN(size, (size_t) (b->room - b->used));
        memcpy(b->data + b->used, data, n);
        b->used += (uint32_t) n;
        put_record(b, b->last, stream, old + n);
        return n;
}

void store_append(struct store *s, enum store_stream stream, const void *data, size_t size)
{
        const uint8_t *p = data;

        while (size > 0 && !s->full[stream]) {
                size_t n = (size_t) MIN((uint64_t) size, s->cap - s->kept[stream]);

                if (n > 0)
                        n = fill_block(s, stream, p, n);
                else
                        s->full[stream] = true;
                s->kept[stream] += n;
                p += n;
                size -= n;
                if (n > 0 || s->full[stream])
                        continue;
                if (!add_block(s, size))
                        s->full[stream] = s->refused = true;
        }
}

size_t store_peek(const struct store *s, struct store_cursor *c, enum store_stream *ret_stream,
        const uint8_t **ret_data)
{
        if (!c->block)
                c->block = s->first;
        while (c->block) {
                const struct store_block *b = c->block;
                uint32_t word = b->used > 0 ? get_record(b, c->at) : 0;

                if (c->done < record_size(word)) {
                        *ret_stream = record_stream(word);
                        *ret_data = b->data + c->at + RECORD_SIZE + c->done;
                        return record_size(word) - c->done;
                }
                if (c->at < b->last)
                        c->at += RECORD_SIZE + record_size(word);
                else if (b->next) {
                        c->block = b->next;
                        c->at = 0;
                } else
                        return 0;
                c->done = 0;
        }
        return 0;
}

void store_skip(struct store_cursor *c, size_t size)
{
        c->done += size;
}
