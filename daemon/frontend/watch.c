/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that wait. Runs in the frontend. What each sends is taken from the result as it stands, so
 * that one which was held up goes on where it was.
 */
#include "daemon/frontend/watch.h"

#include "daemon/frontend/credit.h"
#include "daemon/frontend/job.h"
#include "daemon/frontend/reply-job.h"
#include "daemon/frontend/reply.h"
#include "daemon/frontend/watch-files.h"

/* What many that go on at the same time are sent at once, in bytes; each has the others wait for as much
 * more. All that are beyond it have turns of their own. */
#define EVENT_MOST (64 * KIB)
#define EVENT_EACH (1 * KIB)
/* And what one of them is sent of output in a turn. */
#define TURN_MOST (64 * KIB)

enum watch_kind {
        WATCH_RESULT,
        WATCH_OUTPUT,
        WATCH_USAGE,
        WATCH_FILES,
        _WATCH_KIND_COUNT,
};

struct watch {
        struct connection *connection;
        struct result *result;
        struct under_way under_way;
        LIST_ENTRY(watch) of_connection;
        LIST_ENTRY(watch) of_result;
        TAILQ_ENTRY(watch) turn; /* of the frontend's */
        bool has_turn;
        enum watch_kind kind;
        uint64_t request;

        /* of output */
        struct store_cursor cursor;
        bool wanted[_STORE_STREAMS];
        uint64_t skip[_STORE_STREAMS]; /* bytes still to be left out */
        bool follow;
        struct credit credit[_STORE_STREAMS];

        struct watch_files *files;
};

static void drop_turn(struct watch *w)
{
        if (w->has_turn)
                TAILQ_REMOVE(&w->connection->frontend->watch_turns, w, turn);
        w->has_turn = false;
}

static void watch_free(struct watch *w)
{
        struct connection *c = w->connection;

        drop_turn(w);
        LIST_REMOVE(w, of_connection);
        LIST_REMOVE(w, of_result);
        if (w->files)
                watch_files_free(w->files, c);
        table_remove(&c->under_way, &w->under_way.entry);
        account_release(&c->frontend->accounts, c->uid, ACCOUNT_WATCHES, 1);
        free(w);
}

/* Tells the client if it cannot. */
static struct watch *watch_new(struct connection *c, uint64_t request, struct result *r,
        enum watch_kind kind)
{
        struct account_book *accounts = &c->frontend->accounts;
        struct watch *w;

        if (account_charge(accounts, c->uid, ACCOUNT_WATCHES, 1, WATCHES_MAX, ACCOUNT_UNLIMITED) <
                0) {
                reply_busy(c, request, "",
                        "1024 of your requests wait for jobs, as many as a user may have: wait for "
                        "one to end, or forget it",
                        0);
                return NULL;
        }
        w = calloc(1, sizeof(*w));
        if (!w || table_add(&c->under_way, &w->under_way.entry, request) < 0) {
                free(w);
                account_release(accounts, c->uid, ACCOUNT_WATCHES, 1);
                reply_error(c, request, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd is out of memory: try again later");
                return NULL;
        }
        w->connection = c;
        w->result = r;
        w->under_way.watch = w;
        w->kind = kind;
        w->request = request;
        LIST_INSERT_HEAD(&c->watches, w, of_connection);
        LIST_INSERT_HEAD(&r->watches, w, of_result);
        return w;
}

static void spend(const struct watch *w, size_t size)
{
        w->connection->frontend->watch_spent += size;
}

static enum watch_step step_result(struct watch *w)
{
        if (w->result->job)
                return WATCH_STEP_WAITS;
        spend(w, w->result->return_value.size);
        reply_result(w->connection, w->request, w->result);
        return WATCH_STEP_LAST;
}

static enum watch_step step_usage(struct watch *w)
{
        if (w->result->job)
                return WATCH_STEP_WAITS;
        spend(w, w->result->return_value.size);
        reply_job(w->connection, w->request, w->result, NULL);
        return WATCH_STEP_LAST;
}

/* How many of the bytes at the cursor may be sent, and whether they are instead to be left out. */
static size_t allot(struct watch *w, enum store_stream stream, size_t size, bool *ret_skip)
{
        *ret_skip = true;
        if (!w->wanted[stream])
                return size;
        if (w->skip[stream] > 0) {
                size = (size_t) MIN((uint64_t) size, w->skip[stream]);
                w->skip[stream] -= size;
                return size;
        }
        *ret_skip = false;
        size = credit_allows(&w->credit[stream], size);
        credit_use(&w->credit[stream], size);
        return size;
}

static enum watch_step step_output(struct watch *w)
{
        struct connection *c = w->connection;
        struct result *r = w->result;
        enum store_stream stream;
        const uint8_t *data;
        size_t size, n = 0, sent = 0;
        bool skip;

