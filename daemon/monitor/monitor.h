/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The monitor's one context: what was made at start, the live sandboxes, the channel to the
 * frontend.
 */

#include <signal.h>

#include "daemon/monitor/listen.h"
#include "daemon/monitor/notify.h"
#include "daemon/monitor/policy-load.h"
#include "daemon/monitor/sandbox.h"
#include "daemon/monitor/supervisor.h"
#include "daemon/monitor/watchdog.h"

#define MONITOR_BUCKETS 256 /* of live sandboxes; a power of two */

enum monitor_state {
        MONITOR_STARTING,
        MONITOR_SERVING,  /* a frontend runs */
        MONITOR_STOPPING, /* everything is being ended */
        MONITOR_STOPPED,
};

struct monitor_options {
        bool standalone; /* cgroups of our own, not scopes of systemd */
        const char *socket_path;
        const char *config_file; /* NULL: the default path, which need not exist */
        const char *policy_dir;  /* NULL: the installed ones */
        const char *runtime_dir;
};

/* A message for the frontend that did not fit its socket. */
struct outgoing;

struct monitor {
        struct monitor_options options;
        enum monitor_state state;
        sd_event *event;
        struct policy *policy;
        struct policy_config config;
        int policy_fd; /* the policy as the frontend maps it */
        int filter_fds[POLICY_PROFILES_MAX];
        int frontend_filter_fd;
        int lock_fd;     /* of the runtime directory */
        int uid_lock_fd; /* of the uid range */
        struct listen_socket listener;
        int init_fd; /* the programs, O_PATH */
        int frontend_fd;
        struct driver *driver;
        struct uid_pool uids;
        struct template template;
        struct sandbox_host host;
        struct sandbox *buckets[MONITOR_BUCKETS];
        uint32_t n_sandboxes;
        uint64_t n_done; /* sandboxes that were */
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

/* What ends the daemon. main() blocks them before anything is made; the loop takes them. */
static const int monitor_signals[] = { SIGTERM, SIGINT, SIGHUP };

/* start.c: makes everything that is made once. On error the sentence says what is wrong. */
int monitor_setup(struct monitor *m, const struct monitor_options *o, struct error *ret_error);
void monitor_done(struct monitor *m);

/* monitor.c */
void monitor_set_state(struct monitor *m, enum monitor_state state);
int monitor_run(struct monitor *m, struct error *ret_error);
/* The frontend may have MaxJobs= running; besides, some are on their way out. */
static inline uint32_t monitor_max_sandboxes(const struct monitor *m)
{
        return m->policy->server.max_jobs + 256;
}

struct sandbox *monitor_find(struct monitor *m, uint64_t job);
void monitor_add(struct monitor *m, struct sandbox *s);
/* Ends and frees all of them without a loop, for when that has failed. */
void monitor_abandon_sandboxes(struct monitor *m);
/* Sends to the frontend, or queues; without a frontend the message is dropped. fd is borrowed. */
void monitor_send(struct monitor *m, const void *message, size_t size, int fd);

/* operation.c: takes one message off the channel. 1 when one was handled, 0 when there is none, a
 * negative errno when the channel must end. */
int operation_receive(struct monitor *m);
