/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams over sockets, and output by credit: what gets where, and who waits for whom.
 */
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "tests/unit/fixture-frontend.h"

#define ALL 7U

/* The client's ends. */
struct stdio {
        int in;
        int out;
        int err;
};

static void stdio_close(struct stdio *s)
{
        s->in = safe_close(s->in);
        s->out = safe_close(s->out);
        s->err = safe_close(s->err);
}

static void client_ask(struct client *c, uint64_t id, uint32_t streams)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;

        run.stream_sockets = streams;
        client_run(c, id, &run);
}

/* Started, and the sockets with it. */
static void client_take(struct client *c, uint64_t id, struct stdio *s)
{
        client_expect(c, id, BODY(STARTED));
        ck_assert_uint_eq(c->n_fds, 3);
        *s = (struct stdio) { c->fds[0], c->fds[1], c->fds[2] };
        c->n_fds = 0;
}

/* A job with a socket for each stream, until it runs. */
static void run_stdio(struct client *c, uint64_t id, struct start *s, struct stdio *io)
{
        client_ask(c, id, ALL);
        monitor_expect_start(s);
        client_take(c, id, io);
}

static void client_run_credit(struct client *c, uint64_t id, uint64_t credit)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;

        run.output_credit = credit;
        client_run(c, id, &run);
}

static void expect_readable(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLIN };

        ck_assert_int_eq(poll(&p, 1, 5000), 1);
}

/* Reads size bytes, as they come. */
static void expect_bytes(int fd, size_t size)
{
        uint8_t buffer[64 * KIB];

        while (size > 0) {
                ssize_t n;

                expect_readable(fd);
                n = read(fd, buffer, MIN(size, sizeof(buffer)));
                ck_assert_int_gt(n, 0);
                size -= (size_t) n;
        }
}

static void expect_eof(int fd)
{
        uint8_t byte;

        expect_readable(fd);
        ck_assert_int_eq(read(fd, &byte, 1), 0);
}

static void job_writes(const struct start *s, enum channel_start_fd stream, size_t size)
{
        _cleanup_free_ uint8_t *zeros = calloc(1, size);

        ck_assert_int_eq(io_write_full(s->fds[stream], zeros, size), 0);
}

/* More than a socket holds. */
#define FILL (900 * KIB)

static void fill(const struct start *s)
{
        ck_assert_int_ge(fcntl(s->fds[CHANNEL_FD_STDOUT], F_SETPIPE_SZ, 1 * MIB), 0);
        job_writes(s, CHANNEL_FD_STDOUT, FILL);
}

static Sandboxd__V1__Output *client_expect_output(struct client *c, uint64_t id, size_t size)
{
        Sandboxd__V1__Output *output = client_expect(c, id, BODY(OUTPUT))->output;

        ck_assert_uint_eq(output->data.len, size);
        return output;
}

/* The job's pipe is closed by us: who writes there is told. */
static void expect_broken(int fd)
{
        struct pollfd p = { .fd = fd };

        ck_assert_int_eq(poll(&p, 1, 5000), 1);
        ck_assert(p.revents & POLLERR);
}

/* We have closed our end: who writes there is told. */
static void expect_hangup(int fd)
{
        struct pollfd p = { .fd = fd };

        ck_assert_int_eq(poll(&p, 1, 5000), 1);
        ck_assert(p.revents & POLLHUP);
}

static void large_output(void)
{
        policy.profiles[0].defaults.value[LIMIT_OUTPUT] = 1 * MIB;
        restart();
}

