/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * sandboxd-bus's one context: the bus, the users and callers on it, the jobs there are.
 */

#include <sys/queue.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "daemon/bus/feed.h"
#include "daemon/bus/jobs.h"
#include "daemon/bus/listings.h"
#include "daemon/bus/loans.h"
#include "daemon/bus/memory.h"
#include "daemon/bus/outbox.h"
#include "daemon/bus/questions.h"
#include "daemon/bus/relays.h"
#include "daemon/bus/run.h"
#include "daemon/bus/signals.h"

#define BUS_NAME "org.sandboxd1"
#define BUS_PATH "/org/sandboxd1"
#define BUS_JOB_PATH "/org/sandboxd1/job"
#define BUS_MANAGER "org.sandboxd1.Manager"
#define BUS_JOB "org.sandboxd1.Job"
#define BUS_PROPERTIES "org.freedesktop.DBus.Properties"
#define BUS_OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

struct user;

struct account;

LIST_HEAD(account_list, account);
LIST_HEAD(user_list, user);

struct service_options {
        const char *address;     /* of the bus; NULL: the system's */
        const char *socket_path; /* sandboxd's; NULL: as libsandbox chooses */
        uint64_t polkit_usec;    /* how long polkit may think about a question */
        uint64_t idle_usec;      /* without anything to do, until we go */
};

struct service {
        struct service_options options;
        sd_event *event;
        sd_bus *bus;
        sd_bus *asking; /* has no name, so nobody may call it: the bus is asked there who calls */
        struct feed feed;
        struct jobs jobs;
        struct account_list accounts;
        struct user_list users;
        void *callers; /* by their unique name, a tree of tsearch(3) */
        sd_event_source *callers_check;
        bool callers_asked; /* the bus is asked which of them are there */
        unsigned n_calls;
        uint64_t n_bytes; /* that users are charged, of BYTES_MAX */
        struct outbox outbox;
        struct questions questions;
        struct signals signals;
        struct relays relays;
        struct runs runs;
        struct listings listings;
        struct memory memory;
        struct loans loans;
        sd_event_source *idle;
        bool named;    /* the name on the bus is ours, or is asked for */
        bool leaving;  /* it is given back: what came before that is finished, and nothing else */
        bool released; /* and the bus has taken it, or does not answer */
};

int service_init(struct service *s, const struct service_options *options);
void service_done(struct service *s);
/* Serves until a signal, the end of the bus, or idleness. */
int service_run(struct service *s);

/* Something was done, or is to be: idleness begins anew. */
void service_touch(struct service *s);
/* Whether there is a reason to stay. */
bool service_is_busy(const struct service *s);

/* The vtables, in manager.c and job-object.c. */
int manager_add(struct service *s);
int job_object_add(struct service *s);
