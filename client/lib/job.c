/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs under way: from their start to their last callback. Runs in the client's process.
 */
#include "client/lib/job.h"

#include <stdio.h>

static sandbox_job *job_of(struct exchange *x)
{
        return container_of(x, sandbox_job, x);
}

static void tell_end(sandbox_job *job, const sandbox_error *error, sandbox_result *result)
{
        if (job->handlers.on_end && !job->x.silent)
                job->handlers.on_end(job, error, result, job->userdata);
        job->x.silent = true;
}

static int queue_cancel(sandbox_job *job)
{
        Sandboxd__V1__Cancel body = SANDBOXD__V1__CANCEL__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        int r;

        if (job->cancelled || job->x.finished)
                return 0;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_CANCEL;
        request.cancel = &body;
        r = client_queue(job->x.client, &job->x, &request);
        if (r < 0)
                return r;
        job->cancelled = true;
        job_stop_feeding(job);
        return 0;
}

static void close_sockets(sandbox_job *job)
{
        for (size_t i = 0; i < JOB_SOCKETS; i++)
                job->sockets[i].fd = safe_close(job->sockets[i].fd);
}

/* It goes on without its caller until the daemon has ended it. */
static void let_go(sandbox_job *job)
{
        job->x.silent = true;
        close_sockets(job);
        (void) queue_cancel(job);
        flow_release(&job->x);
}

void job_fail(sandbox_job *job, const sandbox_error *error)
{
        tell_end(job, error, NULL);
        let_go(job);
}

/* Fails with what the client says. */
static void fail_here(sandbox_job *job)
{
        struct failure f;

        failure_copy(&f, &job->x.client->failure.error);
        job_fail(job, &f.error);
}

static void job_free(struct exchange *x)
{
        sandbox_job *job = job_of(x);

        job_free_input(job);
        close_sockets(job);
        incoming_done(&job->incoming);
        sandbox_fetch_free(job->fetch);
        free(job->runtime);
        free(job->profile);
        free(job);
}

static void job_lose(struct exchange *x, const sandbox_error *error)
{
        tell_end(job_of(x), error, NULL);
}

static int take_id(sandbox_job *job, const char *id)
{
        return str_copy(job->id, sizeof(job->id), id) < 0 || id[0] == '\0' ? -EBADMSG : 0;
}

static int take_queued(sandbox_job *job, const Sandboxd__V1__Response *response)
{
        if (job->started || take_id(job, response->queued->job_id) < 0)
                return -EBADMSG;
        if (job->handlers.on_queued && !job->x.silent)
                job->handlers.on_queued(job, response->queued->position, job->userdata);
        return 0;
}

/* The sockets that come with Started. -EMFILE is the job's end, anything else the connection's. */
static int take_sockets(sandbox_job *job)
{
        int fds[JOB_SOCKETS], r;
        size_t n = 0;

        for (size_t i = 0; i < JOB_SOCKETS; i++)
                n += job->sockets[i].wanted;
        if (n == 0)
                return 0;
        r = wire_take_fds(job->x.client->wire, fds, n);
        if (r < 0)
                return r;
        for (size_t i = JOB_SOCKETS; i-- > 0;)
                if (job->sockets[i].wanted)
                        job->sockets[i].fd = fds[--n];
        /* Nobody is there to take them. */
        if (job->x.silent)
                close_sockets(job);
        return 0;
}

static int take_started(sandbox_job *job, const Sandboxd__V1__Response *response)
{
        const Sandboxd__V1__Started *started = response->started;
        int sockets, r;

        /* It starts once, when all its files are there. */
        if (job->started || job_has_uploads(job))
                return -EPROTO;
        sockets = take_sockets(job);
        if (sockets < 0 && sockets != -EMFILE)
                return sockets;
        if (take_id(job, started->job_id) < 0)
                return -EBADMSG;
        job->runtime = strdup(started->runtime);
        job->profile = strdup(started->profile);
        if (!job->runtime || !job->profile)
                return -ENOMEM;
        job->started = true;
        job->stdin_credit = started->stdin_credit;
        job->ready_wanted = job->stdin_stream;
        r = job_start_input(job);
        if (r < 0)
                return r;
        if (sockets == -EMFILE) {
                (void) failure_set(&job->x.client->failure, sockets, SANDBOX_ERROR_LOCAL,
                        "stream_sockets",
                        "this process has as many files open as it may: close some, or raise its "
                        "limit");
                fail_here(job);
        }
        if (job->handlers.on_started && !job->x.silent)
                job->handlers.on_started(job, job->userdata);
        if (job->detached) {
                job->x.finished = true;
                tell_end(job, NULL, NULL);
        }
        return 0;
}

