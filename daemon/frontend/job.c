/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a job until it is started, and what its client sends it. Runs in the frontend. How it
 * ends is in job-end.c.
 */
#include "daemon/frontend/job.h"

#include <inttypes.h>

#include "common/io.h"
#include "common/log.h"
#include "common/parse.h"
#include "daemon/frontend/admission.h"
#include "daemon/frontend/record.h"
#include "daemon/frontend/reply.h"
#include "daemon/frontend/result-message.h"
#include "daemon/frontend/results.h"
#include "daemon/frontend/watch-jobs.h"

/* How often the deadline of an upload is put off while the client's own bytes wait. */
#define UPLOAD_WAITS_MOST 12

/* Kept of each stream of a job whose client was sent it already: for those who ask later. */
#define ATTACHED_KEPT_MAX (1 * MIB)

void job_set_state(struct job *j, enum job_state state)
{
        ASSERT(job_state_may_follow(j->state, state));
        log_debug("job %016" PRIx64 ": %s to %s", j->id, job_state_name(j->state),
                job_state_name(state));
        j->state = state;
        if (j->result && state != JOB_FINISHED)
                job_watches_on_changed(j->result);
}

static void take_plan(struct job *j, struct plan *plan, const Sandboxd__V1__Run *run)
{
        /* Plan and job are made in one go, with no policy coming between. */
        j->policy = policies_take(&j->frontend->policies);
        j->planned = true;
        j->runtime = plan->runtime;
        j->profile = plan->profile;
        j->may_be_warm = plan->warm;
        j->command = TAKE_PTR(plan->exec);
        j->workdir = TAKE_PTR(plan->workdir);
        j->strict_output = run->strict_output;
        j->wants_stdin = run->stdin;
        j->get = plan->get;
        plan->get = (struct strv) {};
        credit_init(&j->fetch_credit, run->output_credit);
}

static bool charge_output(void *userdata, uint64_t size)
{
        return results_charge(userdata, size);
}

/* Names are copied: the result stays when the policy goes. */
static void describe(struct result *r, const struct plan *plan, const Sandboxd__V1__Run *run)
{
        uint64_t most = plan->limits.value[LIMIT_OUTPUT];

        (void) str_copy(r->runtime, sizeof(r->runtime), plan->runtime->name);
        (void) str_copy(r->profile, sizeof(r->profile), plan->profile->name);
        r->limits = plan->limits;
        r->detached = run->detach;
        store_init(&r->output, run->detach ? most : MIN(most, ATTACHED_KEPT_MAX), charge_output, r);
        kept_files_init(r);
}

static int bind_to_connection(struct job *j, struct connection *c)
{
        int r;

        j->under_way.job = j;
        r = table_add(&c->under_way, &j->under_way.entry, j->request);
        if (r < 0)
                return r;
        LIST_INSERT_HEAD(&c->jobs, j, of_connection);
        j->connection = c;
        return 0;
}

void job_leave_connection(struct job *j)
{
        if (!j->connection)
                return;
        LIST_REMOVE(j, of_connection);
        table_remove(&j->connection->under_way, &j->under_way.entry);
        j->connection = NULL;
        job_update_output(j);
}

static void take_streams(struct job *j, const Sandboxd__V1__Run *run)
{
        j->stream_sockets = run->stream_sockets;
        /* Of one that is detached nothing is sent. */
        for (size_t i = 0; i < _JOB_STREAMS; i++)
                credit_init(&j->streams[i].credit, run->detach ? 0 : run->output_credit);
}

/* What is held of its code and files at one time, until it has them. */
static uint64_t upload_charge(const struct plan *plan, const Sandboxd__V1__Run *run)
{
        return plan->streamed ? feed_memory(plan, run) : plan_data_size(plan);
}

/* Of these strings the job has its own copies to its end. */
static uint64_t kept_strings(const struct plan *plan)
{
        return strlen(plan->exec) + strlen(plan->workdir) + strv_bytes(&plan->get);
}

/* Takes the slot and the upload over that its user was charged, on success. */
static int job_new(struct connection *c, uint64_t request, enum account_kind place,
        struct plan *plan, const Sandboxd__V1__Run *run, struct job **ret)
{
        static const Sandboxd__V1__Output__Stream names[_JOB_STREAMS] = {
                [JOB_STDOUT] = SANDBOXD__V1__OUTPUT__STREAM__STDOUT,
                [JOB_STDERR] = SANDBOXD__V1__OUTPUT__STREAM__STDERR,
        };
        _cleanup_free_ struct job *j = calloc(1, sizeof(*j));
        int r;

