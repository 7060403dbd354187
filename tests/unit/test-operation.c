/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A captured frontend: this test holds its end of the channel and sends what no honest one would.
 * Each such message must end the channel, start nothing, and leave no fd open in the monitor. What
 * the policy allows starts a sandbox, whose making fails here before anything of the host is used.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/io.h"
#include "daemon/monitor/monitor.h"
#include "daemon/monitor/sandbox-state.h"
#include "daemon/wire/launch.h"
#include "tests/unit/fixture-generation.h"
#include "tests/unit/fixture-policy.h"

#define JOB UINT64_C(0x1234)
#define FDS_MAX 8

/* A message as it goes out; everything about it can be spoilt. */
struct message {
        union {
                struct channel_header header;
                struct channel_start start;
                struct channel_kill kill;
                struct channel_generation generation;
                struct channel_signal signal;
                uint8_t bytes[2 * sizeof(struct channel_start)];
        };
        size_t size;
        int fds[FDS_MAX];
        size_t n_fds;
};

static struct policy policy;
static struct monitor monitor;
static int frontend = -EBADF; /* its end of the channel */
static unsigned n_made, n_gone, n_removals;
static int remove_answer;
static struct channel_ended last_ended;

/* --- a host that makes no sandbox */

static int stub_make(struct driver *d, struct placement *p, pid_t init, struct error *ret_error)
{
        n_made++;
        return error_set(ret_error, -ENOSPC, "stub");
}

static int stub_remove(struct driver *d, struct placement *p)
{
        n_removals++;
        return remove_answer;
}

static void stub_detach(struct driver *d, struct placement *p)
{
}

static void stub_free(struct driver *d)
{
}

static const struct driver_ops stub_ops = {
        .name = "stub",
        .make = stub_make,
        .remove = stub_remove,
        .detach = stub_detach,
        .free = stub_free,
};

/* One that can be asked who ended a sandbox. */
static int stub_explain(struct driver *d, struct placement *p)
{
        return 0;
}

static const struct driver_ops explaining_ops = {
        .name = "stub",
        .make = stub_make,
        .remove = stub_remove,
        .explain = stub_explain,
        .detach = stub_detach,
        .free = stub_free,
};
static struct driver stub;

static void on_started(void *userdata, struct sandbox *s)
{
        ck_abort_msg("no sandbox of this suite is ever made");
}

static void on_ended(void *userdata, const struct channel_ended *message, int value_fd)
{
        operation_note_end(userdata, message->header.job);
        last_ended = *message;
}

static void on_gone(void *userdata, struct sandbox *gone)
{
        struct monitor *m = userdata;

        for (size_t i = 0; i < MONITOR_BUCKETS; i++)
                for (struct sandbox **at = &m->buckets[i]; *at; at = &(*at)->next) {
                        struct sandbox *s = *at;

                        if (s != gone)
                                continue;
                        *at = s->next;
                        m->n_sandboxes--;
                        n_gone++;
                        sandbox_free(s);
                        return;
                }
        ck_abort_msg("an unknown sandbox is gone");
}

/* Lets the loop work until no sandbox is left. */
static void drain(void)
{
        while (monitor.n_sandboxes > 0)
                ck_assert_int_ge(sd_event_run(monitor.event, 5 * USEC_PER_SEC), 0);
}

/* A reload: what policy says now is in force. */
static void reload(void)
{
        generations_add(&monitor.generations, fixture_generation(&policy));
}

static void setup(void)
{
        int pair[2];

        fixture_policy(&policy);
        n_made = n_gone = n_removals = 0;
        remove_answer = 0;
        stub.ops = &stub_ops;
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                                 pair),
                0);
        frontend = pair[0];
        monitor = (struct monitor) {
                .state = MONITOR_SERVING,
                .channel_fd = pair[1],
                .control = { .fd = -EBADF },
        };
        ck_assert_int_eq(uid_pool_init(&monitor.uids, 0x70000000, 1024), 0);
        ck_assert_int_ge(sd_event_new(&monitor.event), 0);
        reload();
        monitor.host = (struct sandbox_host) {
                .event = monitor.event,
                .driver = &stub,
                .uids = &monitor.uids,
                .init_fd = -EBADF,
                .started = on_started,
                .ended = on_ended,
                .gone = on_gone,
                .userdata = &monitor,
        };
        backlog_init(&monitor.host.backlog, monitor.event);
}

static void teardown(void)
{
        drain();
        ck_assert_uint_eq(uid_pool_used(&monitor.uids), 0);
        uid_pool_done(&monitor.uids);
        generations_done(&monitor.generations);
        ck_assert_uint_eq(monitor.generations.n_alive, 0);
        monitor.stop_source = sd_event_source_disable_unref(monitor.stop_source);
        monitor.event = sd_event_unref(monitor.event);
        monitor.channel_fd = safe_close(monitor.channel_fd);
        frontend = safe_close(frontend);
}

/* --- fds, and messages that carry them */

static size_t count_fds(void)
{
        DIR *d = opendir("/proc/self/fd");
        size_t n = 0;

        ck_assert_ptr_nonnull(d);
        while (readdir(d))
                n++;
        (void) closedir(d);
        return n;
}

