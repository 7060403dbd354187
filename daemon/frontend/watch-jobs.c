/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches of all jobs. Runs in the frontend. A watch is a place in a list of jobs that is in the order of
 * their last change: a job that changes moves to the end, and is told as it stands when it is reached.
 * So what happened to it meanwhile is one event, and a client that does not read costs nothing but
 * the jobs that are gone: those stay in the list until they were told, and are counted.
 */
#include "daemon/frontend/watch-jobs.h"

#include "daemon/frontend/job.h"
#include "daemon/frontend/reply-job.h"
#include "daemon/frontend/reply.h"

/* What watches do in one turn of the loop, in jobs that are looked at. */
#define TURN_MOST 64

struct job_watch {
        struct connection *connection;
        struct changes *changes; /* NULL when it fell too far behind, and has its end to tell */
        struct user *user;       /* whose changes these are; NULL: all users' */
        enum changes_of list;
        struct under_way under_way;
        LIST_ENTRY(job_watch) entries; /* of the frontend's */
        LIST_ENTRY(job_watch) of_changes;
        LIST_ENTRY(job_watch) of_connection;
        TAILQ_ENTRY(job_watch) turn;
        bool has_turn;
        uint64_t request;
        uint32_t bit;
        struct change *next; /* the first that it has not told */
        uint64_t began;      /* jobs up to this serial were there before it */
        size_t unlisted;     /* so many of them are not told yet */
        size_t n_owed;       /* jobs that are gone, which it has not told */
        bool current;        /* all of them are */
        bool host_due;
};

static struct changes *changes_of(struct result *r, enum changes_of list)
{
        return list == CHANGES_OF_ALL ? &r->frontend->registry.changes : &r->user->changes;
}

static bool has_more(const struct job_watch *w)
{
        if (!w->changes)
                return true;
        if (connection_is_congested(w->connection))
                return false;
        return w->next || (w->current ? w->host_due : w->unlisted == 0);
}

bool job_watches_have_turns(const struct frontend *f)
{
        return !TAILQ_EMPTY(&f->job_watch_turns);
}

static int on_turn(sd_event_source *source, void *userdata);

/* That takes a new source, to come behind all that is waiting now. */
static void schedule_turn(struct frontend *f)
{
        /* With no memory for it, the next thing that happens tries again. */
        if (!f->job_watch_turn)
                (void) sd_event_add_defer(f->event, &f->job_watch_turn, on_turn, f);
}

static void take_turn(struct job_watch *w)
{
        struct frontend *f = w->connection->frontend;

        if (!has_more(w))
                return;
        if (!w->has_turn)
                TAILQ_INSERT_TAIL(&f->job_watch_turns, w, turn);
        w->has_turn = true;
        schedule_turn(f);
}

static void drop_turn(struct job_watch *w)
{
        if (w->has_turn)
                TAILQ_REMOVE(&w->connection->frontend->job_watch_turns, w, turn);
        w->has_turn = false;
}

/* Nobody's place is at a change that leaves its own. */
static void pass_over(struct changes *l, struct change *ch)
{
        struct job_watch *w;

        LIST_FOREACH (w, &l->watches, of_changes)
                if (w->next == ch)
                        w->next = TAILQ_NEXT(ch, entry);
}

static void append(struct changes *l, struct change *ch)
{
        struct job_watch *w;

        TAILQ_INSERT_TAIL(&l->list, ch, entry);
        LIST_FOREACH (w, &l->watches, of_changes) {
                if (!w->next)
                        w->next = ch;
                take_turn(w);
        }
}

/* To the end of its lists. */
static void move(struct result *r)
{
        for (enum changes_of i = 0; i < _CHANGES_LISTS; i++) {
                struct changes *l = changes_of(r, i);

                pass_over(l, &r->changes[i]);
                TAILQ_REMOVE(&l->list, &r->changes[i], entry);
                append(l, &r->changes[i]);
        }
}

static bool is_owed(const struct result *r)
{
        for (size_t i = 0; i < _CHANGES_LISTS; i++)
                if (r->changes[i].owed != 0)
                        return true;
        return false;
}

static void leave_lists(struct result *r)
{
        for (enum changes_of i = 0; i < _CHANGES_LISTS; i++) {
                struct changes *l = changes_of(r, i);

                pass_over(l, &r->changes[i]);
                TAILQ_REMOVE(&l->list, &r->changes[i], entry);
        }
        r->announced = false;
}

/* A watch has heard that it is gone. That may have been the last thing that anybody wanted of it. */
static void settle(struct job_watch *w, struct change *ch)
{
        struct result *r = ch->result;
        struct frontend *f = r->frontend;
        struct user *user = r->user;

        if (!(ch->owed & w->bit))
                return;
        ch->owed &= ~w->bit;
        w->n_owed--;
        account_release(&f->accounts, w->connection->uid, ACCOUNT_OWED, 1);
        if (is_owed(r) || !r->dropped)
                return;
        leave_lists(r);
        registry_release_user(&f->registry, user);
        result_free(r);
}

