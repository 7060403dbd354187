/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Requests that are no jobs: what each kind is answered by, and where the answer goes: to a callback
 * of its own type, or to a blocking call that waits for it.
 */

#include "client/lib/connection.h"
#include "client/lib/incoming.h"

enum request_kind {
        REQUEST_RUNTIMES,
        REQUEST_PROFILES,
        REQUEST_HOST,
        REQUEST_JOBS,
        REQUEST_JOB,
        REQUEST_WAIT,
        REQUEST_DONE,   /* cancel, signal, drain, resume, stop-all */
        REQUEST_OUTPUT, /* read_output */
        REQUEST_FILES,  /* get_files */
        REQUEST_WATCH,  /* watch_jobs */
        _REQUEST_KIND_COUNT,
};

/* What a blocking call waits for. */
struct answer {
        bool done;
        struct failure failure;
        void *object; /* with a reference for the caller: what its kind is answered by */
        sandbox_output_end end;
        uint64_t timeout_usec; /* with deadline_usec: each piece that comes moves it */
        uint64_t deadline_usec;
};

union request_handler {
        sandbox_runtime_list_handler runtimes;
        sandbox_profile_list_handler profiles;
        sandbox_host_handler host;
        sandbox_job_list_handler jobs;
        sandbox_job_info_handler job;
        sandbox_result_handler result;
        sandbox_done_handler done;
        sandbox_output_end_handler output_end;
        sandbox_job_event_handler event;
};

struct sandbox_request {
        struct exchange x;
        enum request_kind kind;
        union request_handler handler;
        void *userdata;
        struct answer *answer; /* instead of handler */
        sandbox_output_handler on_output;
        sandbox_file_handler on_file;
        struct incoming incoming;
        sandbox_job_list *jobs; /* until the last JobList */
};

/* Sends a request. message has its body; what goes to whom is the caller's to set afterwards, before
 * anything is processed. */
int request_begin(sandbox_client *c, enum request_kind kind, Sandboxd__V1__Request *message,
        sandbox_request **ret);
/* Waits for the answer of a request that a blocking call began, and hands it out: 0 with a->object,
 * or what failed. The request ends with it in any case. */
int request_wait(sandbox_request *q, struct answer *a);
