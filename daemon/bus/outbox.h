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
struct service;

TAILQ_HEAD(outbox_list, call);

struct outbox {
        struct service *service;
        sd_bus *bus;
        uint64_t probed; /* number of a message of ours that was sent for it; 0: it was taken */
        struct outbox_list calls; /* by the cookies of their answers */
        sd_event_source *after;   /* looks again in each turn of the loop */
        sd_event_source *look;    /* at whether the bus takes what it was sent */
        sd_event_source *exit;
        uint64_t heard;   /* number of the last message to ourselves that came back */
        uint64_t mark;    /* up to which number all is to be taken, since n_still looks */
        unsigned n_still; /* looks in a row at which that was not taken */
};

int outbox_init(struct outbox *o, struct service *s);
/* To be called when something may be sent: where the bus is found to take nothing from us for a while, the event
 * loop is ended with -ESTALE. */
void outbox_watch(struct outbox *o);
void outbox_done(struct outbox *o);
/* Frees the call once its answer, which is sent, has been taken. */
void outbox_add(struct outbox *o, struct call *c);
/* Whether it is our own message to ourselves. */
bool outbox_take_probe(struct outbox *o, sd_bus_message *m);
/* Messages that the bus has not taken. */
uint64_t outbox_size(const struct outbox *o);
