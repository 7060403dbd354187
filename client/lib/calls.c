/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that ask and get one answer, blocking and not. Runs in the client's process.
 */
#include "client/lib/calls.h"

int call_async(sandbox_client *c, enum request_kind kind, Sandboxd__V1__Request *message,
        union request_handler handler, void *userdata, sandbox_request **ret)
{
        sandbox_request *q;
        int r;

        r = request_begin(c, kind, message, &q);
        if (r < 0)
                return r;
        q->handler = handler;
        q->userdata = userdata;
        if (ret)
                *ret = q;
        return 0;
}

int call_wait(sandbox_client *c, enum request_kind kind, Sandboxd__V1__Request *message,
        uint64_t timeout_usec, struct answer *a)
{
        sandbox_request *q;
        int r;

        *a = (struct answer) {
                .timeout_usec = timeout_usec,
                .deadline_usec = deadline_after(timeout_usec),
        };
        r = client_may_wait(c);
        if (r == 0)
                r = request_begin(c, kind, message, &q);
        return r < 0 ? r : request_wait(q, a);
}

/* A call that is answered by an object at once. */
static int ask(sandbox_client *c, enum request_kind kind, Sandboxd__V1__Request *message,
        void **ret)
{
        struct answer a;
        int r;

        r = call_wait(c, kind, message, c->timeout_usec, &a);
        if (r == 0)
                *ret = a.object;
        return r;
}

static int tell(sandbox_client *c, Sandboxd__V1__Request *message)
{
        struct answer a;

        return call_wait(c, REQUEST_DONE, message, c->timeout_usec, &a);
}

static int tell_async(sandbox_client *c, Sandboxd__V1__Request *message,
        sandbox_done_handler handler, void *userdata, sandbox_request **ret)
{
        return call_async(c, REQUEST_DONE, message, (union request_handler) { .done = handler },
                userdata, ret);
}

int sandbox_list_runtimes(sandbox_client *c, sandbox_runtime_list **ret)
{
        Sandboxd__V1__ListRuntimes body = SANDBOXD__V1__LIST_RUNTIMES__INIT;
        Sandboxd__V1__Request message = REQUEST(list_runtimes, LIST_RUNTIMES, &body);

        return ask(c, REQUEST_RUNTIMES, &message, (void **) ret);
}

int sandbox_list_runtimes_async(sandbox_client *c, sandbox_runtime_list_handler handler,
        void *userdata, sandbox_request **ret)
{
        Sandboxd__V1__ListRuntimes body = SANDBOXD__V1__LIST_RUNTIMES__INIT;
        Sandboxd__V1__Request message = REQUEST(list_runtimes, LIST_RUNTIMES, &body);

        return call_async(c, REQUEST_RUNTIMES, &message,
                (union request_handler) { .runtimes = handler }, userdata, ret);
}

int sandbox_list_profiles(sandbox_client *c, sandbox_profile_list **ret)
{
        Sandboxd__V1__ListProfiles body = SANDBOXD__V1__LIST_PROFILES__INIT;
        Sandboxd__V1__Request message = REQUEST(list_profiles, LIST_PROFILES, &body);

        return ask(c, REQUEST_PROFILES, &message, (void **) ret);
}

int sandbox_list_profiles_async(sandbox_client *c, sandbox_profile_list_handler handler,
        void *userdata, sandbox_request **ret)
{
        Sandboxd__V1__ListProfiles body = SANDBOXD__V1__LIST_PROFILES__INIT;
        Sandboxd__V1__Request message = REQUEST(list_profiles, LIST_PROFILES, &body);

        return call_async(c, REQUEST_PROFILES, &message,
                (union request_handler) { .profiles = handler }, userdata, ret);
}

int sandbox_get_host(sandbox_client *c, sandbox_host **ret)
{
        Sandboxd__V1__GetHost body = SANDBOXD__V1__GET_HOST__INIT;
        Sandboxd__V1__Request message = REQUEST(get_host, GET_HOST, &body);

        return ask(c, REQUEST_HOST, &message, (void **) ret);
}

