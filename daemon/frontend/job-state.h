/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The states of a job in the frontend.
 *
 *      RECEIVING  its files are still arriving
 *      QUEUED     complete, or as far as it can be yet; it waits for others to end
 *      STARTING   the monitor is being asked
 *      FEEDING    the monitor has it; its files are still arriving
 *      RUNNING    the monitor has it, with all files
 *      DRAINING   it ended; its last output and its files are being read
 *      FINISHED   there is a result, or never will be
 */

#include "common/macro.h"

enum job_state {
        JOB_RECEIVING,
        JOB_QUEUED,
        JOB_STARTING,
        JOB_FEEDING,
        JOB_RUNNING,
        JOB_DRAINING,
        JOB_FINISHED,
        _JOB_STATE_COUNT,
};

const char *job_state_name(enum job_state state);
bool job_state_may_follow(enum job_state from, enum job_state to);
