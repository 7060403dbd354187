/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a sandbox: the verdict, what is told of it, and how it is taken down. Runs in the monitor; what comes
 * before is in sandbox.c, which this is a part of.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/monitor/sandbox-state.h"

/* Between two tries to remove a cgroup whose last process is still on its way out: twice as long each
 * time, since one that waits for a device cannot be killed, up to a second or so. */
#define REMOVE_RETRY_USEC (1 * USEC_PER_MSEC)
#define REMOVE_DOUBLINGS 10U
/* Between two looks whether systemd is done with a sandbox that ended before it had its scope. */
#define SETTLE_RETRY_USEC (20 * USEC_PER_MSEC)
/* Taking a sandbox down takes the kernel a millisecond or two and locks that others need. Where nothing of
 * the job is left it waits until the result has found its way, for so many at a time. */
#define REST_USEC (3 * USEC_PER_MSEC)
#define RESTING_MAX 64U

static void stop_resting(struct sandbox *s)
{
        if (!s->rest_source)
                return;
        s->rest_source = sd_event_source_disable_unref(s->rest_source);
        s->host->n_resting--;
}

static void drop_sources(struct sandbox *s)
{
        s->control_source = sd_event_source_disable_unref(s->control_source);
        s->pidfd_source = sd_event_source_disable_unref(s->pidfd_source);
        s->oom_source = sd_event_source_disable_unref(s->oom_source);
        sandbox_stop_clocks(s);
        s->escalate_source = sd_event_source_disable_unref(s->escalate_source);
        s->remove_source = sd_event_source_disable_unref(s->remove_source);
        s->collect_source = sd_event_source_disable_unref(s->collect_source);
        stop_resting(s);
}

static void report(struct sandbox *s, const struct verdict *v)
{
        const struct leaf_usage *usage = &s->usage;
        struct channel_ended m = {
                .status = v->status,
                .exit_code = v->exit_code,
                .signal = v->signal,
                .step = v->step,
                .error = v->error,
                .flags = (usage->n_pids_hits > 0 ? CHANNEL_ENDED_PIDS_LIMIT_HIT : 0) |
                         (usage->n_throttled > 0 ? CHANNEL_ENDED_CPU_THROTTLED : 0) |
                         (s->warm ? CHANNEL_ENDED_WARM : 0) |
                         (s->stopped && v->status == JOB_STATUS_CANCELLED
                                         ? CHANNEL_ENDED_SCOPE_STOPPED
                                         : 0),
                .wall_usec = usec_between(s->exec_usec, s->end_usec ?: io_now_usec()),
                .setup_usec = usec_between(s->started_usec, s->exec_usec),
                .cpu_user_usec = usage->cpu_user_usec,
                .cpu_system_usec = usage->cpu_system_usec,
                .memory_peak_bytes = usage->memory_peak_bytes,
                .pids_peak = usage->pids_peak,
        };

        channel_header_init(&m.header, CHANNEL_OP_ENDED, sizeof(m), s->job);
        memcpy(m.detail, s->detail, sizeof(m.detail));
        s->host->ended(s->host->userdata, &m, s->value_fd);
        s->value_fd = safe_close(s->value_fd);
}

static int on_collect_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct sandbox *s = userdata;

        log_notice("job %016" PRIx64 ": its files were not taken in time", s->job);
        sandbox_kill_processes(s, LEAF_SANDBOX);
        return 0;
}

/* Init lives on for the files that were asked for: not to be ended by what would have ended it had it
 * not reported, and not for ever. Of the job nothing else does; init sees to that as well, where there
 * is no cgroup2. */
static void allow_collecting(struct sandbox *s)
{
        (void) leaves_kill(&s->place.leaves, LEAF_JOB);
        s->escalate_source = sd_event_source_disable_unref(s->escalate_source);
        sandbox_add_timer(s, &s->collect_source, CHANNEL_COLLECT_USEC, on_collect_timeout);
}

static int on_rested(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct sandbox *s = userdata;

        stop_resting(s);
        s->control_fd = safe_close(s->control_fd);
        sandbox_escalate(s);
        return 0;
}

/* Lets init go, and with it all that is left. */
static void release(struct sandbox *s)
{
        struct sandbox_host *host = s->host;

        if (s->done && !s->collects && host->n_resting < RESTING_MAX &&
                sd_event_add_time_relative(host->event, &s->rest_source, CLOCK_MONOTONIC, REST_USEC,
                        SANDBOX_ACCURACY_USEC, on_rested, s) >= 0)
                host->n_resting++;
        else
                s->control_fd = safe_close(s->control_fd);
        /* One with files to hand over is not yet on its way out. */
        if (!s->collects)
                backlog_add(&host->backlog, &s->backlog);
}

