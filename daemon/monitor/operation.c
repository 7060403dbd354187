/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the frontend may ask for: one table, and the checks of each operation. Runs in the monitor,
 * and treats the frontend as hostile: a captured one can start sandboxes within the policy, end its
 * own, and nothing more. Anything that is not in the table ends the channel.
 */
#include <fcntl.h>
#include <inttypes.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/monitor/monitor.h"

struct request {
        union {
                struct channel_header header;
                struct channel_start start;
                struct channel_kill kill;
                struct channel_generation generation;
                struct channel_signal signal;
        };
        int fds[_CHANNEL_FD_COUNT]; /* as they came */
        size_t n_fds;
};

/* A pipe's end, asked without touching a file system: a fifo of the client's could be on one that
 * does not answer. */
static bool is_pipe(int fd, int access)
{
        int flags = fcntl(fd, F_GETFL);

        return flags >= 0 && (flags & (O_ACCMODE | O_PATH)) == access &&
               fcntl(fd, F_GETPIPE_SZ) > 0;
}

/* Moves each fd of a START to its place; those that are absent are -EBADF. False when they are not as
 * many as the flags say. */
static bool place_fds(struct request *q)
{
        int fds[_CHANNEL_FD_COUNT];
        size_t n = 0;

        for (size_t i = 0; i < _CHANNEL_FD_COUNT; i++) {
                bool wanted = channel_start_has(q->start.flags, i);

                if (wanted && n >= q->n_fds)
                        return false;
                fds[i] = wanted ? q->fds[n++] : -EBADF;
        }
        if (n != q->n_fds)
                return false;
        memcpy(q->fds, fds, sizeof(fds));
        q->n_fds = _CHANNEL_FD_COUNT;
        return true;
}

static bool fds_are_valid(const struct request *q)
{
        static const int access[_CHANNEL_FD_COUNT] = {
                [CHANNEL_FD_STDOUT] = O_WRONLY,
                [CHANNEL_FD_STDERR] = O_WRONLY,
                [CHANNEL_FD_STDIN] = O_RDONLY,
                [CHANNEL_FD_INPUT] = O_RDONLY,
                [CHANNEL_FD_COLLECT] = O_WRONLY,
        };

        if (!io_memfd_is_sealed(q->fds[CHANNEL_FD_SPEC]))
                return false;
        for (size_t i = CHANNEL_FD_STDOUT; i < _CHANNEL_FD_COUNT; i++)
                if (channel_start_has(q->start.flags, i) && !is_pipe(q->fds[i], access[i]))
                        return false;
        return true;
}

static bool limit_is_allowed(const struct policy_profile *p, enum limit_id id, uint64_t value)
{
        const struct limit_info *info = &limit_table[id];
        uint64_t maximum = p->maximums.value[id];

        if (value == 0 && info->optional)
                return maximum == 0;
        return value >= info->least && value <= info->most && (maximum == 0 || value <= maximum);
}

static bool limits_are_allowed(const struct policy *policy, const struct channel_start *start)
{
        for (enum limit_id id = 0; id < _LIMIT_COUNT; id++)
                if (!limit_is_allowed(&policy->profiles[start->profile], id,
                            start->limits.value[id]))
                        return false;
        return true;
}

/* The frontend counts too; this holds when it is captured, or many are on their way out. A job that
 * was accepted before a reload goes by whichever policy has room for it. */
static uint32_t max_sandboxes(const struct monitor *m, const struct generation *g)
{
        const struct generation *current = generations_current(&m->generations);

        return MAX(generation_max_sandboxes(g->policy), generation_max_sandboxes(current->policy));
}

/* What keeps a job from starting and is nobody's misconduct ends that job alone. */
static int refuse_start(struct monitor *m, uint64_t job, int error)
{
        struct channel_ended ended = {
                .status = JOB_STATUS_SETUP_ERROR,
                .step = SETUP_STEP_RECEIVE,
                .error = error,
        };
        struct channel_header gone;

        channel_header_init(&ended.header, CHANNEL_OP_ENDED, sizeof(ended), job);
        channel_header_init(&gone, CHANNEL_OP_GONE, sizeof(gone), job);
        monitor_send(m, &ended, sizeof(ended), -EBADF);
        monitor_send(m, &gone, sizeof(gone), -EBADF);
        return 0;
}

