/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a sandbox as the monitor sees it: a state machine driven by init's events, its pidfd,
 * deadlines and orders to kill. Runs in the monitor; reads nothing of the job's.
 */
#include "daemon/monitor/sandbox.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/monitor/launch.h"
#include "daemon/monitor/sandbox-state.h"
#include "daemon/monitor/spares.h"

/* How long the making of a sandbox may take; seconds, on a host that is short of everything. */
#define SETUP_TIMEOUT_USEC (30 * USEC_PER_SEC)
/* The same of one that nobody waits for, and that gets the CPU only when nobody else wants it. */
#define PARK_TIMEOUT_USEC (300 * USEC_PER_SEC)
/* How long init may take to report after its payload was killed, before it is killed too. */
#define ESCALATE_USEC (100 * USEC_PER_MSEC)
/* CPU time is asked for no more often than this. */
#define CPU_CHECK_LEAST_USEC (5 * USEC_PER_MSEC)

static const bool transitions[][SANDBOX_GONE + 1] = {
        [SANDBOX_NEW] = { [SANDBOX_PARKING] = true,
                [SANDBOX_RUNNING] = true,
                [SANDBOX_ENDED] = true },
        [SANDBOX_PARKING] = { [SANDBOX_PARKED] = true, [SANDBOX_ENDED] = true },
        [SANDBOX_PARKED] = { [SANDBOX_RUNNING] = true, [SANDBOX_ENDED] = true },
        [SANDBOX_RUNNING] = { [SANDBOX_ENDED] = true },
        [SANDBOX_ENDED] = { [SANDBOX_GONE] = true },
        [SANDBOX_GONE] = {},
};

void sandbox_set_state(struct sandbox *s, enum sandbox_state state)
{
        ASSERT(transitions[s->state][state]);
        s->state = state;
}

/* Init runs, or has not been looked at since. */
static bool is_live(const struct sandbox *s)
{
        return s->state > SANDBOX_NEW && s->state < SANDBOX_ENDED;
}

/* The first thing that goes wrong is the one that is told. error is a negative errno. */
void sandbox_fail(struct sandbox *s, enum setup_step step, int error)
{
        if (s->ending.step != SETUP_STEP_NONE)
                return;
        s->ending.step = step;
        s->ending.error = -error;
}

/* Kills with the widest means there are: the cgroup, or where that cannot be, the pid namespace. */
void sandbox_kill_processes(struct sandbox *s, enum leaf_which which)
{
        if (s->pid == 0 || leaves_kill(&s->place.leaves, which) >= 0)
                return;
        /* Safe because a pidfd never names another process than the one it was made for. */
        (void) syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
}

static int on_escalate(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct sandbox *s = userdata;

        /* With init dead, systemd may take the cgroups away before end() looks at them. */
        (void) leaves_read_usage(&s->place.leaves, &s->usage);
        sandbox_kill_processes(s, LEAF_SANDBOX);
        return 0;
}

void sandbox_add_timer(struct sandbox *s, sd_event_source **source, uint64_t usec,
        sd_event_time_handler_t handler)
{
        int r;

        *source = sd_event_source_unref(*source);
        r = sd_event_add_time_relative(s->host->event, source, CLOCK_MONOTONIC, usec,
                SANDBOX_ACCURACY_USEC, handler, s);
        if (r < 0) {
                /* Without its deadline a job may not run. */
                log_error("job %016" PRIx64 ": no timer (%s), killing it", s->job, strerror(-r));
                sandbox_kill_processes(s, LEAF_SANDBOX);
        }
}

void sandbox_escalate(struct sandbox *s)
{
        if (!s->escalate_source)
                sandbox_add_timer(s, &s->escalate_source, ESCALATE_USEC, on_escalate);
}

void sandbox_set_cause(struct sandbox *s, enum job_status cause)
{
        if (s->ending.cause == JOB_STATUS_NONE && s->ending.oom_kills == 0)
                s->ending.cause = cause;
}

void sandbox_kill(struct sandbox *s, enum job_status cause)
{
        /* Its job would begin anew, also when it is only found now that this one is dead. */
        if (s->cold && s->order == JOB_STATUS_NONE)
                s->order = cause;
        /* What happened before this order comes first, also when it was not looked at yet. */
        sandbox_read_control(s);
        if (s->state == SANDBOX_ENDED && s->collects)
                sandbox_kill_processes(s, LEAF_SANDBOX);
        if (s->state >= SANDBOX_ENDED || s->explaining)
                return;
        s->ending.oom_kills = leaves_oom_kills(&s->place.leaves);
        sandbox_set_cause(s, cause);
        if (s->escalate_source)
                return;
        /* Before its exec the payload may not have been forked, and would be born after the kill.
         */
        sandbox_kill_processes(s, s->exec_usec > 0 ? LEAF_JOB : LEAF_SANDBOX);
        sandbox_add_timer(s, &s->escalate_source, ESCALATE_USEC, on_escalate);
}

