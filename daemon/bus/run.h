/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Jobs of Run and RunWithFds: they go on when their calls are answered.
 */

#include <sys/queue.h>

#include "common/macro.h"

struct bus_job;
struct run;
struct service;

LIST_HEAD(run_list, run);

/* Ids of jobs that went, the last ones. */
#define RUNS_GONE_MAX 64

struct runs {
        struct run_list list;
        char gone[RUNS_GONE_MAX][17];
        unsigned n_gone;
};

/* A job is on the bus: calls that wait for that to be so are answered. */
void runs_on_job(struct service *s, const struct bus_job *j);
/* A job has gone: what waits for it to come has missed it. */
void runs_on_gone(struct service *s, const struct bus_job *j);
/* All jobs that there are will be told of, and then: they were. */
void runs_on_watch(struct service *s);
void runs_on_current(struct service *s);
/* No job will be told of for now. */
void runs_on_feed_lost(struct service *s);
void runs_done(struct runs *rs);