static int new_memfd(unsigned seals)
{
        int fd = io_memfd_new("spec");

        ck_assert_int_ge(fd, 0);
        if (seals > 0)
                ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

static int new_spec(void)
{
        int fd = new_memfd(0);

        ck_assert_int_eq(io_memfd_seal(fd), 0);
        return fd;
}

/* One end of a pipe: 0 reads, 1 writes. */
static int new_pipe_end(int which)
{
        int ends[2];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        (void) close(ends[!which]);
        return ends[which];
}

static int new_file(int flags)
{
        char path[] = "/tmp/test-operation-XXXXXX";
        int fd = mkstemp(path), again;

        ck_assert_int_ge(fd, 0);
        again = open(path, flags | O_CLOEXEC);
        ck_assert_int_ge(again, 0);
        (void) unlink(path);
        (void) close(fd);
        return again;
}

static int new_socket(void)
{
        int pair[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        (void) close(pair[1]);
        return pair[0];
}

/* A pipe's end opened again in another way. */
static int reopen_pipe(int which, int flags)
{
        int end = new_pipe_end(which), again;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", end);
        again = open(path, flags | O_CLOEXEC | O_NONBLOCK);
        ck_assert_int_ge(again, 0);
        (void) close(end);
        return again;
}

static void set_fd(struct message *q, enum channel_start_fd which, int fd)
{
        (void) close(q->fds[which]);
        q->fds[which] = fd;
}

static void good_start(struct message *q)
{
        *q = (struct message) { .size = sizeof(q->start) };
        channel_header_init(&q->header, CHANNEL_OP_START, q->size, JOB);
        q->start.generation = monitor.generations.last;
        q->start.limits = policy.profiles[0].maximums;
        q->fds[CHANNEL_FD_SPEC] = new_spec();
        q->fds[CHANNEL_FD_STDOUT] = new_pipe_end(1);
        q->fds[CHANNEL_FD_STDERR] = new_pipe_end(1);
        q->fds[CHANNEL_FD_STDIN] = new_pipe_end(0);
        q->fds[CHANNEL_FD_INPUT] = new_pipe_end(0);
        q->fds[CHANNEL_FD_COLLECT] = new_pipe_end(1);
        q->n_fds = _CHANNEL_FD_COUNT;
        q->start.flags = CHANNEL_START_STDIN | CHANNEL_START_INPUT | CHANNEL_START_COLLECT;
}

/* One with a stdin alone, or with none of what is optional. */
static void small_start(struct message *q, bool with_stdin)
{
        good_start(q);
        q->start.flags = with_stdin ? CHANNEL_START_STDIN : 0;
        while (q->n_fds > CHANNEL_FD_OPTIONAL + (size_t) with_stdin)
                (void) close(q->fds[--q->n_fds]);
}

static void good_kill(struct message *q)
{
        *q = (struct message) { .size = sizeof(q->kill) };
        channel_header_init(&q->header, CHANNEL_OP_KILL, q->size, JOB);
        q->kill.cause = JOB_STATUS_CANCELLED;
}

static void good_retire(struct message *q)
{
        *q = (struct message) { .size = sizeof(q->generation) };
        channel_header_init(&q->header, CHANNEL_OP_RETIRE, q->size, 0);
        q->generation.generation = monitor.generations.last - 1;
}

static void resize(struct message *q, size_t size)
{
        q->size = size;
        q->header.size = (uint32_t) size;
}

static void close_fds(struct message *q)
{
        io_close_all(q->fds, q->n_fds);
        q->n_fds = 0;
}

/* Sends a message, lets the monitor take it, and sees that it kept none of the fds. */
static int deliver(struct message *q)
{
        size_t before = count_fds();
        int r;

        ck_assert_int_eq(io_send_message(frontend, q->bytes, q->size, q->fds, q->n_fds), 0);
        r = operation_receive(&monitor);
        ck_assert_uint_eq(count_fds(), before);
        close_fds(q);
        return r;
}

static int deliver_start(uint64_t job)
{
        struct message q;

        good_start(&q);
        q.header.job = job;
        return deliver(&q);
}

static int deliver_start_of(uint32_t generation, uint64_t job)
{
        struct message q;

        good_start(&q);
        q.header.job = job;
        q.start.generation = generation;
        return deliver(&q);
}

static int deliver_kill(uint64_t job, uint32_t cause)
{
        struct message q;

        good_kill(&q);
        q.header.job = job;
        q.kill.cause = cause;
        return deliver(&q);
}

static int deliver_retire(uint32_t generation)
{
        struct message q;

        good_retire(&q);
        q.generation.generation = generation;
        return deliver(&q);
}

/* --- what is taken */

/* One sandbox from START to its end, so that the loop has its own fds before any are counted. */
static void warm_up(void)
{
        struct message q;

        good_start(&q);
        ck_assert_int_eq(io_send_message(frontend, q.bytes, q.size, q.fds, q.n_fds), 0);
        ck_assert_int_eq(operation_receive(&monitor), 1);
        close_fds(&q);
        drain();
        n_made = n_gone = n_removals = 0;
        remove_answer = 0;
}

START_TEST(test_start_is_taken)
{
        struct message q;

        warm_up();
        ck_assert_int_eq(deliver_start(JOB), 1);
        ck_assert_ptr_nonnull(monitor_find(&monitor, JOB));
        ck_assert_uint_eq(monitor.n_sandboxes, 1);
        drain();
        ck_assert_uint_eq(n_made, 1);
        ck_assert_uint_eq(n_gone, 1);
        ck_assert_uint_eq(last_ended.header.job, JOB);
        ck_assert_uint_eq(last_ended.step, SETUP_STEP_CGROUP);
        ck_assert_int_eq(last_ended.error, ENOSPC);

        /* Without stdin, with the flag there is, with other limits. */
        small_start(&q, false);
        q.start.flags = CHANNEL_START_RETURN_VALUE;
        q.start.limits = policy.profiles[0].defaults;
        q.start.limits.value[LIMIT_CPU_TIME] = limit_table[LIMIT_CPU_TIME].least;
        ck_assert_int_eq(deliver(&q), 1);
}
END_TEST

START_TEST(test_limit_without_maximum)
{
        struct message q;

        warm_up();
        good_start(&q);
        q.start.profile = 1;
        q.start.limits.value[LIMIT_CPU_TIME] = 0;
        ck_assert_int_eq(deliver(&q), 1);
        good_start(&q);
        q.header.job = JOB + 1;
        q.start.profile = 1;
        q.start.limits.value[LIMIT_CPU_TIME] = limit_table[LIMIT_CPU_TIME].most;
        ck_assert_int_eq(deliver(&q), 1);
        /* It is bounded all the same by what the limit can be at all. */
        good_start(&q);
        q.header.job = JOB + 2;
        q.start.profile = 1;
        q.start.limits.value[LIMIT_CPU_TIME] = limit_table[LIMIT_CPU_TIME].most + 1;
        ck_assert_int_lt(deliver(&q), 0);
        ck_assert_uint_eq(n_made, 2);
}
END_TEST

START_TEST(test_kill_is_taken)
{
        static const uint32_t causes[] = { JOB_STATUS_CANCELLED, JOB_STATUS_OUTPUT_LIMIT };

        warm_up();
        for (size_t i = 0; i < ELEMENTSOF(causes); i++) {
                ck_assert_int_eq(deliver_start(JOB), 1);
                ck_assert_int_eq(deliver_kill(JOB, causes[i]), 1);
                drain();
                ck_assert_uint_eq(last_ended.status, causes[i]);
        }
        /* Of a job that ended while the order was on its way. */
        ck_assert_int_eq(deliver_kill(JOB, JOB_STATUS_CANCELLED), 1);
}
END_TEST

/* A sandbox with a job that is as if it had been parked, and of which init has said this and died. */
static struct sandbox *start_claimed(const struct launch_event *last)
{
        struct sandbox *s;
        int pair[2];

        ck_assert_int_eq(deliver_start(JOB), 1);
        s = monitor_find(&monitor, JOB);
        s->cold = sandbox_allocate(s->host, generations_current(&monitor.generations));
        ck_assert_ptr_nonnull(s->cold);
        s->ending = (struct ending) {};
        s->state = SANDBOX_RUNNING;
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                                 pair),
                0);
        ck_assert_int_eq(io_send_message(pair[1], last, sizeof(*last), NULL, 0), 0);
        (void) close(pair[1]);
        s->control_fd = pair[0];
        return s;
}