static int on_wall_limit(sd_event_source *source, uint64_t usec, void *userdata)
{
        sandbox_kill(userdata, JOB_STATUS_TIMEOUT);
        return 0;
}

/* The cgroup tells how much CPU time is used but not when a sum is reached: ask again when, at full
 * quota, it could be. */
static int on_cpu_check(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct sandbox *s = userdata;
        uint64_t limit = s->limits.value[LIMIT_CPU_TIME], used = 0, wait;
        int r;

        r = leaves_read_cpu(&s->place.leaves, &used);
        used -= r < 0 ? 0 : MIN(used, s->before.cpu_user_usec + s->before.cpu_system_usec);
        if (r < 0) {
                /* A limit that cannot be watched is not one. */
                sandbox_fail(s, SETUP_STEP_LIMITS, r);
                sandbox_kill_processes(s, LEAF_SANDBOX);
                return 0;
        }
        if (used >= limit) {
                sandbox_kill(s, JOB_STATUS_CPU_LIMIT);
                return 0;
        }
        wait = (limit - used) * 100 / s->limits.value[LIMIT_CPU_QUOTA];
        sandbox_add_timer(s, &s->cpu_source, MAX(wait, CPU_CHECK_LEAST_USEC), on_cpu_check);
        return 0;
}

static int on_setup_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct sandbox *s = userdata;

        sandbox_fail(s, s->receives ? SETUP_STEP_FILES : SETUP_STEP_LOST, -ETIMEDOUT);
        sandbox_kill_processes(s, LEAF_SANDBOX);
        return 0;
}

/* The payload's time begins. */
static void start_clocks(struct sandbox *s, uint64_t exec_usec)
{
        uint64_t late = usec_between(exec_usec, io_now_usec()),
                 wall = s->limits.value[LIMIT_WALL_TIME];

        s->exec_usec = exec_usec;
        sandbox_add_timer(s, &s->wall_source, wall - MIN(late, wall), on_wall_limit);
        if (s->limits.value[LIMIT_CPU_TIME] > 0)
                sandbox_add_timer(s, &s->cpu_source,
                        s->limits.value[LIMIT_CPU_TIME] * 100 / s->limits.value[LIMIT_CPU_QUOTA],
                        on_cpu_check);
}

static void send_signals(struct sandbox *s)
{
        for (uint32_t number = 1; s->signals > 0 && number <= CHANNEL_SIGNAL_MAX; number++) {
                uint64_t bit = UINT64_C(1) << (number - 1);
                int r = s->signals & bit ? launch_signal(s, number) : 0;

                s->signals &= ~bit;
                if (r < 0)
                        log_debug("job %016" PRIx64 ": signal %" PRIu32 " was not sent (%s)",
                                s->job, number, strerror(-r));
        }
}

void sandbox_signal(struct sandbox *s, int number)
{
        ASSERT(number >= 1 && number <= CHANNEL_SIGNAL_MAX);
        if (s->state >= SANDBOX_ENDED)
                return;
        s->signals |= UINT64_C(1) << (number - 1);
        if (s->exec_usec > 0)
                send_signals(s);
}

void sandbox_read_usage(const struct sandbox *s, struct channel_used *ret)
{
        struct leaf_state state;

        leaves_read_state(&s->place.leaves, &state);
        state.cpu_user_usec -= MIN(state.cpu_user_usec, s->before.cpu_user_usec);
        state.cpu_system_usec -= MIN(state.cpu_system_usec, s->before.cpu_system_usec);
        *ret = (struct channel_used) {
                .wall_usec = usec_between(s->exec_usec, io_now_usec()),
                .cpu_user_usec = state.cpu_user_usec,
                .cpu_system_usec = state.cpu_system_usec,
                .memory_bytes = state.memory_bytes,
                .pids = state.pids,
        };
        channel_header_init(&ret->header, CHANNEL_OP_USED, sizeof(*ret), s->job);
}

/* v1 kills one process and leaves the rest of the job running on its limit. */
static int on_oom(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct sandbox *s = userdata;
        uint64_t count;

        (void) !read(fd, &count, sizeof(count));
        if (leaves_oom_kills(&s->place.leaves) > 0)
                sandbox_kill(s, JOB_STATUS_MEMORY_LIMIT);
        return 0;
}

