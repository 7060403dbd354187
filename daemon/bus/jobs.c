/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The jobs that sandboxd has. Runs in sandboxd-bus; holds what the feed tells, and tells signals what is
 * new.
 */
#include "daemon/bus/jobs.h"

#include <search.h>
#include <stdio.h>

#include "daemon/bus/service.h"

void jobs_init(struct jobs *js, struct service *s)
{
        *js = (struct jobs) { .service = s };
        TAILQ_INIT(&js->list);
}

void bus_job_free(struct bus_job *j)
{
        (void) sandbox_job_info_unref(j->info);
        free(j->path);
        free(j);
}

static int compare(const void *a, const void *b)
{
        return strcmp(((const struct bus_job *) a)->id, ((const struct bus_job *) b)->id);
}

static void count(struct jobs *js, const struct bus_job *j, unsigned by)
{
        switch (sandbox_job_info_get_state(j->info)) {
        case SANDBOX_JOB_RUNNING:
                js->n_running += by;
                break;
        case SANDBOX_JOB_QUEUED:
                js->n_queued += by;
                break;
        default:
                break;
        }
}

static void detach(struct jobs *js, struct bus_job *j)
{
        count(js, j, -1U);
        (void) tdelete(j, &js->by_id, compare);
        TAILQ_REMOVE(&js->list, j, entries);
        js->n--;
        j->gone = true;
}

void jobs_done(struct jobs *js)
{
        struct bus_job *j;

        while ((j = TAILQ_FIRST(&js->list))) {
                detach(js, j);
                bus_job_free(j);
        }
}

struct bus_job *jobs_find(const struct jobs *js, const char *id)
{
        struct bus_job key, **found;

        if (str_copy(key.id, sizeof(key.id), id) < 0)
                return NULL;
        found = tfind(&key, &js->by_id, compare);
        return found ? *found : NULL;
}

struct bus_job *jobs_find_path(const struct jobs *js, const char *path)
{
        static const char prefix[] = BUS_JOB_PATH "/";

        if (strncmp(path, prefix, sizeof(prefix) - 1) != 0)
                return NULL;
        return jobs_find(js, path + sizeof(prefix) - 1);
}

const char *bus_job_status(const struct bus_job *j)
{
        const sandbox_result *r = sandbox_job_info_get_result(j->info);

        return r ? sandbox_status_name(sandbox_result_get_status(r)) : "";
}

/* By age: a list that is told anew comes in another order. */
static void insert(struct jobs *js, struct bus_job *j)
{
        uint64_t created = sandbox_job_info_get_created_at_usec(j->info);
        struct bus_job *before = TAILQ_LAST(&js->list, bus_job_list);

        while (before && sandbox_job_info_get_created_at_usec(before->info) > created)
                before = TAILQ_PREV(before, bus_job_list, entries);
        if (before)
                TAILQ_INSERT_AFTER(&js->list, before, j, entries);
        else
                TAILQ_INSERT_HEAD(&js->list, j, entries);
}

static int add(struct jobs *js, sandbox_job_info *info)
{
        struct bus_job *j = calloc(1, sizeof(*j));

        if (!j)
                return -ENOMEM;
        if (str_copy(j->id, sizeof(j->id), sandbox_job_info_get_id(info)) < 0) {
                free(j);
                return -EPROTO;
        }
        j->info = sandbox_job_info_ref(info);
        j->owner = sandbox_job_info_get_owner(info);
        if (asprintf(&j->path, BUS_JOB_PATH "/%s", j->id) < 0) {
                j->path = NULL;
                bus_job_free(j);
                return -ENOMEM;
        }
        if (!tsearch(j, &js->by_id, compare)) {
                bus_job_free(j);
                return -ENOMEM;
        }
        insert(js, j);
        js->n++;
        count(js, j, 1);
        runs_on_job(js->service, j);
        signals_tell(&js->service->signals, j,
                JOB_NEWS_ADDED | (bus_job_has_ended(j) ? JOB_NEWS_ENDED : 0));
        return 0;
}

int jobs_put(struct jobs *js, sandbox_job_info *info)
{
        struct bus_job *j = jobs_find(js, sandbox_job_info_get_id(info));
        bool had_ended;

        if (!j)
                return add(js, info);
        had_ended = bus_job_has_ended(j);
        count(js, j, -1U);
        (void) sandbox_job_info_unref(j->info);
        j->info = sandbox_job_info_ref(info);
        count(js, j, 1);
        signals_tell(&js->service->signals, j,
                JOB_NEWS_CHANGED | (!had_ended && bus_job_has_ended(j) ? JOB_NEWS_ENDED : 0));
        return 0;
}

static void drop(struct jobs *js, struct bus_job *j)
{
        detach(js, j);
        runs_on_gone(js->service, j);
        signals_tell(&js->service->signals, j, JOB_NEWS_REMOVED);
}

void jobs_remove(struct jobs *js, const char *id)
{
        struct bus_job *j = jobs_find(js, id);

        if (j)
                drop(js, j);
}

void jobs_remove_all(struct jobs *js)
{
        struct bus_job *j;

        while ((j = TAILQ_FIRST(&js->list)))
                drop(js, j);
        jobs_set_draining(js, false);
}

void jobs_set_draining(struct jobs *js, bool draining)
{
        js->draining = draining;
        signals_tell_manager(&js->service->signals);
}