        while ((size = store_peek(&r->output, &w->cursor, &stream, &data)) > 0) {
                if (connection_is_congested(c))
                        return WATCH_STEP_WAITS;
                if (n++ >= WATCH_STEP_MOST || sent >= TURN_MOST)
                        return WATCH_STEP_MORE;
                size = allot(w, stream, size, &skip);
                if (size == 0)
                        return WATCH_STEP_WAITS;
                if (!skip) {
                        reply_output(c, w->request, reply_stream(stream), data, size);
                        sent += size;
                        spend(w, size);
                }
                store_skip(&w->cursor, size);
        }
        if (w->follow && r->job)
                return WATCH_STEP_WAITS;
        reply_output_end(c, w->request, r);
        return WATCH_STEP_LAST;
}

static enum watch_step step_files(struct watch *w)
{
        if (w->result->job)
                return WATCH_STEP_WAITS;
        /* As much as may be: what is sent is for others to count. */
        spend(w, EVENT_MOST);
        return watch_files_step(w->files, w->connection, w->request, w->result);
}

static int take_turn(struct watch *w);

/* What it does in one turn. Frees it when that was the last. */
static enum watch_step step(struct watch *w)
{
        static enum watch_step (*const steps[_WATCH_KIND_COUNT])(struct watch * w) = {
                [WATCH_RESULT] = step_result,
                [WATCH_OUTPUT] = step_output,
                [WATCH_USAGE] = step_usage,
                [WATCH_FILES] = step_files,
        };
        enum watch_step s;

