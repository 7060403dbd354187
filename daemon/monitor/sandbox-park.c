/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox before it has a job: how it is made, when it waits, and how a job gets it. Runs in the monitor;
 * what is not of parking is in sandbox.c, which this is a part of.
 */
#include <inttypes.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/monitor/launch.h"
#include "daemon/monitor/sandbox-state.h"

/* Its command waits, and uses nothing: what it has used and holds now is what it will have when there is a
 * job, and asking then would keep that waiting. */
void sandbox_become_parked(struct sandbox *s)
{
        struct leaf_state state;
        int r;

        r = leaves_begin_usage(&s->place.leaves, &s->before, &s->peak_fd);
        if (r < 0 || s->before.oom_kills > 0) {
                sandbox_fail(s, SETUP_STEP_LIMITS, r < 0 ? r : -ENOMEM);
                sandbox_kill_processes(s, LEAF_SANDBOX);
                return;
        }
        sandbox_set_state(s, SANDBOX_PARKED);
        sandbox_stop_clocks(s);
        leaves_read_state(&s->place.leaves, &state);
        s->parked_usec = io_now_usec();
        s->parked_bytes = state.memory_bytes;
        s->parked_pids = state.pids;
        s->host->parked(s->host->userdata, s);
}

int sandbox_park(struct sandbox_host *host, struct generation *g, const struct sandbox_parking *m,
        struct sandbox **ret)
{
        const struct policy_profile *profile = &g->policy->profiles[m->profile];
        struct sandbox *s = sandbox_allocate(host, g);
        int r;

        if (!s)
                return -ENOMEM;
        s->parks = true;
        s->limits = profile->defaults;
        s->place.id = m->id;
        s->place.owner = m->owner;
        /* A scope cannot be changed later: it allows what a job may have at most. */
        s->place.limits = profile->maximums;
        s->place.extra_usec =
                m->life_usec + sandbox_extra_usec(CHANNEL_START_INPUT | CHANNEL_START_COLLECT);
        s->profile = m->profile;
        s->runtime = m->runtime;
        s->bare = !g->policy->runtimes[m->runtime].interpreter[0];
        s->n_own_arguments = 1 + g->policy->runtimes[m->runtime].n_arguments;
        r = launch_prepare_parking(s);
        if (r < 0) {
                sandbox_free_new(s);
                return r;
        }
        *ret = s;
        sandbox_begin(s);
        return 0;
}

/* What it has, and what its leaf allows, become the job's. */
static int prepare_claim(struct sandbox *s, const struct generation *g, const struct limits *limits)
{
        int r;

        r = leaves_change_limits(&s->place.leaves, &s->limits, limits, g->allow_missing, NULL);
        if (r == 0)
                r = leaves_set_idle(&s->place.leaves, false);
        return r;
}

int sandbox_claim(struct sandbox *s, struct generation *g, const struct channel_start *m, int *fds)
{
        struct sandbox *cold;
        int r;

        ASSERT(s->parks);
        /* It may be dead, and nobody have looked. */
        sandbox_read_control(s);
        if (s->state != SANDBOX_PARKED || s->control_fd < 0 || s->explaining || s->place.disturbed)
                return -ESRCH;
        cold = sandbox_allocate_for(s->host, g, m);
        if (!cold)
                return -ENOMEM;
        s->started_usec = cold->started_usec;
        r = prepare_claim(s, g, &m->limits);
        if (r == 0)
                r = s->bare ? launch_run_bare(s, g, m, fds) : launch_claim(s, m, fds);
        if (r < 0) {
                sandbox_free_new(cold);
                return r;
        }
        sandbox_take_job(s, m);
        sandbox_take_fds(cold, fds);
        s->cold = cold;
        s->parks = false;
        s->warm = true;
        sandbox_set_state(s, SANDBOX_RUNNING);
        sandbox_limit_setup(s);
        log_debug("job %016" PRIx64 ": in the parked sandbox %016" PRIx64, s->job, s->place.id);
        return 0;
}

void sandbox_discard(struct sandbox *s)
{
        ASSERT(s->parks);
        if (s->state >= SANDBOX_ENDED || s->explaining)
                return;
        /* It ends by itself, and gives its memory back; on a busy host that would take seconds, some of them
         * with locks held that the making of others needs. */
        (void) leaves_set_idle(&s->place.leaves, false);
        sandbox_kill_processes(s, LEAF_SANDBOX);
        sandbox_escalate(s);
}