int sandbox_get_host_async(sandbox_client *c, sandbox_host_handler handler, void *userdata,
        sandbox_request **ret)
{
        Sandboxd__V1__GetHost body = SANDBOXD__V1__GET_HOST__INIT;
        Sandboxd__V1__Request message = REQUEST(get_host, GET_HOST, &body);

        return call_async(c, REQUEST_HOST, &message, (union request_handler) { .host = handler },
                userdata, ret);
}

int sandbox_list_jobs(sandbox_client *c, int all, sandbox_job_list **ret)
{
        Sandboxd__V1__ListJobs body = SANDBOXD__V1__LIST_JOBS__INIT;
        Sandboxd__V1__Request message = REQUEST(list_jobs, LIST_JOBS, &body);

        body.all = all != 0;
        return ask(c, REQUEST_JOBS, &message, (void **) ret);
}

int sandbox_list_jobs_async(sandbox_client *c, int all, sandbox_job_list_handler handler,
        void *userdata, sandbox_request **ret)
{
        Sandboxd__V1__ListJobs body = SANDBOXD__V1__LIST_JOBS__INIT;
        Sandboxd__V1__Request message = REQUEST(list_jobs, LIST_JOBS, &body);

        body.all = all != 0;
        return call_async(c, REQUEST_JOBS, &message, (union request_handler) { .jobs = handler },
                userdata, ret);
}

int sandbox_get_job(sandbox_client *c, const char *job_id, sandbox_job_info **ret)
{
        Sandboxd__V1__GetJob body = SANDBOXD__V1__GET_JOB__INIT;
        Sandboxd__V1__Request message = REQUEST(get_job, GET_JOB, &body);

        body.job_id = bytes_of_text(job_id);
        return ask(c, REQUEST_JOB, &message, (void **) ret);
}

int sandbox_get_job_async(sandbox_client *c, const char *job_id, sandbox_job_info_handler handler,
        void *userdata, sandbox_request **ret)
{
        Sandboxd__V1__GetJob body = SANDBOXD__V1__GET_JOB__INIT;
        Sandboxd__V1__Request message = REQUEST(get_job, GET_JOB, &body);

        body.job_id = bytes_of_text(job_id);
        return call_async(c, REQUEST_JOB, &message, (union request_handler) { .job = handler },
                userdata, ret);
}

int sandbox_wait_job(sandbox_client *c, const char *job_id, uint64_t timeout_usec,
        sandbox_result **ret)
{
        Sandboxd__V1__WaitJob body = SANDBOXD__V1__WAIT_JOB__INIT;
        Sandboxd__V1__Request message = REQUEST(wait_job, WAIT_JOB, &body);
        struct answer a;
        int r;

        body.job_id = bytes_of_text(job_id);
        r = call_wait(c, REQUEST_WAIT, &message, timeout_usec, &a);
        if (r == -ETIMEDOUT && !a.done)
                return failure_set(&c->failure, r, SANDBOX_ERROR_LOCAL, NULL,
                        "job %s has not ended yet: wait longer, or cancel it", job_id);
        if (r == 0)
                *ret = a.object;
        return r;
}

int sandbox_wait_job_async(sandbox_client *c, const char *job_id, sandbox_result_handler handler,
        void *userdata, sandbox_request **ret)
{
        Sandboxd__V1__WaitJob body = SANDBOXD__V1__WAIT_JOB__INIT;
        Sandboxd__V1__Request message = REQUEST(wait_job, WAIT_JOB, &body);

        body.job_id = bytes_of_text(job_id);
        return call_async(c, REQUEST_WAIT, &message, (union request_handler) { .result = handler },
                userdata, ret);
}

int sandbox_watch_jobs_async(sandbox_client *c, sandbox_job_event_handler handler, void *userdata,
        sandbox_request **ret)
{
        Sandboxd__V1__WatchJobs body = SANDBOXD__V1__WATCH_JOBS__INIT;
        Sandboxd__V1__Request message = REQUEST(watch_jobs, WATCH_JOBS, &body);

        return call_async(c, REQUEST_WATCH, &message, (union request_handler) { .event = handler },
                userdata, ret);
}