        if (!j)
                return -ENOMEM;
        *j = (struct job) {
                .frontend = c->frontend,
                .request = request,
                .uid = c->uid,
                .state = JOB_RECEIVING,
                .input.fd = -EBADF,
                .return_fd = -EBADF,
                .client_sockets = { [0 ... _STREAM_SOCKETS - 1] = -EBADF },
                .stdin_relay = { .from = -EBADF, .to = -EBADF },
                .place = place,
                .upload_charge = upload_charge(plan, run),
                .strings_charge = plan->strings_size,
                .kept_strings = kept_strings(plan),
                .held_input = -EBADF,
                .held_socket = -EBADF,
                .feed.fd = -EBADF,
                .fetch.fd = -EBADF,
        };
        for (size_t i = 0; i < _JOB_STREAMS; i++)
                j->streams[i] = (struct job_stream) {
                        .job = j,
                        .name = names[i],
                        .output.fd = -EBADF,
                        .socket = -EBADF,
                };
        r = results_begin(c->frontend, j, c->uid, run->label.data, run->label.len, &j->result);
        if (r < 0)
                return r;
        j->id = j->result->id;
        describe(j->result, plan, run);
        r = upload_init(&j->upload, plan, run);
        if (r >= 0 && plan->streamed)
                r = feed_init(&j->feed, plan, run);
        if (r >= 0)
                r = bind_to_connection(j, c);
        if (r < 0) {
                upload_done(&j->upload);
                feed_done(&j->feed);
                results_drop(j->result);
                return r;
        }
        take_plan(j, plan, run);
        take_streams(j, run);
        LIST_INSERT_HEAD(&c->frontend->jobs, j, entries);
        job_watches_on_added(j->result);
        *ret = TAKE_PTR(j);
        return 0;
}

static int await_files(struct job *j);

/* Whether the client gets its time once more: what it has sent waits to be handled, behind what others
 * have, or until it has read what it is owed. Not for ever: that may be its own will. */
static bool may_wait_on(struct job *j)
{
        return j->connection && j->upload_waits++ < UPLOAD_WAITS_MOST &&
               connection_has_unread(j->connection) && await_files(j) >= 0;
}

static int on_upload_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct job *j = userdata;
        char text[FORMAT_MAX];

        if (may_wait_on(j))
                return 0;
        job_fail(j, SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT, "files",
                "files are not complete, and no byte of them came within FrameTimeoutSec= (%s): "
                "send them without a pause",
                format_time(text, j->policy->policy->server.frame_timeout_usec));
        return 0;
}

static int await_files(struct job *j)
{
        uint64_t timeout = j->policy->policy->server.frame_timeout_usec;
        int r;

        if (!j->upload_deadline)
                return sd_event_add_time_relative(j->frontend->event, &j->upload_deadline,
                        CLOCK_MONOTONIC, timeout, FRONTEND_TIMER_ACCURACY, on_upload_deadline, j);
        r = sd_event_source_set_time_relative(j->upload_deadline, timeout);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(j->upload_deadline, SD_EVENT_ONESHOT);
}

int job_await_files(struct job *j)
{
        j->upload_waits = 0;
        return await_files(j);
}

static int on_policy_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct job *j = userdata;

        job_fail(j, SANDBOXD__V1__ERROR_CODE__BUSY, j->state == JOB_RECEIVING ? "files" : "",
                RESULT_POLICY_REPLACED);
        return 0;
}

void job_on_policy_replaced(struct job *j)
{
        struct frontend *f = j->frontend;

        if ((j->state != JOB_RECEIVING && j->state != JOB_QUEUED) || j->policy_deadline)
                return;
        if (sd_event_add_time_relative(f->event, &j->policy_deadline, CLOCK_MONOTONIC,
                    f->plan_grace_usec, FRONTEND_TIMER_ACCURACY, on_policy_deadline, j) < 0)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd is out of memory: try again later");
}

static void end_deadlines(struct job *j)
{
        j->upload_deadline = sd_event_source_disable_unref(j->upload_deadline);
        j->policy_deadline = sd_event_source_disable_unref(j->policy_deadline);
}

static void release_upload(struct job *j, uint64_t kept_strings)
{
        struct account_book *accounts = &j->frontend->accounts;

        account_release(accounts, j->uid, ACCOUNT_UPLOADS, j->upload_charge);
        account_release(accounts, j->uid, ACCOUNT_STRINGS, j->strings_charge - kept_strings);
        j->upload_charge = 0;
        j->strings_charge = kept_strings;
}

/* It was started, or never will be. */
static void end_plan(struct job *j)
{
        if (!j->planned)
                return;
        j->planned = false;
        policies_end_plan(j->policy);
        frontend_retire_policies(j->frontend);
}

void job_launch(struct job *j)
{
        int r = admission_take_start(j);

        if (r < 0)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd is out of memory: try again later");
        else if (r > 0)
                job_ask_monitor(j);
        else if (j->state != JOB_QUEUED)
                /* Not for another's end, so that nothing is said. */
                job_set_state(j, JOB_QUEUED);
}

