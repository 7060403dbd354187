/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building the responses about jobs. Runs in the frontend. protobuf-c takes `char *` for what it only
 * reads: hence the casts.
 */
#include "daemon/frontend/reply-job.h"

#include <stdio.h>

#include "common/error.h"
#include "common/parse.h"
#include "daemon/frontend/reply.h"

/* What a Result needs beside the return value, with room to spare. */
#define RESULT_ROOM (8 * KIB)

void reply_started(struct connection *c, uint64_t id, const struct result *r, uint64_t stdin_credit)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__Started started = SANDBOXD__V1__STARTED__INIT;
        char job_id[RESULT_ID_TEXT_MAX];

        started.job_id = result_format_id(r->id, job_id);
        started.runtime = (char *) r->runtime;
        started.profile = (char *) r->profile;
        started.stdin_credit = stdin_credit;
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_STARTED;
        response.started = &started;
        connection_send(c, &response);
}

/* A Result and what it points to. */
struct result_parts {
        Sandboxd__V1__Result result;
        Sandboxd__V1__Usage usage;
        Sandboxd__V1__ReturnValue value;
        char id[RESULT_ID_TEXT_MAX];
        struct error message;
};

static void fill_usage(const struct channel_ended *ended, Sandboxd__V1__Usage *usage)
{
        *usage = (Sandboxd__V1__Usage) SANDBOXD__V1__USAGE__INIT;
        usage->wall_usec = ended->wall_usec;
        usage->cpu_user_usec = ended->cpu_user_usec;
        usage->cpu_system_usec = ended->cpu_system_usec;
        usage->memory_peak_bytes = ended->memory_peak_bytes;
        usage->pids_peak = ended->pids_peak;
}

static void fill_end(const struct result *r, Sandboxd__V1__Result *m)
{
        const struct channel_ended *ended = &r->ended;

        m->status = (Sandboxd__V1__Status) ended->status;
        m->exit_code = ended->exit_code;
        m->signal = ended->signal;
        if (ended->status == JOB_STATUS_SETUP_ERROR) {
                m->step = (char *) setup_step_name(ended->step);
                m->error = ended->error;
        }
        m->pids_limit_hit = ended->flags & CHANNEL_ENDED_PIDS_LIMIT_HIT;
        m->cpu_throttled = ended->flags & CHANNEL_ENDED_CPU_THROTTLED;
        m->setup_usec = ended->setup_usec;
}

/* All but the return value. */
static Sandboxd__V1__Result *fill_result(const struct result *r, struct result_parts *p)
{
        const struct result_stream *out = &r->streams[STORE_STDOUT];
        const struct result_stream *err = &r->streams[STORE_STDERR];
        Sandboxd__V1__Result *m = &p->result;

        *m = (Sandboxd__V1__Result) SANDBOXD__V1__RESULT__INIT;
        fill_end(r, m);
        fill_usage(&r->ended, &p->usage);
        m->usage = &p->usage;
        m->job_id = result_format_id(r->id, p->id);
        (void) snprintf(p->message.text, sizeof(p->message.text), "%s", r->message ?: "");
        m->message = p->message.text;
        m->stdout_bytes = out->written;
        m->stderr_bytes = err->written;
        m->stdout_truncated = out->truncated;
        m->stderr_truncated = err->truncated;
        m->queued_usec = r->queued_usec;
        m->runtime = (char *) r->runtime;
        m->profile = (char *) r->profile;
        m->started_at_usec = r->started_at_usec;
        m->ended_at_usec = r->ended_at_usec;
        m->label = (ProtobufCBinaryData) { r->label_size, r->label };
        return m;
}

static void fill_value(const struct connection *c, const struct result *r, struct result_parts *p)
{
        const struct return_value *v = &r->return_value;
        size_t frame = c->max_frame_bytes, max = frame > RESULT_ROOM ? frame - RESULT_ROOM : 0;
        char text[FORMAT_MAX];

        if (!result_has_value(r))
                return;
        if (v->text_size + v->json_size > max) {
                (void) snprintf(p->message.text, sizeof(p->message.text),
                        "return value dropped: larger than %s", format_size(text, max));
                return;
        }
        p->value = (Sandboxd__V1__ReturnValue) SANDBOXD__V1__RETURN_VALUE__INIT;
        p->value.text = (ProtobufCBinaryData) { v->text_size, (uint8_t *) v->text };
        p->value.json = (ProtobufCBinaryData) { v->json_size, (uint8_t *) v->json };
        p->result.return_value = &p->value;
}

void reply_result(struct connection *c, uint64_t id, const struct result *r)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        struct result_parts p;

        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_RESULT;
        response.result = fill_result(r, &p);
        fill_value(c, r, &p);
        connection_send(c, &response);
}
