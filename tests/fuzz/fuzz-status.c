/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's side of a sandbox, against an init that says anything at any time. The input is a
 * program: what init sends on its control socket, when it dies, what cgroups and systemd answer, what
 * the frontend orders, and when time passes. Nothing is cloned: the functions of launch.h and leaf.h
 * are those below. Whatever happens, there is one verdict, then one end, and no fd is left; of one
 * that is made ahead of time and gets no job, that it is lost in place of the verdict.
 */
#include <sys/eventfd.h>

#include "common/io.h"
#include "daemon/monitor/launch.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/host.h"
#include "tests/fuzz/input.h"

#define JOB UINT64_C(0x1234)
#define EVENT_FDS_MAX 3

static struct {
        struct input in;
        sd_event *event;
        struct sandbox *sandbox;  /* NULL once it is gone */
        struct sandbox *replaced; /* whose job that one has; dead, and not yet gone */
        struct generation generation;
        struct uid_pool uids;
        int control; /* init's end */
        int death;   /* readable when init is dead: what stands in for a pidfd */
        unsigned n_started, n_ended, n_gone, n_parked, n_lost;
        bool asked;   /* for the leaves, and not yet answered */
        bool puzzled; /* the driver was asked what killed it, and has not answered */
        bool busy;    /* its cgroups */
        bool wanted;  /* its pid, by systemd */
        bool no_cgroup2;
        uint64_t oom_kills;
        uint64_t cpu_usec;
} world;

/* A step that may fail as the input says. */
static int step(int success)
{
        static const int errors[] = { -ENOMEM, -EIO, -EPIPE, -ETIMEDOUT };
        uint8_t b = input_byte(&world.in);

        return b < 240 ? success : errors[b % ELEMENTSOF(errors)];
}

/* --- launch.h */

int launch_init(struct sandbox *s, enum setup_step *ret_step)
{
        int pair[2], r = step(0);

        *ret_step = SETUP_STEP_CLONE;
        ASSERT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        s->control_fd = pair[0];
        world.control = pair[1];
        if (r < 0)
                return r;
        world.death = eventfd(0, EFD_CLOEXEC);
        s->pidfd = dup(world.death);
        ASSERT(world.death >= 0 && s->pidfd >= 0);
        /* Nobody has this pid, and waitid(2) on an eventfd says that there is no such child. */
        s->pid = INT32_MAX;
        if (s->host->driver->ops->needs_init)
                return 0;
        return s->parks ? launch_park(s, ret_step) : launch_run(s, ret_step);
}

int launch_maker(int init_fd, int control, int *ret_pidfd)
{
        return -EAGAIN; /* nothing here has namespaces that were made before */
}

int launch_join(struct sandbox *s, enum setup_step *ret_step)
{
        *ret_step = SETUP_STEP_JOIN;
        return step((int) input_below(&world.in, 2));
}

int launch_run(struct sandbox *s, enum setup_step *ret_step)
{
        *ret_step = SETUP_STEP_RECEIVE;
        ASSERT(s->generation);
        io_close_all(s->start_fds, _CHANNEL_FD_COUNT);
        s->generation = generation_unref(s->generation);
        return step(0);
}

int launch_prepare_parking(struct sandbox *s)
{
        s->own_fds[0] = eventfd(0, EFD_CLOEXEC);
        s->start_fds[CHANNEL_FD_STDOUT] = eventfd(0, EFD_CLOEXEC);
        s->handover_fd = eventfd(0, EFD_CLOEXEC);
        s->handover_end_fd = eventfd(0, EFD_CLOEXEC);
        return step(0);
}

int launch_park(struct sandbox *s, enum setup_step *ret_step)
{
        return launch_run(s, ret_step);
}

int launch_claim(struct sandbox *s, const struct channel_start *m, const int *fds)
{
        ASSERT(s->state == SANDBOX_PARKED && s->parks);
        return step(0);
}

int launch_run_bare(struct sandbox *s, const struct generation *g, const struct channel_start *m,
        const int *fds)
{
        return launch_claim(s, m, fds);
}

int launch_signal(struct sandbox *s, uint32_t number)
{
        ASSERT(number >= 1 && number <= CHANNEL_SIGNAL_MAX);
        return step(0);
}

/* --- leaf.h */

void leaves_init(struct leaves *l)
{
        *l = (struct leaves) {};
}

int leaves_set_limits(const struct leaves *l, const struct limits *limits, unsigned allowed,
        struct error *ret_error)
{
        int r = step(0);

        ASSERT(l->n > 0);
        return r < 0 ? error_set(ret_error, r, "%070d", 1) : 0;
}