/* It would be made anew, although nobody wants it any more. */
START_TEST(test_kill_that_finds_a_claimed_one_dead)
{
        static const struct launch_event exited = { .kind = LAUNCH_EXITED };

        warm_up();
        sandbox_kill(start_claimed(&exited), JOB_STATUS_CANCELLED);
        drain();
        ck_assert_uint_eq(last_ended.header.job, JOB);
        ck_assert_uint_eq(last_ended.status, JOB_STATUS_CANCELLED);
        ck_assert_uint_eq(n_made, 1);
}
END_TEST

/* Init may have begun to write what another one would write too. */
START_TEST(test_bare_one_with_files_that_ended)
{
        static const struct launch_event exited = {
                .kind = LAUNCH_EXITED,
                .code = CLD_KILLED,
                .status = SIGKILL,
        };
        struct sandbox *s;

        warm_up();
        s = start_claimed(&exited);
        s->bare = s->collects = true;
        sandbox_read_control(s);
        drain();
        ck_assert_uint_eq(last_ended.status, JOB_STATUS_SIGNALED);
        ck_assert_uint_eq(n_made, 1);
}
END_TEST

/* That it is dead is known, and its pidfd has not been looked at. */
START_TEST(test_claim_of_one_whose_init_is_gone)
{
        struct generation *g = generations_current(&monitor.generations);
        int fds[] = { [0 ... _CHANNEL_FD_COUNT - 1] = -EBADF };
        struct message q;
        struct sandbox *s;

        warm_up();
        ck_assert_int_eq(deliver_start(JOB), 1);
        s = monitor_find(&monitor, JOB);
        s->parks = true;
        s->state = SANDBOX_PARKED;
        good_start(&q);
        ck_assert_int_eq(sandbox_claim(s, g, &q.start, fds), -ESRCH);
        s->parks = false;
        s->state = SANDBOX_NEW;
        io_close_all(q.fds, q.n_fds);
}
END_TEST

/* Whoever stopped its scope did not mean that it be made anew. */
START_TEST(test_claimed_one_that_was_stopped)
{
        static const struct launch_event exited = { .kind = LAUNCH_EXITED };
        struct sandbox *s;

        warm_up();
        stub.ops = &explaining_ops;
        s = start_claimed(&exited);
        s->ending.step = SETUP_STEP_FILES;
        s->ending.error = ECHILD;
        sandbox_read_control(s);
        ck_assert(s->explaining);
        s->place.explained(&s->place, true);
        drain();
        ck_assert_uint_eq(last_ended.status, JOB_STATUS_CANCELLED);
        ck_assert_uint_eq(n_made, 1);
}
END_TEST

/* A job is started as it was planned, until the frontend says that none will be. */
START_TEST(test_start_of_an_older_generation)
{
        uint64_t before = policy.profiles[1].maximums.value[LIMIT_MEMORY];
        struct message q;

        warm_up();
        policy.profiles[0].maximums.value[LIMIT_MEMORY] /= 2;
        policy.n_profiles = 1;
        reload();
        good_start(&q);
        q.start.generation = 1;
        q.start.profile = 1;
        q.start.limits.value[LIMIT_MEMORY] = before;
        ck_assert_int_eq(deliver(&q), 1);
        good_start(&q);
        q.header.job = JOB + 1;
        ck_assert_int_eq(deliver(&q), 1);
        ck_assert_uint_eq(n_made, 2);
        /* The sandbox keeps what it was made of. */
        ck_assert_int_eq(deliver_retire(1), 1);
        ck_assert_uint_eq(monitor.generations.n_alive, 2);
        drain();
        ck_assert_uint_eq(monitor.generations.n_alive, 1);
        ck_assert_int_eq(deliver_start(JOB), 1);
}
END_TEST

/* Each START counts against MaxJobs= as it was when the job was planned. */
START_TEST(test_max_jobs_of_a_generation)
{
        uint32_t before = policy.server.max_jobs, most;
        struct message q;

        warm_up();
        policy.server.max_jobs = 1;
        reload();
        most = generation_max_sandboxes(&policy);
        for (uint64_t job = 1; job <= most; job++)
                ck_assert_int_eq(deliver_start(job), 1);
        ck_assert_int_eq(deliver_start(most + 1), 1);
        ck_assert_uint_eq(n_made, most);
        good_start(&q);
        q.header.job = most + 2;
        q.start.generation = 1;
        ck_assert_int_eq(deliver(&q), 1);
        ck_assert_uint_eq(n_made, most + (before > 1));
}
END_TEST

