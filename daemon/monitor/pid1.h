/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The connection to systemd, pid 1. Over its private socket, which root alone can reach, and not
 * over the system bus: there any local user could send the monitor messages, and a bus daemon that
 * restarts would take the connection with it. Knows D-Bus; knows nothing of sandboxes.
 */

#include <sys/types.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/error.h"

/* What is heard of systemd. All are called from the loop. */
struct pid1_handler {
        /* The connection is there, and unused. */
        void (*connected)(void *userdata);
        /* It is gone; it will be tried again. Calls that were under way had an error for an answer
         * just before (see pid1_has_ended()). */
        void (*lost)(void *userdata);
        /* A job for a unit was queued, or is done with. job is its object path. */
        void (*job_new)(void *userdata, const char *unit, const char *job);
        void (*job_removed)(void *userdata, const char *unit, const char *job, const char *result);
};

struct pid1 {
        sd_event *event;
        const char *address;
        sd_bus *bus;
        bool connected;
        sd_event_source *retry; /* tries to connect; oneshot */
        const struct pid1_handler *handler;
        void *userdata;
};

/* The properties of a transient scope; times in usec, sizes in bytes. */
struct pid1_scope {
        const char *name;
        const char *slice;
        const char *description;
        const char *part_of; /* the service with which it is stopped */
        pid_t pid;
        uint64_t memory_max;
        uint64_t tasks_max;
        uint64_t cpu_quota_usec_per_sec;
        uint64_t runtime_max_usec;
};

/* Begins to connect to a bus address, which stays the caller's; connected() follows. */
int pid1_init(struct pid1 *p, sd_event *event, const char *address,
        const struct pid1_handler *handler, void *userdata);
void pid1_done(struct pid1 *p);

/* Whether the connection has ended: an error that a callback gets then is not systemd's answer, and
 * lost() follows. */
bool pid1_has_ended(const struct pid1 *p);

/* Calls whose answer goes to callback, unless the slot is let go before. -ENOTCONN without a
 * connection. The answer of the first is the path of a job, "o"; of the second the units' names and
 * more, "a(ssssssouso)"; of the third a path, "o"; of the last a state, "v" of "s". */
int pid1_start_scope(struct pid1 *p, const struct pid1_scope *scope,
        sd_bus_message_handler_t callback, void *userdata, sd_bus_slot **ret_slot);
int pid1_list_units(struct pid1 *p, const char *pattern, sd_bus_message_handler_t callback,
        void *userdata, sd_bus_slot **ret_slot);
int pid1_stop_unit(struct pid1 *p, const char *name, sd_bus_message_handler_t callback,
        void *userdata, sd_bus_slot **ret_slot);
int pid1_get_active_state(struct pid1 *p, const char *name, sd_bus_message_handler_t callback,
        void *userdata, sd_bus_slot **ret_slot);
