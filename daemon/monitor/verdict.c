/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a job ended, first cause first. Runs in the monitor; a pure function.
 */
#include "daemon/monitor/verdict.h"

#include <signal.h>
#include <sys/wait.h>

static struct verdict verdict_of_exit(const struct ending *e)
{
        switch (e->code) {
        case CLD_EXITED:
                return (struct verdict) {
                        .status = e->status == 0 ? JOB_STATUS_OK : JOB_STATUS_EXITED,
                        .exit_code = e->status,
                };
        case CLD_KILLED:
        case CLD_DUMPED:
                return (struct verdict) {
                        .status = e->status == SIGSYS ? JOB_STATUS_VIOLATION : JOB_STATUS_SIGNALED,
                        .signal = e->status,
                };
        default:
                return (struct verdict) {
                        .status = JOB_STATUS_SETUP_ERROR,
                        .step = SETUP_STEP_LOST,
                        .error = ECHILD,
                };
        }
}

struct verdict verdict_of(const struct ending *e)
{
        /* The monitor sets a cause once, and asks for OOM kills before it does: so a cause came
         * first, and an OOM kill came before whatever the payload did about it. */
        if (e->cause != JOB_STATUS_NONE)
                return (struct verdict) { .status = e->cause };
        if (e->oom_kills > 0)
                return (struct verdict) { .status = JOB_STATUS_MEMORY_LIMIT };
        if (e->step != SETUP_STEP_NONE)
                return (struct verdict) {
                        .status = JOB_STATUS_SETUP_ERROR,
                        .step = e->step,
                        .error = e->error,
                };
        return verdict_of_exit(e);
}
