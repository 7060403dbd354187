/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What subscribers are told. Runs in sandboxd-bus.
 */
#include "daemon/bus/signals.h"

#include "common/log.h"
#include "daemon/bus/caller.h"
#include "daemon/bus/job-object.h"

/* Messages that may wait for the bus before more of ours do. */
#define QUEUE_MOST 128
#define WAIT_USEC (10 * USEC_PER_MSEC)
/* Jobs that are told in a turn of the loop. */
#define TURN_JOBS 16
/* Jobs that came and went before anybody was told, and are still to be. */
#define GONE_MAX 16384

static int start_signal(struct signals *g, const struct caller *to, const char *path,
        const char *interface, const char *member, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_signal(g->service->bus, &m, path, interface, member);
        if (r < 0)
                return r;
        r = sd_bus_message_set_destination(m, to->name);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

static int send_job_new(struct signals *g, const struct caller *to, const struct bus_job *j)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = start_signal(g, to, BUS_PATH, BUS_MANAGER, "JobNew", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "so", j->id, j->path);
        return r < 0 ? r : sd_bus_send(NULL, m, NULL);
}

static int send_interfaces_added(struct signals *g, const struct caller *to,
        const struct bus_job *j)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = start_signal(g, to, BUS_PATH, BUS_OBJECT_MANAGER, "InterfacesAdded", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "o", j->path);
        if (r >= 0)
                r = job_object_append_interfaces(m, j);
        return r < 0 ? r : sd_bus_send(NULL, m, NULL);
}

static int send_changed(struct signals *g, const struct caller *to, const struct bus_job *j)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = start_signal(g, to, j->path, BUS_PROPERTIES, "PropertiesChanged", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "s", BUS_JOB);
        if (r >= 0)
                r = job_object_append_properties(m, j, true);
        if (r >= 0)
                r = sd_bus_message_append(m, "as", 0);
        return r < 0 ? r : sd_bus_send(NULL, m, NULL);
}

static int send_finished(struct signals *g, const struct caller *to, const struct bus_job *j)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = start_signal(g, to, j->path, BUS_JOB, "Finished", &m);

        if (r >= 0)
                r = job_object_append_result(m, j);
        return r < 0 ? r : sd_bus_send(NULL, m, NULL);
}

static int send_job_removed(struct signals *g, const struct caller *to, const struct bus_job *j)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = start_signal(g, to, BUS_PATH, BUS_MANAGER, "JobRemoved", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "sos", j->id, j->path, bus_job_status(j));
        return r < 0 ? r : sd_bus_send(NULL, m, NULL);
}

static int send_interfaces_removed(struct signals *g, const struct caller *to,
        const struct bus_job *j)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = start_signal(g, to, BUS_PATH, BUS_OBJECT_MANAGER, "InterfacesRemoved", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "oas", j->path, 1, BUS_JOB);
        return r < 0 ? r : sd_bus_send(NULL, m, NULL);
}

/* All that is new of a job, to one subscriber. A job that is lost with sandboxd ends without a status. */
static int tell_job(struct signals *g, const struct caller *to, const struct bus_job *j)
{
        bool added = j->news & JOB_NEWS_ADDED, removed = j->news & JOB_NEWS_REMOVED;
        bool ended = j->news & JOB_NEWS_ENDED;
        int r = 0;

        if (added)
                r = send_job_new(g, to, j);
        if (r >= 0 && added)
                r = send_interfaces_added(g, to, j);
        if (r >= 0 && !added && (j->news & JOB_NEWS_CHANGED))
                r = send_changed(g, to, j);
        if (r >= 0 && ended)
                r = send_finished(g, to, j);
        if (r >= 0 && (ended || (removed && !bus_job_has_ended(j))))
                r = send_job_removed(g, to, j);
        if (r >= 0 && removed)
                r = send_interfaces_removed(g, to, j);
        return r;
}

static void tell_all_of(struct signals *g, struct bus_job *j)
{
        struct caller *to;
        int r;

        TAILQ_REMOVE(&g->jobs, j, telling);
        LIST_FOREACH (to, &g->subscribers, subscriptions) {
                if (!caller_may_see(to, j->owner))
                        continue;
                r = tell_job(g, to, j);
                if (r < 0)
                        log_warning("cannot tell %s of job %s: %s", to->name, j->id, strerror(-r));
        }
        j->news = 0;
        if (j->gone) {
                g->n_gone--;
                bus_job_free(j);
        }
}

