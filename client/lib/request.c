/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests under way that are no jobs, and their answers. Runs in the client's process.
 */
#include "client/lib/request.h"

static sandbox_request *request_of(struct exchange *x)
{
        return container_of(x, sandbox_request, x);
}

static void request_free(struct exchange *x)
{
        sandbox_request *q = request_of(x);

        incoming_done(&q->incoming);
        sandbox_job_list_unref(q->jobs);
        free(q);
}

static void call_handler(sandbox_request *q, const sandbox_error *error, void *object)
{
        sandbox_client *c = q->x.client;

        /* All handlers of a union are set or none is. */
        if (!q->handler.done)
                return;
        switch (q->kind) {
        case REQUEST_RUNTIMES:
                q->handler.runtimes(c, error, object, q->userdata);
                break;
        case REQUEST_PROFILES:
                q->handler.profiles(c, error, object, q->userdata);
                break;
        case REQUEST_HOST:
                q->handler.host(c, error, object, q->userdata);
                break;
        case REQUEST_JOBS:
                q->handler.jobs(c, error, object, q->userdata);
                break;
        case REQUEST_JOB:
                q->handler.job(c, error, object, q->userdata);
                break;
        case REQUEST_WAIT:
                q->handler.result(c, error, object, q->userdata);
                break;
        case REQUEST_OUTPUT:
                q->handler.output_end(c, error, object, q->userdata);
                break;
        case REQUEST_DONE:
        case REQUEST_FILES:
                q->handler.done(c, error, q->userdata);
                break;
        case REQUEST_WATCH:
                q->handler.event(c, error, 0, NULL, NULL, q->userdata);
                break;
        case _REQUEST_KIND_COUNT:
                break;
        }
}

/* The last callback, or the answer of the blocking call. object stays the caller's. */
static void tell(sandbox_request *q, const sandbox_error *error, void *object)
{
        q->x.finished = true;
        if (q->x.silent)
                return;
        q->x.silent = true;
        if (!q->answer) {
                call_handler(q, error, object);
                return;
        }
        if (error)
                failure_copy(&q->answer->failure, error);
        q->answer->object = object;
        q->answer->done = true;
}

static void request_lose(struct exchange *x, const sandbox_error *error)
{
        tell(request_of(x), error, NULL);
}

static void tell_memory(sandbox_request *q)
{
        struct failure f;

        (void) failure_memory(&f);
        tell(q, &f.error, NULL);
}

/* Ends a request at the daemon, which sends nothing more for it. Others end by themselves. */
static void queue_forget(sandbox_request *q)
{
        Sandboxd__V1__Forget body = SANDBOXD__V1__FORGET__INIT;
        Sandboxd__V1__Request message = SANDBOXD__V1__REQUEST__INIT;

        if (q->kind != REQUEST_WAIT && q->kind != REQUEST_OUTPUT && q->kind != REQUEST_FILES &&
                q->kind != REQUEST_WATCH)
                return;
        message.body_case = SANDBOXD__V1__REQUEST__BODY_FORGET;
        message.forget = &body;
        (void) client_queue(q->x.client, &q->x, &message);
}

/* A callback wants no more: error is what it returned. */
static void stop(sandbox_request *q, int error)
{
        struct failure f;

        queue_forget(q);
        (void) failure_set(&f, error, SANDBOX_ERROR_LOCAL, NULL, "what came was not taken: %s",
                strerrordesc_np(-error) ? strerrordesc_np(-error) : "unknown error");
        tell(q, &f.error, NULL);
}

static int take_error(sandbox_request *q, const Sandboxd__V1__Response *response)
{
        struct failure f;

        (void) failure_refused(&f, response->error);
        tell(q, &f.error, NULL);
        return 0;
}

/* Answers with an object, which a blocking call keeps. */
static int answer_with(sandbox_request *q, int r, void *object, struct object *owner)
{
        bool keep = q->answer && !q->x.silent;

        if (r == -ENOMEM) {
                tell_memory(q);
                return 0;
        }
        if (r < 0)
                return r;
        tell(q, NULL, object);
        if (!keep)
                object_unref(owner);
        return 0;
}

