/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a job. Runs in the frontend. A job ends here once: every way out goes through
 * JOB_FINISHED and job_free(), which releases the slot that its user was charged.
 */
#include "daemon/frontend/job.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>

#include "common/io.h"
#include "common/log.h"
#include "common/parse.h"
#include "daemon/frontend/admission.h"
#include "daemon/frontend/record.h"
#include "daemon/frontend/reply.h"
#include "daemon/frontend/result-message.h"

void job_set_state(struct job *j, enum job_state state)
{
        ASSERT(job_state_may_follow(j->state, state));
        log_debug("job %016" PRIx64 ": %s to %s", j->id, job_state_name(j->state),
                job_state_name(state));
        j->state = state;
}

/* An id that cannot be guessed and is no other live job's. */
static int choose_id(struct frontend *f, uint64_t *ret)
{
        uint64_t id = 0;

        while (id == 0 || frontend_find_job(f, id))
                if (getrandom(&id, sizeof(id), 0) != sizeof(id))
                        return -errno;
        *ret = id;
        return 0;
}

static void take_plan(struct job *j, struct plan *plan, const Sandboxd__V1__Run *run)
{
        /* Plan and job are made in one go, with no policy coming between. */
        j->policy = policies_take(&j->frontend->policies);
        j->planned = true;
        j->runtime = plan->runtime;
        j->profile = plan->profile;
        j->limits = plan->limits;
        j->command = TAKE_PTR(plan->exec);
        j->workdir = TAKE_PTR(plan->workdir);
        j->strict_output = run->strict_output;
        j->wants_stdin = run->stdin;
        j->label_size = run->label.len;
        if (run->label.len > 0)
                memcpy(j->label, run->label.data, run->label.len);
}

/* Takes the slot and the upload over that its user was charged, on success. */
static int job_new(struct connection *c, uint64_t request, struct plan *plan,
        const Sandboxd__V1__Run *run, struct job **ret)
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
                .connection = c,
                .request = request,
                .uid = c->uid,
                .state = JOB_RECEIVING,
                .input.fd = -EBADF,
                .return_fd = -EBADF,
                .upload_charge = plan_data_size(plan),
        };
        for (size_t i = 0; i < _JOB_STREAMS; i++)
                j->streams[i] = (struct job_stream) {
                        .job = j,
                        .name = names[i],
                        .output.fd = -EBADF,
                };
        r = choose_id(c->frontend, &j->id);
        if (r < 0)
                return r;
        r = upload_init(&j->upload, plan, run);
        if (r < 0)
                return r;
        take_plan(j, plan, run);
        LIST_INSERT_HEAD(&c->frontend->jobs, j, entries);
        LIST_INSERT_HEAD(&c->jobs, j, of_connection);
        *ret = TAKE_PTR(j);
        return 0;
}

static int await_files(struct job *j);

static int on_upload_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct job *j = userdata;
        char text[FORMAT_MAX];

        /* What it sent waits to be handled, until it has read what it is owed. */
        if (j->connection && connection_is_congested(j->connection) && await_files(j) >= 0)
                return 0;
        job_fail(j, SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT, "files",
                "files are not complete, and no byte of them came within FrameTimeoutSec= (%s): "
                "send them without a pause",
                format_time(text, j->policy->policy->server.frame_timeout_usec));
        return 0;
}

/* Gives the client its time anew, for the next bytes of files. */
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

static int on_policy_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        job_fail(userdata, SANDBOXD__V1__ERROR_CODE__BUSY, "files", RESULT_POLICY_REPLACED);
        return 0;
}

void job_on_policy_replaced(struct job *j)
{
        struct frontend *f = j->frontend;

        if (j->state != JOB_RECEIVING || j->policy_deadline)
                return;
        if (sd_event_add_time_relative(f->event, &j->policy_deadline, CLOCK_MONOTONIC,
                    f->plan_grace_usec, FRONTEND_TIMER_ACCURACY, on_policy_deadline, j) < 0)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd is out of memory: try again later");
}

static void end_upload_deadlines(struct job *j)
{
        j->upload_deadline = sd_event_source_disable_unref(j->upload_deadline);
        j->policy_deadline = sd_event_source_disable_unref(j->policy_deadline);
}

