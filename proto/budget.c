/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The allocator with a budget. Runs in frontend and client. Counts what was handed out and never
 * what came back: protobuf-c frees only to grow a repeated field or to give up, and a count that
 * cannot fall needs no header before each block.
 */
#include "proto/budget.h"

/* What malloc adds to a block, as far as it matters for a flood of small ones. */
#define BLOCK_OVERHEAD 16

static void *budget_alloc(void *data, size_t size)
{
        struct budget *b = data;
        size_t used;
        void *p;

        if (__builtin_add_overflow(b->used, size, &used) ||
                __builtin_add_overflow(used, BLOCK_OVERHEAD, &used) || used > b->max) {
                b->exceeded = true;
                return NULL;
        }
        p = malloc(size);
        if (p)
                b->used = used;
        return p;
}

static void budget_free(void *data, void *p)
{
        free(p);
}

void budget_init(struct budget *b, size_t max)
{
        *b = (struct budget) {
                .allocator = {
                        .alloc = budget_alloc,
                        .free = budget_free,
                        .allocator_data = b,
                },
                .max = max,
        };
}
