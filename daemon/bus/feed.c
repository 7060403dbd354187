/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxd-bus's own connection to sandboxd. Where it is lost the jobs are, and it is made again: a
 * sandboxd that has gone is started by that, so it is not at once.
 */
#include "daemon/bus/feed.h"

#include "common/log.h"
#include "daemon/bus/service.h"

#define AGAIN_USEC (100 * USEC_PER_MSEC)
#define AGAIN_MOST_USEC (30 * USEC_PER_SEC)

static void settle(struct feed *f)
{
        void (*handler)(struct service * s) = TAKE_PTR(f->on_settled);

        if (handler)
                handler(f->service);
}

static void again_after(struct feed *f, uint64_t usec)
{
        (void) sd_event_source_set_time_relative(f->again, usec);
        (void) sd_event_source_set_enabled(f->again, SD_EVENT_ONESHOT);
}

static void lose(struct feed *f, const char *reason)
{
        uint64_t wait = MIN(AGAIN_USEC << MIN(f->n_attempts, 16), AGAIN_MOST_USEC);

        if (f->n_attempts++ == 0)
                log_notice("sandboxd does not tell of its jobs: %s; trying again", reason);
        f->current = false;
        jobs_remove_all(&f->service->jobs);
        runs_on_feed_lost(f->service);
        again_after(f, wait);
        settle(f);
}

static int take(struct feed *f, int kind, sandbox_job_info *job, sandbox_host *host)
{
        struct jobs *js = &f->service->jobs;

        switch (kind) {
        case SANDBOX_JOB_EVENT_ADDED:
        case SANDBOX_JOB_EVENT_CHANGED:
                return jobs_put(js, job);
        case SANDBOX_JOB_EVENT_REMOVED:
                jobs_remove(js, sandbox_job_info_get_id(job));
                return 0;
        case SANDBOX_JOB_EVENT_HOST:
                jobs_set_draining(js, sandbox_host_get_draining(host));
                return 0;
        case SANDBOX_JOB_EVENT_CURRENT:
                f->current = true;
                f->n_attempts = 0;
                signals_tell_manager(&f->service->signals);
                runs_on_current(f->service);
                settle(f);
                return 0;
        default:
                return 0; /* of a newer sandboxd */
        }
}

static void on_event(sandbox_client *c, const sandbox_error *error, int kind, sandbox_job_info *job,
        sandbox_host *host, void *userdata)
{
        struct feed *f = userdata;

        /* A connection that is lost is told to on_link(). */
        if (error) {
                if (error->code == SANDBOX_ERROR_UNREACHABLE)
                        return;
                if (error->code == SANDBOX_ERROR_DENIED)
                        log_error("sandboxd takes us for anybody: User= of [Bus] in sandboxd.conf "
                                  "must name our user");
                lose(f, error->message);
                return;
        }
        if (take(f, kind, job, host) < 0)
                log_error("a job is not shown on the bus: out of memory");
}

static void on_link(struct link *l, const sandbox_error *error, void *userdata)
{
        struct feed *f = userdata;

        if (error) {
                lose(f, error->message);
                return;
        }
        runs_on_watch(f->service);
        if (sandbox_watch_jobs_async(l->client, on_event, f, NULL) < 0)
                lose(f, sandbox_client_get_error(l->client)->message);
}

static void begin(struct feed *f)
{
        static const struct link_identity own = { .own = true };
        int r;

        r = link_connect(&f->link, f->service->options.socket_path, &own);
        if (r < 0)
                lose(f, strerrordesc_np(-r));
}

static int on_again(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct feed *f = userdata;

        link_close(&f->link);
        begin(f);
        return 0;
}

int feed_init(struct feed *f, struct service *s, void (*on_settled)(struct service *s))
{
        int r;

        *f = (struct feed) { .service = s, .on_settled = on_settled };
        link_init(&f->link, s->event, on_link, f);
        r = sd_event_add_time(s->event, &f->again, CLOCK_MONOTONIC, UINT64_MAX, 1, on_again, f);
        if (r < 0)
                return r;
        begin(f);
        return 0;
}

void feed_hurry(struct feed *f)
{
        int enabled;

        if (sd_event_source_get_enabled(f->again, &enabled) >= 0 && enabled != SD_EVENT_OFF)
                again_after(f, 0);
}

void feed_done(struct feed *f)
{
        link_close(&f->link);
        (void) sd_event_source_disable_unref(f->again);
}
