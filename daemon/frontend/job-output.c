/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What jobs write: from their pipes to the client, as Output within its credit or into the socket that it
 * has for it. Runs in the frontend. A stream that may not go on is not read, so that the job waits for it,
 * and nobody else.
 *
 * Into a socket bytes are copied, not spliced: a job can make a page of each byte, and the socket would
 * hold megabytes of them in place of the kilobytes that it counts, also when the job is gone.
 */
#include "daemon/frontend/job.h"
#include "daemon/frontend/reply.h"

/* Bytes taken at most from the pipe of a job that is gone: as much as a pipe can be made to hold. */
#define DRAIN_MAX (2 * MIB)

/* Out of the event loop first, then closed. */
static void close_pipe(struct job_stream *s)
{
        s->source = sd_event_source_disable_unref(s->source);
        output_done(&s->output);
}

/* What waits to be sent is lost. */
static void close_stream(struct job_stream *s)
{
        close_pipe(s);
        if (queue_size(&s->unsent) > 0)
                output_give_up(&s->output, queue_size(&s->unsent));
        s->socket_source = sd_event_source_disable_unref(s->socket_source);
        if (s->socket >= 0)
                linger(s->job->frontend, s->job->uid, TAKE_FD(s->socket), 0);
        queue_done(&s->unsent);
}

bool job_stream_ended(const struct job_stream *s)
{
        return output_ended(&s->output) && s->socket < 0;
}

static bool is_full(const struct job_stream *s)
{
        return queue_size(&s->unsent) > 0;
}

/* Whether what the job writes has somewhere to go. What is dropped always has. */
static bool may_go_on(const struct job_stream *s)
{
        const struct connection *c = s->job->connection;

        if (output_room(&s->output) == 0)
                return true;
        if (s->socket >= 0)
                return !is_full(s);
        if (c && connection_is_congested(c))
                return false;
        return !credit_is_spent(&s->credit);
}

/* Whether to look out for what the job writes. Without credit too: it may have come to its end. */
static bool may_listen(const struct job_stream *s)
{
        const struct connection *c = s->job->connection;

        return may_go_on(s) || (s->socket < 0 && !s->unread && !(c && connection_is_congested(c)));
}

static void update_source(struct job_stream *s)
{
        if (s->source)
                (void) sd_event_source_set_enabled(s->source,
                        s->job->made && may_listen(s) ? SD_EVENT_ON : SD_EVENT_OFF);
        if (s->socket_source)
                (void) sd_event_source_set_io_events(s->socket_source, is_full(s) ? EPOLLOUT : 0);
}

/* Nothing more is read. What was may still have to be sent. */
static void end_pipe(struct job_stream *s)
{
        close_pipe(s);
        if (is_full(s))
                update_source(s);
        else
                close_stream(s);
}

/* Sends what waits. Returns 0, or an errno when nobody receives it any more. */
static int flush_socket(struct job_stream *s)
{
        ssize_t n = queue_write(&s->unsent, s->socket);

        return n < 0 && n != -EAGAIN ? (int) n : 0;
}

/* The output into the socket; what that has no room for waits. Returns as output_read(), or an errno when
 * nobody receives it any more. */
static ssize_t send_output(struct job_stream *s)
{
        uint8_t *buffer = s->job->frontend->buffer;
        size_t kept = 0, sent = 0;
        ssize_t n, m, r;

        n = output_read(&s->output, buffer, FRONTEND_BUFFER_SIZE, &kept);
        if (kept == 0)
                return n;
        m = write(s->socket, buffer, kept);
        if (m < 0 && errno != EAGAIN && errno != EINTR) {
                r = -errno;
                output_give_up(&s->output, kept);
                return r;
        }
        if (m > 0)
                sent = (size_t) m;
        /* Out of memory, it is as if it were over the limit. */
        if (queue_push(&s->unsent, buffer + sent, kept - sent) < 0)
                output_give_up(&s->output, kept - sent);
        return n;
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

/* Reads once. Returns the count, 0 at the end, or -EAGAIN. */
static ssize_t forward_output(struct job_stream *s)
{
        struct job *j = s->job;
        ssize_t n;

        s->unread = false;
        n = s->socket >= 0 ? send_output(s) : read_output(s);
        if (n < 0 && n != -EAGAIN) {
                close_stream(s);
                return 0;
        }
        if (n == 0) {
                end_pipe(s);
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

/* The socket has room again, or nobody receives any more: then the job's pipe has no reader, either. */
static int on_socket(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct job_stream *s = userdata;
        struct job *j = s->job;

        if (revents & (EPOLLERR | EPOLLHUP) || flush_socket(s) < 0 ||
                (!is_full(s) && output_ended(&s->output)))
                close_stream(s);
        else
                update_source(s);
        job_try_finish(j);
        return 0;
}

int job_open_stream(struct job *j, enum job_stream_id stream, int fd, int socket)
{
        struct job_stream *s = &j->streams[stream];
        sd_event *event = j->frontend->event;
        int r;

        s->socket = socket;
        output_init(&s->output, fd, j->result->limits.value[LIMIT_OUTPUT], j->strict_output);
        r = sd_event_add_io(event, &s->source, s->output.fd, EPOLLIN, on_output, s);
        /* That the client has closed its end is reported whatever is asked for. */
        if (r >= 0 && socket >= 0)
                r = sd_event_add_io(event, &s->socket_source, socket, 0, on_socket, s);
        update_source(s);
        return r;
}

int job_replace_output(struct job *j, enum job_stream_id stream, int fd)
{
        struct job_stream *s = &j->streams[stream];
        int r;

        /* Nobody is there for it any more. */
        if (!s->source) {
                (void) safe_close(fd);
                return 0;
        }
        close_pipe(s);
        s->output.fd = fd;
        r = sd_event_add_io(j->frontend->event, &s->source, fd, EPOLLIN, on_output, s);
        if (r >= 0)
                update_source(s);
        return r;
}

void job_close_output(struct job *j)
{
        for (size_t i = 0; i < _JOB_STREAMS; i++)
                close_stream(&j->streams[i]);
}

/* A client of a job that is hurried is not waited for. */
static void give_up(struct job_stream *s)
{
        if (!job_is_hurried(s->job))
                return;
        if (is_full(s))
                output_give_up(&s->output, queue_size(&s->unsent));
        else if (!may_go_on(s))
                output_keep_no_more(&s->output);
        queue_done(&s->unsent);
}

/* What is left, of which there is no more to come but from who was handed the pipe. */
static void drain_stream(struct job_stream *s)
{
        ssize_t n = 1;

        give_up(s);
        if (output_ended(&s->output)) {
                end_pipe(s);
                return;
        }
        if (s->drain_end == 0)
                s->drain_end = s->output.written + DRAIN_MAX;
        while (n > 0 && s->output.written < s->drain_end && may_go_on(s)) {
                n = forward_output(s);
                give_up(s);
        }
        if (n < 0 || (n > 0 && s->output.written >= s->drain_end))
                end_pipe(s);
}

void job_drain_output(struct job *j)
{
        for (size_t i = 0; i < _JOB_STREAMS; i++)
                if (!job_stream_ended(&j->streams[i]))
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