/* It has no place any more. */
static void leave_changes(struct job_watch *w)
{
        struct registry *g = &w->connection->frontend->registry;
        struct changes *l = w->changes;
        struct change *ch, *next;

        if (!l)
                return;
        for (ch = TAILQ_FIRST(&l->list); ch; ch = next) {
                next = TAILQ_NEXT(ch, entry);
                ch->known &= ~w->bit;
                ch->told &= ~w->bit;
                settle(w, ch);
        }
        l->slots &= ~w->bit;
        LIST_REMOVE(w, of_changes);
        w->changes = NULL;
        w->next = NULL;
        if (w->user)
                registry_release_user(g, w->user);
        w->user = NULL;
}

static void job_watch_free(struct job_watch *w)
{
        struct connection *c = w->connection;

        leave_changes(w);
        drop_turn(w);
        LIST_REMOVE(w, entries);
        LIST_REMOVE(w, of_connection);
        table_remove(&c->under_way, &w->under_way.entry);
        account_release(&c->frontend->accounts, c->uid, ACCOUNT_JOB_WATCHES, 1);
        free(w);
}

/* Whether how it is, or was at its end, is to be told. */
static bool has_state(const struct job_watch *w, const struct change *ch)
{
        const struct result *r = ch->result;

        if (!r->gone)
                return true;
        /* One that never was has no end; nor was one there for who asked later. */
        if (r->withdrawn || r->ended_at_usec == 0)
                return false;
        return (ch->known & w->bit) || r->serial > w->began;
}

static void tell(struct job_watch *w, struct change *ch)
{
        struct connection *c = w->connection;
        struct result *r = ch->result;
        bool is_new = !(ch->known & w->bit), is_told = ch->told & w->bit;

        w->next = TAILQ_NEXT(ch, entry);
        if (r->gone && !(ch->owed & w->bit))
                return;
        if (is_new && r->serial <= w->began)
                w->unlisted--;
        if (!is_told && has_state(w, ch)) {
                reply_job_event(c, w->request,
                        is_new ? SANDBOXD__V1__JOB_EVENT__KIND__ADDED
                               : SANDBOXD__V1__JOB_EVENT__KIND__CHANGED,
                        r);
                ch->told |= w->bit;
                is_told = true;
        }
        if (r->gone && (is_told || !is_new))
                reply_job_event(c, w->request, SANDBOXD__V1__JOB_EVENT__KIND__REMOVED, r);
        ch->known |= w->bit;
        settle(w, ch);
}

/* Says what is next, if there is something. */
static bool step(struct job_watch *w)
{
        struct connection *c = w->connection;

        if (!has_more(w))
                return false;
        if (!w->current && w->unlisted == 0) {
                w->current = true;
                w->host_due = false;
                reply_host_event(c, w->request);
                reply_job_event(c, w->request, SANDBOXD__V1__JOB_EVENT__KIND__CURRENT, NULL);
        } else if (w->current && w->host_due) {
                w->host_due = false;
                reply_host_event(c, w->request);
        } else if (w->next)
                tell(w, w->next);
        else
                return false;
        return true;
}

static void tell_end(struct job_watch *w)
{
        reply_busy(w->connection, w->request, "",
                "more jobs are gone than are kept for a watch that is not read: watch again, and "
                "read what comes",
                0);
        job_watch_free(w);
}

static int on_turn(sd_event_source *source, void *userdata)
{
        struct frontend *f = userdata;
        struct job_watch *w;
        size_t n = 0;

        f->job_watch_turn = sd_event_source_disable_unref(f->job_watch_turn);
        while (n < TURN_MOST && (w = TAILQ_FIRST(&f->job_watch_turns))) {
                drop_turn(w);
                n++;
                if (!w->changes) {
                        tell_end(w);
                        continue;
                }
                while (n < TURN_MOST && step(w))
                        n++;
                take_turn(w);
        }
        if (!TAILQ_EMPTY(&f->job_watch_turns))
                schedule_turn(f);
        else
                frontend_check_stopped(f);
        return 0;
}

/* Finds it a place. -EDQUOT when all bits are taken, -ENOMEM. */
static int join_changes(struct job_watch *w)
{
        struct connection *c = w->connection;
        struct registry *g = &c->frontend->registry;
        struct changes *l = &g->changes;
        int r;

        w->list = c->uid == 0 || c->of_bus ? CHANGES_OF_ALL : CHANGES_OF_OWNER;
        if (w->list == CHANGES_OF_OWNER) {
                r = registry_take_user(g, c->uid, &w->user);
                if (r < 0)
                        return r;
                l = &w->user->changes;
        }
        if (l->slots == UINT32_MAX)
                return -EDQUOT;
        w->bit = ~l->slots & (l->slots + 1);
        l->slots |= w->bit;
        w->changes = l;
        w->began = g->serial;
        w->unlisted = l->n;
        w->next = TAILQ_FIRST(&l->list);
        LIST_INSERT_HEAD(&l->watches, w, of_changes);
        return 0;
}

