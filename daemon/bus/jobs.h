/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The jobs that sandboxd has, as it tells of them: what the objects on the bus show.
 */

#include <sys/queue.h>

#include "client/lib/sandbox.h"
#include "common/macro.h"

/* What subscribers are to be told of a job. */
enum job_news {
        JOB_NEWS_ADDED = 1 << 0,
        JOB_NEWS_CHANGED = 1 << 1,
        JOB_NEWS_ENDED = 1 << 2,
        JOB_NEWS_REMOVED = 1 << 3,
};

struct service;

struct bus_job {
        char id[SANDBOX_JOB_ID_SIZE];
        char *path;
        uid_t owner;
        sandbox_job_info *info; /* as it was told last */
        bool gone;              /* the object is no more; what is to be told of it is kept */
        unsigned news;
        TAILQ_ENTRY(bus_job) entries; /* of all that are there, oldest first */
        TAILQ_ENTRY(bus_job) telling; /* of those with news */
};

TAILQ_HEAD(bus_job_list, bus_job);

struct jobs {
        struct service *service;
        void *by_id; /* a tree of tsearch(3) */
        struct bus_job_list list;
        unsigned n;
        unsigned n_running;
        unsigned n_queued;
        bool draining;
};

void jobs_init(struct jobs *js, struct service *s);
/* Forgets all; nobody is told. */
void jobs_done(struct jobs *js);

/* sandboxd tells of a job, new or not. */
int jobs_put(struct jobs *js, sandbox_job_info *info);
void jobs_remove(struct jobs *js, const char *id);
/* sandboxd is gone, and all its jobs. */
void jobs_remove_all(struct jobs *js);
void jobs_set_draining(struct jobs *js, bool draining);

/* NULL when there is none. */
struct bus_job *jobs_find(const struct jobs *js, const char *id);
/* By its path; NULL. */
struct bus_job *jobs_find_path(const struct jobs *js, const char *path);
/* Of a job whose object is gone, when all is told. */
void bus_job_free(struct bus_job *j);

static inline bool bus_job_has_ended(const struct bus_job *j)
{
        return sandbox_job_info_get_state(j->info) == SANDBOX_JOB_FINISHED;
}

/* "OK" and the like; "" while it has not ended. */
const char *bus_job_status(const struct bus_job *j);