void job_ask_monitor(struct job *j)
{
        const char *refusal;
        int r;

        end_deadlines(j);
        job_set_state(j, JOB_STARTING);
        r = job_start(j, &refusal);
        if (r > 0) {
                job_fail(j, SANDBOXD__V1__ERROR_CODE__BUSY, "stream_sockets", "%s", refusal);
                return;
        }
        if (r < 0) {
                log_warning("job %016" PRIx64 " could not be started: %s", j->id, strerror(-r));
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd could not start the job (%s): try again later", strerror(-r));
                return;
        }
        end_plan(j);
        if (job_is_fed(j)) {
                job_set_state(j, JOB_FEEDING);
                job_update_feed(j);
        } else
                job_begin_running(j);
}

void job_begin_running(struct job *j)
{
        j->upload_deadline = sd_event_source_disable_unref(j->upload_deadline);
        release_upload(j, j->kept_strings);
        job_set_state(j, JOB_RUNNING);
        job_send_started(j);
        record_job_started(j);
        j->start_recorded = true;
        /* From here on nothing that happens to its client matters to it. */
        if (j->result->detached)
                job_leave_connection(j);
}

/* Until others have ended. */
static void wait_for_slot(struct job *j)
{
        int r = admission_enqueue(j);

        if (r < 0) {
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd is out of memory: try again later");
                return;
        }
        if (r > 0) {
                job_launch(j);
                return;
        }
        job_set_state(j, JOB_QUEUED);
        job_send_queued(j);
}

/* All of it is here. */
static void complete(struct job *j)
{
        j->upload_deadline = sd_event_source_disable_unref(j->upload_deadline);
        j->complete_usec = io_now_usec();
        if (j->place == ACCOUNT_JOBS)
                job_launch(j);
        else
                wait_for_slot(j);
}

/* What follows when bytes of files, or all there were to come, are here. */
static void advance(struct job *j)
{
        if (upload_is_complete(&j->upload))
                complete(j);
        else if (job_await_files(j) < 0)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd is out of memory: try again later");
}

void job_begin(struct connection *c, uint64_t request, enum account_kind place, struct plan *plan,
        const Sandboxd__V1__Run *run)
{
        struct account_book *accounts = &c->frontend->accounts;
        struct job *j;
        int r;

        if (admission_take_upload(c, request, upload_charge(plan, run), plan->strings_size) < 0) {
                admission_release_job(c->frontend, c->uid, place);
                return;
        }
        r = job_new(c, request, place, plan, run, &j);
        if (r < 0) {
                account_release(accounts, c->uid, ACCOUNT_UPLOADS, upload_charge(plan, run));
                account_release(accounts, c->uid, ACCOUNT_STRINGS, plan->strings_size);
                admission_release_job(c->frontend, c->uid, place);
                log_warning("a job of uid %u could not be made: %s", (unsigned) c->uid,
                        strerror(-r));
                reply_error(c, request, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd could not keep the job's files: try again later");
                return;
        }
        advance(j);
}

void job_free(struct job *j)
{
        struct frontend *f = j->frontend;

        job_close_streams(j);
        end_deadlines(j);
        upload_done(&j->upload);
        feed_done(&j->feed);
        release_upload(j, 0);
        (void) safe_close(j->return_fd);
        j->overdue_source = sd_event_source_disable_unref(j->overdue_source);
        free(j->command);
        free(j->workdir);
        strv_done(&j->get);
        admission_dequeue(j);
        admission_end_start(j);
        LIST_REMOVE(j, entries);
        job_leave_connection(j);
        if (j->result)
                results_drop(j->result);
        end_plan(j);
        policies_release(&f->policies, j->policy);
        admission_release_job(f, j->uid, j->place);
        free(j);
        idle_update(f);
        frontend_check_stopped(f);
}

void job_push_file(struct job *j, size_t file, const void *data, size_t size)
{
        bool fed = job_is_fed(j);
        int r;

        r = fed ? feed_push(&j->feed, file, data, size) : upload_push(&j->upload, file, data, size);
        if (r == -ENOENT)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT, "file",
                        "FileData is for file %zu, but the Run has %zu files: count from 0", file,
                        fed ? j->feed.n_files : j->upload.n_files);
        else if (r == -EFBIG)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT, "data",
                        "files[%zu] got more bytes than its size: send size bytes in all", file);
        else if (r == -EDQUOT)
                connection_fail(j->connection, j->request, SANDBOXD__V1__ERROR_CODE__BAD_REQUEST,
                        "FileData is more than the credit, or in too small parts: wait for "
                        "FileCredit");
        else if (r < 0)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd could not keep the job's files: try again later");
        else if (size > 0 && fed)
                job_update_feed(j);
        else if (size > 0)
                advance(j);
}