START_TEST(test_start_while_stopping)
{
        warm_up();
        monitor.state = MONITOR_STOPPING;
        ck_assert_int_eq(deliver_start(JOB), 1);
        drain();
        ck_assert_uint_eq(last_ended.status, JOB_STATUS_CANCELLED);
}
END_TEST

/* A cgroup that cannot be removed is tried again ever more seldom: a thousand such keep nobody busy. */
START_TEST(test_removal_is_retried)
{
        uint64_t end = io_now_usec() + 200 * USEC_PER_MSEC;

        warm_up();
        remove_answer = -EBUSY;
        ck_assert_int_eq(deliver_start(JOB), 1);
        while (io_now_usec() < end)
                ck_assert_int_ge(sd_event_run(monitor.event, 10 * USEC_PER_MSEC), 0);
        ck_assert_uint_eq(monitor.n_sandboxes, 1);
        ck_assert_uint_ge(n_removals, 2);
        ck_assert_uint_le(n_removals, 9);
        remove_answer = 0;
        drain();
        ck_assert_uint_eq(n_gone, 1);
}
END_TEST

static int send_idle(void)
{
        struct channel_header h;

        channel_header_init(&h, CHANNEL_OP_IDLE, sizeof(h), 0);
        ck_assert_int_eq(io_send_message(frontend, &h, sizeof(h), NULL, 0), 0);
        return operation_receive(&monitor);
}

/* A monitor that would be told to go. */
static void be_idle(void)
{
        monitor.listeners.passed = true;
        policy.server.idle_exit_usec = 10 * USEC_PER_SEC;
        reload();
        monitor.idle_since_usec = io_now_usec() - 11 * USEC_PER_SEC;
}

/* It is answered by STOP, once. */
START_TEST(test_idle_is_taken)
{
        struct channel_header h;

        warm_up();
        be_idle();
        ck_assert_int_eq(send_idle(), 1);
        ck_assert_int_eq(monitor.state, MONITOR_STOPPING);
        ck_assert_int_eq(monitor.result, 0);
        ck_assert_int_eq(io_receive_message(frontend, &h, sizeof(h), NULL, 0, NULL), sizeof(h));
        ck_assert_int_eq(h.op, CHANNEL_OP_STOP);
        /* One that has crossed an order to stop. */
        ck_assert_int_eq(send_idle(), 1);
        ck_assert_int_eq(io_receive_message(frontend, &h, sizeof(h), NULL, 0, NULL), -EAGAIN);
}
END_TEST

START_TEST(test_nothing_to_receive)
{
        ck_assert_int_eq(operation_receive(&monitor), 0);
        frontend = safe_close(frontend);
        ck_assert_int_lt(operation_receive(&monitor), 0);
}
END_TEST

/* --- what is not */

static void spoil_magic(struct message *q)
{
        q->header.magic ^= 1;
}

static void spoil_version(struct message *q)
{
        q->header.version++;
}

static void spoil_stated_size(struct message *q)
{
        q->header.size++;
}

static void spoil_short(struct message *q)
{
        resize(q, q->size - 8);
}

static void spoil_long(struct message *q)
{
        resize(q, q->size + 8);
}

static void spoil_header_alone(struct message *q)
{
        resize(q, sizeof(q->header));
}

static void spoil_one_byte(struct message *q)
{
        resize(q, 1);
}

static void spoil_size_of_kill(struct message *q)
{
        resize(q, sizeof(q->kill));
}

static void spoil_no_job(struct message *q)
{
        q->header.job = 0;
}

static void spoil_profile(struct message *q)
{
        q->start.profile = policy.n_profiles;
}

static void spoil_profile_large(struct message *q)
{
        q->start.profile = UINT32_MAX;
}

static void spoil_generation_none(struct message *q)
{
        q->start.generation = 0;
}

static void spoil_generation_next(struct message *q)
{
        q->start.generation++;
}

static void spoil_flags(struct message *q)
{
        q->start.flags |= _CHANNEL_START_FLAGS + 1;
}

static void spoil_flags_high(struct message *q)
{
        q->start.flags |= 1U << 31;
}

static void spoil_unsealed_spec(struct message *q)
{
        set_fd(q, CHANNEL_FD_SPEC, new_memfd(0));
}

static void spoil_writable_spec(struct message *q)
{
        set_fd(q, CHANNEL_FD_SPEC, new_memfd(F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_SHRINK));
}

static void spoil_shrinkable_spec(struct message *q)
{
        set_fd(q, CHANNEL_FD_SPEC, new_memfd(F_SEAL_SEAL | F_SEAL_GROW | F_SEAL_WRITE));
}

static void spoil_file_spec(struct message *q)
{
        set_fd(q, CHANNEL_FD_SPEC, new_file(O_RDONLY));
}

static void spoil_pipe_spec(struct message *q)
{
        set_fd(q, CHANNEL_FD_SPEC, new_pipe_end(0));
}

static void spoil_file_stdout(struct message *q)
{
        set_fd(q, CHANNEL_FD_STDOUT, new_file(O_WRONLY));
}

static void spoil_read_end_stdout(struct message *q)
{
        set_fd(q, CHANNEL_FD_STDOUT, new_pipe_end(0));
}

static void spoil_both_ends_stdout(struct message *q)
{
        set_fd(q, CHANNEL_FD_STDOUT, reopen_pipe(1, O_RDWR));
}

static void spoil_socket_stdout(struct message *q)
{
        set_fd(q, CHANNEL_FD_STDOUT, new_socket());
}

static void spoil_memfd_stdout(struct message *q)
{
        set_fd(q, CHANNEL_FD_STDOUT, new_spec());
}

static void spoil_file_stderr(struct message *q)
{
        set_fd(q, CHANNEL_FD_STDERR, new_file(O_WRONLY));
}

static void spoil_read_end_stderr(struct message *q)
{
        set_fd(q, CHANNEL_FD_STDERR, new_pipe_end(0));
}

static void spoil_socket_stderr(struct message *q)
{
        set_fd(q, CHANNEL_FD_STDERR, new_socket());
}

