/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel ids of sandboxes. Runs in the monitor; pure bookkeeping.
 */
#include "daemon/monitor/uid-pool.h"

#include <sys/mman.h>

int uid_pool_init(struct uid_pool *p, uint64_t base, uint64_t size)
{
        uint64_t n = size / 2;
        void *ring;

        if (n == 0 || base == 0 || base >= UINT32_MAX || size > UINT32_MAX - base)
                return -EINVAL;
        /* The ring is as long as the range, but only the part that was used takes memory. */
        ring = mmap(NULL, n * sizeof(uint32_t), PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (ring == MAP_FAILED)
                return -errno;
        *p = (struct uid_pool) { .base = (uint32_t) base, .n_pairs = (uint32_t) n, .freed = ring };
        return 0;
}

void uid_pool_done(struct uid_pool *p)
{
        if (p->freed)
                (void) munmap(p->freed, p->n_pairs * sizeof(uint32_t));
        *p = (struct uid_pool) {};
}

int uid_pool_acquire(struct uid_pool *p, struct uid_pair *ret)
{
        uint32_t index;

        if (p->n_fresh < p->n_pairs) {
                index = p->n_fresh++;
        } else if (p->n_freed > 0) {
                index = p->freed[p->head];
                p->head = (p->head + 1) % p->n_pairs;
                p->n_freed--;
        } else {
                return -EUSERS;
        }
        *ret = (struct uid_pair) {
                .init = p->base + 2 * index,
                .payload = p->base + 2 * index + 1,
        };
        return 0;
}

void uid_pool_release(struct uid_pool *p, struct uid_pair pair)
{
        uint32_t index = (pair.init - p->base) / 2;

        ASSERT(index < p->n_fresh && pair.payload == pair.init + 1);
        ASSERT(p->n_freed < p->n_pairs);
        p->freed[(p->head + p->n_freed) % p->n_pairs] = index;
        p->n_freed++;
}

uint32_t uid_pool_used(const struct uid_pool *p)
{
        return p->n_fresh - p->n_freed;
}
