/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Ctrl-C on what only watches a job.
 */

#include "client/lib/sandbox.h"

/* From now on SIGINT ends the program as it always does, after a line that says that the job goes on,
 * and how it is ended; only where stderr is a terminal, and SIGINT is not ignored. */
void interrupt_says_job_goes_on(const char *job_id);