static void release_upload(struct job *j)
{
        account_release(&j->frontend->accounts, j->uid, ACCOUNT_UPLOADS, j->upload_charge);
        j->upload_charge = 0;
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

/* The files are complete: on to the monitor. */
static void start(struct job *j)
{
        int r;

        end_upload_deadlines(j);
        j->complete_usec = io_now_usec();
        job_set_state(j, JOB_STARTING);
        r = job_start(j);
        if (r < 0) {
                log_warning("job %016" PRIx64 " could not be started: %s", j->id, strerror(-r));
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd could not start the job (%s): try again later", strerror(-r));
                return;
        }
        release_upload(j);
        end_plan(j);
        job_set_state(j, JOB_RUNNING);
        job_send_started(j);
        record_job_started(j);
}

/* What follows when bytes of files, or all there were to come, are here. */
static void advance(struct job *j)
{
        if (upload_is_complete(&j->upload))
                start(j);
        else if (await_files(j) < 0)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd is out of memory: try again later");
}

void job_begin(struct connection *c, uint64_t request, struct plan *plan,
        const Sandboxd__V1__Run *run)
{
        struct account_book *accounts = &c->frontend->accounts;
        struct job *j;
        int r;

        if (admission_take_upload(c, request, plan_data_size(plan)) < 0) {
                account_release(accounts, c->uid, ACCOUNT_JOBS, 1);
                return;
        }
        r = job_new(c, request, plan, run, &j);
        if (r < 0) {
                account_release(accounts, c->uid, ACCOUNT_UPLOADS, plan_data_size(plan));
                account_release(accounts, c->uid, ACCOUNT_JOBS, 1);
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
        end_upload_deadlines(j);
        upload_done(&j->upload);
        release_upload(j);
        (void) safe_close(j->return_fd);
        free(j->command);
        free(j->workdir);
        LIST_REMOVE(j, entries);
        if (j->connection)
                LIST_REMOVE(j, of_connection);
        end_plan(j);
        policies_release(&f->policies, j->policy);
        account_release(&f->accounts, j->uid, ACCOUNT_JOBS, 1);
        free(j);
        idle_update(f);
        frontend_check_stopped(f);
}

static void record_end(const struct job *j)
{
        if (j->state == JOB_RUNNING || j->state == JOB_DRAINING)
                record_job_ended(j);
}

/* The way out: after this there is no job. */
static void finish(struct job *j)
{
        record_end(j);
        job_set_state(j, JOB_FINISHED);
        job_free(j);
}

void job_lose(struct job *j)
{
        /* A monitor that is there says it in our place. */
        if (j->frontend->monitor_lost)
                record_end(j);
        job_free(j);
}

void job_fail(struct job *j, Sandboxd__V1__ErrorCode code, const char *field, const char *format,
        ...)
{
        struct error text;
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(text.text, sizeof(text.text), format, ap);
        va_end(ap);
        if (j->connection)
                reply_error(j->connection, j->request, code, field, text.text);
        finish(j);
}

void job_kill(struct job *j, enum job_status cause)
{
        int r;

        if (j->killed || j->state != JOB_RUNNING)
                return;
        r = channel_kill(&j->frontend->channel, j->id, cause);
        j->killed = r >= 0;
        if (r < 0)
                log_debug("job %016" PRIx64 ": kill was not sent: %s", j->id, strerror(-r));
}

void job_push_file(struct job *j, size_t file, const void *data, size_t size)
{
        int r;

        r = upload_push(&j->upload, file, data, size);
        if (r == -ENOENT)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT, "file",
                        "FileData is for file %zu, but the Run has %zu files: count from 0", file,
                        j->upload.n_files);
        else if (r == -EFBIG)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT, "data",
                        "files[%zu] got more bytes than its size: send size bytes in all", file);
        else if (r < 0)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd could not keep the job's files: try again later");
        else if (size > 0)
                advance(j);
}

void job_cancel(struct job *j)
{
        if (j->state != JOB_RECEIVING) {
                job_kill(j, JOB_STATUS_CANCELLED);
                return;
        }
        j->ended.status = JOB_STATUS_CANCELLED;
        job_send_result(j);
        finish(j);
}

void job_abandon(struct job *j)
{
        LIST_REMOVE(j, of_connection);
        j->connection = NULL;
        if (j->state == JOB_RECEIVING) {
                finish(j);
                return;
        }
        job_kill(j, JOB_STATUS_CANCELLED);
        job_close_streams(j);
        job_try_finish(j);
}

void job_stop(struct job *j)
{
        if (j->state == JOB_RECEIVING)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__DRAINING, "",
                        "sandboxd is stopping: try again when it is back");
        else
                job_resume(j);
}

void job_on_ended(struct job *j, const struct channel_ended *ended, int *return_fd)
{
        if (j->state != JOB_RUNNING)
                return;
        j->ended = *ended;
        j->return_fd = TAKE_FD(*return_fd);
        job_set_state(j, JOB_DRAINING);
        job_try_finish(j);
}

void job_on_gone(struct job *j)
{
        j->gone = true;
        if (j->state == JOB_RUNNING) {
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "the sandbox ended without a report: see the log of sandboxd");
                return;
        }
        job_try_finish(j);
}

/* The monitor's report and the last output come in any order, so whether the job was killed for its
 * output is chance when it ends soon after. That it ended by itself must not hide that it had passed
 * its limit before. Any other status is the monitor's word on what came first. */
static void settle_status(struct job *j)
{
        struct channel_ended *ended = &j->ended;
        bool excessive = false;

        for (size_t i = 0; i < _JOB_STREAMS; i++)
                excessive |= output_is_excessive(&j->streams[i].output);
        if (!excessive)
                return;
        if (ended->status != JOB_STATUS_OK && ended->status != JOB_STATUS_EXITED &&
                ended->status != JOB_STATUS_SIGNALED)
                return;
        ended->status = JOB_STATUS_OUTPUT_LIMIT;
        ended->exit_code = 0;
        ended->signal = 0;
}

void job_try_finish(struct job *j)
{
        struct connection *c = j->connection;

        if (j->state != JOB_DRAINING)
                return;
        /* The result can be large: it waits until its client has read what came before. */
        if (c && connection_is_congested(c) && !j->frontend->stopping)
                return;
        if (j->gone)
                job_drain_streams(j);
        for (size_t i = 0; i < _JOB_STREAMS; i++)
                if (!output_ended(&j->streams[i].output))
                        return;
        settle_status(j);
        if (c)
                job_send_result(j);
        finish(j);
}
