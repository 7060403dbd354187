/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The retention of results. Runs in the frontend. Lists are in the order in which jobs ended, so that
 * the oldest is at hand, and one timer for the first of them serves all.
 */
#include "daemon/frontend/results.h"

#include "common/io.h"
#include "daemon/frontend/frontend.h"
#include "daemon/frontend/watch-jobs.h"
#include "daemon/frontend/watch.h"

static void update_expiry(struct frontend *f)
{
        const struct result *oldest = TAILQ_FIRST(&f->registry.ended);

        if (!oldest) {
                (void) sd_event_source_set_enabled(f->expiry, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time(f->expiry,
                oldest->kept_since_usec + f->policy->server.result_retention_usec);
        (void) sd_event_source_set_enabled(f->expiry, SD_EVENT_ONESHOT);
}

static void drop_expired(struct frontend *f)
{
        uint64_t now = io_now_usec(), retention = f->policy->server.result_retention_usec;
        struct result *r;

        while ((r = TAILQ_FIRST(&f->registry.ended)) && now - r->kept_since_usec >= retention)
                results_drop(r);
        update_expiry(f);
}

static int on_expiry(sd_event_source *source, uint64_t usec, void *userdata)
{
        drop_expired(userdata);
        return 0;
}

int results_init(struct frontend *f)
{
        int r;

        r = sd_event_add_time(f->event, &f->expiry, CLOCK_MONOTONIC, 0, FRONTEND_TIMER_ACCURACY,
                on_expiry, f);
        return r < 0 ? r : sd_event_source_set_enabled(f->expiry, SD_EVENT_OFF);
}

void results_done(struct frontend *f)
{
        struct result *r;

        while ((r = TAILQ_FIRST(&f->registry.ended)))
                results_drop(r);
        registry_done(&f->registry);
        f->expiry = sd_event_source_disable_unref(f->expiry);
}

int results_begin(struct frontend *f, struct job *job, uid_t uid, const void *label,
        size_t label_size, struct result **ret)
{
        _cleanup_(result_freep) struct result *r = NULL;
        int e;

        e = result_new(label, label_size, &r);
        if (e < 0)
                return e;
        r->frontend = f;
        r->job = job;
        r->created_at_usec = io_realtime_usec();
        e = registry_add(&f->registry, r, uid);
        if (e < 0)
                return e;
        *ret = TAKE_PTR(r);
        return 0;
}

static void unlink_ended(struct result *r)
{
        struct registry *g = &r->frontend->registry;

        TAILQ_REMOVE(&r->user->ended, r, ended_of);
        TAILQ_REMOVE(&g->ended, r, ended_entry);
        r->user->n_ended--;
        r->user->ended_bytes -= r->charged;
        g->n_detached -= r->detached;
        account_release(&r->frontend->accounts, r->uid, ACCOUNT_RESULTS, 1);
}

void results_drop(struct result *r)
{
        struct frontend *f = r->frontend;

        watches_on_dropped(r, SANDBOXD__V1__ERROR_CODE__NO_SUCH_JOB, RESULTS_NO_SUCH_JOB);
        if (r->kept_since_usec > 0)
                unlink_ended(r);
        account_release(&f->accounts, r->uid, ACCOUNT_KEPT, r->charged);
        job_watches_on_gone(r);
        registry_remove(&f->registry, r);
        if (job_watches_keep(r))
                result_shed(r);
        else
                result_free(r);
        idle_update(f);
}

/* Drops the oldest of a user until no more are kept than may be. */
static void trim(struct user *u, const struct policy_server *server)
{
        while (u->n_ended > server->max_results_per_user ||
                (u->n_ended > 0 && u->ended_bytes > server->max_kept_per_user)) {
                bool last = u->n_ended == 1;

                results_drop(TAILQ_FIRST(&u->ended));
                /* The user may be gone with it. */
                if (last)
                        return;
        }
}

void results_keep(struct result *r)
{
        struct frontend *f = r->frontend;
        struct registry *g = &f->registry;
        bool first = TAILQ_EMPTY(&g->ended);

        if (f->policy->server.max_results_per_user == 0 ||
                account_charge(&f->accounts, r->uid, ACCOUNT_RESULTS, 1, ACCOUNT_UNLIMITED,
                        ACCOUNT_UNLIMITED) < 0) {
                results_drop(r);
                return;
        }
        r->kept_since_usec = io_now_usec();
        TAILQ_INSERT_TAIL(&r->user->ended, r, ended_of);
        TAILQ_INSERT_TAIL(&g->ended, r, ended_entry);
        r->user->n_ended++;
        r->user->ended_bytes += r->charged;
        g->n_detached += r->detached;
        trim(r->user, &f->policy->server);
        if (first)
                update_expiry(f);
}

static uint64_t excess(uint64_t held, uint64_t size, uint64_t max)
{
        return held + size > max ? held + size - max : 0;
}

/* Whether there would be room, were all dropped that has ended of this user. */
static bool can_make_room(const struct result *r, uint64_t size)
{
        struct account_book *accounts = &r->frontend->accounts;
        const struct policy_server *server = &r->frontend->policy->server;
        uint64_t of_user = excess(account_held(accounts, r->uid, ACCOUNT_KEPT), size,
                server->max_kept_per_user);
        uint64_t of_all = excess(accounts->total[ACCOUNT_KEPT], size, server->max_kept);

        return MAX(of_user, of_all) <= r->user->ended_bytes;
}

bool results_charge(struct result *r, uint64_t size)
{
        struct frontend *f = r->frontend;
        const struct policy_server *server = &f->policy->server;
        int e;

        ASSERT(r->kept_since_usec == 0);
        if (!can_make_room(r, size))
                return false;
        while ((e = account_charge(&f->accounts, r->uid, ACCOUNT_KEPT, size,
                        server->max_kept_per_user, server->max_kept)) < 0) {
                if (e == -ENOMEM || TAILQ_EMPTY(&r->user->ended))
                        return false;
                results_drop(TAILQ_FIRST(&r->user->ended));
        }
        r->charged += size;
        return true;
}

void results_release(struct result *r, uint64_t size)
{
        ASSERT(r->kept_since_usec == 0 && r->charged >= size);
        account_release(&r->frontend->accounts, r->uid, ACCOUNT_KEPT, size);
        r->charged -= size;
}

/* What is kept in all is not cut to a smaller MaxKept=: it goes with time. */
void results_on_policy(struct frontend *f)
{
        struct user *u, *next;

        for (u = TAILQ_FIRST(&f->registry.users); u; u = next) {
                next = TAILQ_NEXT(u, entries);
                trim(u, &f->policy->server);
        }
        drop_expired(f);
}