static int take_output(sandbox_job *job, const Sandboxd__V1__Response *response)
{
        const Sandboxd__V1__Output *output = response->output;
        enum sandbox_stream stream = (enum sandbox_stream) output->stream;

        if (stream != SANDBOX_STDOUT && stream != SANDBOX_STDERR)
                return -EBADMSG;
        flow_receive(&job->x, stream, output->data.len);
        if (job->handlers.on_output && !job->x.silent && output->data.len > 0)
                job->handlers.on_output(job, stream, output->data.data, output->data.len,
                        job->userdata);
        return job->x.manual ? 0 : flow_settle(&job->x, stream, output->data.len);
}

static int take_file(sandbox_job *job, const Sandboxd__V1__Response *response)
{
        const Sandboxd__V1__FileOut *message = response->file_out;
        sandbox_file_piece piece;
        int r;

        r = incoming_take(&job->incoming, message, &piece);
        if (r < 0)
                return r;
        flow_receive(&job->x, SANDBOX_FILES, message->data.len);
        if (job->fetch && !job->x.silent && sandbox_fetch_put(job->fetch, &piece) < 0) {
                (void) failure_memory(&job->x.client->failure);
                fail_here(job);
        } else if (job->handlers.on_file && !job->x.silent)
                job->handlers.on_file(job, &piece, job->userdata);
        if (job->x.manual && !job->fetch)
                return 0;
        return flow_settle(&job->x, SANDBOX_FILES, message->data.len);
}

static int add_credit(uint64_t *credit, uint64_t bytes)
{
        return __builtin_add_overflow(*credit, bytes, credit) ? -EPROTO : 0;
}

static int take_file_credit(sandbox_job *job, const Sandboxd__V1__Response *response)
{
        int r;

        r = add_credit(&job->file_credit, response->file_credit->bytes);
        job_update_feeding(job);
        return r;
}

static int take_stdin_credit(sandbox_job *job, const Sandboxd__V1__Response *response)
{
        int r;

        r = add_credit(&job->stdin_credit, response->stdin_credit->bytes);
        if (response->stdin_credit->closed && !job->stdin_closed) {
                job->stdin_closed = true;
                job->ready_wanted = job->stdin_stream;
        }
        job_update_feeding(job);
        return r;
}

/* Whether it did something with sockets that never came: what it wrote there is lost. */
static bool lost_sockets(const sandbox_job *job, const Sandboxd__V1__Result *r)
{
        bool wanted = false;

        for (size_t i = 0; i < JOB_SOCKETS; i++)
                wanted |= job->sockets[i].wanted;
        if (!wanted || job->started)
                return false;
        return r->status == SANDBOXD__V1__STATUS__OK || r->status == SANDBOXD__V1__STATUS__EXITED ||
               r->status == SANDBOXD__V1__STATUS__SIGNALED || r->stdout_bytes + r->stderr_bytes > 0;
}

static int fail_lost(sandbox_job *job)
{
        struct failure f;

        (void) failure_set(&f, -EBUSY, SANDBOX_ERROR_BUSY, "stream_sockets",
                "the job has ended, and sandboxd could not send its sockets, since too many wait "
                "to "
                "be received: what it wrote is lost, try again");
        tell_end(job, &f.error, NULL);
        return 0;
}

