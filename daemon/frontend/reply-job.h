/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Responses that tell of a job. They are made of its result alone, so that who asks later hears the same
 * as who waited.
 */

#include "daemon/frontend/connection.h"
#include "daemon/frontend/result.h"

/* Takes fds over, which are charged, to be sent with it. */
void reply_started(struct connection *c, uint64_t id, const struct result *r, uint64_t stdin_credit,
        int *fds, size_t n_fds);
void reply_queued(struct connection *c, uint64_t id, const struct result *r, size_t position);
/* A return value that does not fit the client's frames is left out, and the message says so. */
void reply_result(struct connection *c, uint64_t id, const struct result *r);
/* used may be NULL: then the monitor was not asked. */
void reply_job(struct connection *c, uint64_t id, const struct result *r,
        const struct channel_used *used);
/* Those that the client may see, with all also what has ended. */
void reply_jobs(struct connection *c, uint64_t id, bool all);
/* Of REMOVED the id alone is told, and of CURRENT nothing: r is NULL. */
void reply_job_event(struct connection *c, uint64_t id, Sandboxd__V1__JobEvent__Kind kind,
        const struct result *r);
Sandboxd__V1__JobState reply_job_state(const struct result *r);
void reply_output_end(struct connection *c, uint64_t id, const struct result *r);

/* The stream's name on the wire. */
static inline Sandboxd__V1__Output__Stream reply_stream(enum store_stream stream)
{
        return stream == STORE_STDOUT ? SANDBOXD__V1__OUTPUT__STREAM__STDOUT
                                      : SANDBOXD__V1__OUTPUT__STREAM__STDERR;
}