        if (connection_is_congested(w->connection))
                return WATCH_STEP_WAITS;
        s = steps[w->kind](w);
        if (s == WATCH_STEP_LAST)
                watch_free(w);
        return s;
}

/* Sends what can be sent now. Frees it when that was the last. */
static void advance(struct watch *w)
{
        if (w->has_turn)
                return;
        /* With no memory for its turn it goes on at once. */
        while (step(w) == WATCH_STEP_MORE)
                if (take_turn(w) >= 0)
                        return;
}

/* Where the count stands when those that go on now were sent as much as is sent at once. */
static uint64_t spent_enough(const struct frontend *f)
{
        return f->watch_spent + EVENT_MOST;
}

/* Sends it what can be sent, now, or in its turn. */
static void advance_within(struct watch *w, uint64_t enough)
{
        struct frontend *f = w->connection->frontend;

        if (w->has_turn || connection_is_congested(w->connection))
                return;
        if (f->watch_spent >= enough && take_turn(w) >= 0)
                return;
        f->watch_spent += EVENT_EACH;
        advance(w);
}

static int schedule_turn(struct frontend *f);

static int on_turn(sd_event_source *source, void *userdata)
{
        struct frontend *f = userdata;
        struct watch *w;

        f->watch_turn = sd_event_source_disable_unref(f->watch_turn);
        while ((w = TAILQ_FIRST(&f->watch_turns))) {
                drop_turn(w);
                advance(w);
                if (!TAILQ_EMPTY(&f->watch_turns) && schedule_turn(f) >= 0)
                        break;
        }
        if (TAILQ_EMPTY(&f->watch_turns))
                frontend_check_stopped(f);
        return 0;
}

/* That takes a new source, to come behind all that is waiting now. */
static int schedule_turn(struct frontend *f)
{
        return f->watch_turn ? 0 : sd_event_add_defer(f->event, &f->watch_turn, on_turn, f);
}

static int take_turn(struct watch *w)
{
        struct frontend *f = w->connection->frontend;
        int r;

        r = schedule_turn(f);
        if (r < 0)
                return r;
        TAILQ_INSERT_TAIL(&f->watch_turns, w, turn);
        w->has_turn = true;
        return 0;
}

void watch_result(struct connection *c, uint64_t request, struct result *r)
{
        struct watch *w = watch_new(c, request, r, WATCH_RESULT);

        if (w)
                advance(w);
}

void watch_output(struct connection *c, uint64_t request, struct result *r,
        const Sandboxd__V1__ReadOutput *m)
{
        struct watch *w = watch_new(c, request, r, WATCH_OUTPUT);

        if (!w)
                return;
        for (enum store_stream s = 0; s < _STORE_STREAMS; s++) {
                w->wanted[s] = m->stream == SANDBOXD__V1__OUTPUT__STREAM__STREAM_UNSPECIFIED ||
                               m->stream == reply_stream(s);
                w->skip[s] = m->offset;
                credit_init(&w->credit[s], m->output_credit);
        }
        w->follow = m->follow;
        advance(w);
}

void watch_kept_files(struct connection *c, uint64_t request, struct result *r,
        const Sandboxd__V1__GetFiles *m)
{
        struct watch_files *files = watch_files_new(c, request, m);
        struct watch *w = files ? watch_new(c, request, r, WATCH_FILES) : NULL;

        if (!w) {
                if (files)
                        watch_files_free(files, c);
                return;
        }
        w->files = files;
        advance(w);
}

void watch_add_file_credit(struct watch *w, uint64_t bytes)
{
        if (!w->files)
                return;
        watch_files_add_credit(w->files, bytes);
        advance(w);
}

void watch_usage(struct connection *c, uint64_t request, struct result *r)
{
        struct watch *w = watch_new(c, request, r, WATCH_USAGE);

        if (w)
                job_ask_usage(r->job);
}

void watch_forget(struct watch *w)
{
        watch_free(w);
}

void watch_add_credit(struct watch *w, enum store_stream stream, uint64_t bytes)
{
        credit_give(&w->credit[stream], bytes);
        advance(w);
}

void watches_resume(struct connection *c)
{
        uint64_t enough = spent_enough(c->frontend);
        struct watch *w, *next;

        for (w = LIST_FIRST(&c->watches); w; w = next) {
                next = LIST_NEXT(w, of_connection);
                advance_within(w, enough);
        }
}

void watches_abandon(struct connection *c)
{
        struct watch *w;

        while ((w = LIST_FIRST(&c->watches)))
                watch_free(w);
}

void watches_on_output(struct result *r)
{
        uint64_t enough = spent_enough(r->frontend);
        struct watch *w, *next;

        for (w = LIST_FIRST(&r->watches); w; w = next) {
                next = LIST_NEXT(w, of_result);
                if (w->kind == WATCH_OUTPUT && w->follow)
                        advance_within(w, enough);
        }
}

void watches_on_used(struct result *r, const struct channel_used *used)
{
        struct watch *w, *next;

        for (w = LIST_FIRST(&r->watches); w; w = next) {
                next = LIST_NEXT(w, of_result);
                if (w->kind != WATCH_USAGE)
                        continue;
                reply_job(w->connection, w->request, r, used);
                watch_free(w);
        }
}

void watches_on_ended(struct result *r)
{
        uint64_t enough = spent_enough(r->frontend);
        struct watch *w, *next;

        for (w = LIST_FIRST(&r->watches); w; w = next) {
                next = LIST_NEXT(w, of_result);
                advance_within(w, enough);
        }
}

/* One whose turn has not come is sent what it waits for, as long as that is no more than is sent at once.
 * Whether it is over with that. */
static bool hurry(struct watch *w, uint64_t enough)
{
        struct frontend *f = w->connection->frontend;

        if (!w->has_turn || f->watch_spent >= enough)
                return false;
        drop_turn(w);
        /* Once: one that leaves everything out is sent nothing, and takes its time all the same. */
        return step(w) == WATCH_STEP_LAST;
}

void watches_on_dropped(struct result *r, Sandboxd__V1__ErrorCode code, const char *text)
{
        uint64_t enough = spent_enough(r->frontend);
        struct watch *w;

        while ((w = LIST_FIRST(&r->watches))) {
                if (hurry(w, enough))
                        continue;
                reply_error(w->connection, w->request, code, "", text);
                watch_free(w);
        }
}
