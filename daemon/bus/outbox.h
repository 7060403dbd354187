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
        sd_event_source *watch; /* whether the bus takes anything at all */
        uint64_t taken;         /* messages, when it was looked at last */
};

int outbox_init(struct outbox *o, sd_event *event, sd_bus *bus);
/* To be called when something may wait for the bus: where it takes nothing for a while, the event loop is ended
 * with -ESTALE. */
void outbox_watch(struct outbox *o);
void outbox_done(struct outbox *o);
/* Frees the call once its answer, which is sent, has been taken. */
void outbox_add(struct outbox *o, struct call *c);
/* Messages that the bus has not taken. */
uint64_t outbox_size(const struct outbox *o);
