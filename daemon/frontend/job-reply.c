/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be said of a job: that it started, and how it ended. Runs in the frontend. The return value
 * is what the job wrote, and only its size and form are checked.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/io.h"
#include "common/log.h"
#include "common/parse.h"
#include "daemon/frontend/job.h"
#include "daemon/frontend/reply-job.h"
#include "daemon/frontend/result-message.h"
#include "daemon/frontend/text.h"

void job_send_queued(struct job *j)
{
        j->told = true;
        if (j->connection)
                reply_queued(j->connection, j->request, j->result,
                        admission_queue_count(&j->frontend->queue, j->uid));
}

void job_send_started(struct job *j)
{
        int fds[_STREAM_SOCKETS];
        size_t n;

        j->told = true;
        if (!j->connection)
                return;
        n = job_take_client_sockets(j, fds);
        reply_started(j->connection, j->request, j->result, j->wants_stdin ? j->input.credit : 0,
                fds, n);
}

void job_format_message(const struct job *j, struct error *text)
{
        struct result_message v = {
                .ended = &j->result->ended,
                .profile = j->profile,
                .limits = &j->result->limits,
                .command = j->command,
                .workdir = j->workdir,
                .strict_output = j->strict_output,
        };

        (void) result_message_format(&v, text);
        (void) text_clean(text->text);
}

/* Goes on with what the sentence says. */
static void add_note(struct error *message, const char *note)
{
        size_t n = strlen(message->text);

        (void) snprintf(message->text + n, sizeof(message->text) - n, "%s%s", n > 0 ? "; " : "",
                note);
}

/* Reads the return value of a job that ended well. The message says so when there was one that
 * cannot be handed on. */
static void take_return_value(struct job *j, struct error *message)
{
        char text[FORMAT_MAX];
        int r;

        if (j->return_fd < 0 || j->result->ended.status != JOB_STATUS_OK ||
                !j->runtime->returns_value)
                return;
        /* It is told at once, to a client that may never read it. */
        if (j->connection && connection_is_congested(j->connection)) {
                add_note(message, "return value dropped: its client does not read");
                return;
        }
        r = return_value_read(j->return_fd, RETURN_VALUE_MAX, &j->result->return_value);
        if (r == -EFBIG)
                (void) snprintf(message->text, sizeof(message->text),
                        "return value dropped: larger than %s",
                        format_size(text, RETURN_VALUE_MAX));
        else if (r < 0)
                log_debug("job %016" PRIx64 ": no return value: %s", j->id, strerror(-r));
}

/* Of a detached job there is what was kept, and no more. */
static void count_output(struct job *j)
{
        struct result *r = j->result;

        for (size_t i = 0; i < _JOB_STREAMS; i++) {
                const struct output *o = &j->streams[i].output;

                r->streams[i].written = o->written;
                r->streams[i].truncated =
                        r->detached ? o->written > r->output.kept[i] : output_truncated(o);
        }
}

void job_complete_result(struct job *j)
{
        struct result *r = j->result;
        struct error message = {};
        char text[FORMAT_MAX], note[128];

        r->ended_at_usec = io_realtime_usec();
        count_output(j);
        if (r->message)
                return;
        job_format_message(j, &message);
        take_return_value(j, &message);
        if (j->overdue) {
                (void) snprintf(note, sizeof(note),
                        "its client did not take the rest of what it left within %s",
                        format_time(text, j->frontend->overdue_usec));
                add_note(&message, note);
        }
        if (r->detached && r->output.refused)
                add_note(&message,
                        "not all of its output could be kept: MaxKeptPerUser= or MaxKept= in "
                        "sandboxd.conf allows no more");
        if (message.text[0] != '\0')
                r->message = strdup(message.text);
}
