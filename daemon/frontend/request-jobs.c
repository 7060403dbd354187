/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests about jobs as objects. Runs in the frontend. Every one that names a job finds it by
 * request_find_job(), so that another user's is answered as one that is not there.
 */
#include "daemon/frontend/request-jobs.h"

#include "daemon/frontend/job.h"
#include "daemon/frontend/reply-job.h"
#include "daemon/frontend/reply.h"
#include "daemon/frontend/request.h"
#include "daemon/frontend/results.h"
#include "daemon/frontend/watch-jobs.h"
#include "daemon/frontend/watch.h"

#define SIGNAL_MOST 64

struct result *request_find_job(struct connection *c, uint64_t request,
        const ProtobufCBinaryData *job_id)
{
        struct result *r =
                registry_find_for(&c->frontend->registry, c->uid, job_id->data, job_id->len);

        if (!r)
                reply_error(c, request, SANDBOXD__V1__ERROR_CODE__NO_SUCH_JOB, "job_id",
                        RESULTS_NO_SUCH_JOB);
        return r;
}

void request_list_jobs(struct connection *c, const Sandboxd__V1__Request *request)
{
        reply_jobs(c, request->id, request->list_jobs->all);
}

void request_get_job(struct connection *c, const Sandboxd__V1__Request *request)
{
        struct result *r;

        if (!request_id_is_free(c, request))
                return;
        r = request_find_job(c, request->id, &request->get_job->job_id);
        if (!r)
                return;
        if (r->job && r->job->state == JOB_RUNNING)
                watch_usage(c, request->id, r);
        else
                reply_job(c, request->id, r, NULL);
}

void request_wait_job(struct connection *c, const Sandboxd__V1__Request *request)
{
        struct result *r;

        if (!request_id_is_free(c, request))
                return;
        r = request_find_job(c, request->id, &request->wait_job->job_id);
        if (r)
                watch_result(c, request->id, r);
}

void request_read_output(struct connection *c, const Sandboxd__V1__Request *request)
{
        const Sandboxd__V1__ReadOutput *m = request->read_output;
        struct result *r;

        if (!request_id_is_free(c, request))
                return;
        if (m->stream > SANDBOXD__V1__OUTPUT__STREAM__STDERR)
                return reply_error(c, request->id, SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT,
                        "stream", "stream is none of STDOUT and STDERR: use one of them, or 0");
        r = request_find_job(c, request->id, &m->job_id);
        if (r)
                watch_output(c, request->id, r, m);
}

void request_get_files(struct connection *c, const Sandboxd__V1__Request *request)
{
        struct result *r;

        if (!request_id_is_free(c, request))
                return;
        r = request_find_job(c, request->id, &request->get_files->job_id);
        if (r)
                watch_kept_files(c, request->id, r, request->get_files);
}

void request_cancel_job(struct connection *c, const Sandboxd__V1__Request *request)
{
        struct result *r = request_find_job(c, request->id, &request->cancel_job->job_id);

        if (!r)
                return;
        reply_done(c, request->id);
        if (r->job)
                job_cancel(r->job);
}

void request_signal_job(struct connection *c, const Sandboxd__V1__Request *request)
{
        const Sandboxd__V1__SignalJob *m = request->signal_job;
        struct result *r;
        int q;

        if (m->signal < 1 || m->signal > SIGNAL_MOST)
                return reply_error(c, request->id, SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT,
                        "signal", "signal is not one of 1 to 64: 'kill -l' lists them");
        r = request_find_job(c, request->id, &m->job_id);
        if (!r)
                return;
        if (!r->job || r->job->state != JOB_RUNNING)
                return reply_error(c, request->id, SANDBOXD__V1__ERROR_CODE__NOT_RUNNING, "job_id",
                        r->job ? "the job does not run yet, or not any more: a signal needs a "
                                 "process"
                               : "the job has ended: there is nothing to signal");
        q = channel_signal(&c->frontend->channel, r->id, m->signal);
        if (q == -EBUSY)
                return reply_error(c, request->id, SANDBOXD__V1__ERROR_CODE__BUSY, "",
                        "too many signals wait to be sent: try again later");
        if (q < 0)
                return reply_error(c, request->id, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd is out of memory: try again later");
        reply_done(c, request->id);
}

void request_output_credit(struct connection *c, const Sandboxd__V1__Request *request)
{
        const Sandboxd__V1__OutputCredit *m = request->output_credit;
        struct watch *w = connection_find_watch(c, request->id);
        struct job *job = connection_find_job(c, request->id);

        if (job && m->of == SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_FILES)
                job_add_fetch_credit(job, m->bytes);
        else if (job && m->of == SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT)
                job_add_credit(job, JOB_STDOUT, m->bytes);
        else if (job && m->of == SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDERR)
                job_add_credit(job, JOB_STDERR, m->bytes);
        if (!w)
                return;
        if (m->of == SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT)
                watch_add_credit(w, STORE_STDOUT, m->bytes);
        else if (m->of == SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDERR)
                watch_add_credit(w, STORE_STDERR, m->bytes);
        else if (m->of == SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_FILES)
                watch_add_file_credit(w, m->bytes);
}

void request_forget(struct connection *c, const Sandboxd__V1__Request *request)
{
        struct watch *w = connection_find_watch(c, request->id);

        struct job_watch *jobs = connection_find_job_watch(c, request->id);

        if (w)
                watch_forget(w);
        if (jobs)
                job_watch_forget(jobs);
}

void request_watch_jobs(struct connection *c, const Sandboxd__V1__Request *request)
{
        if (request_id_is_free(c, request))
                watch_jobs(c, request->id);
}

static bool is_root(struct connection *c, uint64_t request)
{
        if (c->uid == 0)
                return true;
        reply_error(c, request, SANDBOXD__V1__ERROR_CODE__DENIED, "",
                "only root may do this to all users' jobs: use sudo");
        return false;
}

static void set_draining(struct connection *c, uint64_t request, bool draining)
{
        struct frontend *f = c->frontend;
        bool other = f->draining != draining;

        if (!is_root(c, request))
                return;
        f->draining = draining;
        reply_done(c, request);
        if (other)
                job_watches_on_host(f);
        idle_update(f);
}

void request_drain(struct connection *c, const Sandboxd__V1__Request *request)
{
        set_draining(c, request->id, true);
}

void request_resume(struct connection *c, const Sandboxd__V1__Request *request)
{
        set_draining(c, request->id, false);
}

void request_stop_all(struct connection *c, const Sandboxd__V1__Request *request)
{
        struct job *job, *next;

        if (!is_root(c, request->id))
                return;
        for (job = LIST_FIRST(&c->frontend->jobs); job; job = next) {
                next = LIST_NEXT(job, entries);
                job_cancel(job);
        }
        reply_done(c, request->id);
}
