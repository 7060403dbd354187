/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Handlers of requests that name a job by its id, or are about all of them.
 */

#include "daemon/frontend/connection.h"

void request_list_jobs(struct connection *c, const Sandboxd__V1__Request *request);
void request_get_job(struct connection *c, const Sandboxd__V1__Request *request);
void request_wait_job(struct connection *c, const Sandboxd__V1__Request *request);
void request_read_output(struct connection *c, const Sandboxd__V1__Request *request);
void request_get_files(struct connection *c, const Sandboxd__V1__Request *request);
void request_cancel_job(struct connection *c, const Sandboxd__V1__Request *request);
void request_signal_job(struct connection *c, const Sandboxd__V1__Request *request);
void request_output_credit(struct connection *c, const Sandboxd__V1__Request *request);
void request_forget(struct connection *c, const Sandboxd__V1__Request *request);
void request_watch_jobs(struct connection *c, const Sandboxd__V1__Request *request);
void request_drain(struct connection *c, const Sandboxd__V1__Request *request);
void request_resume(struct connection *c, const Sandboxd__V1__Request *request);
void request_stop_all(struct connection *c, const Sandboxd__V1__Request *request);

/* The job that the client names, if it may see it; otherwise the client has been told. */
struct result *request_find_job(struct connection *c, uint64_t request,
        const ProtobufCBinaryData *job_id);
