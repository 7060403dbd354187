/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The monitor's one context: what was made at start, the live sandboxes, the channel to the
 * frontend.
 */

#include <signal.h>

#include "daemon/monitor/control.h"
#include "daemon/monitor/generation.h"
#include "daemon/monitor/listen.h"
#include "daemon/monitor/notify.h"
#include "daemon/monitor/pool.h"
#include "daemon/monitor/reload.h"
#include "daemon/monitor/sandbox.h"
#include "daemon/monitor/spares.h"
#include "daemon/monitor/supervisor.h"
#include "daemon/monitor/watchdog.h"

#define MONITOR_DEFAULT_SOCKET "/run/sandboxd/sandboxd.sock"
#define MONITOR_BUCKETS 256 /* of live sandboxes; a power of two */
#define MONITOR_KEPT_MAX 160

enum monitor_state {
        MONITOR_STARTING,
        MONITOR_SERVING,  /* a frontend runs */
        MONITOR_STOPPING, /* everything is being ended */
        MONITOR_STOPPED,
};

struct monitor_options {
        bool reload;             /* not this one: the one that runs */
        bool standalone;         /* cgroups of our own, not scopes of systemd */
        const char *socket_path; /* NULL: the default, unless systemd passes sockets */
        const char *config_file; /* NULL: the default path, which need not exist */
        const char *policy_dir;  /* NULL: the installed ones */
        const char *runtime_dir;
};

/* A message for the frontend that did not fit its socket. */
struct outgoing;

struct monitor {
        struct monitor_options options;
        enum monitor_state state;
        const char *step; /* what is being done, while starting */
        sd_event *event;
        struct policy_paths paths;
        struct generation_draft draft; /* while starting */
        struct generations generations;
        struct reload reload;
        struct control control;
        char kept[MONITOR_KEPT_MAX];    /* why the last reload changed nothing, as far as it fits */
        sd_event_source *retire_source; /* when the oldest generation must go */
        int frontend_filter_fd;
        int lock_fd;     /* of the runtime directory */
        int uid_lock_fd; /* of the uid range */
        struct listen_table listeners;
        int init_fd; /* the programs, O_PATH */
        int frontend_fd;
        struct driver *driver;
        struct uid_pool uids;
        struct sandbox_host host;
        struct pool pool; /* of those without a job */
        struct spares spares;
        struct sandbox *buckets[MONITOR_BUCKETS];
        uint32_t n_sandboxes;
        uint64_t n_done;          /* sandboxes that were */
        uint64_t backlog_usec;    /* when it was last logged that jobs wait; 0: never */
        uint64_t idle_since_usec; /* when the frontend's last one ended, or it was started */
        uint64_t frontend_usec;   /* when it was started */
        struct supervisor supervisor;
        int channel_fd;
        sd_event_source *channel_source;
        sd_event_source *stop_source; /* the deadline for stopping */
        struct outgoing *outgoing;    /* first of the queue */
        struct outgoing **outgoing_end;
        struct notify notify;
        struct watchdog watchdog;
        int result; /* what run() returns */
};

/* What the loop takes. main() blocks them before anything is made. */
static const int monitor_signals[] = { SIGTERM, SIGINT, SIGHUP };

/* start.c: makes everything that is made once. On error the sentence says what is wrong. */
int monitor_setup(struct monitor *m, const struct monitor_options *o, struct error *ret_error);
void monitor_done(struct monitor *m);
/* What start and reload have in common: from a draft to a generation. */
int monitor_make_generation(struct monitor *m, struct generation_draft *draft,
        struct generation **ret, struct error *ret_error);

/* monitor.c */
void monitor_set_state(struct monitor *m, enum monitor_state state);
int monitor_run(struct monitor *m, struct error *ret_error);
/* The sentence of `systemctl status`. */
void monitor_describe(void *userdata, char *text, size_t size);
struct sandbox *monitor_find(struct monitor *m, uint64_t job);
void monitor_add(struct monitor *m, struct sandbox *s);
/* Ends and frees all of them without a loop, for when that has failed. */
void monitor_abandon_sandboxes(struct monitor *m);
/* The frontend has had nothing to do for long, and has stopped accepting: ends the daemon. */
void monitor_on_idle(struct monitor *m);
/* Sends to the frontend, or queues; without a frontend the message is dropped. fd is borrowed. */
void monitor_send(struct monitor *m, const void *message, size_t size, int fd);
/* The same with more fds, of which negative ones stand for none. */
void monitor_send_fds(struct monitor *m, const void *message, size_t size, const int *fds,
        size_t n_fds);

/* monitor-policy.c: makes a generation the one in force, taking the reference over; tells the frontend
 * of it; says what a reload is. */
void monitor_adopt_generation(struct monitor *m, struct generation *g);
void monitor_send_policy(struct monitor *m);
int monitor_plan_reload(struct monitor *m, struct error *ret_error);
/* By a signal, or somebody who waits for what comes of it. */
void monitor_reload(void *userdata);

/* operation.c: takes one message off the channel. 1 when one was handled, 0 when there is none, a
 * negative errno when the channel must end. */
int operation_receive(struct monitor *m);
/* The job has ended: from now on, if it was the last, the frontend may count how long it is idle. */
void operation_note_end(struct monitor *m, uint64_t job);
