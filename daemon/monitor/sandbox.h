/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One sandbox, from START to GONE: its cgroups, ids, init process, deadlines and end.
 */

#include <systemd/sd-event.h>

#include "daemon/monitor/generation.h"
#include "daemon/monitor/uid-pool.h"
#include "daemon/monitor/verdict.h"
#include "daemon/wire/channel.h"

enum sandbox_state {
        SANDBOX_NEW,     /* being made; nothing runs */
        SANDBOX_RUNNING, /* init runs */
        SANDBOX_ENDED,   /* the verdict is out; processes may be left */
        SANDBOX_GONE,    /* nothing is left */
};

/* What sandboxes take from the monitor; owned there. */
struct sandbox_host {
        sd_event *event;
        struct driver *driver;
        struct uid_pool *uids;
        int init_fd; /* the init program, O_PATH */
        /* It is made: for those that tell, once, unless they end before. */
        void (*started)(void *userdata, uint64_t job);
        /* The verdict is out. value_fd is borrowed; -EBADF for none. */
        void (*ended)(void *userdata, const struct channel_ended *m, int value_fd);
        /* Nothing is left: the sandbox is freed when this returns. */
        void (*gone)(void *userdata, uint64_t job);
        void *userdata;
};

struct sandbox {
        struct sandbox_host *host;
        struct sandbox *next; /* in its bucket */
        enum sandbox_state state;
        struct generation *generation; /* until init has its orders */
        struct placement place;
        uint32_t profile; /* index in the policy */
        bool return_value;
        bool told;                        /* the frontend was, that it is made */
        bool receives;                    /* init is sent files before the job begins */
        bool collects;                    /* init hands files over when the job has ended */
        int start_fds[_CHANNEL_FD_COUNT]; /* until they are sent to init */
        struct uid_pair ids;
        bool has_ids;
        pid_t pid; /* of init; 0 once reaped */
        int pidfd;
        int control_fd;
        int oom_fd;
        sd_event_source *control_source;
        sd_event_source *pidfd_source;
        sd_event_source *oom_source;
        sd_event_source *wall_source; /* of the set-up, then of the payload */
        sd_event_source *cpu_source;
        sd_event_source *escalate_source; /* after a kill that was not enough */
        sd_event_source *remove_source;   /* retries removing busy cgroups */
        unsigned n_doublings;             /* of the pause between them */
        sd_event_source *collect_source;  /* after the end: how long that may take */
        uint64_t signals;        /* bits, from signal 1 on, for when the payload is there */
        struct leaf_usage usage; /* at the last moment at which the cgroups were there for sure */
        struct ending ending;
        bool joining;    /* init is to say JOINED, and then gets its limits and RUN */
        bool explaining; /* the driver was asked what the end was about */
        bool stopped;    /* it was: somebody else ended it */
        char detail[64];
        uint64_t started_usec;
        uint64_t exec_usec;
        uint64_t end_usec;
        int value_fd;
};

/* Starts a sandbox of generation g for a checked request; fds as in enum channel_start_fd, stdin
 * -EBADF for none; they are taken over on success. What goes wrong later is reported through ended()
 * and gone(), from the loop. */
int sandbox_start(struct sandbox_host *host, struct generation *g, const struct channel_start *m,
        int *fds, struct sandbox **ret);
/* Ends it for a reason, unless it has ended already. The first reason stays. One that has ended hands
 * over no more files. */
void sandbox_kill(struct sandbox *s, enum job_status cause);
/* Sends a signal to the payload's own process: now, or once it is there. */
void sandbox_signal(struct sandbox *s, int number);
/* What a sandbox that has not ended has used so far, as a message. */
void sandbox_read_usage(const struct sandbox *s, struct channel_used *ret);
/* Kills it, waits for its init, and frees it; its cgroups are the driver's to sweep. */
void sandbox_abandon(struct sandbox *s);
/* Frees a sandbox that is GONE. */
void sandbox_free(struct sandbox *s);
