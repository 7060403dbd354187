/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission of jobs. Runs in the frontend. Charges the books, keeps the queue, and makes the sentences.
 */
#include "daemon/frontend/admission.h"

#include <inttypes.h>
#include <sched.h>

#include "common/error.h"
#include "common/parse.h"
#include "daemon/frontend/job.h"
#include "daemon/frontend/reply.h"

static int take_slot(void *userdata, uid_t uid)
{
        struct frontend *f = userdata;
        const struct policy_server *server = &f->policy->server;

        return account_charge(&f->accounts, uid, ACCOUNT_JOBS, 1, server->max_jobs_per_user,
                server->max_jobs);
}

/* Sandboxes that are made at one time: enough to keep monitor and kernel busy, and few enough for who
 * comes next. What is beyond waits here, where users have their turns. */
#define STARTING_LEAST UINT32_C(8)

static uint32_t count_cpus(void)
{
        cpu_set_t set;

        return sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : (uint32_t) CPU_COUNT(&set);
}

static int take_start(void *userdata, uid_t uid)
{
        struct frontend *f = userdata;

        if (f->behind)
                return -EAGAIN;
        /* One whose sandboxes take long to make leaves some places to the others. */
        return account_charge(&f->accounts, uid, ACCOUNT_STARTS, 1,
                f->max_starting - f->max_starting / 4, f->max_starting);
}

/* Has those made that wait for it, as long as there is room. */
static void dispatch_starts(struct frontend *f)
{
        struct waiter *w;

        while ((w = admission_queue_take(&f->starts, take_start, f))) {
                struct job *j = container_of(w, struct job, waiter);

                j->starting = true;
                job_ask_monitor(j);
        }
}

/* Starts who waits, as long as there are slots. */
static void dispatch(struct frontend *f)
{
        struct waiter *w;

        while ((w = admission_queue_take(&f->queue, take_slot, f))) {
                struct job *j = container_of(w, struct job, waiter);

                account_release(&f->accounts, j->uid, ACCOUNT_QUEUED, 1);
                j->place = ACCOUNT_JOBS;
                job_launch(j);
        }
        dispatch_starts(f);
}

static int on_dispatch(sd_event_source *source, void *userdata)
{
        dispatch(userdata);
        return 0;
}

/* Not at once: the one that has ended is still being taken apart, perhaps with others. */
static void schedule_dispatch(struct frontend *f)
{
        if (f->dispatch &&
                !(admission_queue_is_empty(&f->queue) && admission_queue_is_empty(&f->starts)))
                (void) sd_event_source_set_enabled(f->dispatch, SD_EVENT_ONESHOT);
}

int admission_init(struct frontend *f)
{
        int r;

        admission_queue_init(&f->queue);
        admission_queue_init(&f->starts);
        f->max_starting = MAX(2 * count_cpus(), STARTING_LEAST);
        r = sd_event_add_defer(f->event, &f->dispatch, on_dispatch, f);
        return r < 0 ? r : sd_event_source_set_enabled(f->dispatch, SD_EVENT_OFF);
}

void admission_done(struct frontend *f)
{
        f->dispatch = sd_event_source_disable_unref(f->dispatch);
}

/* A slot for one that has just come. Those that wait go first: what they leave, none of them can use. */
static int take_free_slot(struct frontend *f, uid_t uid)
{
        dispatch(f);
        return take_slot(f, uid);
}

static bool may_queue(const struct policy_server *server)
{
        return server->max_queued > 0 && server->max_queued_per_user > 0;
}

/* Why there is no slot, where none may wait for one. */
static void say_no_slot(const struct policy_server *server, int error, struct error *text)
{
        if (error == -EDQUOT)
                (void) error_set(text, error,
                        "%" PRIu32 " of your jobs are running, as many as MaxJobsPerUser= "
                        "allows: wait for one to end",
                        server->max_jobs_per_user);
        else if (error == -EUSERS)
                (void) error_set(text, error,
                        "%" PRIu32 " jobs are running, as many as MaxJobs= allows: try again later",
                        server->max_jobs);
        else
                (void) error_set(text, error, "sandboxd is out of memory: try again later");
}

static void say_no_place(const struct policy_server *server, int error, struct error *text)
{
        if (error == -EDQUOT)
                (void) error_set(text, error,
                        "%" PRIu32 " of your jobs wait for others to end, as many as "
                        "MaxQueuedPerUser= allows: wait for one to start",
                        server->max_queued_per_user);
        else if (error == -EUSERS)
                (void) error_set(text, error,
                        "%" PRIu32 " jobs wait for others to end, as many as MaxQueued= allows: "
                        "try again later",
                        server->max_queued);
        else
                (void) error_set(text, error, "sandboxd is out of memory: try again later");
}

