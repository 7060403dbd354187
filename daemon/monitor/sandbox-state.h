/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What sandbox.c, sandbox-park.c and sandbox-end.c share, and nobody else calls.
 */

#include "daemon/monitor/sandbox.h"

/* Deadlines are met to a millisecond. */
#define SANDBOX_ACCURACY_USEC (1 * USEC_PER_MSEC)

/* Of two times on CLOCK_MONOTONIC; 0 where one is not known, or they are the other way round. */
static inline uint64_t usec_between(uint64_t from, uint64_t to)
{
        return from > 0 && to > from ? to - from : 0;
}

/* As the one table of transitions allows. */
void sandbox_set_state(struct sandbox *s, enum sandbox_state state);
/* The first thing that goes wrong is the one that is told. error is a negative errno. */
void sandbox_fail(struct sandbox *s, enum setup_step step, int error);
void sandbox_kill_processes(struct sandbox *s, enum leaf_which which);
/* Should a kill not have been enough, there is another one soon. */
void sandbox_escalate(struct sandbox *s);
/* What ends it, unless something has before. */
void sandbox_set_cause(struct sandbox *s, enum job_status cause);
void sandbox_stop_clocks(struct sandbox *s);
/* In place of one that is there. Where it cannot be had, the sandbox is killed. */
void sandbox_add_timer(struct sandbox *s, sd_event_source **source, uint64_t usec,
        sd_event_time_handler_t handler);
/* Hears what init has said. */
void sandbox_read_control(struct sandbox *s);

/* One that is NEW, of a generation; NULL when out of memory. */
struct sandbox *sandbox_allocate(struct sandbox_host *host, struct generation *g);
/* The same, for a START; of which the fds are still to be taken. */
struct sandbox *sandbox_allocate_for(struct sandbox_host *host, struct generation *g,
        const struct channel_start *m);
/* Frees one that is still NEW. */
void sandbox_free_new(struct sandbox *s);
/* Makes what it says; what goes wrong is told from the loop. */
void sandbox_begin(struct sandbox *s);
/* It has this job, but for its fds. */
void sandbox_take_job(struct sandbox *s, const struct channel_start *m);
void sandbox_take_fds(struct sandbox *s, int *fds);
/* Sets the deadline until the job begins, or until it waits for one. */
void sandbox_limit_setup(struct sandbox *s);
/* What it takes to bring the files of a START with these flags in and out. */
uint64_t sandbox_extra_usec(uint32_t flags);

/* sandbox-park.c: its command waits. */
void sandbox_become_parked(struct sandbox *s);

/* sandbox-end.c */
/* Ends it now, or once the driver has said who killed it. */
void sandbox_conclude(struct sandbox *s);
/* Removes the cgroups of one that has ended and has no processes, then gives its ids back. */
void sandbox_tear_down(struct sandbox *s);
/* From the loop, since who calls still looks at the sandbox. */
void sandbox_tear_down_if_dead(struct sandbox *s);
/* Its job needs no other sandbox to begin anew in. */
void sandbox_drop_cold(struct sandbox *s);
/* What the driver tells: who ended it; that its scope is being stopped. */
void sandbox_on_explained(struct placement *p, bool stopped);
void sandbox_on_stopped(struct placement *p);
