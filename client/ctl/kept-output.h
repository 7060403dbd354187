/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What sandboxd kept of a job's output, as `logs` passes it on and `wait --json` collects it.
 */

#include "client/ctl/ctl.h"
#include "client/ctl/run-output.h"

/* Reads what is kept of the streams, with SANDBOX_FOLLOW in flags until the job has ended, into out
 * and err, each written to its fd, or kept. 0; -EPIPE when nobody reads what is written; or another
 * negative errno with the sentence in ret_error, which lives in e or in c until it is used again. */
int kept_output_read(sandbox_client *c, const char *job_id, enum sandbox_stream stream,
        unsigned flags, struct run_stream *out, struct run_stream *err, sandbox_output_end *ret_end,
        struct error *e, sandbox_error *ret_error);
