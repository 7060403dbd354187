/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What sandbox.c and sandbox-park.c share, and nobody else calls.
 */

#include "daemon/monitor/sandbox.h"

/* As the one table of transitions allows. */
void sandbox_set_state(struct sandbox *s, enum sandbox_state state);
/* The first thing that goes wrong is the one that is told. error is a negative errno. */
void sandbox_fail(struct sandbox *s, enum setup_step step, int error);
void sandbox_kill_processes(struct sandbox *s, enum leaf_which which);
/* Should a kill not have been enough, there is another one soon. */
void sandbox_escalate(struct sandbox *s);
void sandbox_stop_clocks(struct sandbox *s);
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