static int take_runtimes(sandbox_request *q, const Sandboxd__V1__Response *response)
{
        sandbox_runtime_list *l = NULL;
        int r;

        r = runtime_list_new(wire_take(q->x.client->wire), &l);
        return answer_with(q, r, l, (struct object *) l);
}

static int take_profiles(sandbox_request *q, const Sandboxd__V1__Response *response)
{
        sandbox_profile_list *l = NULL;
        int r;

        r = profile_list_new(wire_take(q->x.client->wire), &l);
        return answer_with(q, r, l, (struct object *) l);
}

static int take_host(sandbox_request *q, const Sandboxd__V1__Response *response)
{
        sandbox_host *h = NULL;
        int r;

        r = host_new(wire_take(q->x.client->wire), response->host, &h);
        return answer_with(q, r, h, (struct object *) h);
}

static int take_jobs(sandbox_request *q, const Sandboxd__V1__Response *response)
{
        bool more = response->jobs->more;
        sandbox_job_list *l;
        int r;

        if (!q->jobs)
                q->jobs = job_list_new();
        if (!q->jobs)
                return answer_with(q, -ENOMEM, NULL, NULL);
        r = object_add(&q->jobs->object, wire_take(q->x.client->wire));
        if (r == 0 && more)
                return 0;
        if (r == 0)
                r = job_list_close(q->jobs);
        if (r < 0)
                return answer_with(q, r, NULL, NULL);
        l = TAKE_PTR(q->jobs);
        return answer_with(q, 0, l, &l->object);
}

static int take_job(sandbox_request *q, const Sandboxd__V1__Response *response)
{
        sandbox_job_info *i = NULL;
        int r;

        r = job_info_new(wire_take(q->x.client->wire), response->job, &i);
        return answer_with(q, r, i, i ? i->owner : NULL);
}

static int take_result(sandbox_request *q, const Sandboxd__V1__Response *response)
{
        sandbox_result *result = NULL;
        int r;

        r = result_new(wire_take(q->x.client->wire), &result);
        return answer_with(q, r, result, result ? result->owner : NULL);
}

static int take_done(sandbox_request *q, const Sandboxd__V1__Response *response)
{
        if (incoming_open(&q->incoming))
                return -EBADMSG;
        tell(q, NULL, NULL);
        return 0;
}

/* A blocking call waits for each piece anew, after what the handler of the last one took its time
 * for. */
static void move_deadline(const sandbox_request *q)
{
        if (q->answer)
                q->answer->deadline_usec = deadline_after(q->answer->timeout_usec);
}

static int take_output(sandbox_request *q, const Sandboxd__V1__Response *response)
{
        const Sandboxd__V1__Output *output = response->output;
        enum sandbox_stream stream = (enum sandbox_stream) output->stream;
        int r = 0;

        if (stream != SANDBOX_STDOUT && stream != SANDBOX_STDERR)
                return -EBADMSG;
        flow_receive(&q->x, stream, output->data.len);
        if (!q->x.silent && output->data.len > 0)
                r = q->on_output(q->answer ? NULL : q, stream, output->data.data, output->data.len,
                        q->userdata);
        move_deadline(q);
        if (r < 0) {
                stop(q, r);
                return 0;
        }
        return q->x.manual ? 0 : flow_settle(&q->x, stream, output->data.len);
}

static int take_output_end(sandbox_request *q, const Sandboxd__V1__Response *response)
{
        const Sandboxd__V1__OutputEnd *m = response->output_end;
        sandbox_output_end end = {
                .stdout_bytes = m->stdout_bytes,
                .stderr_bytes = m->stderr_bytes,
                .stdout_kept = m->stdout_kept,
                .stderr_kept = m->stderr_kept,
                .running = m->running,
        };

        if (q->answer)
                q->answer->end = end;
        tell(q, NULL, &end);
        return 0;
}