static int take_result(sandbox_job *job, const Sandboxd__V1__Response *response)
{
        sandbox_client *c = job->x.client;
        sandbox_result *result;
        int r;

        if (incoming_open(&job->incoming))
                return -EBADMSG;
        job->x.finished = true;
        if (lost_sockets(job, response->result))
                return fail_lost(job);
        r = result_new(wire_take(c->wire), &result);
        if (r < 0) {
                (void) failure_memory(&c->failure);
                fail_here(job);
                return 0;
        }
        result->fetch = TAKE_PTR(job->fetch);
        tell_end(job, NULL, result);
        sandbox_result_unref(result);
        return 0;
}

static int take_error(sandbox_job *job, const Sandboxd__V1__Response *response)
{
        struct failure f;

        job->x.finished = true;
        (void) failure_refused(&f, response->error);
        tell_end(job, &f.error, NULL);
        return 0;
}

static int job_take(struct exchange *x, const Sandboxd__V1__Response *response)
{
        static int (*const takers[])(sandbox_job * job, const Sandboxd__V1__Response *response) = {
                [SANDBOXD__V1__RESPONSE__BODY_QUEUED] = take_queued,
                [SANDBOXD__V1__RESPONSE__BODY_STARTED] = take_started,
                [SANDBOXD__V1__RESPONSE__BODY_OUTPUT] = take_output,
                [SANDBOXD__V1__RESPONSE__BODY_FILE_OUT] = take_file,
                [SANDBOXD__V1__RESPONSE__BODY_FILE_CREDIT] = take_file_credit,
                [SANDBOXD__V1__RESPONSE__BODY_STDIN_CREDIT] = take_stdin_credit,
                [SANDBOXD__V1__RESPONSE__BODY_RESULT] = take_result,
                [SANDBOXD__V1__RESPONSE__BODY_ERROR] = take_error,
        };
        size_t body = (size_t) response->body_case;
        int r;

        /* What we do not know, a newer daemon may say. */
        if (body >= ELEMENTSOF(takers) || !takers[body])
                return 0;
        r = takers[body](job_of(x), response);
        if (r == 0)
                job_update_feeding(job_of(x));
        return r;
}

static const struct exchange_ops job_ops = {
        .take = job_take,
        .lose = job_lose,
        .free = job_free,
};

/* Files must have somebody who takes them. */
static int set_files(sandbox_job *job, const sandbox_spec *s)
{
        struct failure *f = &job->x.client->failure;
        int r;

        if (s->n_get == 0 || job->detached || job->handlers.on_file)
                return 0;
        if (s->fetch_fd < 0)
                return failure_set(f, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT, "get",
                        "files are to be fetched and nothing takes them: "
                        "see sandbox_spec_set_fetch_dir()");
        r = sandbox_fetch_new(s->fetch_fd, &job->fetch);
        if (r < 0)
                return failure_set(f, r, SANDBOX_ERROR_LOCAL, "get",
                        "cannot open the folder for the files: %s", strerrordesc_np(-r));
        return 0;
}

static void set_handlers(sandbox_job *job, const sandbox_job_handlers *handlers)
{
        /* A caller that was compiled with a later header has more of them, one with an earlier header
         * fewer. */
        if (handlers)
                memcpy(&job->handlers, handlers, MIN(handlers->size, sizeof(job->handlers)));
}

/* Enters a job that exists for the caller once its Run is queued. */
static int begin(sandbox_job *job, const sandbox_spec *s)
{
        sandbox_client *c = job->x.client;
        int r;

        job->x.window = s->credit;
        job->file_credit = c->hello->hello->file_credit;
        job->keeps_file_credit = job->file_credit > 0;
        job->stdin_stream = s->stdin_stream;
        job->stdin_data = blob_ref(s->stdin_data);
        r = set_files(job, s);
        return r < 0 ? r : job_request(job, s);
}

