/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The transition table of a job. Pure; runs in the frontend.
 */
#include "daemon/frontend/job-state.h"

#define TO(state) (1U << (state))

static const struct {
        const char *name;
        unsigned next; /* states that may follow */
} states[_JOB_STATE_COUNT] = {
        /* A job can be finished from wherever it is: refused, dropped by its client, cancelled. */
        [JOB_RECEIVING] = { "receiving", TO(JOB_QUEUED) | TO(JOB_STARTING) | TO(JOB_FINISHED) },
        [JOB_QUEUED] = { "queued", TO(JOB_STARTING) | TO(JOB_FINISHED) },
        [JOB_STARTING] = { "starting", TO(JOB_FEEDING) | TO(JOB_RUNNING) | TO(JOB_FINISHED) },
        [JOB_FEEDING] = { "feeding", TO(JOB_RUNNING) | TO(JOB_DRAINING) | TO(JOB_FINISHED) },
        [JOB_RUNNING] = { "running", TO(JOB_DRAINING) | TO(JOB_FINISHED) },
        [JOB_DRAINING] = { "draining", TO(JOB_FINISHED) },
        [JOB_FINISHED] = { "finished", 0 },
};

const char *job_state_name(enum job_state state)
{
        ASSERT(state < _JOB_STATE_COUNT);
        return states[state].name;
}

bool job_state_may_follow(enum job_state from, enum job_state to)
{
        ASSERT(from < _JOB_STATE_COUNT && to < _JOB_STATE_COUNT);
        return states[from].next & TO(to);
}