static int take_file(sandbox_request *q, const Sandboxd__V1__Response *response)
{
        const Sandboxd__V1__FileOut *message = response->file_out;
        sandbox_file_piece piece;
        int r;

        r = incoming_take(&q->incoming, message, &piece);
        if (r < 0)
                return r;
        flow_receive(&q->x, SANDBOX_FILES, message->data.len);
        if (!q->x.silent)
                r = q->on_file(q->answer ? NULL : q, &piece, q->userdata);
        move_deadline(q);
        if (r < 0) {
                stop(q, r);
                return 0;
        }
        return q->x.manual ? 0 : flow_settle(&q->x, SANDBOX_FILES, message->data.len);
}

/* Makes what an event shows of the response, which is taken over. */
static int make_event(struct received received, sandbox_job_info **ret_job, sandbox_host **ret_host)
{
        const Sandboxd__V1__JobEvent *m = received.response->job_event;

        if (m->job)
                return job_info_new(received, m->job, ret_job);
        if (m->host)
                return host_new(received, m->host, ret_host);
        wire_response_free(received.response);
        return 0;
}

/* Whether what must go with an event is there. Kinds that are not known here may have anything. */
static bool is_complete(const Sandboxd__V1__JobEvent *m)
{
        switch (m->kind) {
        case SANDBOXD__V1__JOB_EVENT__KIND__ADDED:
        case SANDBOXD__V1__JOB_EVENT__KIND__CHANGED:
        case SANDBOXD__V1__JOB_EVENT__KIND__REMOVED:
                return m->job && !m->host;
        case SANDBOXD__V1__JOB_EVENT__KIND__HOST:
                return m->host && !m->job;
        default:
                return true;
        }
}

static int take_event(sandbox_request *q, const Sandboxd__V1__Response *response)
{
        int kind = (int) response->job_event->kind, r;
        sandbox_job_info *job = NULL;
        sandbox_host *host = NULL;

        if (!is_complete(response->job_event))
                return -EBADMSG;
        if (q->x.silent || !q->handler.event)
                return 0;
        r = make_event(wire_take(q->x.client->wire), &job, &host);
        if (r == -ENOMEM) {
                queue_forget(q);
                tell_memory(q);
                return 0;
        }
        if (r < 0)
                return r;
        q->handler.event(q->x.client, NULL, kind, job, host, q->userdata);
        sandbox_job_info_unref(job);
        sandbox_host_unref(host);
        return 0;
}

/* What each kind is answered by: the last response, and what comes before. */
static const struct {
        Sandboxd__V1__Response__BodyCase last;
        int (*take_last)(sandbox_request *q, const Sandboxd__V1__Response *response);
        Sandboxd__V1__Response__BodyCase piece;
        int (*take_piece)(sandbox_request *q, const Sandboxd__V1__Response *response);
} kinds[_REQUEST_KIND_COUNT] = {
        [REQUEST_RUNTIMES] = { SANDBOXD__V1__RESPONSE__BODY_RUNTIMES, take_runtimes },
        [REQUEST_PROFILES] = { SANDBOXD__V1__RESPONSE__BODY_PROFILES, take_profiles },
        [REQUEST_HOST] = { SANDBOXD__V1__RESPONSE__BODY_HOST, take_host },
        [REQUEST_JOBS] = { SANDBOXD__V1__RESPONSE__BODY_JOBS, take_jobs },
        [REQUEST_JOB] = { SANDBOXD__V1__RESPONSE__BODY_JOB, take_job },
        [REQUEST_WAIT] = { SANDBOXD__V1__RESPONSE__BODY_RESULT, take_result },
        [REQUEST_DONE] = { SANDBOXD__V1__RESPONSE__BODY_DONE, take_done },
        [REQUEST_OUTPUT] = { SANDBOXD__V1__RESPONSE__BODY_OUTPUT_END, take_output_end,
                SANDBOXD__V1__RESPONSE__BODY_OUTPUT, take_output },
        [REQUEST_FILES] = { SANDBOXD__V1__RESPONSE__BODY_DONE, take_done,
                SANDBOXD__V1__RESPONSE__BODY_FILE_OUT, take_file },
        [REQUEST_WATCH] = { .piece = SANDBOXD__V1__RESPONSE__BODY_JOB_EVENT,
                .take_piece = take_event },
};