int admission_take_job(struct connection *c, uint64_t request, enum account_kind *ret_place)
{
        struct frontend *f = c->frontend;
        const struct policy_server *server = &f->policy->server;
        struct error text;
        int r;

        *ret_place = ACCOUNT_JOBS;
        r = take_free_slot(f, c->uid);
        if (r >= 0)
                return 0;
        if (!may_queue(server))
                say_no_slot(server, r, &text);
        else {
                *ret_place = ACCOUNT_QUEUED;
                r = account_charge(&f->accounts, c->uid, ACCOUNT_QUEUED, 1,
                        server->max_queued_per_user, server->max_queued);
                if (r >= 0)
                        return 0;
                say_no_place(server, r, &text);
        }
        reply_busy(c, request, "", text.text, ADMISSION_RETRY_USEC);
        return r;
}

/* The same setting is for both, each for itself. One Run may have all the strings that it can. */
static int take_strings(struct connection *c, uint64_t request, uint64_t size)
{
        const uint64_t max =
                MAX(c->frontend->policy->server.max_upload_per_user, (uint64_t) SPEC_STRINGS_MAX);
        char most[FORMAT_MAX];
        struct error text;
        int r;

        r = account_charge(&c->frontend->accounts, c->uid, ACCOUNT_STRINGS, size, max,
                ACCOUNT_UNLIMITED);
        if (r >= 0)
                return 0;
        if (r == -EDQUOT)
                (void) error_set(&text, r,
                        "your jobs that are not started, and the names in get of those that run, "
                        "have more than %s of strings with this one: wait until one starts or "
                        "ends, or raise MaxUploadPerUser=",
                        format_size(most, max));
        else
                (void) error_set(&text, r, "sandboxd is out of memory: try again later");
        reply_busy(c, request, "argv", text.text, ADMISSION_RETRY_USEC);
        return r;
}

static int take_upload(struct connection *c, uint64_t request, uint64_t size)
{
        const uint64_t max = c->frontend->policy->server.max_upload_per_user;
        char most[FORMAT_MAX];
        struct error text;
        int r;

        r = account_charge(&c->frontend->accounts, c->uid, ACCOUNT_UPLOADS, size, max,
                ACCOUNT_UNLIMITED);
        if (r >= 0)
                return 0;
        if (r == -EDQUOT && size > max) {
                (void) error_set(&text, r,
                        "code and files have %" PRIu64 " bytes: MaxUploadPerUser= allows %s", size,
                        format_size(most, max));
                reply_error(c, request, SANDBOXD__V1__ERROR_CODE__OVER_LIMIT, "files", text.text);
                return r;
        }
        if (r == -EDQUOT)
                (void) error_set(&text, r,
                        "your jobs that are not started have more bytes than the %s of "
                        "MaxUploadPerUser= with this one: complete one of them, or wait until it "
                        "starts",
                        format_size(most, max));
        else
                (void) error_set(&text, r, "sandboxd is out of memory: try again later");
        reply_busy(c, request, "files", text.text, ADMISSION_RETRY_USEC);
        return r;
}

int admission_take_upload(struct connection *c, uint64_t request, uint64_t size, uint64_t strings)
{
        int r;

        r = take_upload(c, request, size);
        if (r < 0)
                return r;
        r = take_strings(c, request, strings);
        if (r < 0)
                account_release(&c->frontend->accounts, c->uid, ACCOUNT_UPLOADS, size);
        return r;
}

void admission_release_job(struct frontend *f, uid_t uid, enum account_kind place)
{
        account_release(&f->accounts, uid, place, 1);
        if (place == ACCOUNT_JOBS)
                schedule_dispatch(f);
}

int admission_enqueue(struct job *j)
{
        struct frontend *f = j->frontend;

        if (take_free_slot(f, j->uid) < 0)
                return admission_queue_add(&f->queue, &j->waiter, j->uid);
        account_release(&f->accounts, j->uid, ACCOUNT_QUEUED, 1);
        j->place = ACCOUNT_JOBS;
        return 1;
}

int admission_take_start(struct job *j)
{
        struct frontend *f = j->frontend;

        /* Those that wait go first; what they leave, none of them can use. */
        dispatch_starts(f);
        if (take_start(f, j->uid) < 0)
                return admission_queue_add(&f->starts, &j->waiter, j->uid);
        j->starting = true;
        return 1;
}

void admission_end_start(struct job *j)
{
        struct frontend *f = j->frontend;

        if (!j->starting)
                return;
        j->starting = false;
        account_release(&f->accounts, j->uid, ACCOUNT_STARTS, 1);
        schedule_dispatch(f);
}

void admission_dequeue(struct job *j)
{
        struct frontend *f = j->frontend;

        if (j->waiter.user)
                admission_queue_remove(j->place == ACCOUNT_JOBS ? &f->starts : &f->queue,
                        &j->waiter);
}

void admission_on_policy(struct frontend *f)
{
        schedule_dispatch(f);
}

void admission_on_backlog(struct frontend *f, bool behind)
{
        f->behind = behind;
        if (!behind)
                schedule_dispatch(f);
}
