/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The states of a job in the frontend.
 *
 *      RECEIVING  its files are still arriving
 *      STARTING   complete; the monitor is being asked
 *      RUNNING    the monitor has it
 *      DRAINING   it ended; its last output is being read
 *      FINISHED   its client has the result, or is gone
 */

#include "common/macro.h"

enum job_state {
        JOB_RECEIVING,
        JOB_STARTING,
        JOB_RUNNING,
        JOB_DRAINING,
        JOB_FINISHED,
        _JOB_STATE_COUNT,
};

const char *job_state_name(enum job_state state);
bool job_state_may_follow(enum job_state from, enum job_state to);