static int watch_oom(struct sandbox *s)
{
        int r;

        s->oom_fd = leaves_oom_eventfd(&s->place.leaves);
        if (s->oom_fd < 0)
                return 0;
        r = sd_event_add_io(s->host->event, &s->oom_source, s->oom_fd, EPOLLIN, on_oom, s);
        return MIN(r, 0);
}

static void set_detail(struct sandbox *s, const char *text)
{
        (void) snprintf(s->detail, sizeof(s->detail), "%.*s", (int) sizeof(s->detail) - 1, text);
}

void sandbox_stop_clocks(struct sandbox *s)
{
        s->wall_source = sd_event_source_disable_unref(s->wall_source);
        s->cpu_source = sd_event_source_disable_unref(s->cpu_source);
}

static void give_up(struct sandbox *s, enum setup_step step, int error)
{
        /* When init has failed before, and is dead, there is no scope to be made of it, nor are its cgroups
         * there any more: what it said comes first. */
        sandbox_read_control(s);
        if (!is_live(s) || s->explaining)
                return;
        /* Then the detail is another step's. */
        if (s->ending.step != SETUP_STEP_NONE)
                s->detail[0] = '\0';
        sandbox_fail(s, step, error);
        sandbox_kill_processes(s, LEAF_SANDBOX);
}

static int set_limits(struct sandbox *s, enum setup_step *ret_step)
{
        struct error error = {};
        int r;

        *ret_step = SETUP_STEP_LIMITS;
        r = leaves_set_limits(&s->place.leaves, &s->limits, s->generation->allow_missing, &error);
        if (r < 0)
                set_detail(s, error.text);
        if (r == 0 && s->parks)
                r = leaves_set_idle(&s->place.leaves, true);
        return r;
}

/* What a message to init fails with when that is dead: its pidfd tells what of. */
static bool says_dead(int r)
{
        return r == -EPIPE || r == -ECONNRESET;
}

/* The last step of the monitor's: nothing of the job runs before its limits are set. */
static void limit_and_run(struct sandbox *s)
{
        enum setup_step step;
        int r;

        r = set_limits(s, &step);
        if (r == 0) {
                r = s->parks ? launch_park(s, &step) : launch_run(s, &step);
                if (says_dead(r))
                        return;
        }
        if (r < 0)
                give_up(s, step, r);
}

/* systemd has answered. */
static void on_made(struct placement *p, int r, const char *detail)
{
        struct sandbox *s = container_of(p, struct sandbox, place);
        enum setup_step step = SETUP_STEP_SCOPE;

        /* Of an init that is gone its pidfd tells. */
        if (!is_live(s) || s->explaining || s->control_fd < 0)
                return;
        if (r < 0) {
                set_detail(s, detail);
        } else {
                step = SETUP_STEP_CGROUP;
                r = watch_oom(s);
        }
        if (r == 0) {
                r = launch_join(s, &step);
                if (says_dead(r))
                        return;
        }
        if (r < 0)
                give_up(s, step, r);
        else if (r == 0)
                limit_and_run(s);
        else
                s->joining = true;
}

/* What is left to be done is the job's, or its client's. Only now are the pipes closed that a job brought
 * to a sandbox which has its own: their end would look like the job's. */
static void tell_started(struct sandbox *s)
{
        if (!s->told)
                s->host->started(s->host->userdata, s);
        s->told = true;
        io_close_all(s->own_fds, ELEMENTSOF(s->own_fds));
        sandbox_drop_cold(s);
}

static void on_event(struct sandbox *s, const struct launch_event *e)
{
        s->place.inhabited = s->place.leaves.n > 0;
        switch (e->kind) {
        case LAUNCH_PARKED:
                /* Not one of which something has failed, at whatever step: it is about to end for it. */
                if (s->ending.step != SETUP_STEP_NONE)
                        return;
                if (s->state != SANDBOX_PARKING || s->generation)
                        break;
                sandbox_become_parked(s);
                return;
        case LAUNCH_READY:
                if (s->state != SANDBOX_RUNNING || s->generation || s->exec_usec > 0)
                        break;
                tell_started(s);
                return;
        case LAUNCH_STARTED:
                if (s->state != SANDBOX_RUNNING || s->generation || s->exec_usec > 0)
                        break;
                start_clocks(s, e->usec);
                tell_started(s);
                send_signals(s);
                return;
        case LAUNCH_FAILED:
                s->exec_usec = 0;
                /* Init's word: it may be the one number that has no negative. */
                sandbox_fail(s, e->step < _SETUP_STEP_COUNT ? e->step : SETUP_STEP_LOST,
                        e->error == INT32_MIN ? -EPROTO : -e->error);
                return;
        case LAUNCH_EXITED:
                s->ending.code = e->code;
                s->ending.status = e->status;
                s->end_usec = e->usec;
                s->grew = e->grew != 0;
                s->done = e->done != 0;
                sandbox_conclude(s);
                return;
        case LAUNCH_JOINED:
                if (!s->joining)
                        break;
                s->joining = false;
                limit_and_run(s);
                return;
        }
        /* Init is ours, so this is a bug; the sandbox does not outlive it. */
        log_error("job %016" PRIx64 ": init sent an event out of order", s->job);
        sandbox_kill_processes(s, LEAF_SANDBOX);
}

