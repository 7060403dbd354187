/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What callers that subscribed are told, each by messages of its own, and about jobs that it may see. Messages
 * go out as the bus takes them: until then what is to be told is noted with each job, and merged.
 */

#include <systemd/sd-event.h>

#include "daemon/bus/jobs.h"

/* All subscriptions of all users. */
#define SUBSCRIPTIONS_MAX 1024

struct caller;

LIST_HEAD(subscriber_list, caller);

struct signals {
        struct service *service;
        struct subscriber_list subscribers;
        unsigned n_subscribers;
        struct bus_job_list jobs; /* with news, in the order in which they had them */
        unsigned n_gone;          /* of them, those whose objects are no more */
        bool manager;             /* its properties have changed */
        unsigned told_running;    /* as they were told last */
        unsigned told_queued;
        bool told_draining;
        sd_event_source *pump;
        sd_event_source *wait; /* until the bus has taken some */
};

int signals_init(struct signals *g, struct service *s);
void signals_done(struct signals *g);

void signals_tell(struct signals *g, struct bus_job *j, unsigned news);
void signals_tell_manager(struct signals *g);

/* -EDQUOT for a user, -EUSERS for all. Subscribing twice is once. */
int signals_subscribe(struct caller *c);
void signals_unsubscribe(struct caller *c);
