/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The kernel ids that sandboxes run as: pairs out of [UserNamespaces] Base= Size=, one for init and
 * one for the payload. Two live sandboxes never share an id, and the pair freed longest ago is
 * given out first.
 */

#include "common/macro.h"

struct uid_pool {
        uint32_t base;
        uint32_t n_pairs;
        uint32_t n_fresh; /* pairs from n_fresh up were never given out */
        uint32_t *freed;  /* ring of freed pairs, n_pairs long; pages appear as they are used */
        uint32_t head;
        uint32_t n_freed;
};

struct uid_pair {
        uint32_t init;
        uint32_t payload;
};

/* -EINVAL when the range is empty or leaves 32 bits (the last id, 2^32-1, is none), -ENOMEM. */
int uid_pool_init(struct uid_pool *p, uint64_t base, uint64_t size);
void uid_pool_done(struct uid_pool *p);
/* -EUSERS when every pair is in use. */
int uid_pool_acquire(struct uid_pool *p, struct uid_pair *ret);
void uid_pool_release(struct uid_pool *p, struct uid_pair pair);
/* How many pairs are in use. */
uint32_t uid_pool_used(const struct uid_pool *p);