void sandbox_drop_cold(struct sandbox *s)
{
        if (s->cold)
                sandbox_free_new(TAKE_PTR(s->cold));
}

/* What a process fails with whose counterpart was killed. */
static bool error_is_of_death(int error)
{
        return error == ECHILD || error == EPIPE || error == ESRCH;
}

/* Whether it ended with nothing of its job begun, neither by order nor for a reason that lies in the job:
 * then it is nobody's but ours that it was a parked one. */
static bool may_be_replaced(const struct sandbox *s)
{
        const struct ending *e = &s->ending;

        if (!s->cold || e->cause != JOB_STATUS_NONE || e->oom_kills > 0)
                return false;
        /* Its init has the job's pipe for files, and begins to write there when the payload has ended. */
        if (s->bare && s->collects && e->code != 0)
                return false;
        return e->step == SETUP_STEP_NONE || error_is_of_death(e->error);
}

/* Once: the other one was never parked. */
static void replace(struct sandbox *s)
{
        struct sandbox *by = TAKE_PTR(s->cold);

        /* Whatever the job brought is the other one's now, and is not to be used by two. */
        sandbox_kill_processes(s, LEAF_SANDBOX);
        s->control_fd = safe_close(s->control_fd);
        log_notice("job %016" PRIx64 ": the parked sandbox that it got died before it began, "
                   "making another one",
                s->job);
        by->signals = s->signals;
        s->host->replaced(s->host->userdata, s, by);
        s->job = 0;
        s->warm = s->collects = false;
        s->parks = true;
        sandbox_begin(by);
}

/* The verdict, taken while the cgroup still is there to be asked. */
static void end(struct sandbox *s)
{
        struct verdict v;

        if (s->place.leaves.n > 0)
                (void) leaves_read_usage(&s->place.leaves, &s->usage);
        if (s->warm)
                leaves_subtract(&s->usage, &s->before, s->peak_fd, s->grew);
        s->ending.oom_kills = MAX(s->ending.oom_kills, s->usage.oom_kills);
        if (s->cold)
                sandbox_set_cause(s, s->order);
        v = verdict_of(&s->ending);
        io_close_all(s->start_fds, _CHANNEL_FD_COUNT);
        sandbox_set_state(s, SANDBOX_ENDED);
        sandbox_stop_clocks(s);
        s->control_source = sd_event_source_disable_unref(s->control_source);
        if (may_be_replaced(s)) {
                replace(s);
                return;
        }
        sandbox_drop_cold(s);
        if (s->collects)
                allow_collecting(s);
        if (s->parks)
                s->host->lost(s->host->userdata, s);
        else
                report(s, &v);
        release(s);
}

static int on_remove(sd_event_source *source, uint64_t usec, void *userdata);

/* Reaps init if it is dead; whatever ran in its pid namespace died before it. */
static bool reap(struct sandbox *s)
{
        siginfo_t info = {};

        if (s->pid > 0 && waitid(P_PIDFD, (id_t) s->pidfd, &info, WEXITED | WNOHANG) == 0 &&
                info.si_pid == 0)
                return false;
        s->pid = 0;
        return true;
}

/* Its pid must stay taken for as long as somebody may look for init by it. */
static bool settle(struct sandbox *s)
{
        const struct driver_ops *ops = s->host->driver->ops;

        return !ops->settle || ops->settle(s->host->driver, &s->place) == 0;
}

/* Removes the cgroups of a sandbox without processes, then gives its ids back. */
void sandbox_tear_down(struct sandbox *s)
{
        int r;

        backlog_add(&s->host->backlog, &s->backlog);
        if (!settle(s)) {
                sandbox_add_timer(s, &s->remove_source, SETTLE_RETRY_USEC, on_remove);
                return;
        }
        r = reap(s) ? 0 : -EBUSY;
        if (r == 0)
                r = s->host->driver->ops->remove(s->host->driver, &s->place);
        if (r < 0) {
                (void) leaves_kill(&s->place.leaves, LEAF_SANDBOX);
                sandbox_add_timer(s, &s->remove_source, REMOVE_RETRY_USEC << s->n_doublings,
                        on_remove);
                s->n_doublings = MIN(s->n_doublings + 1, REMOVE_DOUBLINGS);
                return;
        }
        drop_sources(s);
        if (s->has_ids)
                uid_pool_release(s->host->uids, s->ids);
        s->has_ids = false;
        sandbox_set_state(s, SANDBOX_GONE);
        s->host->gone(s->host->userdata, s);
}

static int on_remove(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct sandbox *s = userdata;

        if (s->state < SANDBOX_ENDED)
                end(s);
        sandbox_tear_down(s);
        return 0;
}

