/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What jobs write: from their pipes to the client, as Output within its credit or into the pipe that it
 * passed. Runs in the frontend. A stream that may not go on is not read, so that the job waits for it,
 * and nobody else.
 */
#include "daemon/frontend/job.h"
#include "daemon/frontend/reply.h"

/* Bytes taken at most from the pipe of a job that is gone: as much as a pipe can be made to hold. */
#define DRAIN_MAX (2 * MIB)

/* Out of the event loop first, then closed. */
static void close_stream(struct job_stream *s)
{
        s->source = sd_event_source_disable_unref(s->source);
        s->sink_source = sd_event_source_disable_unref(s->sink_source);
        output_done(&s->output);
        s->sink = passed_close(&s->job->frontend->accounts, s->job->uid, s->sink);
}

/* Whether what the job writes has somewhere to go. What is dropped always has. */
static bool may_go_on(const struct job_stream *s)
{
        const struct connection *c = s->job->connection;

        if (s->sink >= 0)
                return !s->sink_full || output_room(&s->output) == 0;
        if (c && connection_is_congested(c))
                return false;
        return !credit_is_spent(&s->credit) || output_room(&s->output) == 0;
}

/* Whether to look out for what the job writes. Without credit too: it may have come to its end. */
static bool may_listen(const struct job_stream *s)
{
        const struct connection *c = s->job->connection;

        return may_go_on(s) || (s->sink < 0 && !s->unread && !(c && connection_is_congested(c)));
}

static void update_source(struct job_stream *s)
{
        if (s->source)
                (void) sd_event_source_set_enabled(s->source,
                        may_listen(s) ? SD_EVENT_ON : SD_EVENT_OFF);
        if (s->sink_source)
                (void) sd_event_source_set_io_events(s->sink_source, s->sink_full ? EPOLLOUT : 0);
}

/* The output as messages. What is read is kept up to the limit: no more of it than there is credit for. */
static ssize_t read_output(struct job_stream *s)
{
        struct job *j = s->job;
        uint8_t *buffer = j->frontend->buffer;
        size_t size = FRONTEND_BUFFER_SIZE, kept = 0;
        ssize_t n;

        /* Without any, this is called at the end alone. */
        if (output_room(&s->output) > s->credit.left)
                size = credit_allows(&s->credit, size);
        n = output_read(&s->output, buffer, size, &kept);
        if (kept == 0)
                return n;
        /* Before the reply: it may congest the connection, and that looks at the credit. */
        credit_use(&s->credit, kept);
        job_keep_output(j, (enum job_stream_id)(s - j->streams), buffer, kept);
        if (j->connection)
                reply_output(j->connection, j->request, s->name, buffer, kept);
        return n;
}

/* Reads or moves once. Returns the count, 0 at the end, or -EAGAIN. */
static ssize_t forward_output(struct job_stream *s)
{
        struct job *j = s->job;
        ssize_t n;

        s->unread = false;
        if (s->sink >= 0 && output_room(&s->output) > 0) {
                n = output_move(&s->output, s->sink);
                /* Or there is nothing to move: that looks the same, and on_sink() will tell. */
                s->sink_full = n == -EAGAIN;
        } else
                n = read_output(s);
        if (n == 0) {
                close_stream(s);
                return 0;
        }
        update_source(s);
        if (output_is_excessive(&s->output))
                job_kill(j, JOB_STATUS_OUTPUT_LIMIT);
        return n;
}

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct job_stream *s = userdata;

        if (!may_go_on(s) && revents & EPOLLIN) {
                s->unread = true;
                update_source(s);
        } else if (forward_output(s) == 0)
                job_try_finish(s->job);
        return 0;
}

/* The client's pipe has room again, or nobody reads it any more: then the job's has no reader, either. */
static int on_sink(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct job_stream *s = userdata;
        struct job *j = s->job;

        if (revents & EPOLLERR)
                close_stream(s);
        else if (forward_output(s) == -EAGAIN) {
                /* With room there, it was nothing. */
                s->sink_full = false;
                update_source(s);
                if (j->gone)
                        close_stream(s);
        }
        job_try_finish(j);
        return 0;
}

int job_open_stream(struct job *j, enum job_stream_id stream, int fd)
{
        struct job_stream *s = &j->streams[stream];
        sd_event *event = j->frontend->event;
        int r;

        output_init(&s->output, fd, j->result->limits.value[LIMIT_OUTPUT], j->strict_output);
        r = sd_event_add_io(event, &s->source, s->output.fd, EPOLLIN, on_output, s);
        /* That nobody reads the client's pipe any more is reported whatever is asked for. */
        if (r >= 0 && s->sink >= 0)
                r = sd_event_add_io(event, &s->sink_source, s->sink, 0, on_sink, s);
        update_source(s);
        return r;
}

void job_close_output(struct job *j)
{
        for (size_t i = 0; i < _JOB_STREAMS; i++)
                close_stream(&j->streams[i]);
}

/* Whether it may go on now. A client that has cancelled the job is not waited for, and none is while the
 * daemon stops. */
static bool make_way(struct job_stream *s)
{
        if (!may_go_on(s) && (s->job->cancelled || s->job->frontend->stopping))
                output_keep_no_more(&s->output);
        return may_go_on(s);
}

/* What is left, of which there is no more to come but from who was handed the pipe. */
static void drain_stream(struct job_stream *s)
{
        if (s->drain_end == 0)
                s->drain_end = s->output.written + DRAIN_MAX;
        while (s->output.written < s->drain_end && make_way(s)) {
                ssize_t n = forward_output(s);

                if (n == 0)
                        return;
                /* Nothing there, or no room for it. */
                if (n < 0 && may_go_on(s))
                        break;
        }
        if (may_go_on(s) || s->output.written >= s->drain_end)
                close_stream(s);
}

void job_drain_output(struct job *j)
{
        for (size_t i = 0; i < _JOB_STREAMS; i++)
                if (!output_ended(&j->streams[i].output))
                        drain_stream(&j->streams[i]);
}

void job_update_output(struct job *j)
{
        for (size_t i = 0; i < _JOB_STREAMS; i++)
                update_source(&j->streams[i]);
}

void job_pause(struct job *j)
{
        job_update_output(j);
        job_pause_files(j);
}

void job_resume(struct job *j)
{
        job_update_output(j);
        job_resume_files(j);
        job_try_finish(j);
}

void job_add_credit(struct job *j, enum job_stream_id stream, uint64_t bytes)
{
        credit_give(&j->streams[stream].credit, bytes);
        update_source(&j->streams[stream]);
        job_try_finish(j);
}
