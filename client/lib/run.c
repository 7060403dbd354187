/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The simple case: a job from its start to its end in one call. Runs in the client's process.
 */
#include "client/lib/job.h"

/* What a stream wrote, with room for the NUL after it. */
struct collected {
        char *data;
        size_t size;
        size_t room;
};

struct run {
        bool done;
        bool ended; /* there is no job any more */
        bool without_memory;
        struct collected out;
        struct collected err;
        sandbox_result *result;
        struct failure failure;
        char *job_id; /* of a detached one: where it goes */
};

static int collect(struct collected *s, const void *data, size_t size)
{
        if (s->room - s->size <= size) {
                size_t room = MAX(2 * s->room, s->size + size + 1);
                char *grown = realloc(s->data, room);

                if (!grown)
                        return -ENOMEM;
                s->data = grown;
                s->room = room;
        }
        if (size > 0)
                memcpy(s->data + s->size, data, size);
        s->size += size;
        s->data[s->size] = '\0';
        return 0;
}

static void on_output(sandbox_job *job, enum sandbox_stream stream, const void *data, size_t size,
        void *userdata)
{
        struct run *run = userdata;

        if (run->without_memory)
                return;
        if (collect(stream == SANDBOX_STDOUT ? &run->out : &run->err, data, size) < 0) {
                run->without_memory = true;
                (void) sandbox_job_cancel(job);
        }
}

static void on_started(sandbox_job *job, void *userdata)
{
        struct run *run = userdata;

        if (run->job_id)
                (void) str_copy(run->job_id, SANDBOX_JOB_ID_SIZE, sandbox_job_get_id(job));
}

/* A detached job that waits is nobody's already, but for large files, which are sent when its turn has
 * come. */
static void on_queued(sandbox_job *job, unsigned position, void *userdata)
{
        struct run *run = userdata;

        on_started(job, run);
        run->done = run->job_id && sandbox_job_may_be_left(job);
}

static void on_end(sandbox_job *job, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        struct run *run = userdata;

        run->done = run->ended = true;
        if (error)
                failure_copy(&run->failure, error);
        if (result)
                run->result = sandbox_result_ref(result);
}

static void run_done(struct run *run)
{
        free(run->out.data);
        free(run->err.data);
        sandbox_result_unref(run->result);
}

static int run_to_end(sandbox_client *c, const sandbox_spec *s, uint64_t timeout_usec,
        struct run *run)
{
        static const sandbox_job_handlers handlers = {
                .size = sizeof(handlers),
                .on_output = on_output,
                .on_queued = on_queued,
                .on_started = on_started,
                .on_end = on_end,
        };
        uint64_t deadline_usec = deadline_after(timeout_usec);
        sandbox_job *job;
        int r;

        failure_init(&run->failure);
        r = client_may_wait(c);
        if (r == 0)
                r = sandbox_job_start(c, s, &handlers, run, 0, &job);
        if (r < 0)
                return r;
        r = client_loop(c, &run->done, &deadline_usec);
        if (!run->done) {
                sandbox_job_abandon(job);
                if (r == -ETIMEDOUT)
                        return failure_set(&c->failure, r, SANDBOX_ERROR_LOCAL, NULL,
                                "the job took longer than it was waited for: it was cancelled");
                return r;
        }
        /* It is told of no more. */
        if (!run->ended)
                job->x.silent = true;
        if (run->without_memory)
                return failure_memory(&c->failure);
        if (run->failure.error.error == 0)
                return 0;
        failure_copy(&c->failure, &run->failure.error);
        return run->failure.error.error;
}

/* Hands the output over to the result. */
static int keep_output(struct run *run)
{
        /* So that an empty stream is a text too. */
        if (collect(&run->out, NULL, 0) < 0 || collect(&run->err, NULL, 0) < 0)
                return -ENOMEM;
        run->result->out_size = run->out.size;
        run->result->out = TAKE_PTR(run->out.data);
        run->result->err_size = run->err.size;
        run->result->err = TAKE_PTR(run->err.data);
        return 0;
}

int sandbox_run(sandbox_client *c, const sandbox_spec *s, uint64_t timeout_usec,
        sandbox_result **ret)
{
        _cleanup_(run_done) struct run run = {};
        int r;

        for (size_t i = 0; i < JOB_SOCKETS; i++)
                if (s->sockets[i])
                        return failure_set(&c->failure, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT,
                                "stream_sockets",
                                "a call that waits cannot hand over sockets meanwhile: see "
                                "sandbox_job_start()");
        if (s->detach || s->stdin_stream)
                return failure_set(&c->failure, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT,
                        s->detach ? "detach" : "stdin",
                        s->detach ? "a detached job has no end to wait for here: "
                                    "see sandbox_run_detached()"
                                  : "a call that waits cannot be sent stdin meanwhile: "
                                    "see sandbox_spec_set_stdin_data()");
        r = run_to_end(c, s, timeout_usec, &run);
        if (r < 0)
                return r;
        if (keep_output(&run) < 0)
                return failure_memory(&c->failure);
        *ret = TAKE_PTR(run.result);
        return 0;
}

int sandbox_run_detached(sandbox_client *c, const sandbox_spec *s, uint64_t timeout_usec,
        char job_id[SANDBOX_JOB_ID_SIZE])
{
        char id[SANDBOX_JOB_ID_SIZE] = "";
        _cleanup_(run_done) struct run run = { .job_id = id };
        sandbox_spec detached = *s;
        int r;

        detached.detach = true;
        r = run_to_end(c, &detached, timeout_usec, &run);
        if (r < 0)
                return r;
        (void) str_copy(job_id, SANDBOX_JOB_ID_SIZE, id);
        return 0;
}
