/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounded output. Runs in the frontend; the bytes are hostile and are never looked at.
 */
#include "daemon/frontend/output.h"

#include "common/limit.h"

void output_init(struct output *o, int fd, uint64_t limit, bool strict)
{
        *o = (struct output) { .fd = fd, .limit = limit };
        if (strict ? __builtin_add_overflow(limit, 1, &o->kill_at)
                   : __builtin_mul_overflow(limit, LIMIT_OUTPUT_KILL_FACTOR, &o->kill_at))
                o->kill_at = UINT64_MAX;
}

void output_done(struct output *o)
{
        o->fd = safe_close(o->fd);
}

ssize_t output_read(struct output *o, void *buffer, size_t size, size_t *ret_kept)
{
        ssize_t n;
        size_t kept;

        ASSERT(!output_ended(o));
        do
                n = read(o->fd, buffer, size);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return -EAGAIN;
        if (n <= 0)
                return 0;
        kept = (size_t) MIN((uint64_t) n, o->limit - o->kept);
        o->written += (uint64_t) n;
        o->kept += kept;
        *ret_kept = kept;
        return n;
}

void output_give_up(struct output *o, size_t size)
{
        ASSERT(size <= o->kept);
        o->kept -= size;
        output_keep_no_more(o);
}
