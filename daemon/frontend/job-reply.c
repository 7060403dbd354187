/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a client is told of its job: Started and Result. Runs in the frontend. The return value is
 * what the job wrote, and only its size and form are checked.
 */
#include <inttypes.h>
#include <stdio.h>

#include "common/log.h"
#include "common/parse.h"
#include "daemon/frontend/job.h"
#include "daemon/frontend/reply.h"
#include "daemon/frontend/result-message.h"
#include "daemon/frontend/return-value.h"
#include "daemon/frontend/text.h"

/* What a Result needs beside the return value, with room to spare. */
#define RESULT_ROOM (8 * KIB)

char *job_format_id(const struct job *j, char buf[static JOB_ID_TEXT_MAX])
{
        (void) snprintf(buf, JOB_ID_TEXT_MAX, "%016" PRIx64, j->id);
        return buf;
}

void job_send_started(struct job *j)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__Started started = SANDBOXD__V1__STARTED__INIT;
        char id[JOB_ID_TEXT_MAX];

        started.job_id = job_format_id(j, id);
        started.runtime = (char *) j->runtime->name;
        started.profile = (char *) j->profile->name;
        started.stdin_credit = j->wants_stdin ? j->input.credit : 0;
        response.id = j->request;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_STARTED;
        response.started = &started;
        connection_send(j->connection, &response);
}

void job_format_message(const struct job *j, struct error *text)
{
        struct result_message v = {
                .ended = &j->ended,
                .profile = j->profile,
                .limits = &j->limits,
                .command = j->command,
                .workdir = j->workdir,
                .strict_output = j->strict_output,
        };

        (void) result_message_format(&v, text);
        (void) text_clean(text->text);
}

/* Reads the return value of a job that ended well. The message says so when there was one that
 * cannot be handed on. */
static int take_return_value(struct job *j, struct return_value *ret, struct error *message)
{
        size_t frame = j->connection->max_frame_bytes;
        size_t max = MIN((size_t) RETURN_VALUE_MAX, frame > RESULT_ROOM ? frame - RESULT_ROOM : 0);
        char text[FORMAT_MAX];
        int r;

        if (j->return_fd < 0 || j->ended.status != JOB_STATUS_OK || !j->runtime->returns_value)
                return 0;
        r = return_value_read(j->return_fd, max, ret);
        if (r == -EFBIG)
                (void) snprintf(message->text, sizeof(message->text),
                        "return value dropped: larger than %s", format_size(text, max));
        else if (r < 0)
                log_debug("job %016" PRIx64 ": no return value: %s", j->id, strerror(-r));
        return r;
}

static void fill_usage(const struct channel_ended *ended, Sandboxd__V1__Usage *usage)
{
        usage->wall_usec = ended->wall_usec;
        usage->cpu_user_usec = ended->cpu_user_usec;
        usage->cpu_system_usec = ended->cpu_system_usec;
        usage->memory_peak_bytes = ended->memory_peak_bytes;
        usage->pids_peak = ended->pids_peak;
}

static void fill_result(const struct job *j, Sandboxd__V1__Result *result)
{
        const struct channel_ended *ended = &j->ended;
        const struct output *out = &j->streams[JOB_STDOUT].output;
        const struct output *err = &j->streams[JOB_STDERR].output;

        result->status = (Sandboxd__V1__Status) ended->status;
        result->exit_code = ended->exit_code;
        result->signal = ended->signal;
        if (ended->status == JOB_STATUS_SETUP_ERROR) {
                result->step = (char *) setup_step_name(ended->step);
                result->error = ended->error;
        }
        result->stdout_bytes = out->written;
        result->stderr_bytes = err->written;
        result->stdout_truncated = output_truncated(out);
        result->stderr_truncated = output_truncated(err);
        result->pids_limit_hit = ended->flags & CHANNEL_ENDED_PIDS_LIMIT_HIT;
        result->cpu_throttled = ended->flags & CHANNEL_ENDED_CPU_THROTTLED;
        result->queued_usec = j->started_usec - j->complete_usec;
        result->setup_usec = ended->setup_usec;
        result->runtime = (char *) j->runtime->name;
        result->profile = (char *) j->profile->name;
        result->started_at_usec = j->started_at_usec;
        result->label = (ProtobufCBinaryData) { j->label_size, (uint8_t *) j->label };
}

void job_send_result(struct job *j)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__Result result = SANDBOXD__V1__RESULT__INIT;
        Sandboxd__V1__Usage usage = SANDBOXD__V1__USAGE__INIT;
        Sandboxd__V1__ReturnValue value = SANDBOXD__V1__RETURN_VALUE__INIT;
        _cleanup_(return_value_done) struct return_value returned = {};
        char id[JOB_ID_TEXT_MAX];
        struct error message;

        fill_result(j, &result);
        fill_usage(&j->ended, &usage);
        job_format_message(j, &message);
        if (take_return_value(j, &returned, &message) > 0) {
                value.text =
                        (ProtobufCBinaryData) { returned.text_size, (uint8_t *) returned.text };
                value.json =
                        (ProtobufCBinaryData) { returned.json_size, (uint8_t *) returned.json };
                result.return_value = &value;
        }
        result.job_id = job_format_id(j, id);
        result.message = message.text;
        result.usage = &usage;
        response.id = j->request;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_RESULT;
        response.result = &result;
        connection_send(j->connection, &response);
}
