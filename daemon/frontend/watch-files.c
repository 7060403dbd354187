/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replaying kept files. Runs in the frontend. Names of files are what the job chose; those asked for are
 * checked as those of a Run are.
 */
#include "daemon/frontend/watch-files.h"

#include <stdio.h>

#include "common/pattern.h"
#include "daemon/frontend/credit.h"
#include "daemon/frontend/plan.h"
#include "daemon/frontend/reply-files.h"
#include "daemon/frontend/reply.h"

/* How much looking at names, as pattern_matches() counts it, is as much as a record. */
#define RECORD_COST 256

struct watch_files {
        struct strv names;   /* none: all files */
        bool *found;         /* of each name, whether something of it was there */
        uint64_t name_bytes; /* that the client is charged */
        struct credit credit;
        struct store_cursor cursor;
        struct transfer_reader reader;
        bool skipping; /* the file under way was not asked for */
};

static int check_names(struct connection *c, uint64_t request, const Sandboxd__V1__GetFiles *m,
        uint64_t *ret_size)
{
        struct plan_error e;

        *ret_size = 0;
        if (plan_check_names(m->names, m->n_names, "names", &e) < 0) {
                reply_error(c, request, e.code, e.field, e.text.text);
                return -EINVAL;
        }
        for (size_t i = 0; i < m->n_names; i++)
                *ret_size += m->names[i].len + 1;
        return 0;
}

static int copy_names(struct watch_files *f, const Sandboxd__V1__GetFiles *m)
{
        int r;

        f->found = calloc(m->n_names + 1, sizeof(*f->found));
        r = f->found ? strv_init(&f->names, m->n_names) : -ENOMEM;
        for (size_t i = 0; i < m->n_names && r >= 0; i++)
                r = strv_add(&f->names, (const char *) m->names[i].data, m->names[i].len);
        return r;
}

void watch_files_free(struct watch_files *f, struct connection *c)
{
        account_release(&c->frontend->accounts, c->uid, ACCOUNT_UPLOADS, f->name_bytes);
        strv_done(&f->names);
        free(f->found);
        free(f);
}

struct watch_files *watch_files_new(struct connection *c, uint64_t request,
        const Sandboxd__V1__GetFiles *m)
{
        struct frontend *fe = c->frontend;
        struct watch_files *f;
        uint64_t size;

        if (check_names(c, request, m, &size) < 0)
                return NULL;
        if (account_charge(&fe->accounts, c->uid, ACCOUNT_UPLOADS, size,
                    fe->policy->server.max_upload_per_user, ACCOUNT_UNLIMITED) < 0) {
                reply_busy(c, request, "names",
                        "your requests have more names of files than MaxUploadPerUser= allows: "
                        "wait for one of them to end",
                        0);
                return NULL;
        }
        f = calloc(1, sizeof(*f));
        if (f)
                f->name_bytes = size;
        else
                account_release(&fe->accounts, c->uid, ACCOUNT_UPLOADS, size);
        if (!f || copy_names(f, m) < 0) {
                if (f)
                        watch_files_free(f, c);
                reply_error(c, request, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd is out of memory: try again later");
                return NULL;
        }
        credit_init(&f->credit, m->output_credit);
        transfer_reader_init(&f->reader, UINT64_MAX);
        return f;
}

static bool is_asked_for(struct watch_files *f, const char *name, size_t *cost)
{
        bool asked = f->names.n == 0;

        for (size_t i = 0; i < f->names.n; i++)
                if (pattern_matches(f->names.items[i], name, cost))
                        f->found[i] = asked = true;
        return asked;
}

static void send_event(struct connection *c, uint64_t request, const struct result *r,
        const struct fetch_event *e)
{
        reply_file(c, request, e, &r->limits);
}

/* How many of the bytes at the cursor can be taken now. */
static size_t allot(const struct watch_files *f, const struct connection *c, size_t size)
{
        size = MIN(size, transfer_reader_wants(&f->reader));
        if (!transfer_reader_wants_data(&f->reader) || f->skipping)
                return size;
        return credit_allows(&f->credit, MIN(size, reply_file_most(c)));
}

/* What it costs to see whether a file was asked for is added to *cost. */
static void handle_record(struct watch_files *f, struct connection *c, uint64_t request,
        const struct result *r, enum transfer_kind kind, size_t *cost)
{
        const struct fetch_event e = {
                .kind = kind,
                .name = f->reader.name,
                .mode = f->reader.record.mode,
                .size = f->reader.record.size,
                .error = f->reader.record.error,
                .number = (int) f->reader.record.number,
        };

        f->skipping = !is_asked_for(f, e.name, cost);
        if (!f->skipping)
                send_event(c, request, r, &e);
}

static void handle_data(struct watch_files *f, struct connection *c, uint64_t request,
        const struct result *r, const uint8_t *data, size_t size)
{
        const struct fetch_event e = { .kind = TRANSFER_DATA, .data = data, .data_size = size };

        if (f->skipping)
                return;
        credit_use(&f->credit, size);
        send_event(c, request, r, &e);
}

static void send_failed(struct connection *c, uint64_t request, const struct result *r,
        const char *name, enum transfer_error error)
{
        const struct fetch_event e = { .kind = TRANSFER_FAILED, .name = name, .error = error };

        send_event(c, request, r, &e);
}

/* What there was no room for is at the end of what is kept. */
static void finish(struct watch_files *f, struct connection *c, uint64_t request,
        const struct result *r)
{
        if (transfer_reader_in_file(&f->reader) && !f->skipping)
                send_failed(c, request, r, f->reader.name, TRANSFER_ERROR_NOT_KEPT);
        for (size_t i = 0; i < f->names.n; i++)
                if (!f->found[i])
                        send_failed(c, request, r, f->names.items[i],
                                r->files.refused ? TRANSFER_ERROR_NOT_KEPT
                                                 : TRANSFER_ERROR_NOT_ASKED);
        reply_done(c, request);
}

enum watch_step watch_files_step(struct watch_files *f, struct connection *c, uint64_t request,
        const struct result *r)
{
        enum store_stream stream;
        const uint8_t *data;
        size_t size, n = 0, cost = 0;
        int kind = 0;

        while (kind >= 0 && (size = store_peek(&r->files.store, &f->cursor, &stream, &data)) > 0) {
                if (connection_is_congested(c))
                        return WATCH_STEP_WAITS;
                if (n + cost / RECORD_COST >= WATCH_STEP_MOST)
                        return WATCH_STEP_MORE;
                size = allot(f, c, size);
                if (size == 0)
                        return WATCH_STEP_WAITS;
                kind = transfer_reader_take(&f->reader, data, size);
                store_skip(&f->cursor, size);
                if (kind == TRANSFER_DATA)
                        handle_data(f, c, request, r, data, size);
                else if (kind > 0)
                        handle_record(f, c, request, r, (enum transfer_kind) kind, &cost);
                n++;
        }
        finish(f, c, request, r);
        return WATCH_STEP_LAST;
}

void watch_files_add_credit(struct watch_files *f, uint64_t bytes)
{
        credit_give(&f->credit, bytes);
}
