/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How jobs end. Runs in the frontend. Each ends here once, by finish(): with a result, which is kept for
 * a while, or with an Error, and then it never was.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "common/log.h"
#include "daemon/frontend/admission.h"
#include "daemon/frontend/job.h"
#include "daemon/frontend/record.h"
#include "daemon/frontend/reply-job.h"
#include "daemon/frontend/reply.h"
#include "daemon/frontend/results.h"
#include "daemon/frontend/watch-jobs.h"
#include "daemon/frontend/watch.h"

void job_keep_output(struct job *j, enum job_stream_id stream, const void *data, size_t size)
{
        store_append(&j->result->output, (enum store_stream) stream, data, size);
        watches_on_output(j->result);
}

static void record_end(struct job *j)
{
        if ((j->state != JOB_RUNNING && j->state != JOB_DRAINING) || j->recorded)
                return;
        /* Of one that its client was told there is none, the journal may have the start all the same. */
        if (j->result->withdrawn && !j->start_recorded)
                return;
        j->recorded = true;
        record_job_ended(j);
}

/* The way out: after this there is no job. */
static void finish(struct job *j)
{
        record_end(j);
        job_set_state(j, JOB_FINISHED);
        job_free(j);
}

/* What the owner has no room for is not kept. The client of the Run was told it; whoever asks is told of
 * it. */
static void keep_value(struct result *r)
{
        if (!result_has_value(r) || results_charge(r, r->return_value.size))
                return;
        return_value_done(&r->return_value);
        result_add_note(r,
                "its return value could not be kept: MaxKeptPerUser= or MaxKept= in sandboxd.conf "
                "allows no more");
}

static void finish_with_result(struct job *j)
{
        struct result *r = j->result;

        kept_files_end(r);
        job_complete_result(j);
        if (j->connection)
                reply_result(j->connection, j->request, r);
        keep_value(r);
        r->job = NULL;
        watches_on_ended(r);
        job_watches_on_changed(r);
        record_end(j);
        j->result = NULL;
        results_keep(r);
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

/* Whether it is a detached job that its client may rely on: it has the id and owes nothing. Nobody hears
 * an Error to it, then. */
static bool is_handed_over(const struct job *j)
{
        if (!j->result->detached || j->result->withdrawn || j->state == JOB_RECEIVING)
                return false;
        return !j->connection || (j->told && !job_is_receiving(j));
}

static void fail_detached(struct job *j, const char *text)
{
        struct result *r = j->result;

        r->ended.status = JOB_STATUS_SETUP_ERROR;
        r->ended.step = j->state < JOB_RUNNING ? SETUP_STEP_RECEIVE : SETUP_STEP_LOST;
        r->message = strdup(text);
        finish_with_result(j);
}

/* It has ended, and is there for its files alone. */
static void cancel_fetch(struct job *j)
{
        if (j->fetch.pending)
                (void) channel_kill(&j->frontend->channel, j->id, JOB_STATUS_CANCELLED);
}

/* One that never was, as far as its client knows: the monitor, which has it, ends what there is. */
static void withdraw(struct job *j)
{
        job_leave_connection(j);
        j->result->withdrawn = true;
        job_watches_on_gone(j->result);
        job_kill(j, JOB_STATUS_CANCELLED);
        job_close_streams(j);
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
        if (is_handed_over(j) && (j->state != JOB_FEEDING || j->gone)) {
                job_leave_connection(j);
                fail_detached(j, text.text);
                return;
        }
        watches_on_dropped(j->result, code, text.text);
        if (j->state == JOB_FEEDING && !j->gone)
                withdraw(j);
        else
                finish(j);
}

void job_lose_sockets(struct job *j)
{
        reply_error(j->connection, j->request, SANDBOXD__V1__ERROR_CODE__BUSY, "stream_sockets",
                "too many sockets wait for clients to receive them: try again later, or leave "
                "stream_sockets out");
        watches_on_dropped(j->result, SANDBOXD__V1__ERROR_CODE__NO_SUCH_JOB, RESULTS_NO_SUCH_JOB);
        if (j->state == JOB_DRAINING)
                cancel_fetch(j);
        withdraw(j);
        job_try_finish(j);
}

void job_kill(struct job *j, enum job_status cause)
{
        int r;

        if (j->killed || (j->state != JOB_FEEDING && j->state != JOB_RUNNING))
                return;
        r = channel_kill(&j->frontend->channel, j->id, cause);
        j->killed = r >= 0;
        if (r < 0)
                log_debug("job %016" PRIx64 ": kill was not sent: %s", j->id, strerror(-r));
}

/* One that was not started, and will not be. */
static void cancel_unstarted(struct job *j)
{
        j->result->ended.status = JOB_STATUS_CANCELLED;
        finish_with_result(j);
}

void job_cancel(struct job *j)
{
        if (j->state < JOB_STARTING) {
                cancel_unstarted(j);
                return;
        }
        j->cancelled = true;
        if (j->state == JOB_DRAINING)
                cancel_fetch(j);
        else
                job_kill(j, JOB_STATUS_CANCELLED);
        job_try_finish(j);
}

void job_abandon(struct job *j)
{
        bool handed_over = is_handed_over(j);

        job_leave_connection(j);
        if (j->state == JOB_RECEIVING) {
                finish(j);
                return;
        }
        if (j->state == JOB_FEEDING && !handed_over) {
                watches_on_dropped(j->result, SANDBOXD__V1__ERROR_CODE__NO_SUCH_JOB,
                        RESULTS_NO_SUCH_JOB);
                withdraw(j);
                return;
        }
        /* Nobody else has the files that a detached one still waits for. */
        if (j->state == JOB_QUEUED && (!j->result->detached || job_is_receiving(j))) {
                cancel_unstarted(j);
                return;
        }
        if (j->result->detached)
                return;
        if (j->state == JOB_DRAINING)
                cancel_fetch(j);
        job_kill(j, JOB_STATUS_CANCELLED);
        job_close_streams(j);
        job_try_finish(j);
}

void job_stop(struct job *j)
{
        if (j->state < JOB_STARTING)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__DRAINING, "",
                        "sandboxd is stopping: try again when it is back");
        else
                job_resume(j);
}

