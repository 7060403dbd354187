/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy in force: its first generation, those of reloads, and what the frontend is told of
 * them. Runs in the monitor.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/monitor/monitor.h"

/* As long as a file system may take to answer. While `systemctl reload` waits for the end, systemd makes
 * no scope, since those are ordered after the service: a job that starts then waits too, and this must
 * end well before it has waited too long. */
#define RELOAD_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* The log says it at once; doctor lists what is allowed to be missing. */
static void warn_missing(const struct driver *driver, unsigned allowed)
{
        for (unsigned c = CGROUP_MEMORY; c <= CGROUP_PIDS; c <<= 1) {
                const char *name = cgroup_controller_name(c);

                if (!(driver->missing & c))
                        continue;
                if (allowed & c)
                        log_warning("this host has no %s controller: jobs run without its limit, "
                                    "as AllowMissing= says",
                                name);
                else
                        log_warning("this host has no %s controller, so every job will be "
                                    "refused: mount it, or list it in AllowMissing=",
                                name);
        }
}

/* A client that is slow, or a frontend that is captured, keeps no policy that was replaced. */
static void retire_overdue(struct monitor *m)
{
        uint64_t next = generations_retire_overdue(&m->generations, io_now_usec());

        if (next == 0)
                return;
        (void) sd_event_source_set_time(m->retire_source, next);
        (void) sd_event_source_set_enabled(m->retire_source, SD_EVENT_ONESHOT);
}

static int on_retire(sd_event_source *source, uint64_t usec, void *userdata)
{
        retire_overdue(userdata);
        return 0;
}

void monitor_adopt_generation(struct monitor *m, struct generation *g)
{
        generations_add(&m->generations, g);
        retire_overdue(m);
        warn_missing(m->driver, g->allow_missing);
}

void monitor_send_policy(struct monitor *m)
{
        const struct generation *g = generations_current(&m->generations);
        struct channel_generation message = { .generation = g->number };

        channel_header_init(&message.header, CHANNEL_OP_POLICY, sizeof(message), 0);
        monitor_send(m, &message, sizeof(message), g->policy_fd);
}

/* Kernel ids of live sandboxes are out of this range, and its lock is held. */
static int check_uid_range(const struct monitor *m, const struct generation_draft *d,
        struct error *ret_error)
{
        const struct policy_server *now = &generations_current(&m->generations)->policy->server;

        if (d->config.uid_base == now->job_uid_base && d->config.uid_size == now->job_uid_size)
                return 0;
        return error_set(ret_error, -EINVAL,
                "[UserNamespaces] Base= and Size= were 0x%" PRIx32 " and 0x%" PRIx32
                " when sandboxd was started: put them back, or restart it",
                now->job_uid_base, now->job_uid_size);
}

/* In the reload's child. */
static int make_generation(void *userdata, struct generation **ret, struct error *ret_error)
{
        _cleanup_(generation_draft_done) struct generation_draft draft = GENERATION_DRAFT_INIT;
        struct monitor *m = userdata;
        int r;

        if (!generations_have_room(&m->generations))
                return error_set(ret_error, -EBUSY,
                        "%d policies of earlier reloads are in use by sandboxes that are being "
                        "made: reload again when they are",
                        GENERATIONS_ALIVE_MAX);
        r = generation_load(&m->paths, &draft, ret_error);
        if (r == 0)
                r = check_uid_range(m, &draft, ret_error);
        return r < 0 ? r : monitor_make_generation(m, &draft, ret, ret_error);
}

static void on_reload_begun(void *userdata)
{
        struct monitor *m = userdata;

        control_begun(&m->control);
        notify_reloading(&m->notify);
        log_info("reloading: the policy is read again");
}

/* For the status, which systemd shows only where all of it is UTF-8 and one line. */
static void note_kept(struct monitor *m, const char *reason)
{
        (void) snprintf(m->kept, sizeof(m->kept), "%.*s", MONITOR_KEPT_MAX - 1, reason);
        for (char *c = m->kept; *c; c++)
                if (*c < ' ' || *c > '~')
                        *c = '?';
}

static void on_reload_ended(void *userdata, struct generation *g, const struct error *error)
{
        struct monitor *m = userdata;

        if (m->state != MONITOR_SERVING) {
                (void) generation_unref(g);
                return;
        }
        note_kept(m, g ? "" : error->text);
        if (g) {
                monitor_adopt_generation(m, g);
                monitor_send_policy(m);
                pool_adopt(&m->pool, g);
                spares_set(&m->spares, g->policy->pool.namespaces);
                log_event(EVENT_POLICY_RELOADED, NULL, "reloaded: policy %" PRIu32 " is in force",
                        g->number);
        } else
                log_event(EVENT_POLICY_KEPT, NULL, "not reloaded, the policy stays as it was: %s",
                        error->text);
        /* In this order: systemd takes the end of `sandboxd --reload` for that of the reload. */
        notify_ready(&m->notify);
        control_ended(&m->control, g != NULL, g ? "" : error->text);
}

void monitor_reload(void *userdata)
{
        struct monitor *m = userdata;

        if (m->state == MONITOR_SERVING)
                reload_request(&m->reload);
}

int monitor_plan_reload(struct monitor *m, struct error *ret_error)
{
        int r;

        m->reload.event = m->event;
        m->reload.make = make_generation;
        m->reload.begun = on_reload_begun;
        m->reload.ended = on_reload_ended;
        m->reload.userdata = m;
        m->reload.timeout_usec = RELOAD_TIMEOUT_USEC;
        r = sd_event_add_time(m->event, &m->retire_source, CLOCK_MONOTONIC, 0, 0, on_retire, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->retire_source, SD_EVENT_OFF);
        return r < 0 ? error_set(ret_error, r, "no timer for policies (%s)", strerror(-r)) : 0;
}
