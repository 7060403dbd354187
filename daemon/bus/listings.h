/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Answers that are made of many jobs. They take as long as there are jobs, so they are made one by one, for each
 * account in turns, with time between them for everything else.
 */

#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "common/macro.h"

struct call;

TAILQ_HEAD(listing_queue, call);

struct listings {
        struct listing_queue waiting;
        sd_event_source *next;
        uint64_t n_turns;
};

int listings_init(struct listings *l, sd_event *event);
void listings_done(struct listings *l);
/* The call's step, which answers it, follows when it is its turn. */
void listings_add(struct listings *l, struct call *c);