void job_on_started(struct job *j, const struct channel_started *started,
        int fds[static _CHANNEL_STARTED_FD_COUNT])
{
        bool warm = started->warm != 0;

        j->result->sandbox = started->sandbox;
        j->frontend->warm_jobs += warm;
        j->frontend->missed_jobs += j->may_be_warm && !warm;
        admission_end_start(j);
        job_begin_streams(j, fds);
}

void job_on_ended(struct job *j, const struct channel_ended *ended, int *return_fd)
{
        int none[_CHANNEL_STARTED_FD_COUNT] = { [0 ... _CHANNEL_STARTED_FD_COUNT - 1] = -EBADF };

        admission_end_start(j);
        job_begin_streams(j, none);
        if (j->state != JOB_FEEDING && j->state != JOB_RUNNING)
                return;
        job_end_feed(j);
        j->result->ended = *ended;
        j->return_fd = TAKE_FD(*return_fd);
        job_set_state(j, JOB_DRAINING);
        job_try_finish(j);
}

void job_on_gone(struct job *j)
{
        j->gone = true;
        if (j->state == JOB_FEEDING || j->state == JOB_RUNNING) {
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "the sandbox ended without a report: see the log of sandboxd");
                return;
        }
        job_try_finish(j);
}

void job_ask_usage(struct job *j)
{
        if (j->usage_asked)
                return;
        j->usage_asked = channel_usage(&j->frontend->channel, j->id) >= 0;
        if (!j->usage_asked)
                watches_on_used(j->result, NULL);
}

void job_on_used(struct job *j, const struct channel_used *used)
{
        j->usage_asked = false;
        watches_on_used(j->result, used);
}

/* Whether it has written more than it may. Of a sandbox that is gone, what is in the pipe is all that there is
 * to come, so that nobody needs to read it to know. */
static bool is_excessive(const struct job *j)
{
        for (size_t i = 0; i < _JOB_STREAMS; i++) {
                const struct output *o = &j->streams[i].output;
                int unread = 0;

                if (!output_ended(o))
                        (void) ioctl(o->fd, FIONREAD, &unread);
                if (o->written + (uint64_t) unread >= o->kill_at)
                        return true;
        }
        return false;
}

/* The monitor's report and the last output come in any order, so whether the job was killed for its
 * output is chance when it ends soon after. That it ended by itself must not hide that it had passed
 * its limit before. Any other status is the monitor's word on what came first. From here on the status
 * stays as it is: the journal is told, and its client later, when it has read the rest. */
static void settle_status(struct job *j)
{
        struct channel_ended *ended = &j->result->ended;

        if (j->settled)
                return;
        j->settled = true;
        if (is_excessive(j) &&
                (ended->status == JOB_STATUS_OK || ended->status == JOB_STATUS_EXITED ||
                        ended->status == JOB_STATUS_SIGNALED)) {
                ended->status = JOB_STATUS_OUTPUT_LIMIT;
                ended->exit_code = 0;
                ended->signal = 0;
        }
        record_end(j);
}

/* The monitor may have been asked when it had told the end already, and answers nothing then. */
static void answer_usage(struct job *j)
{
        if (!j->usage_asked)
                return;
        j->usage_asked = false;
        watches_on_used(j->result, NULL);
}

static int on_overdue(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct job *j = userdata;

        j->overdue = true;
        job_try_finish(j);
        return 0;
}

/* It waits for its client and for nothing else: not for ever. */
static void limit_wait(struct job *j)
{
        if (!j->gone || j->overdue_source)
                return;
        /* Should there be no memory for it, the next event of the job tries again. */
        (void) sd_event_add_time_relative(j->frontend->event, &j->overdue_source, CLOCK_MONOTONIC,
                j->frontend->overdue_usec, FRONTEND_TIMER_ACCURACY, on_overdue, j);
}

/* Takes what is left, and says whether that was all of it and the result may be told. */
static bool may_finish(struct job *j)
{
        struct connection *c = j->connection;

        if (j->gone)
                job_drain_output(j);
        if (j->gone && job_is_hurried(j))
                job_lose_files(j);
        if (j->fetch.pending)
                return false;
        for (size_t i = 0; i < _JOB_STREAMS; i++)
                if (!job_stream_ended(&j->streams[i]))
                        return false;
        /* The result can be large: it waits until its client has read what came before. */
        return !(c && connection_is_congested(c)) || job_is_hurried(j);
}

void job_try_finish(struct job *j)
{
        if (j->state != JOB_DRAINING)
                return;
        if (!may_finish(j)) {
                if (j->gone)
                        settle_status(j);
                limit_wait(j);
                answer_usage(j);
                return;
        }
        settle_status(j);
        if (j->result->withdrawn)
                finish(j);
        else
                finish_with_result(j);
}
