/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests. Runs in the frontend; the body is hostile and is decoded on a budget. Misuse of the
 * protocol closes the connection; a Run that cannot be is an Error to that Run alone.
 */
#include "daemon/frontend/request.h"

#include <inttypes.h>

#include "common/error.h"
#include "common/log.h"
#include "daemon/frontend/access.h"
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

/* Connections on behalf of one user, at one time: the bus service needs one, and another while it
 * closes. They are counted beside his own, which so cannot be in the way of those. */
#define BEHALF_MAX 4

/* As many as the kernel gives a process. */
#define GROUPS_MAX 65536

/* Makes the connection another user's. Safe because the policy names whose word that is, and the other is
 * checked as if he had connected himself. Otherwise the connection is failed. */
static bool act_for(struct connection *c, const Sandboxd__V1__OnBehalfOf *m)
{
        struct peer peer = { .uid = m->uid, .groups = m->gids, .n_groups = m->n_gids };
        const struct policy *policy = c->frontend->policy;
        struct error text = {};
        int r;

        if (!c->of_bus) {
                connection_fail(c, 0, SANDBOXD__V1__ERROR_CODE__DENIED,
                        "user %u may not act for others: leave Hello.on_behalf_of out, or have "
                        "[Bus] User= in sandboxd.conf name that user",
                        (unsigned) c->uid);
                return false;
        }
        if (m->uid == UINT32_MAX || m->n_gids > GROUPS_MAX) {
                fail_request(c, 0,
                        "on_behalf_of is no user, or has more than %d groups: send a uid and the "
                        "groups that the kernel knows",
                        GROUPS_MAX);
                return false;
        }
        if (access_check(policy, &peer, &text) < 0) {
                connection_fail(c, 0, SANDBOXD__V1__ERROR_CODE__DENIED, "%s", text.text);
                return false;
        }
        r = account_charge(&c->frontend->accounts, m->uid, ACCOUNT_BUS, 1, BEHALF_MAX,
                ACCOUNT_UNLIMITED);
        if (r < 0) {
                connection_fail(c, 0, SANDBOXD__V1__ERROR_CODE__BUSY,
                        "%d connections act for user %u, or memory is short: close one and try "
                        "again",
                        BEHALF_MAX, (unsigned) m->uid);
                return false;
        }
        log_debug("uid %u acts for uid %u", (unsigned) c->uid, (unsigned) m->uid);
        connection_act_for(c, m->uid);
        return true;
}

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
        if (request->hello->on_behalf_of && !act_for(c, request->hello->on_behalf_of))
                return;
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

/* The bus service hears of jobs for all, and does nothing in its own name. What belongs to a request under
 * way has no answer, and none is under way that it would change. */
static const struct {
        void (*handle)(struct connection *c, const Sandboxd__V1__Request *request);
        bool for_bus;
} handlers[] = {
        [SANDBOXD__V1__REQUEST__BODY_HELLO] = { handle_hello, .for_bus = true },
        [SANDBOXD__V1__REQUEST__BODY_RUN] = { handle_run },
        [SANDBOXD__V1__REQUEST__BODY_FILE_DATA] = { handle_file_data, .for_bus = true },
        [SANDBOXD__V1__REQUEST__BODY_STDIN_DATA] = { handle_stdin_data, .for_bus = true },
        [SANDBOXD__V1__REQUEST__BODY_CANCEL] = { handle_cancel, .for_bus = true },
        [SANDBOXD__V1__REQUEST__BODY_LIST_RUNTIMES] = { handle_list_runtimes, .for_bus = true },
        [SANDBOXD__V1__REQUEST__BODY_LIST_PROFILES] = { handle_list_profiles, .for_bus = true },
        [SANDBOXD__V1__REQUEST__BODY_GET_HOST] = { handle_get_host, .for_bus = true },
        [SANDBOXD__V1__REQUEST__BODY_LIST_JOBS] = { request_list_jobs },
        [SANDBOXD__V1__REQUEST__BODY_GET_JOB] = { request_get_job },
        [SANDBOXD__V1__REQUEST__BODY_WAIT_JOB] = { request_wait_job },
        [SANDBOXD__V1__REQUEST__BODY_READ_OUTPUT] = { request_read_output },
        [SANDBOXD__V1__REQUEST__BODY_GET_FILES] = { request_get_files },
        [SANDBOXD__V1__REQUEST__BODY_CANCEL_JOB] = { request_cancel_job },
        [SANDBOXD__V1__REQUEST__BODY_SIGNAL_JOB] = { request_signal_job },
        [SANDBOXD__V1__REQUEST__BODY_DRAIN] = { request_drain },
        [SANDBOXD__V1__REQUEST__BODY_RESUME] = { request_resume },
        [SANDBOXD__V1__REQUEST__BODY_STOP_ALL] = { request_stop_all },
        [SANDBOXD__V1__REQUEST__BODY_OUTPUT_CREDIT] = { request_output_credit, .for_bus = true },
        [SANDBOXD__V1__REQUEST__BODY_FORGET] = { request_forget, .for_bus = true },
        [SANDBOXD__V1__REQUEST__BODY_WATCH_JOBS] = { request_watch_jobs, .for_bus = true },
};

static void dispatch(struct connection *c, const Sandboxd__V1__Request *request)
{
        if (request->id == 0)
                return fail_request(c, 0, "the request's id is 0: number requests from 1 on");
        if (request->body_case >= ELEMENTSOF(handlers) || !handlers[request->body_case].handle)
                return fail_request(c, request->id,
                        "the request has no body that this daemon knows: see the features "
                        "in HelloReply");
        if (c->state == CONNECTION_NEW && request->body_case != SANDBOXD__V1__REQUEST__BODY_HELLO)
                return fail_request(c, request->id, "Hello must be the first request");
        if (c->of_bus && !handlers[request->body_case].for_bus)
                return reply_error(c, request->id, SANDBOXD__V1__ERROR_CODE__DENIED, "",
                        "the bus service may not do this in its own name: say in Hello for whom "
                        "it acts");
        handlers[request->body_case].handle(c, request);
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