void sandbox_read_control(struct sandbox *s)
{
        while (s->control_fd >= 0 && is_live(s)) {
                struct launch_event event = {};
                size_t n_fds = 0;
                int fd = -EBADF;
                ssize_t n;

                n = io_receive_message(s->control_fd, &event, sizeof(event), &fd, 1, &n_fds);
                if (n == -EAGAIN)
                        return;
                /* Init ended with an order unread. What it said before is still there: the kernel
                 * reports the reset first, and once. */
                if (n == -ECONNRESET)
                        continue;
                if (n_fds > 0)
                        s->value_fd = safe_close(s->value_fd), s->value_fd = fd;
                if (n != sizeof(event)) {
                        /* Init is gone; its pidfd says so too, and that is where it is reaped. */
                        s->control_source = sd_event_source_disable_unref(s->control_source);
                        s->control_fd = safe_close(s->control_fd);
                        return;
                }
                on_event(s, &event);
        }
}

static int on_control(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct sandbox *s = userdata;

        sandbox_read_control(s);
        if (s->state >= SANDBOX_ENDED)
                s->control_source = sd_event_source_disable_unref(s->control_source);
        return 0;
}

static int on_pidfd(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct sandbox *s = userdata;

        sandbox_read_control(s);
        s->pidfd_source = sd_event_source_disable_unref(s->pidfd_source);
        if (s->state < SANDBOX_ENDED)
                sandbox_conclude(s);
        else
                sandbox_tear_down(s);
        return 0;
}

static int watch(struct sandbox *s)
{
        sd_event *event = s->host->event;
        int r;

        r = sd_event_add_io(event, &s->control_source, s->control_fd, EPOLLIN, on_control, s);
        if (r >= 0)
                /* What init had to say is heard before that it is dead. */
                r = sd_event_source_set_priority(s->control_source, SD_EVENT_PRIORITY_NORMAL - 1);
        if (r >= 0)
                r = sd_event_add_io(event, &s->pidfd_source, s->pidfd, EPOLLIN, on_pidfd, s);
        return MIN(r, 0);
}

static int make_place(struct sandbox *s, enum setup_step *ret_step)
{
        struct driver *d = s->host->driver;
        struct error error = {};
        int r;

        *ret_step = SETUP_STEP_CGROUP;
        r = d->ops->make(d, &s->place, s->pid, &error);
        if (r < 0)
                set_detail(s, error.text);
        return r;
}

/* cgroups first, then init in them. */
static int make_inside(struct sandbox *s, enum setup_step *ret_step)
{
        int r;

        r = make_place(s, ret_step);
        if (r == 0)
                r = set_limits(s, ret_step);
        if (r == 0)
                r = launch_init(s, ret_step);
        if (r < 0)
                return r;
        sandbox_set_state(s, s->parks ? SANDBOX_PARKING : SANDBOX_RUNNING);
        r = watch(s);
        return r < 0 ? r : watch_oom(s);
}

/* init first, which makes its mounts while systemd makes the scope around it. */
static int make_around(struct sandbox *s, enum setup_step *ret_step)
{
        int r;

        r = launch_init(s, ret_step);
        if (r < 0)
                return r;
        sandbox_set_state(s, s->parks ? SANDBOX_PARKING : SANDBOX_RUNNING);
        r = watch(s);
        return r < 0 ? r : make_place(s, ret_step);
}

/* Where all ids are taken, those count that wait with namespaces. */
static int take_ids_alone(struct sandbox *s)
{
        struct spare spare;
        int r;

        r = uid_pool_acquire(s->host->uids, &s->ids);
        if (r != -EUSERS || !s->host->spares || spares_take(s->host->spares, &spare) < 0)
                return r;
        (void) close(spare.userns_fd);
        (void) close(spare.netns_fd);
        s->ids = spare.ids;
        return 0;
}