static int begin(struct connection *c, uint64_t request)
{
        _cleanup_free_ struct job_watch *w = calloc(1, sizeof(*w));
        int r;

        if (!w)
                return -ENOMEM;
        w->connection = c;
        w->request = request;
        w->under_way.jobs = w;
        r = table_add(&c->under_way, &w->under_way.entry, request);
        if (r < 0)
                return r;
        r = join_changes(w);
        if (r < 0) {
                table_remove(&c->under_way, &w->under_way.entry);
                return r;
        }
        LIST_INSERT_HEAD(&c->frontend->job_watches, w, entries);
        LIST_INSERT_HEAD(&c->job_watches, w, of_connection);
        take_turn(TAKE_PTR(w));
        return 0;
}

void watch_jobs(struct connection *c, uint64_t request)
{
        struct account_book *accounts = &c->frontend->accounts;
        int r;

        r = account_charge(accounts, c->uid, ACCOUNT_JOB_WATCHES, 1, JOB_WATCHES_MAX,
                ACCOUNT_UNLIMITED);
        if (r >= 0) {
                r = begin(c, request);
                if (r >= 0)
                        return;
                account_release(accounts, c->uid, ACCOUNT_JOB_WATCHES, 1);
        }
        if (r == -EDQUOT)
                reply_busy(c, request, "",
                        "all jobs are watched 16 times, as often as a user may: forget one of them",
                        0);
        else
                reply_error(c, request, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd is out of memory: try again later");
}

void job_watch_forget(struct job_watch *w)
{
        job_watch_free(w);
}

void job_watches_resume(struct connection *c)
{
        struct job_watch *w;

        LIST_FOREACH (w, &c->job_watches, of_connection)
                take_turn(w);
}

void job_watches_abandon(struct connection *c)
{
        struct job_watch *w;

        while ((w = LIST_FIRST(&c->job_watches)))
                job_watch_free(w);
}

void job_watches_on_added(struct result *r)
{
        r->announced = true;
        r->told_state = reply_job_state(r);
        r->serial = ++r->frontend->registry.serial;
        for (enum changes_of i = 0; i < _CHANGES_LISTS; i++) {
                struct changes *l = changes_of(r, i);

                r->changes[i].result = r;
                l->n++;
                append(l, &r->changes[i]);
        }
}

void job_watches_on_changed(struct result *r)
{
        Sandboxd__V1__JobState state = reply_job_state(r);

        if (!r->announced || r->gone || r->told_state == (unsigned) state)
                return;
        r->told_state = (unsigned) state;
        for (size_t i = 0; i < _CHANGES_LISTS; i++)
                r->changes[i].told = 0;
        move(r);
}

/* One whose client reads is told in a few turns, however many go at once. */
static bool may_be_owed(const struct job_watch *w)
{
        return w->n_owed < JOB_WATCH_OWED_MAX || !connection_is_congested(w->connection);
}

/* Those that may be owed no more lose their place in the list, and have their end to tell. What all of one
 * user are owed is the end of the same list: no more in all than the one that is furthest behind. */
static void charge_owed(struct changes *l)
{
        struct job_watch *w, *next;

        for (w = LIST_FIRST(&l->watches); w; w = next) {
                struct connection *c = w->connection;

                next = LIST_NEXT(w, of_changes);
                if (may_be_owed(w) && account_charge(&c->frontend->accounts, c->uid, ACCOUNT_OWED,
                                              1, ACCOUNT_UNLIMITED, ACCOUNT_UNLIMITED) >= 0) {
                        w->n_owed++;
                        continue;
                }
                leave_changes(w);
                take_turn(w);
        }
}

void job_watches_on_gone(struct result *r)
{
        if (!r->announced || r->gone)
                return;
        for (enum changes_of i = 0; i < _CHANGES_LISTS; i++) {
                struct changes *l = changes_of(r, i);

                /* Before it is gone itself, so that it is not freed with the others. */
                charge_owed(l);
                r->changes[i].owed = l->slots;
                l->n--;
        }
        r->gone = true;
        move(r);
}

bool job_watches_keep(struct result *r)
{
        struct registry *g = &r->frontend->registry;
        struct user *user = r->user;

        if (!r->announced)
                return false;
        r->dropped = true;
        /* That it ever had a job is no longer to be found. */
        r->job = NULL;
        if (is_owed(r))
                return true;
        leave_lists(r);
        registry_release_user(g, user);
        return false;
}

void job_watches_on_host(struct frontend *f)
{
        struct job_watch *w;

        LIST_FOREACH (w, &f->job_watches, entries) {
                w->host_due = true;
                take_turn(w);
        }
}
