/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests. Runs in the frontend; the body is hostile and is decoded on a budget. Misuse of the
 * protocol closes the connection; a Run that cannot be is an Error to that Run alone.
 */
#include "daemon/frontend/request.h"

#include <inttypes.h>

#include "common/error.h"
#include "common/log.h"
#include "daemon/frontend/admission.h"
#include "daemon/frontend/job.h"
#include "daemon/frontend/reply.h"
#include "daemon/frontend/request-jobs.h"
#include "daemon/frontend/text.h"
#include "proto/budget.h"

/* A message may unpack to this multiple of the largest frame: enough for any request within the
 * limits of a plan, and far below what repeated fields can be made to cost. */
#define BUDGET_FACTOR 4

#define fail_request(c, id, ...)                                                                   \
        connection_fail(c, id, SANDBOXD__V1__ERROR_CODE__BAD_REQUEST, __VA_ARGS__)

static void handle_hello(struct connection *c, const Sandboxd__V1__Request *request)
{
        if (c->state != CONNECTION_NEW)
                return fail_request(c, request->id, "Hello was sent twice: send it once, at first");
        if (request->hello->protocol != REPLY_PROTOCOL)
                return fail_request(c, request->id,
                        "protocol %" PRIu32 " is not spoken here: use a client for protocol %d",
                        request->hello->protocol, REPLY_PROTOCOL);
        log_debug("uid %u connected with '%.64s'", (unsigned) c->uid,
                text_clean(request->hello->client));
        connection_set_ready(c);
        reply_hello(c, request->id);
}

bool request_id_is_free(struct connection *c, const Sandboxd__V1__Request *request)
{
        if (!table_find(&c->under_way, request->id))
                return true;
        fail_request(c, request->id,
                "request id %" PRIu64 " is in use: give each request under way its own id",
                request->id);
        return false;
}

/* Whether new jobs are taken at all. */
static bool is_open(struct connection *c, uint64_t request)
{
        if (c->frontend->stopping)
                reply_error(c, request, SANDBOXD__V1__ERROR_CODE__DRAINING, "",
                        "sandboxd is stopping: try again when it is back");
        else if (c->frontend->draining)
                reply_error(c, request, SANDBOXD__V1__ERROR_CODE__DRAINING, "",
                        "sandboxd takes no new jobs until an administrator says 'sandboxctl "
                        "resume': try again later");
        else
                return true;
        return false;
}

static void handle_run(struct connection *c, const Sandboxd__V1__Request *request)
{
        enum account_kind place;
        struct plan_error error;
        struct plan plan;

        if (!request_id_is_free(c, request) || !is_open(c, request->id))
                return;
        /* A user who has all the jobs he may is not worth the work of a plan. */
        if (admission_take_job(c, request->id, &place) < 0)
                return;
        if (plan_make(c->frontend->policy, connection_default_profile(c), request->run, &plan,
                    &error) < 0) {
                admission_release_job(c->frontend, c->uid, place);
                return reply_error(c, request->id, error.code, error.field, error.text.text);
        }
        job_begin(c, request->id, place, &plan, request->run);
        plan_done(&plan);
}

/* Bytes and cancellations for a request that is not under way are no misuse: the job may have ended
 * while they were. */

static void handle_file_data(struct connection *c, const Sandboxd__V1__Request *request)
{
        const Sandboxd__V1__FileData *m = request->file_data;
        struct job *job = connection_find_job(c, request->id);

        if (!job)
                return;
        if (!job_is_receiving(job) && m->data.len > 0)
                return fail_request(c, request->id, "FileData came after all files were complete");
        if (job_is_receiving(job))
                job_push_file(job, m->file, m->data.data, m->data.len);
}

static void handle_stdin_data(struct connection *c, const Sandboxd__V1__Request *request)
{
        const Sandboxd__V1__StdinData *m = request->stdin_data;
        struct job *job = connection_find_job(c, request->id);
        int r;

        if (!job)
                return;
        r = job_push_stdin(job, m->data.data, m->data.len, m->eof);
        if (r == -EDQUOT)
                fail_request(c, request->id,
                        "StdinData is more than the credit: wait for Started and "
                        "StdinCredit");
        else if (r == -EBADE)
                fail_request(c, request->id,
                        "StdinData came for a stdin that is at its end: set Run.stdin, and "
                        "send eof last");
        else if (r < 0)
                connection_fail(c, request->id, SANDBOXD__V1__ERROR_CODE__INTERNAL,
                        "sandboxd is out of memory: try again later");
}