int sandbox_job_start(sandbox_client *c, const sandbox_spec *s,
        const sandbox_job_handlers *handlers, void *userdata, unsigned flags, sandbox_job **ret)
{
        sandbox_job *job;
        int r;

        r = client_ready(c);
        if (r < 0)
                return r;
        if (flags & ~SANDBOX_MANUAL_CREDIT)
                return failure_set(&c->failure, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT, "flags",
                        "the flags of a job may be SANDBOX_MANUAL_CREDIT alone");
        job = calloc(1, sizeof(*job));
        if (!job)
                return failure_memory(&c->failure);
        for (size_t i = 0; i < JOB_SOCKETS; i++)
                job->sockets[i].fd = -EBADF;
        set_handlers(job, handlers);
        job->userdata = userdata;
        job->detached = s->detach;
        job->x.manual = flags & SANDBOX_MANUAL_CREDIT;
        r = exchange_begin(&job->x, c, &job_ops);
        if (r < 0) {
                free(job);
                return failure_memory(&c->failure);
        }
        r = begin(job, s);
        if (r < 0) {
                exchange_end(&job->x);
                return r;
        }
        job_update_feeding(job);
        client_flush(c);
        if (ret)
                *ret = job;
        return 0;
}

int sandbox_job_consume(sandbox_job *job, enum sandbox_stream stream, uint64_t bytes)
{
        struct failure *f = &job->x.client->failure;
        int r;

        r = job->x.manual ? flow_consume(&job->x, stream, bytes) : -EINVAL;
        if (r == -EINVAL)
                return failure_set(f, r, SANDBOX_ERROR_INVALID_ARGUMENT, "bytes",
                        "more would be consumed than came, or the job has no manual credit");
        client_flush(job->x.client);
        return r;
}

int sandbox_job_take_fd(sandbox_job *job, enum sandbox_stream stream)
{
        bool known = stream >= SANDBOX_STDIN && stream <= SANDBOX_STDERR;
        int fd = known ? TAKE_FD(job->sockets[stream].fd) : -EBADF;

        if (fd >= 0)
                return fd;
        if (known && job->sockets[stream].wanted && !job->started)
                return failure_set(&job->x.client->failure, -EAGAIN, SANDBOX_ERROR_LOCAL,
                        "stream_sockets",
                        "the job has not started: take its sockets in on_started");
        return failure_set(&job->x.client->failure, -ENOENT, SANDBOX_ERROR_INVALID_ARGUMENT,
                "stream_sockets",
                "the job has no socket for that stream, or it was taken: see "
                "sandbox_spec_set_stream_socket()");
}

int sandbox_job_cancel(sandbox_job *job)
{
        int r;

        r = queue_cancel(job);
        client_flush(job->x.client);
        return r;
}

void sandbox_job_abandon(sandbox_job *job)
{
        let_go(job);
        client_flush(job->x.client);
}

const char *sandbox_job_get_id(const sandbox_job *job)
{
        return job->id[0] != '\0' ? job->id : NULL;
}

const char *sandbox_job_get_runtime(const sandbox_job *job)
{
        return job->runtime;
}

const char *sandbox_job_get_profile(const sandbox_job *job)
{
        return job->profile;
}

void sandbox_job_get_upload(const sandbox_job *job, uint64_t *ret_sent, uint64_t *ret_size)
{
        *ret_sent = job->upload_sent;
        *ret_size = job->upload_size;
}

/* Bytes of code and files with more of which the daemon has a job wait for its turn before it has them
 * (PROTOCOL.md, "The queue"). */
#define STREAMED_ABOVE MIB

int sandbox_job_may_be_left(const sandbox_job *job)
{
        if (!job->detached || job->id[0] == '\0')
                return 0;
        /* A Cancel that comes after that finds no job on the connection. */
        if (job->started)
                return 1;
        if (job->x.finished || job->cancelled)
                return 0;
        if (job->n_uploads == 0)
                return 1;
        /* With more the daemon queues it while they are on their way: that we have sent them says nothing. */
        return !job_has_uploads(job) && job->data_size <= STREAMED_ABOVE;
}

void *sandbox_job_get_userdata(const sandbox_job *job)
{
        return job->userdata;
}

sandbox_client *sandbox_job_get_client(const sandbox_job *job)
{
        return job->x.client;
}