int leaves_read_usage(const struct leaves *l, struct leaf_usage *ret)
{
        *ret = (struct leaf_usage) { .oom_kills = world.oom_kills };
        return step(0);
}

int leaves_change_limits(const struct leaves *l, const struct limits *before,
        const struct limits *limits, unsigned allowed, struct error *ret_error)
{
        ASSERT(l->n > 0);
        return step(0);
}

int leaves_set_idle(const struct leaves *l, bool idle)
{
        return step(0);
}

int leaves_begin_usage(const struct leaves *l, struct leaf_usage *ret_before, int *ret_peak_fd)
{
        *ret_before = (struct leaf_usage) { .oom_kills = world.oom_kills };
        return step(0);
}

void leaves_subtract(struct leaf_usage *usage, const struct leaf_usage *before, int peak_fd,
        bool grew)
{
}

void leaves_read_state(const struct leaves *l, struct leaf_state *ret)
{
        *ret = (struct leaf_state) {};
}

int leaves_read_cpu(const struct leaves *l, uint64_t *ret_usec)
{
        *ret_usec = world.cpu_usec;
        return step(0);
}

uint64_t leaves_oom_kills(const struct leaves *l)
{
        return world.oom_kills;
}

int leaves_oom_eventfd(const struct leaves *l)
{
        return world.no_cgroup2 ? eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) : -EOPNOTSUPP;
}

int leaves_kill(const struct leaves *l, enum leaf_which which)
{
        return world.no_cgroup2 || l->n == 0 ? -EOPNOTSUPP : 0;
}

/* --- driver.h */

/* There are others: the one that was replaced, and what never began. */
static bool is_current(const struct placement *p)
{
        return world.sandbox && p == &world.sandbox->place;
}

static int make_leaves(struct driver *d, struct placement *p, pid_t init, struct error *ret_error)
{
        int r = step(0);

        if (r < 0)
                return error_set(ret_error, r, "no place");
        if (d->ops->needs_init)
                world.asked = true;
        else
                p->leaves.n = 1;
        return 0;
}

static int settle(struct driver *d, struct placement *p)
{
        if (is_current(p))
                world.asked = false;
        return world.wanted ? -EBUSY : 0;
}

static int remove_leaves(struct driver *d, struct placement *p)
{
        ASSERT(!is_current(p) || world.n_ended + world.n_lost == 1);
        return world.busy ? -EBUSY : 0;
}

static int explain(struct driver *d, struct placement *p)
{
        int r = step(0);

        ASSERT(!world.puzzled && world.n_ended == 0);
        world.puzzled = r == 0;
        return r;
}

static void detach(struct driver *d, struct placement *p)
{
        if (is_current(p))
                world.asked = world.puzzled = false;
}

static const struct driver_ops driver_ops[] = {
        { .name = "cgroupfs", .make = make_leaves, .remove = remove_leaves, .detach = detach },
        {
                .name = "scope",
                .needs_init = true,
                .make = make_leaves,
                .settle = settle,
                .remove = remove_leaves,
                .explain = explain,
                .detach = detach,
        },
};

/* --- the monitor */

static void die(void)
{
        if (world.death >= 0)
                ASSERT(eventfd_write(world.death, 1) == 0);
        world.control = safe_close(world.control);
}

static void on_started(void *userdata, struct sandbox *s)
{
        ASSERT(s->job == JOB && world.n_started++ == 0 && world.n_ended == 0);
}

static void on_parked(void *userdata, struct sandbox *s)
{
        ASSERT(s->state == SANDBOX_PARKED && s->parks && world.n_parked++ == 0);
        ASSERT(world.n_started == 0 && world.n_ended == 0 && world.n_lost == 0);
}

static void on_lost(void *userdata, struct sandbox *s)
{
        ASSERT(s->state == SANDBOX_ENDED && s->parks && world.n_lost++ == 0);
        ASSERT(world.n_started == 0 && world.n_ended == 0 && world.n_gone == 0);
}

static void on_ended(void *userdata, const struct channel_ended *m, int value_fd)
{
        ASSERT(world.n_ended++ == 0 && world.n_gone == 0 && world.n_lost == 0);
        ASSERT(m->header.job == JOB && m->status > JOB_STATUS_NONE &&
                m->status < _JOB_STATUS_COUNT && m->step < _SETUP_STEP_COUNT);
        ASSERT((m->step == SETUP_STEP_NONE) == (m->status != JOB_STATUS_SETUP_ERROR));
        ASSERT(memchr(m->detail, '\0', sizeof(m->detail)));
}

