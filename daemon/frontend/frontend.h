/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The frontend's one context: event loop, policy, connections, jobs, books.
 */

#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "common/policy.h"
#include "daemon/frontend/account.h"
#include "daemon/frontend/admission-queue.h"
#include "daemon/frontend/channel.h"
#include "daemon/frontend/idle.h"
#include "daemon/frontend/linger.h"
#include "daemon/frontend/listener.h"
#include "daemon/frontend/policies.h"
#include "daemon/frontend/record.h"
#include "daemon/frontend/registry.h"

#define FRONTEND_BUFFER_SIZE (64 * KIB)

/* In usec, and no more: with room to move a timer, sd-event opens a file in /proc to choose by. */
#define FRONTEND_TIMER_ACCURACY 1

/* How long a client has for the last output and files of a job of which nothing else is left. */
#define FRONTEND_OVERDUE_USEC (10 * 60 * USEC_PER_SEC)

struct connection;
struct job;

LIST_HEAD(connection_list, connection);
LIST_HEAD(job_list, job);
TAILQ_HEAD(watch_turns, watch);
TAILQ_HEAD(job_watch_turns, job_watch);

struct frontend {
        sd_event *event;
        struct policies policies;
        const struct policy *policy; /* the current one of them, which the next reload unmaps */
        uint64_t plan_grace_usec;    /* CHANNEL_PLAN_GRACE_USEC */
        uint64_t overdue_usec;       /* FRONTEND_OVERDUE_USEC */
        pid_t monitor_pid;
        uint64_t max_open_files; /* RLIMIT_NOFILE, which our filter lets nobody ask for later */
        struct channel channel;
        struct listener listeners[POLICY_LISTENERS_MAX];
        uint32_t n_listeners;
        struct idle idle;
        struct account_book accounts;
        struct record_book records;
        struct connection_list connections;
        struct job_list jobs;
        struct lingering_list lingering;
        uint64_t lingering_least;      /* what a socket counts as, at the least */
        uint64_t lingering_sweep_usec; /* when all of them may be looked at again */
        struct admission_queue queue;
        struct admission_queue starts; /* of those that have a slot, until the monitor has room */
        uint32_t max_starting;         /* sandboxes that the monitor makes at one time */
        bool behind;                   /* it has too many to take down: none is to be made */
        sd_event_source *dispatch;     /* starts who waits, once a turn of the loop */
        struct registry registry;
        struct watch_turns watch_turns; /* requests with more to be done than one turn is for */
        sd_event_source *watch_turn;    /* of the first of them */
        uint64_t watch_spent;           /* bytes that such requests were sent, ever */
        struct job_watch_list job_watches;
        struct job_watch_turns job_watch_turns; /* those of them with something to say */
        sd_event_source *job_watch_turn;        /* of the first of them */
        sd_event_source *expiry;                /* of the oldest result */
        bool draining;               /* no new job is taken, by an administrator's word */
        uint64_t warm_jobs;          /* that a parked sandbox took, and */
        uint64_t missed_jobs;        /* that one could have taken, had there been one */
        bool stopping;               /* nor is one, and those that wait are given up */
        bool monitor_lost;           /* the channel has ended: no job can go on */
        sd_event_source *last_flush; /* while stopping: how long clients have to read their results
                                      */
        uint8_t buffer[FRONTEND_BUFFER_SIZE]; /* for one read of job output */
};

/* Takes all fds over, of listen_fds as many as the policy says, and the policies, of which there is
 * one. */
int frontend_new(int channel_fd, const int *listen_fds, struct policies *policies,
        struct frontend **ret);
void frontend_free(struct frontend *f);
DEFINE_CLEANUP(struct frontend *, frontend_free)

/* Serves until the monitor says stop or is gone; returns 0 or a negative errno. */
int frontend_run(struct frontend *f);

struct job *frontend_find_job(struct frontend *f, uint64_t id);

/* From here on clients wait in the queues of the sockets. */
void frontend_stop_accepting(struct frontend *f);

/* What the channel reports about the monitor itself. */
void frontend_on_stop(struct frontend *f);
void frontend_on_monitor_lost(struct frontend *f);
/* fd stays the caller's. */
int frontend_on_policy(struct frontend *f, uint32_t generation, int fd);

/* To be called when a job was started, or never will be: tells the monitor of policies that no job
 * will be started with any more. */
void frontend_retire_policies(struct frontend *f);

/* To be called whenever a job or a byte for a client is done: ends a frontend that is stopping once
 * nothing is left to do. */
void frontend_check_stopped(struct frontend *f);