START_TEST(test_sockets)
{
        Sandboxd__V1__Result *result;
        struct client c;
        struct stdio io;
        struct start s;
        unsigned before;
        char text[8];

        client_hello(&c);
        expect_service(&c, 2);
        before = count_fds();
        run_stdio(&c, 3, &s, &io);
        ck_assert_uint_eq(s.message.flags, CHANNEL_START_STDIN);
        ck_assert_int_eq(write(io.in, "in", 2), 2);
        ck_assert_int_eq(read(s.fds[CHANNEL_FD_STDIN], text, sizeof(text)), 2);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], "out", 3), 0);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDERR], "err!", 4), 0);
        expect_readable(io.out);
        ck_assert_int_eq(read(io.out, text, sizeof(text)), 3);
        ck_assert_mem_eq(text, "out", 3);
        expect_readable(io.err);
        ck_assert_int_eq(read(io.err, text, sizeof(text)), 4);
        ck_assert_mem_eq(text, "err!", 4);
        monitor_end(&s, JOB_STATUS_OK);
        result = client_expect(&c, 3, BODY(RESULT))->result;
        ck_assert_uint_eq(result->stdout_bytes, 3);
        ck_assert_uint_eq(result->stderr_bytes, 4);
        ck_assert(!result->stdout_truncated && !result->stderr_truncated);
        expect_eof(io.out);
        expect_eof(io.err);
        ck_assert_uint_eq(count_fds(), before);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* The limits hold as if it were sent. */