static void spoil_file_stdin(struct message *q)
{
        set_fd(q, CHANNEL_FD_STDIN, new_file(O_RDONLY));
}

static void spoil_write_end_stdin(struct message *q)
{
        set_fd(q, CHANNEL_FD_STDIN, new_pipe_end(1));
}

static void spoil_path_stdin(struct message *q)
{
        set_fd(q, CHANNEL_FD_STDIN, reopen_pipe(0, O_PATH));
}

static void spoil_socket_stdin(struct message *q)
{
        set_fd(q, CHANNEL_FD_STDIN, new_socket());
}

static void spoil_file_input(struct message *q)
{
        set_fd(q, CHANNEL_FD_INPUT, new_file(O_RDONLY));
}

static void spoil_write_end_input(struct message *q)
{
        set_fd(q, CHANNEL_FD_INPUT, new_pipe_end(1));
}

static void spoil_file_collect(struct message *q)
{
        set_fd(q, CHANNEL_FD_COLLECT, new_file(O_WRONLY));
}

static void spoil_read_end_collect(struct message *q)
{
        set_fd(q, CHANNEL_FD_COLLECT, new_pipe_end(0));
}

/* Each flag without its fd, and each fd without its flag; the kinds of the others would do. */
static void spoil_one_flag_more(struct message *q)
{
        small_start(q, true);
        q->start.flags |= CHANNEL_START_INPUT;
}

static void spoil_one_flag_less(struct message *q)
{
        q->start.flags &= ~(uint32_t) CHANNEL_START_INPUT;
}

static void spoil_another_flag(struct message *q)
{
        small_start(q, true);
        q->start.flags = CHANNEL_START_COLLECT;
}

static void spoil_no_flags(struct message *q)
{
        q->start.flags = 0;
}

static void spoil_no_fds(struct message *q)
{
        close_fds(q);
}

static void spoil_two_fds(struct message *q)
{
        while (q->n_fds > CHANNEL_FD_STDERR)
                (void) close(q->fds[--q->n_fds]);
}

static void spoil_seven_fds(struct message *q)
{
        q->fds[q->n_fds++] = new_pipe_end(0);
}

static const struct {
        const char *name;
        void (*spoil)(struct message *q);
} bad_starts[] = {
        { "magic", spoil_magic },
        { "version", spoil_version },
        { "another size in the header", spoil_stated_size },
        { "too short", spoil_short },
        { "too long", spoil_long },
        { "the header alone", spoil_header_alone },
        { "one byte", spoil_one_byte },
        { "the size of KILL", spoil_size_of_kill },
        { "job 0", spoil_no_job },
        { "the profile after the last", spoil_profile },
        { "a profile far off", spoil_profile_large },
        { "no generation", spoil_generation_none },
        { "a generation to come", spoil_generation_next },
        { "an unknown flag", spoil_flags },
        { "an unknown flag beside a known one", spoil_flags_high },
        { "spec: not sealed", spoil_unsealed_spec },
        { "spec: sealed against all but writes", spoil_writable_spec },
        { "spec: sealed against all but shrinking", spoil_shrinkable_spec },
        { "spec: a regular file", spoil_file_spec },
        { "spec: a pipe", spoil_pipe_spec },
        { "stdout: a regular file", spoil_file_stdout },
        { "stdout: a read end", spoil_read_end_stdout },
        { "stdout: both ends", spoil_both_ends_stdout },
        { "stdout: a socket", spoil_socket_stdout },
        { "stdout: a memfd", spoil_memfd_stdout },
        { "stderr: a regular file", spoil_file_stderr },
        { "stderr: a read end", spoil_read_end_stderr },
        { "stderr: a socket", spoil_socket_stderr },
        { "stdin: a regular file", spoil_file_stdin },
        { "stdin: a write end", spoil_write_end_stdin },
        { "stdin: O_PATH", spoil_path_stdin },
        { "stdin: a socket", spoil_socket_stdin },
        { "input: a regular file", spoil_file_input },
        { "input: a write end", spoil_write_end_input },
        { "collect: a regular file", spoil_file_collect },
        { "collect: a read end", spoil_read_end_collect },
        { "a flag without its fd", spoil_one_flag_more },
        { "an fd without its flag", spoil_one_flag_less },
        { "the flag of another fd", spoil_another_flag },
        { "fds without flags", spoil_no_flags },
        { "no fds", spoil_no_fds },
        { "two fds", spoil_two_fds },
        { "seven fds", spoil_seven_fds },
};

START_TEST(test_bad_start)
{
        struct message q;

        warm_up();
        good_start(&q);
        bad_starts[_i].spoil(&q);
        ck_assert_msg(deliver(&q) < 0, "START was taken: %s", bad_starts[_i].name);
        ck_assert_msg(n_made == 0 && monitor.n_sandboxes == 0, "a sandbox was started: %s",
                bad_starts[_i].name);
}
END_TEST

/* A limit of the table, with a value that the policy does not allow. */
static void expect_limit_refused(enum limit_id id, uint64_t value)
{
        struct message q;

        good_start(&q);
        q.start.limits.value[id] = value;
        ck_assert_msg(deliver(&q) < 0, "%s=%llu was taken", limit_table[id].key,
                (unsigned long long) value);
        ck_assert_uint_eq(n_made, 0);
}

START_TEST(test_limits)
{
        const struct limit_info *info = &limit_table[_i];
        enum limit_id id = (enum limit_id) _i;

        warm_up();
        expect_limit_refused(id, policy.profiles[0].maximums.value[id] + 1);
        expect_limit_refused(id, UINT64_MAX);
        if (info->least > 0)
                expect_limit_refused(id, info->least - 1);
        /* 0 stands for "none": refused where there is a maximum, and where it means nothing. */
        if (info->least > 0)
                expect_limit_refused(id, 0);
        /* What the limit can be at all holds where the policy has a larger maximum, too. */
        policy.profiles[0].maximums.value[id] = UINT64_MAX;
        reload();
        expect_limit_refused(id, info->most + 1);
}
END_TEST