/* What fails when systemd takes a scope's cgroups away while the sandbox is made. */
static bool step_needs_cgroups(enum setup_step step)
{
        return step == SETUP_STEP_SCOPE || step == SETUP_STEP_LIMITS || step == SETUP_STEP_CGROUP ||
               step == SETUP_STEP_JOIN || step == SETUP_STEP_PAYLOAD;
}

/* Whether what is known of the end looks like a kill from outside: one by systemd, for somebody who
 * stopped the scope, can be told from a job's own only by asking. */
static bool is_unexplained(const struct sandbox *s)
{
        const struct ending *e = &s->ending;

        /* Nobody is told of one that was given back. */
        if (s->parks && !s->key)
                return false;
        if (e->cause != JOB_STATUS_NONE || e->oom_kills > 0)
                return false;
        /* Its job would begin anew. */
        if (s->cold && (e->step == SETUP_STEP_NONE || error_is_of_death(e->error)))
                return true;
        /* systemd kills one process after the other: a shell may see its child die, and exit. */
        if (s->place.disturbed)
                return true;
        if (e->step != SETUP_STEP_NONE)
                return step_needs_cgroups(e->step) && e->error != ETIMEDOUT;
        return e->code == 0 || (e->code == CLD_KILLED && e->status == SIGKILL);
}

/* From the loop, since who calls still looks at the sandbox. */
void sandbox_tear_down_if_dead(struct sandbox *s)
{
        if (!s->pidfd_source)
                sandbox_add_timer(s, &s->remove_source, 0, on_remove);
}

/* Ends it now, or once the driver has said who killed it. */
void sandbox_conclude(struct sandbox *s)
{
        struct driver *d = s->host->driver;

        if (s->explaining)
                return;
        if (d->ops->explain && is_unexplained(s) && leaves_oom_kills(&s->place.leaves) == 0 &&
                d->ops->explain(d, &s->place) == 0) {
                s->explaining = true;
                /* However long the answer takes: the job has had its time, and what it left running
                 * as well. */
                sandbox_stop_clocks(s);
                if (leaves_kill(&s->place.leaves, LEAF_JOB) < 0 && !s->collects)
                        sandbox_kill_processes(s, LEAF_SANDBOX);
                return;
        }
        end(s);
        sandbox_tear_down_if_dead(s);
}

/* Somebody else ended it. That is said once, and of what was not ending by itself. */
static void note_stop(struct sandbox *s)
{
        if (s->ending.cause == JOB_STATUS_NONE)
                s->stopped = true;
}

void sandbox_on_explained(struct placement *p, bool stopped)
{
        struct sandbox *s = container_of(p, struct sandbox, place);

        if (s->state >= SANDBOX_ENDED)
                return;
        if (stopped) {
                note_stop(s);
                sandbox_set_cause(s, JOB_STATUS_CANCELLED);
        }
        end(s);
        sandbox_tear_down_if_dead(s);
}

void sandbox_on_stopped(struct placement *p)
{
        struct sandbox *s = container_of(p, struct sandbox, place);

        if (s->state >= SANDBOX_ENDED || s->explaining)
                return;
        note_stop(s);
        sandbox_kill(s, JOB_STATUS_CANCELLED);
}

void sandbox_abandon(struct sandbox *s)
{
        siginfo_t info = {};

        if (s->pid > 0) {
                sandbox_kill_processes(s, LEAF_SANDBOX);
                (void) syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
                /* While systemd may still look for it by its pid, it is systemd that reaps it. */
                if (settle(s))
                        (void) waitid(P_PIDFD, (id_t) s->pidfd, &info, WEXITED);
        }
        s->state = SANDBOX_GONE;
        sandbox_free(s);
}

void sandbox_free_new(struct sandbox *s)
{
        ASSERT(s->state == SANDBOX_NEW);
        s->state = SANDBOX_GONE;
        sandbox_free(s);
}

void sandbox_free(struct sandbox *s)
{
        ASSERT(s->state == SANDBOX_GONE);
        sandbox_drop_cold(s);
        drop_sources(s);
        backlog_remove(&s->host->backlog, &s->backlog);
        s->host->driver->ops->detach(s->host->driver, &s->place);
        io_close_all(s->start_fds, _CHANNEL_FD_COUNT);
        io_close_all(s->own_fds, ELEMENTSOF(s->own_fds));
        (void) safe_close(s->handover_fd);
        (void) safe_close(s->handover_end_fd);
        (void) safe_close(s->peak_fd);
        (void) safe_close(s->userns_fd);
        (void) safe_close(s->netns_fd);
        (void) safe_close(s->pidfd);
        (void) safe_close(s->control_fd);
        (void) safe_close(s->oom_fd);
        (void) safe_close(s->value_fd);
        (void) generation_unref(s->generation);
        free(s);
}