static int request_take(struct exchange *x, const Sandboxd__V1__Response *response)
{
        sandbox_request *q = request_of(x);

        if (response->body_case == SANDBOXD__V1__RESPONSE__BODY_ERROR)
                return take_error(q, response);
        if (kinds[q->kind].take_last && response->body_case == kinds[q->kind].last)
                return kinds[q->kind].take_last(q, response);
        if (kinds[q->kind].take_piece && response->body_case == kinds[q->kind].piece)
                return kinds[q->kind].take_piece(q, response);
        return -EPROTO;
}

static const struct exchange_ops request_ops = {
        .take = request_take,
        .lose = request_lose,
        .free = request_free,
};

/* The feature that a daemon must have to know of a request; else it would close the connection. */
static const char *feature_of(const Sandboxd__V1__Request *message)
{
        switch (message->body_case) {
        case SANDBOXD__V1__REQUEST__BODY_LIST_JOBS:
        case SANDBOXD__V1__REQUEST__BODY_GET_JOB:
        case SANDBOXD__V1__REQUEST__BODY_WAIT_JOB:
        case SANDBOXD__V1__REQUEST__BODY_READ_OUTPUT:
        case SANDBOXD__V1__REQUEST__BODY_CANCEL_JOB:
        case SANDBOXD__V1__REQUEST__BODY_SIGNAL_JOB:
                return "jobs";
        case SANDBOXD__V1__REQUEST__BODY_GET_FILES:
                return "get";
        case SANDBOXD__V1__REQUEST__BODY_WATCH_JOBS:
                return "watch-jobs";
        case SANDBOXD__V1__REQUEST__BODY_DRAIN:
        case SANDBOXD__V1__REQUEST__BODY_RESUME:
        case SANDBOXD__V1__REQUEST__BODY_STOP_ALL:
                return "drain";
        default:
                return "lists";
        }
}

int request_begin(sandbox_client *c, enum request_kind kind, Sandboxd__V1__Request *message,
        sandbox_request **ret)
{
        sandbox_request *q;
        int r;

        r = client_ready(c);
        if (r == 0)
                r = client_require(c, feature_of(message));
        if (r < 0)
                return r;
        q = calloc(1, sizeof(*q));
        if (!q)
                return failure_memory(&c->failure);
        q->kind = kind;
        q->x.window = SANDBOX_CREDIT_DEFAULT;
        r = exchange_begin(&q->x, c, &request_ops);
        if (r < 0) {
                free(q);
                return failure_memory(&c->failure);
        }
        r = client_queue(c, &q->x, message);
        if (r < 0) {
                exchange_end(&q->x);
                return r;
        }
        client_flush(c);
        *ret = q;
        return 0;
}

int request_wait(sandbox_request *q, struct answer *a)
{
        sandbox_client *c = q->x.client;
        int r;

        failure_init(&a->failure);
        q->answer = a;
        r = client_loop(c, &a->done, &a->deadline_usec);
        if (!a->done) {
                sandbox_request_abandon(q);
                return r == -ETIMEDOUT ? failure_lost(&c->failure, r, c->path) : r;
        }
        if (a->failure.error.error == 0)
                return 0;
        failure_copy(&c->failure, &a->failure.error);
        return a->failure.error.error;
}

void sandbox_request_abandon(sandbox_request *q)
{
        sandbox_client *c = q->x.client;

        if (!q->x.finished && c->state == CLIENT_READY)
                queue_forget(q);
        client_flush(c);
        q->x.silent = true;
        /* What is being taken is freed after that. */
        if (c->current == &q->x)
                q->x.finished = true;
        else
                exchange_end(&q->x);
}

int sandbox_request_consume(sandbox_request *q, enum sandbox_stream stream, uint64_t bytes)
{
        int r;

        r = q->x.manual ? flow_consume(&q->x, stream, bytes) : -EINVAL;
        if (r == -EINVAL)
                return failure_set(&q->x.client->failure, r, SANDBOX_ERROR_INVALID_ARGUMENT,
                        "bytes",
                        "more would be consumed than came, or the request has no manual credit");
        client_flush(q->x.client);
        return r;
}
