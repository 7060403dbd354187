/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission of jobs. Runs in the frontend. Charges the books and makes the sentences; what is
 * released, and when, is for the job.
 */
#include "daemon/frontend/admission.h"

#include <inttypes.h>

#include "common/error.h"
#include "common/parse.h"
#include "daemon/frontend/reply.h"

int admission_take_job(struct connection *c, uint64_t request)
{
        const struct policy_server *server = &c->frontend->policy->server;
        struct error text;
        int r;

        r = account_charge(&c->frontend->accounts, c->uid, ACCOUNT_JOBS, 1,
                server->max_jobs_per_user, server->max_jobs);
        if (r >= 0)
                return 0;
        if (r == -EDQUOT)
                (void) error_set(&text, r,
                        "%" PRIu32 " of your jobs are running, as many as MaxJobsPerUser= "
                        "allows: wait for one to end",
                        server->max_jobs_per_user);
        else if (r == -EUSERS)
                (void) error_set(&text, r,
                        "%" PRIu32 " jobs are running, as many as MaxJobs= allows: try again later",
                        server->max_jobs);
        else
                (void) error_set(&text, r, "sandboxd is out of memory: try again later");
        reply_error(c, request, SANDBOXD__V1__ERROR_CODE__BUSY, "", text.text);
        return r;
}

int admission_take_upload(struct connection *c, uint64_t request, uint64_t size)
{
        const uint64_t max = c->frontend->policy->server.max_upload_per_user;
        Sandboxd__V1__ErrorCode code = SANDBOXD__V1__ERROR_CODE__BUSY;
        char most[FORMAT_MAX];
        struct error text;
        int r;

        r = account_charge(&c->frontend->accounts, c->uid, ACCOUNT_UPLOADS, size, max,
                ACCOUNT_UNLIMITED);
        if (r >= 0)
                return 0;
        if (r == -EDQUOT && size > max) {
                code = SANDBOXD__V1__ERROR_CODE__OVER_LIMIT;
                (void) error_set(&text, r,
                        "code and files have %" PRIu64 " bytes: MaxUploadPerUser= allows %s", size,
                        format_size(most, max));
        } else if (r == -EDQUOT)
                (void) error_set(&text, r,
                        "your jobs whose files are not complete have more bytes than the %s of "
                        "MaxUploadPerUser= with this one: complete one of them first",
                        format_size(most, max));
        else
                (void) error_set(&text, r, "sandboxd is out of memory: try again later");
        reply_error(c, request, code, "files", text.text);
        return r;
}