START_TEST(test_job_twice)
{
        warm_up();
        ck_assert_int_eq(deliver_start(JOB), 1);
        ck_assert_int_lt(deliver_start(JOB), 0);
        ck_assert_uint_eq(n_made, 1);
        ck_assert_uint_eq(monitor.n_sandboxes, 1);
        /* Once the first one is gone, the number is free. */
        drain();
        ck_assert_int_eq(deliver_start(JOB), 1);
}
END_TEST

/* The job, and it alone, ended before anything was made: the frontend is told so. */
static void expect_refusal(uint64_t job, int error)
{
        struct channel_ended ended = {};
        struct channel_header gone = {};

        ck_assert_int_eq(io_receive_message(frontend, &ended, sizeof(ended), NULL, 0, NULL),
                sizeof(ended));
        ck_assert_uint_eq(ended.header.op, CHANNEL_OP_ENDED);
        ck_assert_uint_eq(ended.header.job, job);
        ck_assert_uint_eq(ended.status, JOB_STATUS_SETUP_ERROR);
        ck_assert_int_eq(ended.error, error);
        ck_assert_int_eq(io_receive_message(frontend, &gone, sizeof(gone), NULL, 0, NULL),
                sizeof(gone));
        ck_assert_uint_eq(gone.op, CHANNEL_OP_GONE);
        ck_assert_uint_eq(gone.job, job);
}

/* The frontend counts jobs too; a captured one does not. */
START_TEST(test_too_many_jobs)
{
        uint32_t most = generation_max_sandboxes(&policy);

        warm_up();
        for (uint64_t job = 1; job <= most; job++)
                ck_assert_int_eq(deliver_start(job), 1);
        ck_assert_int_eq(deliver_start(most + 1), 1);
        expect_refusal(most + 1, EAGAIN);
        ck_assert_uint_eq(n_made, most);
        ck_assert_uint_eq(monitor.n_sandboxes, most);
}
END_TEST

/* A job that was accepted is not refused for the reload that came meanwhile, in whichever direction
 * that went. */
START_TEST(test_too_many_jobs_for_one_generation)
{
        uint32_t least = generation_max_sandboxes(&policy);

        for (unsigned more = 0; more < 2; more++) {
                policy.server.max_jobs += more;
                reload();
        }
        warm_up();
        for (uint64_t job = 1; job <= least; job++)
                ck_assert_int_eq(deliver_start(job), 1);
        ck_assert_int_eq(deliver_start_of(1, least + 1), 1);
        ck_assert_uint_eq(monitor.n_sandboxes, least + 1);
        ck_assert_int_eq(deliver_start_of(1, least + 2), 1);
        expect_refusal(least + 2, EAGAIN);
        drain();
        policy.server.max_jobs--;
        reload();
        for (uint64_t job = 1; job <= least; job++)
                ck_assert_int_eq(deliver_start(job), 1);
        ck_assert_int_eq(deliver_start_of(3, least + 1), 1);
        ck_assert_uint_eq(monitor.n_sandboxes, least + 1);
}
END_TEST

/* What this profile allowed once is no help when the policy in force does not. */
START_TEST(test_start_of_a_generation_that_was_retired)
{
        struct message q;

        warm_up();
        reload();
        ck_assert_int_eq(generations_retire(&monitor.generations, 1), 0);
        ck_assert_int_eq(deliver_start_of(1, JOB), 1);
        expect_refusal(JOB, ESTALE);
        good_start(&q);
        q.start.generation = 1;
        q.header.job = 0;
        ck_assert_int_lt(deliver(&q), 0);
        good_start(&q);
        q.start.generation = 1;
        set_fd(&q, CHANNEL_FD_SPEC, new_memfd(0));
        ck_assert_int_lt(deliver(&q), 0);
        ck_assert_uint_eq(n_made, 0);
}
END_TEST

/* A frontend that never gives a policy back does not keep it. */
START_TEST(test_overdue_generation)
{
        struct error error;

        monitor.driver = &stub;
        ck_assert_int_eq(monitor_plan_reload(&monitor, &error), 0);
        monitor_adopt_generation(&monitor, fixture_generation(&policy));
        monitor_adopt_generation(&monitor, fixture_generation(&policy));
        ck_assert_uint_eq(monitor.generations.n, 3);
        for (unsigned i = 0; i < 2; i++) {
                int enabled = SD_EVENT_OFF;

                ck_assert_int_ge(sd_event_source_get_enabled(monitor.retire_source, &enabled), 0);
                ck_assert_int_eq(enabled, SD_EVENT_ONESHOT);
                monitor.generations.startable[0]->replaced_usec = 0;
                ck_assert_int_ge(sd_event_source_set_time(monitor.retire_source, 0), 0);
                while (monitor.generations.n == 3 - i)
                        ck_assert_int_gt(sd_event_run(monitor.event, 5 * USEC_PER_SEC), 0);
        }
        ck_assert_uint_eq(generations_current(&monitor.generations)->number, 3);
        monitor.retire_source = sd_event_source_disable_unref(monitor.retire_source);
}
END_TEST

/* No room for the fds: that is not the frontend's misconduct. */
START_TEST(test_full_fd_table)
{
        struct rlimit kept, full;
        struct message q;
        int next, r;

        warm_up();
        good_start(&q);
        ck_assert_int_eq(io_send_message(frontend, q.bytes, q.size, q.fds, q.n_fds), 0);
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &kept), 0);
        next = dup(frontend);
        ck_assert_int_ge(next, 0);
        (void) close(next);
        full = (struct rlimit) { (rlim_t) next, kept.rlim_max };
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &full), 0);
        r = operation_receive(&monitor);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &kept), 0);
        close_fds(&q);
        ck_assert_int_eq(r, 1);
        expect_refusal(JOB, EMFILE);
        ck_assert_uint_eq(n_made, 0);
        ck_assert_int_eq(deliver_start(JOB), 1);
}
END_TEST

