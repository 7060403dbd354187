/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One sandbox, to GONE: its cgroups, ids, init process, deadlines and end. It begins with a START, or ahead
 * of time, without a job; then it is parked until a START claims it, and what is done with it before is
 * for the pool to say.
 */

#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "daemon/monitor/backlog.h"
#include "daemon/monitor/generation.h"
#include "daemon/monitor/uid-pool.h"
#include "daemon/monitor/verdict.h"
#include "daemon/wire/channel.h"

enum sandbox_state {
        SANDBOX_NEW,     /* being made; nothing runs */
        SANDBOX_PARKING, /* init runs, and there is no job */
        SANDBOX_PARKED,  /* its command waits for one */
        SANDBOX_RUNNING, /* init runs, for a job */
        SANDBOX_ENDED,   /* the verdict is out; processes may be left */
        SANDBOX_GONE,    /* nothing is left */
};

struct sandbox;
struct pool_key;
struct spares;

/* What sandboxes take from the monitor; owned there. */
struct sandbox_host {
        sd_event *event;
        struct driver *driver;
        struct uid_pool *uids;
        struct spares *spares; /* namespaces for who waits for them; NULL: there are none */
        int init_fd;           /* the init program, O_PATH */
        /* It is made: for those that tell, once, unless they end before. */
        void (*started)(void *userdata, struct sandbox *s);
        /* The verdict is out. value_fd is borrowed; -EBADF for none. */
        void (*ended)(void *userdata, const struct channel_ended *m, int value_fd);
        /* Nothing is left: the callee frees it. */
        void (*gone)(void *userdata, struct sandbox *s);
        /* Of one without a job: it waits for one; it has ended, and is neither claimed nor reported. */
        void (*parked)(void *userdata, struct sandbox *s);
        void (*lost)(void *userdata, struct sandbox *s);
        /* It was claimed, and died before its job began: that job is another's, which is about to be made. What
         * is left of s is as of one that is lost. */
        void (*replaced)(void *userdata, struct sandbox *s, struct sandbox *by);
        void *userdata;
        unsigned n_resting;     /* sandboxes that have ended, and whose init waits to be let go */
        struct backlog backlog; /* of those that have ended, and are not GONE */
};

struct sandbox {
        struct sandbox_host *host;
        struct sandbox *next; /* in its bucket */
        uint64_t job;         /* 0: none yet */
        enum sandbox_state state;
        struct generation *generation; /* until init has its orders */
        struct placement place;
        struct limits limits;     /* of the job, on its leaf */
        uint32_t profile;         /* indices in the policy */
        uint32_t runtime;         /* of one that is parked */
        bool parks;               /* it is made ahead of time, and has no job */
        bool warm;                /* it was, and has one */
        bool bare;                /* no command waits in it: the job brings its own */
        struct sandbox *cold;     /* the same job, in case this one dies before it began */
        enum job_status order;    /* to end it, while it has that; JOB_STATUS_NONE: none came */
        uint32_t n_own_arguments; /* of its command */
        struct pool_key *key;     /* the pool's, while it has no job */
        TAILQ_ENTRY(sandbox) of_pool;
        TAILQ_ENTRY(sandbox) of_key; /* while it is booked as parked */
        bool booked_parked;
        uint64_t booked_bytes;
        uint64_t parked_usec;                   /* when its command began to wait */
        uint64_t parked_bytes;                  /* what it holds since then */
        uint64_t parked_pids;                   /* 0: not known */
        int own_fds[_CHANNEL_STARTED_FD_COUNT]; /* our ends of its pipes, until it has a job */
        int handover_fd;                        /* to who brings it that, or takes it */
        int handover_end_fd;                    /* the other end, until init has it */
        struct leaf_usage before;               /* used before it had a job */
        int peak_fd;                            /* see leaves_begin_usage() */
        bool grew;                              /* see leaves_subtract() */
        bool done;                              /* nothing of the job went on at the end */
        bool return_value;
        bool told;                        /* the frontend was, that it is made */
        bool receives;                    /* init is sent files before the job begins */
        bool collects;                    /* init hands files over when the job has ended */
        int start_fds[_CHANNEL_FD_COUNT]; /* until they are sent to init */
        struct uid_pair ids;
        bool has_ids;
        int userns_fd; /* its namespaces, where they were made ahead of time, until init has them */
        int netns_fd;
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
        sd_event_source *rest_source;     /* after the end: init is let go then */
        struct backlog_entry backlog;     /* after the end; with files to hand over, after that */
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
/* Makes one for a command and a user, ahead of time. What becomes of it is told by parked(), lost() and
 * gone(). */
struct sandbox_parking {
        uint64_t id;
        uid_t owner;
        uint32_t profile;
        uint32_t runtime;
        uint64_t life_usec; /* that it may stay parked at most */
};
int sandbox_park(struct sandbox_host *host, struct generation *g, const struct sandbox_parking *m,
        struct sandbox **ret);
/* Gives a checked request to one that is PARKED. On success the fds are taken over, and all is as after
 * sandbox_start(). On error nothing of the job was handed to anybody, and this one is of no use any
 * more. */
int sandbox_claim(struct sandbox *s, struct generation *g, const struct channel_start *m, int *fds);
/* Ends one that has no job. */
void sandbox_discard(struct sandbox *s);
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