static void on_replaced(void *userdata, struct sandbox *s, struct sandbox *by)
{
        ASSERT(s == world.sandbox && s->state == SANDBOX_ENDED && s->warm && !world.replaced);
        ASSERT(by->state == SANDBOX_NEW && by->job == JOB && !by->parks && !by->cold);
        ASSERT(world.n_started == 0 && world.n_ended == 0 && world.n_lost == 0);
        ASSERT(s->ending.cause == JOB_STATUS_NONE && s->ending.oom_kills == 0);
        die();
        world.death = safe_close(world.death);
        world.oom_kills = 0;
        world.replaced = s;
        world.sandbox = by;
}

static void on_gone(void *userdata, struct sandbox *s)
{
        if (s == world.replaced) {
                ASSERT(s->parks && s->job == 0);
                sandbox_free(TAKE_PTR(world.replaced));
                return;
        }
        ASSERT(world.n_ended + world.n_lost == 1 && world.n_gone++ == 0);
        ASSERT(s == world.sandbox && s->job == (s->parks ? 0 : JOB));
        sandbox_free(TAKE_PTR(world.sandbox));
}

/* --- what may happen */

static void send_event(void)
{
        struct {
                struct launch_event event;
                uint8_t more[8];
        } m = {};
        int fds[EVENT_FDS_MAX];
        size_t n_fds = input_below(&world.in, EVENT_FDS_MAX + 1), size = sizeof(m.event);

        m.event.kind = (uint32_t) input_below(&world.in, LAUNCH_CLAIM + 2);
        m.event.step = (uint32_t) input_number(&world.in);
        m.event.error = (int32_t) input_number(&world.in);
        m.event.code = (int32_t) input_number(&world.in);
        m.event.status = (int32_t) input_number(&world.in);
        m.event.usec = io_now_usec() - input_number(&world.in);
        if (input_below(&world.in, 8) == 7)
                size = input_below(&world.in, sizeof(m) + 1);
        for (size_t i = 0; i < n_fds; i++)
                fds[i] = dup(world.death >= 0 ? world.death : world.control);
        (void) io_send_message(world.control, &m, size, fds, n_fds);
        io_close_all(fds, n_fds);
}

static void answer_made(int r)
{
        if (!world.asked)
                return;
        world.asked = false;
        if (r == 0)
                world.sandbox->place.leaves.n = 1;
        world.sandbox->place.made(&world.sandbox->place, r, "systemd said no");
}

static void answer_explain(bool stopped)
{
        if (world.puzzled) {
                world.puzzled = false;
                world.sandbox->place.explained(&world.sandbox->place, stopped);
        }
}

static void stop_scope(void)
{
        /* Only of one that is on its way is that told. */
        if (world.asked)
                world.sandbox->place.stopped(&world.sandbox->place);
        else
                world.sandbox->place.disturbed = true;
}

static void kill_it(void)
{
        static const enum job_status causes[] = { JOB_STATUS_CANCELLED, JOB_STATUS_OUTPUT_LIMIT };

        sandbox_kill(world.sandbox, causes[input_below(&world.in, ELEMENTSOF(causes))]);
}

static void kill_or_discard(void)
{
        if (world.sandbox->parks)
                sandbox_discard(world.sandbox);
        else
                kill_it();
}

static void ask_usage(void)
{
        struct channel_used used;

        if (world.sandbox->state < SANDBOX_ENDED)
                sandbox_read_usage(world.sandbox, &used);
}

static void pass_time(void)
{
        static const uint64_t steps[] = { 1000, 20 * USEC_PER_MSEC, 100 * USEC_PER_MSEC,
                USEC_PER_SEC, 60 * USEC_PER_SEC, 3600 * USEC_PER_SEC };

        host_advance(steps[input_below(&world.in, ELEMENTSOF(steps))]);
}

static void run_loop(void)
{
        for (unsigned i = 0; i < 100 && sd_event_run(world.event, 0) > 0; i++)
                if (!world.sandbox && !world.replaced)
                        return;
}

static void make_start(struct channel_start *m, int fds[static _CHANNEL_FD_COUNT])
{
        *m = (struct channel_start) {
                .flags = input_byte(&world.in) & _CHANNEL_START_FLAGS,
                .limits.value = { [LIMIT_WALL_TIME] = 5 * USEC_PER_SEC, [LIMIT_CPU_QUOTA] = 100 },
        };
        m->limits.value[LIMIT_CPU_TIME] = input_below(&world.in, 2) * USEC_PER_SEC;
        channel_header_init(&m->header, CHANNEL_OP_START, sizeof(*m), JOB);
        for (size_t i = 0; i < _CHANNEL_FD_COUNT; i++)
                fds[i] = channel_start_has(m->flags, (enum channel_start_fd) i)
                                 ? eventfd(0, EFD_CLOEXEC)
                                 : -EBADF;
}