START_TEST(test_bad_kill)
{
        /* Every cause that is the monitor's to find, and numbers that are none. */
        static const uint32_t causes[] = {
                JOB_STATUS_NONE,
                JOB_STATUS_OK,
                JOB_STATUS_EXITED,
                JOB_STATUS_SIGNALED,
                JOB_STATUS_TIMEOUT,
                JOB_STATUS_CPU_LIMIT,
                JOB_STATUS_MEMORY_LIMIT,
                JOB_STATUS_VIOLATION,
                JOB_STATUS_SETUP_ERROR,
                _JOB_STATUS_COUNT,
                UINT32_MAX,
        };
        struct message q;

        warm_up();
        ck_assert_int_eq(deliver_start(JOB), 1);
        for (size_t i = 0; i < ELEMENTSOF(causes); i++)
                ck_assert_msg(deliver_kill(JOB, causes[i]) < 0, "cause %u was taken", causes[i]);
        good_kill(&q);
        q.fds[q.n_fds++] = new_pipe_end(1);
        ck_assert_int_lt(deliver(&q), 0);
        good_kill(&q);
        resize(&q, sizeof(q.start));
        ck_assert_int_lt(deliver(&q), 0);
        good_kill(&q);
        resize(&q, sizeof(q.header));
        ck_assert_int_lt(deliver(&q), 0);
        drain();
        ck_assert_uint_eq(last_ended.status, JOB_STATUS_SETUP_ERROR);
}
END_TEST

static int deliver_signal(uint64_t job, uint32_t number)
{
        struct message q = { .size = sizeof(q.signal) };

        channel_header_init(&q.header, CHANNEL_OP_SIGNAL, q.size, job);
        q.signal.signal = number;
        return deliver(&q);
}

/* Before the payload is there it waits for it; of a job that is not, or no more, nothing comes. */
START_TEST(test_signal)
{
        struct message q = { .size = sizeof(q.signal) };

        warm_up();
        ck_assert_int_eq(deliver_start(JOB), 1);
        ck_assert_int_eq(deliver_signal(JOB, 1), 1);
        ck_assert_int_eq(deliver_signal(JOB, CHANNEL_SIGNAL_MAX), 1);
        ck_assert_uint_eq(monitor_find(&monitor, JOB)->signals, UINT64_C(1) | UINT64_C(1) << 63);
        ck_assert_int_eq(deliver_signal(JOB + 1, 15), 1);
        ck_assert_int_lt(deliver_signal(JOB, 0), 0);
        ck_assert_int_lt(deliver_signal(JOB, CHANNEL_SIGNAL_MAX + 1), 0);
        ck_assert_int_lt(deliver_signal(JOB, UINT32_MAX), 0);
        channel_header_init(&q.header, CHANNEL_OP_SIGNAL, q.size, JOB);
        q.signal.signal = 15;
        q.fds[q.n_fds++] = new_pipe_end(1);
        ck_assert_int_lt(deliver(&q), 0);
        drain();
        ck_assert_int_eq(deliver_signal(JOB, 15), 1);
}
END_TEST

static int deliver_usage(uint64_t job)
{
        struct message q = { .size = sizeof(q.header) };

        channel_header_init(&q.header, CHANNEL_OP_USAGE, q.size, job);
        return deliver(&q);
}

/* It is answered while the job is there, and only then. */
START_TEST(test_usage)
{
        struct channel_used used;

        warm_up();
        ck_assert_int_eq(deliver_start(JOB), 1);
        ck_assert_int_eq(deliver_usage(JOB), 1);
        ck_assert_int_eq(io_receive_message(frontend, &used, sizeof(used), NULL, 0, NULL),
                sizeof(used));
        ck_assert(channel_header_valid(&used.header, sizeof(used)));
        ck_assert_uint_eq(used.header.op, CHANNEL_OP_USED);
        ck_assert_uint_eq(used.header.job, JOB);
        ck_assert_uint_eq(used.wall_usec, 0);
        drain();
        ck_assert_int_eq(deliver_usage(JOB), 1);
        ck_assert_int_eq(io_receive_message(frontend, &used, sizeof(used), NULL, 0, NULL), -EAGAIN);
}
END_TEST

/* An answer is taken once for each time that it was asked for. */
START_TEST(test_pong)
{
        struct message q = { .size = sizeof(q.header) };

        channel_header_init(&q.header, CHANNEL_OP_PONG, q.size, 0);
        ck_assert_int_lt(deliver(&q), 0);
        monitor.watchdog.asked_usec = 1;
        ck_assert_int_eq(deliver(&q), 1);
        ck_assert_uint_eq(monitor.watchdog.asked_usec, 0);
        ck_assert_int_lt(deliver(&q), 0);
        monitor.watchdog.asked_usec = 1;
        q.fds[q.n_fds++] = new_pipe_end(1);
        ck_assert_int_lt(deliver(&q), 0);
        ck_assert_uint_eq(monitor.watchdog.asked_usec, 1);
}
END_TEST

START_TEST(test_bad_retire)
{
        struct generation *held = generation_ref(generations_current(&monitor.generations));
        struct message q;

        reload();
        ck_assert_int_lt(deliver_retire(0), 0);
        ck_assert_int_lt(deliver_retire(monitor.generations.last), 0);
        ck_assert_int_lt(deliver_retire(monitor.generations.last + 1), 0);
        ck_assert_int_lt(deliver_retire(UINT32_MAX), 0);
        good_retire(&q);
        q.fds[q.n_fds++] = new_spec();
        ck_assert_int_lt(deliver(&q), 0);
        good_retire(&q);
        resize(&q, sizeof(q.start));
        ck_assert_int_lt(deliver(&q), 0);
        good_retire(&q);
        resize(&q, sizeof(q.header));
        ck_assert_int_lt(deliver(&q), 0);
        ck_assert_uint_eq(monitor.generations.n, 2);
        ck_assert_int_eq(deliver_retire(1), 1);
        ck_assert_uint_eq(monitor.generations.n, 1);
        /* We may have been first. */
        ck_assert_int_eq(deliver_retire(1), 1);
        ck_assert_int_lt(deliver_retire(0), 0);
        ck_assert_int_lt(deliver_retire(2), 0);
        ck_assert_uint_eq(monitor.generations.n, 1);
        (void) generation_unref(held);
}
END_TEST

