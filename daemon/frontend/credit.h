/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Credit of one kind of bytes to one request: how many may be sent before the client gives more. So a
 * client that reads one of its jobs slowly does not stop the others on its connection.
 */

#include "common/macro.h"

struct credit {
        bool kept; /* without, the connection's queue is the only bound */
        uint64_t left;
};

/* initial is what the request says; with 0 no credit is kept, and all may be sent. */
static inline void credit_init(struct credit *c, uint64_t initial)
{
        *c = (struct credit) { .kept = initial > 0, .left = initial };
}

/* How many of most bytes may be sent now. */
static inline size_t credit_allows(const struct credit *c, size_t most)
{
        return c->kept ? (size_t) MIN((uint64_t) most, c->left) : most;
}

static inline bool credit_is_spent(const struct credit *c)
{
        return c->kept && c->left == 0;
}

static inline void credit_use(struct credit *c, size_t size)
{
        if (!c->kept)
                return;
        ASSERT(size <= c->left);
        c->left -= size;
}

/* More than can be counted is as good as all that can. */
static inline void credit_give(struct credit *c, uint64_t bytes)
{
        if (__builtin_add_overflow(c->left, bytes, &c->left))
                c->left = UINT64_MAX;
}