static void claim(void)
{
        struct channel_start m;
        int fds[_CHANNEL_FD_COUNT];

        if (!world.sandbox->parks || world.sandbox->state != SANDBOX_PARKED)
                return;
        make_start(&m, fds);
        if (sandbox_claim(world.sandbox, &world.generation, &m, fds) < 0)
                sandbox_discard(world.sandbox);
        io_close_all(fds, _CHANNEL_FD_COUNT);
}

static void operate(void)
{
        switch (input_below(&world.in, 15)) {
        case 0:
        case 1:
                send_event();
                break;
        case 2:
                die();
                break;
        case 3:
                world.control = safe_close(world.control);
                break;
        case 4:
                kill_or_discard();
                break;
        case 5:
                if (!world.sandbox->parks)
                        sandbox_signal(world.sandbox,
                                1 + (int) input_below(&world.in, CHANNEL_SIGNAL_MAX));
                break;
        case 6:
                ask_usage();
                break;
        case 7:
                pass_time();
                break;
        case 8:
                answer_made(step(0));
                break;
        case 9:
                stop_scope();
                break;
        case 10:
                answer_explain(input_below(&world.in, 2));
                break;
        case 11:
                world.oom_kills += input_below(&world.in, 2);
                world.cpu_usec += input_number(&world.in) % (USEC_PER_SEC * 60);
                break;
        case 12:
                world.busy = input_below(&world.in, 2);
                world.wanted = input_below(&world.in, 2);
                break;
        case 13:
                claim();
                break;
        default:
                run_loop();
        }
}

static void park(struct sandbox_host *host)
{
        const struct sandbox_parking m = { .id = CHANNEL_ID_PARKED | 1, .life_usec = 1 };
        int r = sandbox_park(host, &world.generation, &m, &world.sandbox);

        if (r < 0)
                world.sandbox = NULL;
}

static void start(struct sandbox_host *host)
{
        struct channel_start m;
        int fds[_CHANNEL_FD_COUNT];

        make_start(&m, fds);
        ASSERT(sandbox_start(host, &world.generation, &m, fds, &world.sandbox) == 0);
}

/* Everybody does what he is there for, until nothing is left. */
static void finish(void)
{
        world.busy = world.wanted = false;
        for (unsigned i = 0; (world.sandbox || world.replaced) && i < 20; i++) {
                die();
                answer_explain(false);
                run_loop();
                host_advance(USEC_PER_SEC);
        }
        ASSERT(!world.sandbox && !world.replaced && world.n_gone == 1);
}

/* Whose defaults a parked one gets. */
static struct policy policy = {
        .n_profiles = 1,
        .n_runtimes = 1,
        .profiles[0].defaults.value = { [LIMIT_WALL_TIME] = USEC_PER_SEC, [LIMIT_CPU_QUOTA] = 100 },
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        size_t n_fds = host_count_fds();
        struct driver driver = {};
        struct sandbox_host host;
        sd_event *event;
        size_t kind;

        ASSERT(sd_event_new(&event) >= 0);
        memset(&world, 0, sizeof(world));
        world.in = (struct input) { data, size };
        world.event = event;
        world.control = world.death = -EBADF;
        world.generation = (struct generation) { .n_refs = 1, .policy = &policy };
        kind = input_below(&world.in, 4);
        world.no_cgroup2 = kind & 1;
        driver.ops = &driver_ops[input_below(&world.in, 2)];
        ASSERT(uid_pool_init(&world.uids, 0x70000000, 4) == 0);
        host = (struct sandbox_host) {
                .event = event,
                .driver = &driver,
                .uids = &world.uids,
                .init_fd = -EBADF,
                .started = on_started,
                .ended = on_ended,
                .gone = on_gone,
                .parked = on_parked,
                .lost = on_lost,
                .replaced = on_replaced,
        };
        backlog_init(&host.backlog, event);
        if (kind & 2)
                park(&host);
        else
                start(&host);
        if (world.sandbox) {
                while (world.sandbox && world.in.left > 0)
                        operate();
                finish();
        }
        (void) safe_close(world.control);
        (void) safe_close(world.death);
        ASSERT(TAILQ_EMPTY(&host.backlog.entries));
        ASSERT(uid_pool_used(&world.uids) == 0 && world.generation.n_refs == 1);
        uid_pool_done(&world.uids);
        (void) sd_event_unref(event);
        ASSERT(host_count_fds() == n_fds);
        return 0;
}