/* With namespaces, where there are some that are as it needs them, and somebody waits for it. */
static int take_ids(struct sandbox *s)
{
        struct spare spare;

        if (!s->host->spares || s->parks || !s->generation->policy->profiles[s->profile].loopback ||
                spares_take(s->host->spares, &spare) < 0)
                return take_ids_alone(s);
        s->ids = spare.ids;
        s->userns_fd = spare.userns_fd;
        s->netns_fd = spare.netns_fd;
        return 0;
}

static int make(struct sandbox *s, enum setup_step *ret_step)
{
        int r;

        *ret_step = SETUP_STEP_CLONE;
        r = take_ids(s);
        if (r < 0)
                return r;
        s->has_ids = true;
        return s->host->driver->ops->needs_init ? make_around(s, ret_step)
                                                : make_inside(s, ret_step);
}

/* What it takes to bring its files in and out. */
uint64_t sandbox_extra_usec(uint32_t flags)
{
        return (flags & CHANNEL_START_INPUT ? CHANNEL_INPUT_USEC : 0) +
               (flags & CHANNEL_START_COLLECT ? CHANNEL_COLLECT_USEC : 0);
}

struct sandbox *sandbox_allocate(struct sandbox_host *host, struct generation *g)
{
        struct sandbox *s = malloc(sizeof(*s));

        if (!s)
                return NULL;
        *s = (struct sandbox) {
                .host = host,
                .generation = generation_ref(g),
                .place = {
                        .made = on_made,
                        .stopped = sandbox_on_stopped,
                        .explained = sandbox_on_explained,
                },
                .pidfd = -EBADF,
                .control_fd = -EBADF,
                .oom_fd = -EBADF,
                .value_fd = -EBADF,
                .handover_fd = -EBADF,
                .handover_end_fd = -EBADF,
                .peak_fd = -EBADF,
                .userns_fd = -EBADF,
                .netns_fd = -EBADF,
                .start_fds = { [0 ... _CHANNEL_FD_COUNT - 1] = -EBADF },
                .own_fds = { [0 ... _CHANNEL_STARTED_FD_COUNT - 1] = -EBADF },
                .started_usec = io_now_usec(),
        };
        leaves_init(&s->place.leaves);
        return s;
}

/* What goes wrong is told from the loop. */
void sandbox_begin(struct sandbox *s)
{
        enum setup_step step;
        int r;

        r = make(s, &step);
        if (r == 0) {
                sandbox_limit_setup(s);
                return;
        }
        sandbox_fail(s, step, r);
        io_close_all(s->start_fds, _CHANNEL_FD_COUNT);
        if (s->pid > 0)
                sandbox_kill_processes(s, LEAF_SANDBOX);
        sandbox_tear_down_if_dead(s);
}

void sandbox_take_job(struct sandbox *s, const struct channel_start *m)
{
        s->job = m->header.job;
        s->limits = m->limits;
        s->return_value = (m->flags & CHANNEL_START_RETURN_VALUE) != 0;
        s->receives = (m->flags & CHANNEL_START_INPUT) != 0;
        s->collects = (m->flags & CHANNEL_START_COLLECT) != 0;
}

void sandbox_take_fds(struct sandbox *s, int *fds)
{
        for (size_t i = 0; i < _CHANNEL_FD_COUNT; i++)
                s->start_fds[i] = TAKE_FD(fds[i]);
}

/* Until the job begins. */
void sandbox_limit_setup(struct sandbox *s)
{
        uint64_t usec = s->receives ? CHANNEL_INPUT_USEC : SETUP_TIMEOUT_USEC;

        sandbox_add_timer(s, &s->wall_source, s->parks ? PARK_TIMEOUT_USEC : usec,
                on_setup_timeout);
}

struct sandbox *sandbox_allocate_for(struct sandbox_host *host, struct generation *g,
        const struct channel_start *m)
{
        struct sandbox *s = sandbox_allocate(host, g);

        if (!s)
                return NULL;
        sandbox_take_job(s, m);
        s->place.id = m->header.job;
        s->place.owner = m->owner;
        s->place.limits = m->limits;
        s->place.extra_usec = sandbox_extra_usec(m->flags);
        s->profile = m->profile;
        return s;
}

int sandbox_start(struct sandbox_host *host, struct generation *g, const struct channel_start *m,
        int *fds, struct sandbox **ret)
{
        struct sandbox *s = sandbox_allocate_for(host, g, m);

        if (!s)
                return -ENOMEM;
        sandbox_take_fds(s, fds);
        *ret = s;
        sandbox_begin(s);
        return 0;
}
