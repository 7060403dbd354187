/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From what is known of a sandbox's end to the job's status. Pure.
 */

#include "common/status.h"

struct ending {
        enum job_status cause; /* why the monitor ended it; JOB_STATUS_NONE: it did not */
        uint64_t oom_kills;    /* in the job's leaf */
        enum setup_step step;  /* that failed; SETUP_STEP_NONE: none did */
        int error;             /* positive errno of it */
        int code;   /* CLD_EXITED, CLD_KILLED, CLD_DUMPED; 0: no payload was seen to end */
        int status; /* exit code or signal */
};

struct verdict {
        enum job_status status;
        int exit_code;
        int signal;
        enum setup_step step;
        int error;
};

struct verdict verdict_of(const struct ending *e);