static int send_manager(struct signals *g, const struct caller *to)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r = start_signal(g, to, BUS_PATH, BUS_PROPERTIES, "PropertiesChanged", &m);

        if (r >= 0)
                r = sd_bus_message_append(m, "sa{sv}as", BUS_MANAGER, 3, "RunningJobs", "u",
                        g->told_running, "QueuedJobs", "u", g->told_queued, "Draining", "b",
                        g->told_draining, 0);
        return r < 0 ? r : sd_bus_send(NULL, m, NULL);
}

static void tell_manager(struct signals *g)
{
        const struct jobs *js = &g->service->jobs;
        struct caller *to;

        g->manager = false;
        /* Counts of a list that is not complete say nothing. */
        if (!g->service->feed.current && js->n > 0)
                return;
        if (g->told_running == js->n_running && g->told_queued == js->n_queued &&
                g->told_draining == js->draining)
                return;
        g->told_running = js->n_running;
        g->told_queued = js->n_queued;
        g->told_draining = js->draining;
        LIST_FOREACH (to, &g->subscribers, subscriptions)
                if (send_manager(g, to) < 0)
                        log_warning("cannot tell %s of the manager's properties", to->name);
}

static void schedule(struct signals *g)
{
        bool more = !TAILQ_EMPTY(&g->jobs) || g->manager;
        bool full = outbox_size(&g->service->outbox) >= QUEUE_MOST;

        (void) sd_event_source_set_enabled(g->pump,
                more && !full ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
        if (more && full) {
                outbox_watch(&g->service->outbox);
                (void) sd_event_source_set_time_relative(g->wait, WAIT_USEC);
                (void) sd_event_source_set_enabled(g->wait, SD_EVENT_ONESHOT);
        }
}

static int on_pump(sd_event_source *s, void *userdata)
{
        struct signals *g = userdata;

        for (unsigned i = 0; i < TURN_JOBS && !TAILQ_EMPTY(&g->jobs) &&
                             outbox_size(&g->service->outbox) < QUEUE_MOST;
                i++)
                tell_all_of(g, TAILQ_FIRST(&g->jobs));
        if (g->manager && TAILQ_EMPTY(&g->jobs))
                tell_manager(g);
        schedule(g);
        return 0;
}

static int on_wait(sd_event_source *s, uint64_t usec, void *userdata)
{
        schedule(userdata);
        return 0;
}

int signals_init(struct signals *g, struct service *s)
{
        int r;

        *g = (struct signals) { .service = s };
        LIST_INIT(&g->subscribers);
        TAILQ_INIT(&g->jobs);
        r = sd_event_add_defer(s->event, &g->pump, on_pump, g);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(g->pump, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_time(s->event, &g->wait, CLOCK_MONOTONIC, UINT64_MAX, 1, on_wait, g);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(g->wait, SD_EVENT_OFF);
}

void signals_done(struct signals *g)
{
        struct bus_job *j;

        while ((j = TAILQ_FIRST(&g->jobs))) {
                TAILQ_REMOVE(&g->jobs, j, telling);
                j->news = 0;
                if (j->gone)
                        bus_job_free(j);
        }
        (void) sd_event_source_disable_unref(g->pump);
        (void) sd_event_source_disable_unref(g->wait);
}

void signals_tell(struct signals *g, struct bus_job *j, unsigned news)
{
        bool unheard = g->n_subscribers == 0;

        if (j->gone && (unheard || g->n_gone >= GONE_MAX)) {
                /* Nobody listens; or the bus takes nothing, and whoever does hears of fewer. */
                if (j->news)
                        TAILQ_REMOVE(&g->jobs, j, telling);
                bus_job_free(j);
        } else if (!unheard) {
                if (!j->news)
                        TAILQ_INSERT_TAIL(&g->jobs, j, telling);
                j->news |= news;
                if (j->gone)
                        g->n_gone++;
        }
        signals_tell_manager(g);
}

void signals_tell_manager(struct signals *g)
{
        g->manager = true;
        schedule(g);
}

int signals_subscribe(struct caller *c)
{
        struct signals *g = &c->user->service->signals;

        if (c->subscribed)
                return 0;
        if (c->user->account->n_subscriptions >= ACCOUNT_SUBSCRIPTIONS_MAX)
                return -EDQUOT;
        if (g->n_subscribers >= SUBSCRIPTIONS_MAX)
                return -EUSERS;
        c->subscribed = true;
        c->user->account->n_subscriptions++;
        g->n_subscribers++;
        LIST_INSERT_HEAD(&g->subscribers, c, subscriptions);
        return 0;
}

void signals_unsubscribe(struct caller *c)
{
        struct signals *g = &c->user->service->signals;

        if (!c->subscribed)
                return;
        c->subscribed = false;
        c->user->account->n_subscriptions--;
        g->n_subscribers--;
        LIST_REMOVE(c, subscriptions);
}