static int handle_start(struct monitor *m, struct request *q)
{
        const struct channel_start *start = &q->start;
        struct generation *g = generations_find(&m->generations, start->generation);
        struct sandbox *s;
        int r;

        if (start->header.job == 0 || start->header.job & CHANNEL_ID_PARKED ||
                monitor_find(m, start->header.job) || start->flags & ~_CHANNEL_START_FLAGS ||
                !place_fds(q) || !fds_are_valid(q))
                return -EBADMSG;
        if (generations_was_retired(&m->generations, start->generation))
                return refuse_start(m, start->header.job, ESTALE);
        if (!g || start->profile >= g->policy->n_profiles ||
                start->runtime >= g->policy->n_runtimes || !limits_are_allowed(g->policy, start))
                return -EBADMSG;
        if (m->n_sandboxes >= max_sandboxes(m, g))
                return refuse_start(m, start->header.job, EAGAIN);
        pool_job_began(&m->pool);
        r = pool_claim(&m->pool, g, start, q->fds, &s);
        if (r < 0)
                r = sandbox_start(&m->host, g, start, q->fds, &s);
        if (r < 0)
                pool_job_ended(&m->pool);
        if (r < 0)
                return refuse_start(m, start->header.job, -r);
        monitor_add(m, s);
        if (m->state == MONITOR_STOPPING)
                sandbox_kill(s, JOB_STATUS_CANCELLED);
        return 0;
}

static int handle_kill(struct monitor *m, struct request *q)
{
        struct sandbox *s = monitor_find(m, q->kill.header.job);

        if (q->kill.cause != JOB_STATUS_CANCELLED && q->kill.cause != JOB_STATUS_OUTPUT_LIMIT)
                return -EBADMSG;
        /* It may have ended while the order was on its way. */
        if (s)
                sandbox_kill(s, q->kill.cause);
        return 0;
}

static int handle_signal(struct monitor *m, struct request *q)
{
        struct sandbox *s = monitor_find(m, q->signal.header.job);

        if (q->signal.signal == 0 || q->signal.signal > CHANNEL_SIGNAL_MAX)
                return -EBADMSG;
        if (s)
                sandbox_signal(s, (int) q->signal.signal);
        return 0;
}

static int handle_usage(struct monitor *m, struct request *q)
{
        struct sandbox *s = monitor_find(m, q->header.job);
        struct channel_used used;

        /* What it used in all was told when it ended. */
        if (!s || s->state >= SANDBOX_ENDED)
                return 0;
        sandbox_read_usage(s, &used);
        monitor_send(m, &used, sizeof(used), -EBADF);
        return 0;
}

static int handle_pong(struct monitor *m, struct request *q)
{
        return watchdog_answered(&m->watchdog);
}

static int handle_retire(struct monitor *m, struct request *q)
{
        /* We may have been first. */
        if (generations_was_retired(&m->generations, q->generation.generation))
                return 0;
        if (generations_retire(&m->generations, q->generation.generation) < 0)
                return -EBADMSG;
        log_debug("policy %" PRIu32 " is given back", q->generation.generation);
        return 0;
}

/* 0 for never. It may have gone by any policy that it has not given back: the new one can be on its
 * way. */
static uint64_t shortest_idle_exit(const struct generations *gs)
{
        uint64_t shortest = 0;

        for (size_t i = 0; i < gs->n; i++) {
                uint64_t usec = gs->startable[i]->policy->server.idle_exit_usec;

                if (usec > 0 && (shortest == 0 || usec < shortest))
                        shortest = usec;
        }
        return shortest;
}

/* Those of a frontend that died are none of its successor's, which knows nothing of them. */
static bool is_of_frontend(const struct monitor *m, const struct sandbox *s)
{
        return s->started_usec >= m->frontend_usec;
}

static bool nothing_runs(const struct monitor *m)
{
        for (size_t i = 0; i < MONITOR_BUCKETS; i++)
                for (const struct sandbox *s = m->buckets[i]; s; s = s->next)
                        if (s->state < SANDBOX_ENDED && is_of_frontend(m, s))
                                return false;
        return true;
}

