/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * sandboxd-bus's own connection to sandboxd, by which it hears of all jobs. Comes back by itself.
 */

#include "daemon/bus/link.h"

struct service;

struct feed {
        struct service *service;
        struct link link;
        bool current; /* all jobs that there are have been told */
        sd_event_source *again;
        unsigned n_attempts;                   /* that failed, one after another */
        void (*on_settled)(struct service *s); /* once: the first attempt succeeded, or failed */
};

int feed_init(struct feed *f, struct service *s, void (*on_settled)(struct service *s));
/* sandboxd is there, as another connection shows: one that waits to be made again is made at once. */
void feed_hurry(struct feed *f);
void feed_done(struct feed *f);
