/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend's context and its end. One thread, one event loop, nothing in it blocks.
 */
#include "daemon/frontend/frontend.h"

#include <sys/resource.h>

#include "common/log.h"
#include "daemon/frontend/admission.h"
#include "daemon/frontend/connection.h"
#include "daemon/frontend/job.h"
#include "daemon/frontend/reply.h"
#include "daemon/frontend/results.h"
#include "daemon/frontend/watch-jobs.h"

/* How long clients have, once the last job has ended, to read what they were told. */
#define LAST_FLUSH_USEC (1 * USEC_PER_SEC)

struct job *frontend_find_job(struct frontend *f, uint64_t id)
{
        struct result *r = registry_find(&f->registry, id);

        return r ? r->job : NULL;
}

static bool everything_is_sent(const struct frontend *f)
{
        struct connection *c;

        LIST_FOREACH (c, &f->connections, entries)
                if (out_queue_size(&c->out) > 0)
                        return false;
        return TAILQ_EMPTY(&f->watch_turns) && !job_watches_have_turns(f);
}

void frontend_check_stopped(struct frontend *f)
{
        if (!f->stopping || !LIST_EMPTY(&f->jobs))
                return;
        if (everything_is_sent(f))
                (void) sd_event_exit(f->event, 0);
        else
                (void) sd_event_source_set_enabled(f->last_flush, SD_EVENT_ONESHOT);
}

static int on_last_flush(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct frontend *f = userdata;

        log_notice("some clients did not read their last responses");
        return sd_event_exit(f->event, 0);
}

void frontend_stop_accepting(struct frontend *f)
{
        for (uint32_t i = 0; i < f->n_listeners; i++)
                listener_stop(&f->listeners[i]);
}

void frontend_on_stop(struct frontend *f)
{
        struct job *job, *next;

        if (f->stopping)
                return;
        f->stopping = true;
        frontend_stop_accepting(f);
        idle_update(f);
        (void) sd_event_source_set_time_relative(f->last_flush, LAST_FLUSH_USEC);
        for (job = LIST_FIRST(&f->jobs); job; job = next) {
                next = LIST_NEXT(job, entries);
                job_stop(job);
        }
        frontend_check_stopped(f);
}

int frontend_on_policy(struct frontend *f, uint32_t generation, int fd)
{
        struct job *job, *next;
        int r;

        r = policies_add(&f->policies, generation, fd);
        if (r < 0)
                return r;
        f->policy = f->policies.current->policy;
        if (f->policy->n_listeners != f->n_listeners)
                return -EBADMSG;
        for (job = LIST_FIRST(&f->jobs); job; job = next) {
                next = LIST_NEXT(job, entries);
                job_on_policy_replaced(job);
        }
        results_on_policy(f);
        admission_on_policy(f);
        idle_update(f);
        frontend_retire_policies(f);
        return 0;
}

void frontend_retire_policies(struct frontend *f)
{
        struct mapped_policy *p;

        /* What cannot be said now is said the next time. */
        while ((p = policies_find_spent(&f->policies)) &&
                channel_retire(&f->channel, p->generation) >= 0)
                policies_retire(&f->policies, p);
}

void frontend_on_monitor_lost(struct frontend *f)
{
        f->monitor_lost = true;
        (void) sd_event_exit(f->event, 0);
}

/* What clients hear last. Those that do not read are not waited for. */
static void say_goodbye(struct frontend *f)
{
        struct connection *c;
        uint64_t job;

        LIST_FOREACH (c, &f->connections, entries) {
                reply_error(c, 0,
                        f->monitor_lost ? SANDBOXD__V1__ERROR_CODE__INTERNAL
                                        : SANDBOXD__V1__ERROR_CODE__DRAINING,
                        "", "sandboxd is stopping: connect again when it is back");
                (void) out_queue_send(&c->out, c->fd, &job);
        }
}

int frontend_run(struct frontend *f)
{
        int r;

        r = sd_event_loop(f->event);
        say_goodbye(f);
        return r;
}

static int init(struct frontend *f, int channel_fd, const int *listen_fds)
{
        int r;

        r = channel_init(&f->channel, f, channel_fd);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < f->policy->n_listeners; i++) {
                f->n_listeners++;
                r = listener_init(&f->listeners[i], f, listen_fds[i], i);
                if (r < 0)
                        return r;
        }
        r = results_init(f);
        if (r < 0)
                return r;
        r = admission_init(f);
        if (r < 0)
                return r;
        r = idle_init(f);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(f->event, &f->last_flush, CLOCK_MONOTONIC, 0,
                FRONTEND_TIMER_ACCURACY, on_last_flush, f);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(f->last_flush, SD_EVENT_OFF);
}

int frontend_new(int channel_fd, const int *listen_fds, struct policies *policies,
        struct frontend **ret)
{
        _cleanup_(frontend_freep) struct frontend *f = calloc(1, sizeof(*f));
        struct rlimit files;
        int r;

        if (!f)
                return -ENOMEM;
        f->policies = *policies;
        *policies = (struct policies) {};
        f->policy = f->policies.current->policy;
        f->plan_grace_usec = CHANNEL_PLAN_GRACE_USEC;
        f->overdue_usec = FRONTEND_OVERDUE_USEC;
        f->monitor_pid = getppid();
        f->channel.fd = -EBADF;
        TAILQ_INIT(&f->channel.pending);
        LIST_INIT(&f->connections);
        LIST_INIT(&f->jobs);
        registry_init(&f->registry);
        TAILQ_INIT(&f->watch_turns);
        LIST_INIT(&f->job_watches);
        TAILQ_INIT(&f->job_watch_turns);
        if (getrlimit(RLIMIT_NOFILE, &files) < 0)
                return -errno;
        f->max_open_files = files.rlim_cur;
        linger_init(f);
        r = sd_event_new(&f->event);
        if (r < 0)
                return r;
        r = init(f, channel_fd, listen_fds);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(f);
        return 0;
}

void frontend_free(struct frontend *f)
{
        struct connection *c;
        struct job *job;

        f->stopping = false; /* no order to exit from here on */
        idle_done(f);
        while ((c = LIST_FIRST(&f->connections)))
                connection_free(c);
        while ((job = LIST_FIRST(&f->jobs)))
                job_lose(job);
        linger_done(f);
        results_done(f);
        admission_done(f);
        f->watch_turn = sd_event_source_disable_unref(f->watch_turn);
        f->job_watch_turn = sd_event_source_disable_unref(f->job_watch_turn);
        channel_done(&f->channel);
        for (uint32_t i = 0; i < f->n_listeners; i++)
                listener_done(&f->listeners[i]);
        f->last_flush = sd_event_source_disable_unref(f->last_flush);
        f->event = sd_event_unref(f->event);
        policies_done(&f->policies);
        ASSERT(account_book_is_empty(&f->accounts));
        free(f);
}
