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

struct runs {
        struct run_list list;
};

/* A job is on the bus: calls that wait for that to be so are answered. */
void runs_on_job(struct service *s, const struct bus_job *j);
/* No job will be told of for now. */
void runs_on_feed_lost(struct service *s);
void runs_done(struct runs *rs);
