/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * For the suites of jobs as objects, beside fixture-frontend.h: requests that name a job, and jobs that
 * run.
 */
#include "tests/unit/fixture-frontend.h"

#define REQUEST(name) SANDBOXD__V1__REQUEST__BODY_##name
#define JOB_STATE(name) SANDBOXD__V1__JOB_STATE__##name
#define STATUS(name) SANDBOXD__V1__STATUS__##name
#define ID_SIZE 17

static inline void setup_jobs(void)
{
        setup();
        policy.server.max_jobs_per_user = 4;
        policy.server.max_queued = 4;
        policy.server.max_queued_per_user = 3;
        policy.server.frame_timeout_usec = 10 * USEC_PER_SEC;
        restart();
}

static inline ProtobufCBinaryData bytes_of(const char *text)
{
        return (ProtobufCBinaryData) { strlen(text), (uint8_t *) text };
}

static inline void ask_list(struct client *c, uint64_t id, bool all)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__ListJobs m = SANDBOXD__V1__LIST_JOBS__INIT;

        m.all = all;
        request.id = id;
        request.body_case = REQUEST(LIST_JOBS);
        request.list_jobs = &m;
        client_send(c, &request);
}

/* A request that names a job and nothing else, or that and a signal. */
static inline void ask(struct client *c, uint64_t id, Sandboxd__V1__Request__BodyCase body,
        const char *job_id)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__GetJob get = SANDBOXD__V1__GET_JOB__INIT;
        Sandboxd__V1__WaitJob wait = SANDBOXD__V1__WAIT_JOB__INIT;
        Sandboxd__V1__ReadOutput output = SANDBOXD__V1__READ_OUTPUT__INIT;
        Sandboxd__V1__CancelJob cancel = SANDBOXD__V1__CANCEL_JOB__INIT;
        Sandboxd__V1__SignalJob signal = SANDBOXD__V1__SIGNAL_JOB__INIT;

        get.job_id = wait.job_id = output.job_id = cancel.job_id = signal.job_id = bytes_of(job_id);
        signal.signal = SIGUSR1;
        request.id = id;
        request.body_case = body;
        if (body == REQUEST(GET_JOB))
                request.get_job = &get;
        else if (body == REQUEST(WAIT_JOB))
                request.wait_job = &wait;
        else if (body == REQUEST(READ_OUTPUT))
                request.read_output = &output;
        else if (body == REQUEST(CANCEL_JOB))
                request.cancel_job = &cancel;
        else
                request.signal_job = &signal;
        client_send(c, &request);
}

static inline void ask_output(struct client *c, uint64_t id, const char *job_id,
        Sandboxd__V1__ReadOutput *m)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;

        m->job_id = bytes_of(job_id);
        request.id = id;
        request.body_case = REQUEST(READ_OUTPUT);
        request.read_output = m;
        client_send(c, &request);
}

static inline void ask_signal(struct client *c, uint64_t id, const char *job_id, uint32_t number)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__SignalJob m = SANDBOXD__V1__SIGNAL_JOB__INIT;

        m.job_id = bytes_of(job_id);
        m.signal = number;
        request.id = id;
        request.body_case = REQUEST(SIGNAL_JOB);
        request.signal_job = &m;
        client_send(c, &request);
}

/* A request without fields. */
static inline void order(struct client *c, uint64_t id, Sandboxd__V1__Request__BodyCase body)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__Drain drain = SANDBOXD__V1__DRAIN__INIT;
        Sandboxd__V1__Resume resume = SANDBOXD__V1__RESUME__INIT;
        Sandboxd__V1__StopAll stop_all = SANDBOXD__V1__STOP_ALL__INIT;
        Sandboxd__V1__Forget forget = SANDBOXD__V1__FORGET__INIT;

        request.id = id;
        request.body_case = body;
        if (body == REQUEST(DRAIN))
                request.drain = &drain;
        else if (body == REQUEST(RESUME))
                request.resume = &resume;
        else if (body == REQUEST(STOP_ALL))
                request.stop_all = &stop_all;
        else
                request.forget = &forget;
        client_send(c, &request);
}

/* Starts a job, to the point where it runs. */
static inline void begin_job(struct client *c, uint64_t id, Sandboxd__V1__Run *run, struct start *s,
        char job_id[static ID_SIZE])
{
        client_run(c, id, run);
        monitor_expect_start(s);
        (void) snprintf(job_id, ID_SIZE, "%s",
                client_expect(c, id, BODY(STARTED))->started->job_id);
}

static inline void begin_detached(struct client *c, uint64_t id, struct start *s,
        char job_id[static ID_SIZE])
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;

        run.detach = true;
        begin_job(c, id, &run, s, job_id);
}

static inline void begin_attached(struct client *c, uint64_t id, struct start *s,
        char job_id[static ID_SIZE])
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;

        begin_job(c, id, &run, s, job_id);
}

static inline void job_writes(struct start *s, enum channel_start_fd stream, const char *text)
{
        ck_assert_int_eq(io_write_full(s->fds[stream], text, strlen(text)), 0);
}

static inline void expect_output(struct client *c, uint64_t id, Sandboxd__V1__Output__Stream stream,
        const char *text)
{
        size_t size = strlen(text);

        while (size > 0) {
                const Sandboxd__V1__Output *m = client_expect(c, id, BODY(OUTPUT))->output;

                ck_assert_int_eq(m->stream, stream);
                ck_assert_uint_le(m->data.len, size);
                ck_assert_mem_eq(m->data.data, text, m->data.len);
                text += m->data.len;
                size -= m->data.len;
        }
}

#define OUT SANDBOXD__V1__OUTPUT__STREAM__STDOUT
#define ERR SANDBOXD__V1__OUTPUT__STREAM__STDERR

static inline const Sandboxd__V1__Job *get_job(struct client *c, uint64_t id, const char *job_id)
{
        ask(c, id, REQUEST(GET_JOB), job_id);
        return client_expect(c, id, BODY(JOB))->job;
}

static inline const Sandboxd__V1__Host *get_host(struct client *c)
{
        client_simple(c, 900, REQUEST(GET_HOST));
        return client_expect(c, 900, BODY(HOST))->host;
}
