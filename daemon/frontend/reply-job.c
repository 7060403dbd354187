/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building the responses about jobs. Runs in the frontend. protobuf-c takes `char *` for what it only
 * reads: hence the casts.
 */
#include "daemon/frontend/reply-job.h"

#include <stdio.h>

#include "common/error.h"
#include "common/parse.h"
#include "daemon/frontend/job.h"
#include "daemon/frontend/reply.h"

/* What a Result needs beside the return value, with room to spare. */
#define RESULT_ROOM (8 * KIB)

void reply_started(struct connection *c, uint64_t id, const struct result *r, uint64_t stdin_credit,
        int *fds, size_t n_fds)
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
        connection_send_fds(c, &response, r->id, fds, n_fds);
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
        m->warm = ended->flags & CHANNEL_ENDED_WARM;
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
        m->files = r->files.n;
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

void reply_queued(struct connection *c, uint64_t id, const struct result *r, size_t position)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__Queued queued = SANDBOXD__V1__QUEUED__INIT;
        char job_id[RESULT_ID_TEXT_MAX];

        queued.job_id = result_format_id(r->id, job_id);
        queued.position = (uint32_t) position;
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_QUEUED;
        response.queued = &queued;
        connection_send(c, &response);
}

/* A Job and what it points to. */
struct job_parts {
        Sandboxd__V1__Job job;
        Sandboxd__V1__Usage usage;
        Sandboxd__V1__Job__LimitsEntry limits[_LIMIT_COUNT];
        Sandboxd__V1__Job__LimitsEntry *limit_items[_LIMIT_COUNT];
        char id[RESULT_ID_TEXT_MAX];
        char sandbox_id[RESULT_ID_TEXT_MAX];
        struct result_parts result;
};

Sandboxd__V1__JobState reply_job_state(const struct result *r)
{
        static const Sandboxd__V1__JobState states[_JOB_STATE_COUNT] = {
                [JOB_RECEIVING] = SANDBOXD__V1__JOB_STATE__RECEIVING,
                [JOB_QUEUED] = SANDBOXD__V1__JOB_STATE__QUEUED,
                [JOB_STARTING] = SANDBOXD__V1__JOB_STATE__RUNNING,
                [JOB_FEEDING] = SANDBOXD__V1__JOB_STATE__RECEIVING,
                [JOB_RUNNING] = SANDBOXD__V1__JOB_STATE__RUNNING,
                [JOB_DRAINING] = SANDBOXD__V1__JOB_STATE__RUNNING,
                [JOB_FINISHED] = SANDBOXD__V1__JOB_STATE__FINISHED,
        };

        return r->job ? states[r->job->state] : SANDBOXD__V1__JOB_STATE__FINISHED;
}

static uint64_t written(const struct result *r, enum store_stream stream)
{
        return r->job ? r->job->streams[stream].output.written : r->streams[stream].written;
}

/* All but what GetJob alone tells. */
static Sandboxd__V1__Job *fill_job(const struct result *r, struct job_parts *p)
{
        Sandboxd__V1__Job *m = &p->job;

        *m = (Sandboxd__V1__Job) SANDBOXD__V1__JOB__INIT;
        m->job_id = result_format_id(r->id, p->id);
        m->owner_uid = r->uid;
        m->state = reply_job_state(r);
        m->runtime = (char *) r->runtime;
        m->profile = (char *) r->profile;
        m->label = (ProtobufCBinaryData) { r->label_size, r->label };
        m->detached = r->detached;
        m->created_at_usec = r->created_at_usec;
        m->started_at_usec = r->started_at_usec;
        m->ended_at_usec = r->ended_at_usec;
        m->stdout_bytes = written(r, STORE_STDOUT);
        m->stderr_bytes = written(r, STORE_STDERR);
        if (r->sandbox != 0)
                m->sandbox_id = result_format_id(r->sandbox, p->sandbox_id);
        if (!r->job)
                m->result = fill_result(r, &p->result);
        return m;
}

static void fill_limits(const struct result *r, struct job_parts *p)
{
        for (size_t i = 0; i < _LIMIT_COUNT; i++) {
                p->limits[i] =
                        (Sandboxd__V1__Job__LimitsEntry) SANDBOXD__V1__JOB__LIMITS_ENTRY__INIT;
                p->limits[i].key = (char *) limit_table[i].field;
                p->limits[i].value = r->limits.value[i];
                p->limit_items[i] = &p->limits[i];
        }
        p->job.n_limits = _LIMIT_COUNT;
        p->job.limits = p->limit_items;
}

