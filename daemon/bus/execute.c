/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Execute: runs a job, waits for it, and answers with its result. Runs in sandboxd-bus. A caller that leaves
 * the bus takes its job along.
 */
#include "daemon/bus/execute.h"

#include "daemon/bus/capture.h"
#include "daemon/bus/result.h"
#include "daemon/bus/submission.h"

/* Of a stream that goes into a memfd; the user's bytes are the bound that counts. */
#define FD_OUTPUT_MAX (64 * MIB)

/* An fd that is open for so long is kept, and not on its way. */
#define KEPT_USEC USEC_PER_SEC

struct execution {
        struct submission submission; /* first: what submission.c sees of it */
        sandbox_job *job;             /* NULL: not begun, or over */
        struct capture out;
        struct capture err;
        sandbox_result *result; /* NULL: there is none, or it was told */
};

static void execution_free(void *data)
{
        struct execution *e = data;

        if (e->job)
                sandbox_job_abandon(e->job);
        capture_done(&e->out);
        capture_done(&e->err);
        (void) sandbox_result_unref(e->result);
        submission_done(&e->submission);
        free(e);
}

static void on_output(sandbox_job *job, enum sandbox_stream stream, const void *data, size_t size,
        void *userdata)
{
        struct call *c = userdata;
        struct execution *e = c->data;

        /* What cannot be kept is missing as what is too much is. */
        if (capture_put(stream == SANDBOX_STDOUT ? &e->out : &e->err, data, size) < 0)
                (stream == SANDBOX_STDOUT ? &e->out : &e->err)->cut = true;
}

static bool lends(const struct execution *e)
{
        return e->submission.options.output_fd && (e->out.size > 0 || e->err.size > 0);
}

static void reply(struct call *c, sandbox_client *client)
{
        struct execution *e = c->data;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const struct result_output output = {
                .out = &e->out,
                .err = &e->err,
                .as_fds = e->submission.options.output_fd,
        };
        uint64_t size;
        int r;

        r = sd_bus_message_new_method_return(c->message, &m);
        if (r >= 0)
                r = result_append(m, e->result, c->service, &output);
        /* The message has the output, and is charged for it in the place of these. */
        size = e->out.size + e->err.size;
        capture_done(&e->out);
        capture_done(&e->err);
        call_finish(c, m, r, "put the result into a message", size);
}

/* An answer with fds waits until enough of earlier ones are closed, and their memory is there again: that it was when
 * the call began says nothing of now. */
static void reply_when_it_can(struct call *c, struct execution *e)
{
        c->step = reply;
        if (!lends(e) || (loans_have_room(&c->service->loans, c->user->uid, 0) &&
                                 loans_allow(c->service, c->user->account)))
                reply(c, NULL);
        else if (loans_wait(c->service, c) < 0)
                call_fail_errno(c, -ENOMEM, "wait until the output can be given");
}

static void on_end(sandbox_job *job, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        struct call *c = userdata;
        struct execution *e = c->data;

        e->job = NULL;
        if (error) {
                call_fail_error(c, error);
                return;
        }
        e->result = sandbox_result_ref(result);
        reply_when_it_can(c, e);
}

static void start(struct call *c, sandbox_client *client)
{
        static const sandbox_job_handlers handlers = {
                .size = sizeof(handlers),
                .on_output = on_output,
                .on_end = on_end,
        };
        struct execution *e = c->data;

        if (sandbox_job_start(client, e->submission.options.spec, &handlers, c, 0, &e->job) < 0)
                call_fail_error(c, sandbox_client_get_error(client));
}

static int prepare(struct call *c, struct execution *e)
{
        bool fds = e->submission.options.output_fd;
        uint64_t most = fds ? FD_OUTPUT_MAX : CAPTURE_INLINE_MAX;
        int r;

        if (fds && !loans_have_room(&c->service->loans, c->user->uid, KEPT_USEC)) {
                call_fail(c, "Busy",
                        "too many fds with output are still open: close those of earlier answers");
                return -EDQUOT;
        }
        if (fds && !loans_allow(c->service, c->user->account)) {
                call_fail(c, "Busy",
                        "too much memory is held by output that was given as fds and closed, or "
                        "written to tmpfs or sockets: let go of what is kept of it, or call "
                        "without output_fd");
                return -EDQUOT;
        }
        r = capture_init(&e->out, c->user, most, fds);
        if (r >= 0)
                r = capture_init(&e->err, c->user, most, fds);
        if (r < 0)
                r == -EDQUOT ? call_fail(c, "Busy", "too much is under way: wait for some answers")
                             : call_fail_errno(c, r, "make room for the output");
        return r;
}

int execute_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct service *s = userdata;
        struct execution *e;
        struct call *c;
        int r;

        r = call_new(s, m, &c, ret_error);
        if (r < 0)
                return r;
        e = calloc(1, sizeof(*e));
        if (!e) {
                call_fail_errno(c, -ENOMEM, "take the request");
                return 1;
        }
        c->data = e;
        c->free_data = execution_free;
        if (submission_read(c, m, &e->submission, OPTIONS_EXECUTE) >= 0 && prepare(c, e) >= 0)
                submission_begin(c, &e->submission, start);
        return 1;
}