int sandbox_cancel_job(sandbox_client *c, const char *job_id)
{
        Sandboxd__V1__CancelJob body = SANDBOXD__V1__CANCEL_JOB__INIT;
        Sandboxd__V1__Request message = REQUEST(cancel_job, CANCEL_JOB, &body);

        body.job_id = bytes_of_text(job_id);
        return tell(c, &message);
}

int sandbox_cancel_job_async(sandbox_client *c, const char *job_id, sandbox_done_handler handler,
        void *userdata, sandbox_request **ret)
{
        Sandboxd__V1__CancelJob body = SANDBOXD__V1__CANCEL_JOB__INIT;
        Sandboxd__V1__Request message = REQUEST(cancel_job, CANCEL_JOB, &body);

        body.job_id = bytes_of_text(job_id);
        return tell_async(c, &message, handler, userdata, ret);
}

int sandbox_signal_job(sandbox_client *c, const char *job_id, int signal)
{
        Sandboxd__V1__SignalJob body = SANDBOXD__V1__SIGNAL_JOB__INIT;
        Sandboxd__V1__Request message = REQUEST(signal_job, SIGNAL_JOB, &body);

        body.job_id = bytes_of_text(job_id);
        body.signal = (uint32_t) signal;
        return tell(c, &message);
}

int sandbox_signal_job_async(sandbox_client *c, const char *job_id, int signal,
        sandbox_done_handler handler, void *userdata, sandbox_request **ret)
{
        Sandboxd__V1__SignalJob body = SANDBOXD__V1__SIGNAL_JOB__INIT;
        Sandboxd__V1__Request message = REQUEST(signal_job, SIGNAL_JOB, &body);

        body.job_id = bytes_of_text(job_id);
        body.signal = (uint32_t) signal;
        return tell_async(c, &message, handler, userdata, ret);
}

int sandbox_drain(sandbox_client *c)
{
        Sandboxd__V1__Drain body = SANDBOXD__V1__DRAIN__INIT;
        Sandboxd__V1__Request message = REQUEST(drain, DRAIN, &body);

        return tell(c, &message);
}

int sandbox_drain_async(sandbox_client *c, sandbox_done_handler handler, void *userdata,
        sandbox_request **ret)
{
        Sandboxd__V1__Drain body = SANDBOXD__V1__DRAIN__INIT;
        Sandboxd__V1__Request message = REQUEST(drain, DRAIN, &body);

        return tell_async(c, &message, handler, userdata, ret);
}

int sandbox_resume(sandbox_client *c)
{
        Sandboxd__V1__Resume body = SANDBOXD__V1__RESUME__INIT;
        Sandboxd__V1__Request message = REQUEST(resume, RESUME, &body);

        return tell(c, &message);
}

int sandbox_resume_async(sandbox_client *c, sandbox_done_handler handler, void *userdata,
        sandbox_request **ret)
{
        Sandboxd__V1__Resume body = SANDBOXD__V1__RESUME__INIT;
        Sandboxd__V1__Request message = REQUEST(resume, RESUME, &body);

        return tell_async(c, &message, handler, userdata, ret);
}

int sandbox_stop_all(sandbox_client *c)
{
        Sandboxd__V1__StopAll body = SANDBOXD__V1__STOP_ALL__INIT;
        Sandboxd__V1__Request message = REQUEST(stop_all, STOP_ALL, &body);

        return tell(c, &message);
}

int sandbox_stop_all_async(sandbox_client *c, sandbox_done_handler handler, void *userdata,
        sandbox_request **ret)
{
        Sandboxd__V1__StopAll body = SANDBOXD__V1__STOP_ALL__INIT;
        Sandboxd__V1__Request message = REQUEST(stop_all, STOP_ALL, &body);

        return tell_async(c, &message, handler, userdata, ret);
}
