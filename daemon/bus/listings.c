/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that are made of many jobs. Runs in sandboxd-bus.
 */
#include "daemon/bus/listings.h"

#include "common/io.h"
#include "daemon/bus/call.h"

/* The oldest of the account whose last turn is the longest ago. */
static struct call *choose(const struct listings *l)
{
        struct call *c, *best = NULL;

        TAILQ_FOREACH (c, &l->waiting, waiting)
                if (!best || c->user->account->turn < best->user->account->turn)
                        best = c;
        return best;
}

/* What waits after it in the bus waits no longer than this took, however many were asked for. */
static int on_next(sd_event_source *s, uint64_t usec, void *userdata)
{
        uint64_t began = io_now_usec(), ended;
        struct listings *l = userdata;
        struct call *c = choose(l);

        if (c) {
                TAILQ_REMOVE(&l->waiting, c, waiting);
                call_set_state(c, CALL_BEGUN);
                c->user->account->turn = ++l->n_turns;
                c->step(c, NULL);
        }
        ended = io_now_usec();
        (void) sd_event_source_set_time(s, ended + (ended - began));
        return sd_event_source_set_enabled(s,
                TAILQ_EMPTY(&l->waiting) ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

int listings_init(struct listings *l, sd_event *event)
{
        int r;

        TAILQ_INIT(&l->waiting);
        r = sd_event_add_time(event, &l->next, CLOCK_MONOTONIC, 0, 1, on_next, l);
        return r < 0 ? r : sd_event_source_set_enabled(l->next, SD_EVENT_OFF);
}

void listings_done(struct listings *l)
{
        l->next = sd_event_source_disable_unref(l->next);
}

void listings_add(struct listings *l, struct call *c)
{
        call_set_state(c, CALL_LISTING);
        TAILQ_INSERT_TAIL(&l->waiting, c, waiting);
        /* At the time that the last one left. */
        (void) sd_event_source_set_enabled(l->next, SD_EVENT_ONESHOT);
}