void operation_note_end(struct monitor *m, uint64_t job)
{
        const struct sandbox *s = monitor_find(m, job);

        if (s && is_of_frontend(m, s))
                m->idle_since_usec = io_now_usec();
}

/* An honest frontend counts from later on: it is told of each end after we have noted the time. */
static bool may_be_idle(const struct monitor *m)
{
        uint64_t usec = shortest_idle_exit(&m->generations);

        return m->listeners.passed && usec > 0 && nothing_runs(m) &&
               io_now_usec() - m->idle_since_usec >= usec;
}

/* One that crosses an order to stop changes nothing. A captured frontend could make us exit, so that
 * is taken only where the next client starts us again, and no more often than an honest one asks. */
static int handle_idle(struct monitor *m, struct request *q)
{
        if (m->state == MONITOR_SERVING && !may_be_idle(m))
                return -EBADMSG;
        monitor_on_idle(m);
        return 0;
}

static const struct operation {
        enum channel_op op;
        size_t size;
        size_t fds_least;
        size_t fds_most;
        unsigned states; /* bits of enum monitor_state */
        int (*handle)(struct monitor *m, struct request *q);
} operations[] = {
        { CHANNEL_OP_START, sizeof(struct channel_start), CHANNEL_FD_OPTIONAL, _CHANNEL_FD_COUNT,
                1 << MONITOR_SERVING | 1 << MONITOR_STOPPING, handle_start },
        { CHANNEL_OP_KILL, sizeof(struct channel_kill), 0, 0,
                1 << MONITOR_SERVING | 1 << MONITOR_STOPPING, handle_kill },
        { CHANNEL_OP_SIGNAL, sizeof(struct channel_signal), 0, 0,
                1 << MONITOR_SERVING | 1 << MONITOR_STOPPING, handle_signal },
        { CHANNEL_OP_USAGE, sizeof(struct channel_header), 0, 0,
                1 << MONITOR_SERVING | 1 << MONITOR_STOPPING, handle_usage },
        { CHANNEL_OP_PONG, sizeof(struct channel_header), 0, 0,
                1 << MONITOR_SERVING | 1 << MONITOR_STOPPING, handle_pong },
        { CHANNEL_OP_RETIRE, sizeof(struct channel_generation), 0, 0,
                1 << MONITOR_SERVING | 1 << MONITOR_STOPPING, handle_retire },
        { CHANNEL_OP_IDLE, sizeof(struct channel_header), 0, 0,
                1 << MONITOR_SERVING | 1 << MONITOR_STOPPING, handle_idle },
};

static const struct operation *find_operation(const struct monitor *m, const struct request *q,
        size_t size)
{
        for (size_t i = 0; i < ELEMENTSOF(operations); i++) {
                const struct operation *o = &operations[i];

                if (o->op == q->header.op && o->size == size && q->n_fds >= o->fds_least &&
                        q->n_fds <= o->fds_most && o->states & 1U << m->state)
                        return o;
        }
        return NULL;
}

int operation_receive(struct monitor *m)
{
        struct request q = {
                .fds = { [0 ... _CHANNEL_FD_COUNT - 1] = -EBADF },
        };
        const struct operation *o;
        ssize_t n;
        int r;

        n = io_receive_message(m->channel_fd, &q.start, sizeof(q.start), q.fds, _CHANNEL_FD_COUNT,
                &q.n_fds);
        if (n == -EAGAIN || n == -ENOMEM || n == -ENOBUFS)
                return 0;
        if (n == -EMFILE && q.header.op == CHANNEL_OP_START && q.header.job != 0 &&
                channel_header_valid(&q.header, sizeof(q.start)) &&
                !monitor_find(m, q.header.job)) {
                (void) refuse_start(m, q.header.job, EMFILE);
                return 1;
        }
        if (n <= 0)
                return n == 0 ? -EPIPE : (int) n;
        o = channel_header_valid(&q.header, (size_t) n) ? find_operation(m, &q, (size_t) n) : NULL;
        r = o ? o->handle(m, &q) : -EBADMSG;
        if (r < 0)
                log_error("frontend: operation %u for job %016" PRIx64 " refused (%s)", q.header.op,
                        q.header.job, strerror(-r));
        io_close_all(q.fds, q.n_fds);
        return r < 0 ? r : 1;
}
