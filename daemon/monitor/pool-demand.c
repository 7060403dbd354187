/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many parked sandboxes there should be. Runs in the monitor; pure functions of time and numbers.
 */
#include "daemon/monitor/pool-demand.h"

#include <inttypes.h>
#include <stdio.h>

#define PAUSE_LEAST_USEC (1 * USEC_PER_SEC)
#define PAUSE_MOST_USEC (60 * USEC_PER_SEC)
/* Percent of the last ten seconds in which something waited for memory. */
#define PRESSURE_MOST 10.0
/* Of all memory, what must be available; and while something waits for it. */
#define AVAILABLE_FRACTION 20
#define AVAILABLE_FRACTION_PRESSED 4

static void roll(struct pool_demand *d, uint64_t now)
{
        uint64_t passed = now > d->late_usec ? now - d->late_usec : 0;

        if (passed < POOL_LATE_USEC)
                return;
        d->peak_before = passed < 2 * POOL_LATE_USEC ? d->peak : 0;
        d->peak = 0;
        d->late_usec = now;
}

void pool_demand_note(struct pool_demand *d, uint64_t now)
{
        roll(d, now);
        if (now - d->moment_usec >= POOL_MOMENT_USEC) {
                d->moment_usec = now;
                d->in_moment = 0;
        }
        d->in_moment++;
        d->peak = MAX(d->peak, d->in_moment);
}

unsigned pool_demand_wanted(struct pool_demand *d, uint64_t now)
{
        roll(d, now);
        return MAX(d->peak, d->peak_before);
}

void pool_pause_begin(struct pool_pause *p, uint64_t now)
{
        p->usec = p->usec == 0 ? PAUSE_LEAST_USEC : MIN(2 * p->usec, PAUSE_MOST_USEC);
        p->end_usec = now + p->usec;
}

static bool find_number(const char *text, const char *key, uint64_t *ret)
{
        const char *at = strstr(text, key);

        return at && sscanf(at + strlen(key), " %" SCNu64, ret) == 1;
}

bool pool_memory_is_short(const char *pressure, const char *meminfo)
{
        uint64_t total, available;
        bool pressed;
        double share;

        pressed = pressure && sscanf(pressure, "some avg10=%lf", &share) == 1 &&
                  share >= PRESSURE_MOST;
        if (!meminfo || !find_number(meminfo, "MemTotal:", &total) ||
                !find_number(meminfo, "MemAvailable:", &available))
                return pressed;
        /* A job that waits at its own limit counts as pressed: alone that is no reason to take from others. */
        return available < total / (pressed ? AVAILABLE_FRACTION_PRESSED : AVAILABLE_FRACTION);
}
