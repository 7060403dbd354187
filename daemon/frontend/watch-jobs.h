/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Requests that are told of all jobs that their client may see: WatchJobs. Each belongs to a connection,
 * and its user is charged for it and for the jobs that are gone and still to be told to it.
 */

#include "daemon/frontend/connection.h"
#include "daemon/frontend/result.h"

/* Under way of one user at one time. */
#define JOB_WATCHES_MAX 16

/* Jobs that are gone and that a watch has not told, of a client that does not read: one more ends it. */
#define JOB_WATCH_OWED_MAX 4096

/* Takes a request whose id is not under way. */
void watch_jobs(struct connection *c, uint64_t request);
/* The client does not want to hear more. */
void job_watch_forget(struct job_watch *w);

/* The client keeps up again. */
void job_watches_resume(struct connection *c);
/* The connection ends. */
void job_watches_abandon(struct connection *c);
/* Whether there is something to say that clients take. */
bool job_watches_have_turns(const struct frontend *f);

/* What happens to a job. Nothing is sent in here: each watch has its turn in the loop. */
void job_watches_on_added(struct result *r);
/* Its state may be another one. */
void job_watches_on_changed(struct result *r);
/* Nobody is told of it any more. */
void job_watches_on_gone(struct result *r);
/* Whether a watch is still to be told of a job that is gone, and takes its result over for that. */
bool job_watches_keep(struct result *r);

/* Whether jobs are taken is another. */
void job_watches_on_host(struct frontend *f);