/* Whatever a message of another operation looks like, also one of the monitor's own. */
START_TEST(test_unknown_operations)
{
        for (uint32_t op = 0; op <= UINT16_MAX; op += op < 64 ? 1 : 251) {
                struct message q;

                if (op == CHANNEL_OP_START || op == CHANNEL_OP_KILL || op == CHANNEL_OP_RETIRE ||
                        op == CHANNEL_OP_SIGNAL)
                        continue;
                good_start(&q);
                q.header.op = (uint16_t) op;
                ck_assert_msg(deliver(&q) < 0, "operation %u was taken", op);
                good_kill(&q);
                q.header.op = (uint16_t) op;
                ck_assert_msg(deliver(&q) < 0, "operation %u was taken", op);
        }
        ck_assert_uint_eq(n_made, 0);
}
END_TEST

/* It went by the policy that it knew. */
START_TEST(test_idle_crosses_a_reload)
{
        be_idle();
        policy.server.idle_exit_usec = 0;
        reload();
        ck_assert_int_eq(send_idle(), 1);
        ck_assert_int_eq(monitor.state, MONITOR_STOPPING);
}
END_TEST

/* What its predecessor left is not its to count with, while it runs and when it ends. */
START_TEST(test_idle_with_jobs_of_an_earlier_frontend)
{
        warm_up();
        ck_assert_int_eq(deliver_start(JOB), 1);
        ck_assert_int_eq(deliver_start(JOB + 1), 1);
        be_idle();
        monitor.frontend_usec = io_now_usec() + 1;
        ck_assert_uint_eq(monitor.n_sandboxes, 2);
        while (monitor.n_sandboxes == 2)
                ck_assert_int_ge(sd_event_run(monitor.event, 5 * USEC_PER_SEC), 0);
        ck_assert_int_eq(send_idle(), 1);
        ck_assert_int_eq(monitor.state, MONITOR_STOPPING);
}
END_TEST

static void idle_after_a_job(void)
{
        ck_assert_int_eq(deliver_start(JOB + 1), 1);
        drain();
}

static void idle_never(void)
{
        policy.server.idle_exit_usec = 0;
        reload();
        generations_retire_all_but_current(&monitor.generations);
}

static void idle_too_early(void)
{
        monitor.idle_since_usec = io_now_usec() - 5 * USEC_PER_SEC;
}

static void idle_with_a_job(void)
{
        ck_assert_int_eq(deliver_start(JOB), 1);
}

/* A captured frontend cannot make us exit and be started again all the time. */
START_TEST(test_not_idle)
{
        static void (*const reasons[])(
                void) = { idle_never, idle_too_early, idle_with_a_job, idle_after_a_job };

        warm_up();
        for (size_t i = 0; i < ELEMENTSOF(reasons); i++) {
                be_idle();
                reasons[i]();
                ck_assert_msg(send_idle() < 0, "reason %zu was overlooked", i);
                ck_assert_int_eq(monitor.state, MONITOR_SERVING);
        }
}
END_TEST

/* Nobody would start us again: a captured frontend may not end the daemon for good. */
START_TEST(test_idle_without_passed_sockets)
{
        be_idle();
        monitor.listeners.passed = false;
        ck_assert_int_lt(send_idle(), 0);
        ck_assert_int_eq(monitor.state, MONITOR_SERVING);
}
END_TEST

START_TEST(test_wrong_state)
{
        static const enum monitor_state states[] = { MONITOR_STARTING, MONITOR_STOPPED };

        for (size_t i = 0; i < ELEMENTSOF(states); i++) {
                monitor.state = states[i];
                monitor.listeners.passed = true;
                ck_assert_int_lt(deliver_start(JOB), 0);
                ck_assert_int_lt(deliver_kill(JOB, JOB_STATUS_CANCELLED), 0);
                reload();
                ck_assert_int_lt(deliver_retire(1), 0);
                ck_assert_int_lt(send_idle(), 0);
        }
        ck_assert_uint_eq(n_made, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("operation");
        TCase *tc = tcase_create("operation");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_start_is_taken);
        tcase_add_test(tc, test_limit_without_maximum);
        tcase_add_test(tc, test_kill_is_taken);
        tcase_add_test(tc, test_kill_that_finds_a_claimed_one_dead);
        tcase_add_test(tc, test_bare_one_with_files_that_ended);
        tcase_add_test(tc, test_claim_of_one_whose_init_is_gone);
        tcase_add_test(tc, test_claimed_one_that_was_stopped);
        tcase_add_test(tc, test_start_of_an_older_generation);
        tcase_add_test(tc, test_max_jobs_of_a_generation);
        tcase_add_test(tc, test_start_while_stopping);
        tcase_add_test(tc, test_removal_is_retried);
        tcase_add_test(tc, test_idle_is_taken);
        tcase_add_test(tc, test_nothing_to_receive);
        tcase_add_loop_test(tc, test_bad_start, 0, (int) ELEMENTSOF(bad_starts));
        tcase_add_loop_test(tc, test_limits, 0, _LIMIT_COUNT);
        tcase_add_test(tc, test_job_twice);
        tcase_add_test(tc, test_too_many_jobs);
        tcase_add_test(tc, test_too_many_jobs_for_one_generation);
        tcase_add_test(tc, test_start_of_a_generation_that_was_retired);
        tcase_add_test(tc, test_overdue_generation);
        tcase_add_test(tc, test_full_fd_table);
        tcase_add_test(tc, test_bad_kill);
        tcase_add_test(tc, test_pong);
        tcase_add_test(tc, test_signal);
        tcase_add_test(tc, test_usage);
        tcase_add_test(tc, test_bad_retire);
        tcase_add_test(tc, test_unknown_operations);
        tcase_add_test(tc, test_idle_without_passed_sockets);
        tcase_add_test(tc, test_idle_crosses_a_reload);
        tcase_add_test(tc, test_idle_with_jobs_of_an_earlier_frontend);
        tcase_add_test(tc, test_not_idle);
        tcase_add_test(tc, test_wrong_state);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