static void handle_cancel(struct connection *c, const Sandboxd__V1__Request *request)
{
        struct job *job = connection_find_job(c, request->id);

        if (job)
                job_cancel(job);
}

static void handle_list_runtimes(struct connection *c, const Sandboxd__V1__Request *request)
{
        reply_runtimes(c, request->id);
}

static void handle_list_profiles(struct connection *c, const Sandboxd__V1__Request *request)
{
        reply_profiles(c, request->id);
}

static void handle_get_host(struct connection *c, const Sandboxd__V1__Request *request)
{
        reply_host(c, request->id);
}

typedef void (*request_handler)(struct connection *c, const Sandboxd__V1__Request *request);

static const request_handler handlers[] = {
        [SANDBOXD__V1__REQUEST__BODY_HELLO] = handle_hello,
        [SANDBOXD__V1__REQUEST__BODY_RUN] = handle_run,
        [SANDBOXD__V1__REQUEST__BODY_FILE_DATA] = handle_file_data,
        [SANDBOXD__V1__REQUEST__BODY_STDIN_DATA] = handle_stdin_data,
        [SANDBOXD__V1__REQUEST__BODY_CANCEL] = handle_cancel,
        [SANDBOXD__V1__REQUEST__BODY_LIST_RUNTIMES] = handle_list_runtimes,
        [SANDBOXD__V1__REQUEST__BODY_LIST_PROFILES] = handle_list_profiles,
        [SANDBOXD__V1__REQUEST__BODY_GET_HOST] = handle_get_host,
        [SANDBOXD__V1__REQUEST__BODY_LIST_JOBS] = request_list_jobs,
        [SANDBOXD__V1__REQUEST__BODY_GET_JOB] = request_get_job,
        [SANDBOXD__V1__REQUEST__BODY_WAIT_JOB] = request_wait_job,
        [SANDBOXD__V1__REQUEST__BODY_READ_OUTPUT] = request_read_output,
        [SANDBOXD__V1__REQUEST__BODY_GET_FILES] = request_get_files,
        [SANDBOXD__V1__REQUEST__BODY_CANCEL_JOB] = request_cancel_job,
        [SANDBOXD__V1__REQUEST__BODY_SIGNAL_JOB] = request_signal_job,
        [SANDBOXD__V1__REQUEST__BODY_DRAIN] = request_drain,
        [SANDBOXD__V1__REQUEST__BODY_RESUME] = request_resume,
        [SANDBOXD__V1__REQUEST__BODY_STOP_ALL] = request_stop_all,
        [SANDBOXD__V1__REQUEST__BODY_OUTPUT_CREDIT] = request_output_credit,
        [SANDBOXD__V1__REQUEST__BODY_FORGET] = request_forget,
};

static void dispatch(struct connection *c, const Sandboxd__V1__Request *request)
{
        if (request->id == 0)
                return fail_request(c, 0, "the request's id is 0: number requests from 1 on");
        if (request->body_case >= ELEMENTSOF(handlers) || !handlers[request->body_case])
                return fail_request(c, request->id,
                        "the request has no body that this daemon knows: see the features "
                        "in HelloReply");
        if (c->state == CONNECTION_NEW && request->body_case != SANDBOXD__V1__REQUEST__BODY_HELLO)
                return fail_request(c, request->id, "Hello must be the first request");
        handlers[request->body_case](c, request);
}

void request_handle(struct connection *c, const uint8_t *body, size_t size)
{
        Sandboxd__V1__Request *request;
        struct budget budget;

        budget_init(&budget, BUDGET_FACTOR * (size_t) c->max_frame_bytes);
        request = sandboxd__v1__request__unpack(&budget.allocator, size, body);
        if (!request)
                return connection_fail(c, 0, SANDBOXD__V1__ERROR_CODE__BAD_FRAME, "%s",
                        budget.exceeded ? "the request has too many parts: send fewer"
                                        : "the frame is not a Request: see sandboxd.proto");
        dispatch(c, request);
        sandboxd__v1__request__free_unpacked(request, &budget.allocator);
}