START_TEST(test_limit)
{
        Sandboxd__V1__Result *result;
        struct client c;
        struct stdio io;
        struct start s;

        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        job_writes(&s, CHANNEL_FD_STDOUT, 3000);
        expect_bytes(io.out, 1000);
        job_writes(&s, CHANNEL_FD_STDERR, 64000);
        expect_bytes(io.err, 1000);
        monitor_expect_kill(&s, JOB_STATUS_OUTPUT_LIMIT);
        monitor_end(&s, JOB_STATUS_OUTPUT_LIMIT);
        result = client_expect(&c, 2, BODY(RESULT))->result;
        ck_assert_uint_eq(result->stdout_bytes, 3000);
        ck_assert_uint_eq(result->stderr_bytes, 64000);
        ck_assert(result->stdout_truncated && result->stderr_truncated);
        expect_eof(io.out);
        expect_eof(io.err);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* A socket that is full stalls its own stream; the Result waits until all is in it. */
START_TEST(test_full)
{
        const size_t all = 900 * KIB;
        struct client c;
        struct stdio io;
        struct start s;

        large_output();
        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        ck_assert_int_ge(fcntl(s.fds[CHANNEL_FD_STDOUT], F_SETPIPE_SZ, 1 * MIB), 0);
        job_writes(&s, CHANNEL_FD_STDOUT, all);
        job_writes(&s, CHANNEL_FD_STDERR, 10);
        expect_bytes(io.err, 10);
        monitor_end(&s, JOB_STATUS_OK);
        expect_service(&c, 3);
        client_wait(&c);
        expect_bytes(io.out, all);
        ck_assert_uint_eq(client_expect(&c, 2, BODY(RESULT))->result->stdout_bytes, all);
        expect_eof(io.out);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* A job whose pipe somebody keeps open, as test_pipe_kept_open() in test-frontend.c. */
START_TEST(test_kept_open)
{
        struct client c;
        struct stdio io;
        struct start s;

        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        job_writes(&s, CHANNEL_FD_STDOUT, 10);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_OK }, -EBADF);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        ck_assert_uint_eq(client_expect(&c, 2, BODY(RESULT))->result->stdout_bytes, 10);
        expect_bytes(io.out, 10);
        expect_eof(io.out);
        start_close(&s);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* Nobody reads any more: the job is told as by any pipe, whether or not it has written. */
START_TEST(test_reader_gone)
{
        struct client c;
        struct stdio io;
        struct start s;

        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        io.out = safe_close(io.out);
        expect_broken(s.fds[CHANNEL_FD_STDOUT]);
        job_writes(&s, CHANNEL_FD_STDERR, 10);
        expect_bytes(io.err, 10);
        monitor_end(&s, JOB_STATUS_SIGNALED);
        ck_assert(!client_expect(&c, 2, BODY(RESULT))->result->stdout_truncated);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* Its reader goes while it is full: what was taken from the job and not sent is lost, and said to be. */
START_TEST(test_reader_gone_while_full)
{
        struct client c;
        struct stdio io;
        struct start s;

        large_output();
        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        fill(&s);
        io.out = safe_close(io.out);
        expect_broken(s.fds[CHANNEL_FD_STDOUT]);
        monitor_end(&s, JOB_STATUS_SIGNALED);
        ck_assert(client_expect(&c, 2, BODY(RESULT))->result->stdout_truncated);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* The client leaves while its pipe is full. */
START_TEST(test_client_vanishes)
{
        struct client c, other;
        struct stdio io;
        struct start s;
        unsigned before;

        large_output();
        client_hello(&other);
        expect_service(&other, 2);
        before = count_fds();
        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        fill(&s);
        client_close(&c);
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        expect_broken(s.fds[CHANNEL_FD_STDOUT]);
        monitor_end(&s, JOB_STATUS_CANCELLED);
        expect_service(&other, 3);
        /* What was written is still there to be read, and accounted for until it is not. */
        ck_assert_uint_eq(count_fds(), before + 1);
        stdio_close(&io);
        expect_service(&other, 4);
        ck_assert_uint_eq(count_fds(), before);
        client_close(&other);
}
END_TEST

/* A client that cancels is not waited for: what has no room is dropped, and said to be. */
START_TEST(test_full_and_cancel)
{
        struct client c;
        struct stdio io;
        struct start s;

        large_output();
        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        fill(&s);
        if (_i == 0) {
                client_simple(&c, 2, SANDBOXD__V1__REQUEST__BODY_CANCEL);
                monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
                monitor_end(&s, JOB_STATUS_CANCELLED);
        } else {
                monitor_end(&s, JOB_STATUS_TIMEOUT);
                client_wait(&c);
                client_simple(&c, 2, SANDBOXD__V1__REQUEST__BODY_CANCEL);
        }
        ck_assert(client_expect(&c, 2, BODY(RESULT))->result->stdout_truncated);
        ck_assert_uint_eq(c.last->result->stdout_bytes, FILL);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* The daemon stops: the same. */
START_TEST(test_full_and_stop)
{
        struct client c;
        struct stdio io;
        struct start s;

        large_output();
        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        fill(&s);
        monitor_send(CHANNEL_OP_STOP, 0);
        monitor_end(&s, JOB_STATUS_CANCELLED);
        ck_assert(client_expect(&c, 2, BODY(RESULT))->result->stdout_truncated);
        client_expect_error(&c, 0, ERROR_CODE(DRAINING), "stopping");
        client_expect_end(&c);
        expect_exit();
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* Each gets its own, whatever else is on its way. */
START_TEST(test_order)
{
        struct start s[3];
        struct stdio io[3];
        struct client c;
        char text[8];

        client_hello(&c);
        for (unsigned i = 0; i < 3; i++) {
                client_simple(&c, 10 + i, SANDBOXD__V1__REQUEST__BODY_LIST_PROFILES);
                client_ask(&c, 2 + i, ALL);
                client_simple(&c, 20 + i, SANDBOXD__V1__REQUEST__BODY_LIST_PROFILES);
        }
        for (unsigned i = 0; i < 3; i++)
                monitor_expect_start(&s[i]);
        for (unsigned i = 0; i < 3; i++) {
                client_expect(&c, 10 + i, BODY(PROFILES));
                client_take(&c, 2 + i, &io[i]);
                client_expect(&c, 20 + i, BODY(PROFILES));
        }
        for (size_t i = 0; i < 3; i++) {
                job_writes(&s[i], CHANNEL_FD_STDOUT, i + 1);
                expect_bytes(io[i].out, i + 1);
                ck_assert_int_eq(write(io[i].in, "abc", i + 1), (ssize_t) i + 1);
                ck_assert_int_eq(read(s[i].fds[CHANNEL_FD_STDIN], text, 8), (ssize_t) i + 1);
        }
        for (unsigned i = 0; i < 3; i++) {
                expect_end(&c, 2 + i, &s[i]);
                stdio_close(&io[i]);
        }
        client_close(&c);
}
END_TEST

/* The client closes its stdin: the job reads all, and the end. */
START_TEST(test_stdin_end)
{
        struct client c;
        struct stdio io;
        struct start s;

        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        ck_assert_int_eq(io_write_full(io.in, "abc", 3), 0);
        if (_i == 0)
                io.in = safe_close(io.in);
        else
                ck_assert_int_eq(shutdown(io.in, SHUT_WR), 0);
        expect_bytes(s.fds[CHANNEL_FD_STDIN], 3);
        expect_eof(s.fds[CHANNEL_FD_STDIN]);
        expect_end(&c, 2, &s);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* The job closes its stdin, with its pipe empty or full. */
START_TEST(test_stdin_closed_by_job)
{
        uint8_t zeros[64 * KIB] = {};
        struct client c;
        struct stdio io;
        struct start s;

        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        while (_i > 0 && write(io.in, zeros, sizeof(zeros)) > 0)
                ;
        /* Where it is full, only after it was found to be. */
        expect_service(&c, 3);
        s.fds[CHANNEL_FD_STDIN] = safe_close(s.fds[CHANNEL_FD_STDIN]);
        expect_hangup(io.in);
        expect_end(&c, 2, &s);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* Full on all sides, then read: nothing is lost. */
START_TEST(test_stdin_full)
{
        const size_t all = 4 * MIB;
        uint8_t buffer[64 * KIB] = {};
        size_t sent = 0, received = 0;
        struct client c;
        struct stdio io;
        struct start s;

        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        /* The pipe and the socket: what is written meanwhile is moved until the pipe is full, too. */
        for (unsigned i = 0; i < 2; i++) {
                ssize_t n;

                while ((n = write(io.in, buffer, sizeof(buffer))) > 0)
                        sent += (size_t) n;
                expect_service(&c, 3 + i);
        }
        while (received < all) {
                ssize_t n = 0;

                while (sent < all &&
                        (n = write(io.in, buffer, MIN(all - sent, sizeof(buffer)))) > 0)
                        sent += (size_t) n;
                expect_readable(s.fds[CHANNEL_FD_STDIN]);
                n = read(s.fds[CHANNEL_FD_STDIN], buffer, sizeof(buffer));
                ck_assert_int_gt(n, 0);
                received += (size_t) n;
        }
        ck_assert_uint_eq(received, all);
        expect_end(&c, 2, &s);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* Bytes and fds that are sent into an output go nowhere. */
START_TEST(test_output_takes_nothing)
{
        struct client c;
        struct stdio io;
        struct start s;

        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        ck_assert_int_eq(send(io.out, "x", 1, MSG_NOSIGNAL), -1);
        ck_assert_int_eq(errno, EPIPE);
        expect_end(&c, 2, &s);
        expect_eof(io.out);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

static const struct {
        uint32_t streams;
        bool stdin;
        bool detach;
} refusals[] = {
        { .streams = 8 },
        { .streams = UINT32_MAX },
        { .streams = 1, .stdin = true },
        { .streams = 2, .detach = true },
};

START_TEST(test_refused)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;

        run.stream_sockets = refusals[_i].streams;
        run.stdin = refusals[_i].stdin;
        run.detach = refusals[_i].detach;
        client_hello(&c);
        client_run(&c, 2, &run);
        client_expect_error(&c, 2, ERROR_CODE(INVALID_ARGUMENT), "stream_sockets");
        ck_assert_str_eq(c.last->error->field, "stream_sockets");
        expect_service(&c, 3);
        ck_assert_uint_eq(c.n_fds, 0);
        client_close(&c);
}
END_TEST

/* A user has no more of them on their way to clients that do not read than for all his jobs. */
START_TEST(test_not_received)
{
        struct client c, other;
        struct stdio io;
        struct start s;

        policy.server.max_jobs_per_user = policy.server.max_queued_per_user = 1;
        restart();
        client_hello(&c);
        client_hello(&other);
        for (uint64_t id = 2; id < 4; id++) {
                client_ask(&c, id, ALL);
                monitor_expect_start(&s);
                monitor_end(&s, JOB_STATUS_OK);
        }
        client_ask(&other, 2, ALL);
        client_expect_error(&other, 2, ERROR_CODE(BUSY), "read your connections");
        ck_assert_str_eq(other.last->error->field, "stream_sockets");
        for (uint64_t id = 2; id < 4; id++) {
                client_take(&c, id, &io);
                stdio_close(&io);
                client_expect(&c, id, BODY(RESULT));
        }
        run_stdio(&other, 3, &s, &io);
        stdio_close(&io);
        expect_end(&other, 3, &s);
        client_close(&c);
        client_close(&other);
}
END_TEST

/* What is unread in sockets is in no books but ours: we stay up for them. */
START_TEST(test_unread_keeps_it_up)
{
        struct client c;
        struct stdio io;
        struct start s;

        policy.server.idle_exit_usec = 20 * USEC_PER_MSEC;
        restart();
        client_hello(&c);
        run_stdio(&c, 2, &s, &io);
        job_writes(&s, CHANNEL_FD_STDOUT, 600);
        expect_end(&c, 2, &s);
        client_close(&c);
        (void) usleep(100000);
        monitor_expect_silence();
        expect_bytes(io.out, 600);
        monitor_expect_idle();
        stdio_close(&io);
}
END_TEST

/* Users who have received all of theirs, of which nobody tells us, leave the last of them nothing before we
 * look: each takes half of what the others leave. */
START_TEST(test_received_by_others)
{
        struct client clients[11];
        unsigned free = 2048;
        struct stdio io;
        struct start s;

        policy.server.max_jobs_per_user = policy.server.max_queued_per_user = 1000;
        policy.server.max_jobs = policy.server.max_queued = 1000;
        policy.server.max_connections = 20;
        restart();
        for (size_t i = 0; i < ELEMENTSOF(clients); i++) {
                client_hello_as(&clients[i], 2000 + (uid_t) i);
                for (unsigned n = MAX(free / 2 / 3, 1U), id = 2; n > 0; n--, id++, free -= 3) {
                        run_stdio(&clients[i], id, &s, &io);
                        stdio_close(&io);
                        expect_end(&clients[i], id, &s);
                }
        }
        ck_assert_uint_lt(free / 2, 3);
        for (size_t i = 0; i < ELEMENTSOF(clients); i++)
                client_close(&clients[i]);
}
END_TEST

/* Fds that a client sends are none of ours: here the kernel drops them, as the socket does not refuse. */
START_TEST(test_uninvited)
{
        struct client c, other;
        unsigned before;
        int ends[2];

        client_hello(&other);
        before = count_fds();
        client_hello(&c);
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        ck_assert_int_eq(io_send_message(c.fd, "\0\0", 2, ends, 2), 0);
        client_expect_error(&c, 0, ERROR_CODE(BAD_REQUEST), "send none");
        client_expect_end(&c);
        client_close(&c);
        ends[1] = safe_close(ends[1]);
        expect_eof(ends[0]);
        (void) close(ends[0]);
        expect_service(&other, 2);
        ck_assert_uint_eq(count_fds(), before);
        client_close(&other);
}
END_TEST

START_TEST(test_credit)
{
        struct client c;
        struct start s;

        client_hello(&c);
        client_run_credit(&c, 2, 100);
        expect_begin(&c, 2, &s);
        job_writes(&s, CHANNEL_FD_STDOUT, 500);
        client_expect_output(&c, 2, 100);
        /* Neither the other stream nor another job waits for that. */
        job_writes(&s, CHANNEL_FD_STDERR, 50);
        ck_assert_int_eq(client_expect_output(&c, 2, 50)->stream,
                SANDBOXD__V1__OUTPUT__STREAM__STDERR);
        expect_service(&c, 3);
        give_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDERR, 1000);
        client_wait(&c);
        give_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, 150);
        client_expect_output(&c, 2, 150);
        client_wait(&c);
        give_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, UINT64_MAX);
        client_expect_output(&c, 2, 250);
        give_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, UINT64_MAX);
        job_writes(&s, CHANNEL_FD_STDOUT, 1);
        client_expect_output(&c, 2, 1);
        expect_end(&c, 2, &s);
        /* Nor is it an error when it comes too late. */
        give_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, 1);
        expect_service(&c, 4);
        client_close(&c);
}
END_TEST

/* What is beyond the limit is not sent, and needs no credit. */
START_TEST(test_credit_and_limit)
{
        Sandboxd__V1__Result *result;
        struct client c;
        struct start s;

        client_hello(&c);
        client_run_credit(&c, 2, 1000);
        expect_begin(&c, 2, &s);
        job_writes(&s, CHANNEL_FD_STDOUT, 1000);
        client_expect_output(&c, 2, 1000);
        job_writes(&s, CHANNEL_FD_STDOUT, 200 * KIB);
        monitor_expect_kill(&s, JOB_STATUS_OUTPUT_LIMIT);
        monitor_end(&s, JOB_STATUS_OUTPUT_LIMIT);
        result = client_expect(&c, 2, BODY(RESULT))->result;
        ck_assert_uint_eq(result->stdout_bytes, 1000 + 200 * KIB);
        ck_assert(result->stdout_truncated);
        client_close(&c);
}
END_TEST

/* The job is gone, and what it has written waits for credit all the same. */
START_TEST(test_credit_after_the_end)
{
        struct client c;
        struct start s;

        client_hello(&c);
        client_run_credit(&c, 2, 100);
        expect_begin(&c, 2, &s);
        job_writes(&s, CHANNEL_FD_STDOUT, 300);
        client_expect_output(&c, 2, 100);
        monitor_end(&s, JOB_STATUS_OK);
        expect_service(&c, 3);
        give_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, 100);
        client_expect_output(&c, 2, 100);
        client_wait(&c);
        if (_i == 0) {
                give_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, 100);
                client_expect_output(&c, 2, 100);
                ck_assert(!client_expect(&c, 2, BODY(RESULT))->result->stdout_truncated);
        } else {
                monitor_send(CHANNEL_OP_STOP, 0);
                ck_assert(client_expect(&c, 2, BODY(RESULT))->result->stdout_truncated);
                ck_assert_uint_eq(c.last->result->stdout_bytes, 300);
                client_expect_error(&c, 0, ERROR_CODE(DRAINING), "stopping");
                expect_exit();
        }
        client_close(&c);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("frontend-sockets");
        TCase *tc = tcase_create("frontend-sockets");

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_set_timeout(tc, 30);
        tcase_add_test(tc, test_sockets);
        tcase_add_test(tc, test_limit);
        tcase_add_test(tc, test_full);
        tcase_add_test(tc, test_kept_open);
        tcase_add_test(tc, test_reader_gone);
        tcase_add_test(tc, test_reader_gone_while_full);
        tcase_add_test(tc, test_client_vanishes);
        tcase_add_loop_test(tc, test_full_and_cancel, 0, 2);
        tcase_add_test(tc, test_full_and_stop);
        tcase_add_test(tc, test_order);
        tcase_add_loop_test(tc, test_stdin_end, 0, 2);
        tcase_add_loop_test(tc, test_stdin_closed_by_job, 0, 2);
        tcase_add_test(tc, test_stdin_full);
        tcase_add_test(tc, test_output_takes_nothing);
        tcase_add_loop_test(tc, test_refused, 0, (int) ELEMENTSOF(refusals));
        tcase_add_test(tc, test_not_received);
        tcase_add_test(tc, test_received_by_others);
        tcase_add_test(tc, test_unread_keeps_it_up);
        tcase_add_test(tc, test_uninvited);
        tcase_add_test(tc, test_credit);
        tcase_add_test(tc, test_credit_and_limit);
        tcase_add_loop_test(tc, test_credit_after_the_end, 0, 2);
        suite_add_tcase(suite, tc);
        return run_suite(suite);
}
