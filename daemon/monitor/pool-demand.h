/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How many parked sandboxes a key is good for: as many as were asked for in its busiest moment of late. Pure
 * functions of what was asked for when, so that the sizing is a unit test.
 */

#include "common/macro.h"

/* A moment: as long as it takes to make a few. Who asks for more in it finds none left. */
#define POOL_MOMENT_USEC (250 * USEC_PER_MSEC)
/* Of late: this long, to twice as long. */
#define POOL_LATE_USEC (60 * USEC_PER_SEC)

struct pool_demand {
        uint64_t moment_usec; /* when the moment under way began */
        unsigned in_moment;   /* asked for in it */
        uint64_t late_usec;   /* when the period under way began */
        unsigned peak;        /* of a moment in it */
        unsigned peak_before; /* and in the one before */
};

/* One was asked for, whether there was one or not. */
void pool_demand_note(struct pool_demand *d, uint64_t now_usec);
/* How many should be there. */
unsigned pool_demand_wanted(struct pool_demand *d, uint64_t now_usec);

/* Waits longer after each failure, up to a minute. */
struct pool_pause {
        uint64_t usec; /* the last one; 0: there was no failure */
        uint64_t end_usec;
};

void pool_pause_begin(struct pool_pause *p, uint64_t now_usec);
static inline void pool_pause_reset(struct pool_pause *p)
{
        *p = (struct pool_pause) {};
}

/* Whether the host is short of memory, by what /proc/pressure/memory and /proc/meminfo say, each of which may
 * be NULL. What cannot be understood says nothing. */
bool pool_memory_is_short(const char *pressure, const char *meminfo);