static void fill_used(const struct channel_used *used, struct job_parts *p)
{
        p->usage = (Sandboxd__V1__Usage) SANDBOXD__V1__USAGE__INIT;
        p->usage.wall_usec = used->wall_usec;
        p->usage.cpu_user_usec = used->cpu_user_usec;
        p->usage.cpu_system_usec = used->cpu_system_usec;
        p->usage.memory_peak_bytes = used->memory_bytes;
        p->usage.pids_peak = used->pids;
        p->job.usage = &p->usage;
}

void reply_job(struct connection *c, uint64_t id, const struct result *r,
        const struct channel_used *used)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        struct job_parts p;

        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_JOB;
        response.job = fill_job(r, &p);
        fill_limits(r, &p);
        if (used)
                fill_used(used, &p);
        else if (r->job && r->ended.status != JOB_STATUS_NONE) {
                fill_usage(&r->ended, &p.usage);
                p.job.usage = &p.usage;
        }
        if (!r->job)
                fill_value(c, r, &p.result);
        connection_send(c, &response);
}

void reply_job_event(struct connection *c, uint64_t id, Sandboxd__V1__JobEvent__Kind kind,
        const struct result *r)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__JobEvent event = SANDBOXD__V1__JOB_EVENT__INIT;
        struct job_parts p;

        event.kind = kind;
        if (kind == SANDBOXD__V1__JOB_EVENT__KIND__REMOVED) {
                p.job = (Sandboxd__V1__Job) SANDBOXD__V1__JOB__INIT;
                p.job.job_id = result_format_id(r->id, p.id);
                event.job = &p.job;
        } else if (r)
                event.job = fill_job(r, &p);
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_JOB_EVENT;
        response.job_event = &event;
        connection_send(c, &response);
}

void reply_output_end(struct connection *c, uint64_t id, const struct result *r)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__OutputEnd end = SANDBOXD__V1__OUTPUT_END__INIT;

        end.stdout_bytes = written(r, STORE_STDOUT);
        end.stderr_bytes = written(r, STORE_STDERR);
        end.stdout_kept = r->output.kept[STORE_STDOUT];
        end.stderr_kept = r->output.kept[STORE_STDERR];
        end.running = r->job != NULL;
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_OUTPUT_END;
        response.output_end = &end;
        connection_send(c, &response);
}

/* A list is sent in messages of so many jobs, or so many bytes. */
#define LIST_JOBS 32
#define LIST_BYTES (32 * KIB)
/* Tag and length of a job in it. */
#define LIST_ITEM_OVERHEAD 8

struct list {
        struct connection *connection;
        uint64_t id;
        Sandboxd__V1__Job *items[LIST_JOBS];
        struct job_parts parts[LIST_JOBS];
        size_t n;
        size_t size; /* of those */
};

static void send_list(struct list *l, bool more)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__JobList m = SANDBOXD__V1__JOB_LIST__INIT;

        m.n_jobs = l->n;
        m.jobs = l->items;
        m.more = more;
        response.id = l->id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_JOBS;
        response.jobs = &m;
        connection_send(l->connection, &response);
        l->n = 0;
        l->size = 0;
}

static void add_to_list(struct list *l, const struct result *r)
{
        size_t most = MIN((size_t) LIST_BYTES, (size_t) l->connection->max_frame_bytes / 2), size;

        if (l->n == LIST_JOBS)
                send_list(l, true);
        size = sandboxd__v1__job__get_packed_size(fill_job(r, &l->parts[l->n])) +
               LIST_ITEM_OVERHEAD;
        if (l->n > 0 && l->size + size > most) {
                send_list(l, true);
                (void) fill_job(r, &l->parts[0]);
        }
        l->items[l->n] = &l->parts[l->n].job;
        l->n++;
        l->size += size;
}

static int compare_creation(const void *a, const void *b)
{
        uint64_t x = (*(struct result *const *) a)->created_at_usec;
        uint64_t y = (*(struct result *const *) b)->created_at_usec;

        return x < y ? -1 : x > y;
}

void reply_jobs(struct connection *c, uint64_t id, bool all)
{
        _cleanup_free_ struct result **results = NULL;
        _cleanup_free_ struct list *l = NULL;
        size_t n;

        l = malloc(sizeof(*l));
        if (!l || registry_list(&c->frontend->registry, c->uid, all, &results, &n) < 0)
                return reply_error(c, id, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd is out of memory: try again later");
        l->connection = c;
        l->id = id;
        l->n = 0;
        l->size = 0;
        /* Those of one user are in order. */
        if (n > 1 && c->uid == 0)
                qsort(results, n, sizeof(*results), compare_creation);
        for (size_t i = 0; i < n; i++)
                add_to_list(l, results[i]);
        send_list(l, false);
}
