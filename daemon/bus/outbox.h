/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Answers that the bus has not taken yet. They stay charged to who asked, so that nobody can have us
 * hold more than calls are allowed to.
 */

#include <sys/queue.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/macro.h"

struct call;

TAILQ_HEAD(outbox_list, call);

struct outbox {
        sd_bus *bus;
        struct outbox_list calls; /* by the cookies of their answers */
        sd_event_source *after;   /* looks again in each turn of the loop */
        sd_event_source *probe;
};

int outbox_init(struct outbox *o, sd_event *event, sd_bus *bus);
void outbox_done(struct outbox *o);
/* Frees the call once its answer, which is sent, has been taken. */
void outbox_add(struct outbox *o, struct call *c);
/* Messages that the bus has not taken. */
uint64_t outbox_size(const struct outbox *o);
