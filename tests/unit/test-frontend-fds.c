/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes that clients pass, and output by credit: what gets where, and who waits for whom.
 */
#include <sys/epoll.h>
#include <sys/syscall.h>

#include "daemon/frontend/passed.h"
#include "tests/unit/fixture-frontend.h"

#define ALL 7U

/* The two ends of each pipe: [0] is read from. */
struct stdio {
        int in[2];
        int out[2];
        int err[2];
};

static void stdio_open(struct stdio *s)
{
        ck_assert_int_eq(pipe2(s->in, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(s->out, O_CLOEXEC), 0);
        ck_assert_int_eq(pipe2(s->err, O_CLOEXEC), 0);
        ck_assert_int_eq(fcntl(s->out[0], F_SETFL, O_NONBLOCK), 0);
        ck_assert_int_eq(fcntl(s->err[0], F_SETFL, O_NONBLOCK), 0);
}

/* As a client does once they are sent. */
static void stdio_close_passed(struct stdio *s)
{
        s->in[0] = safe_close(s->in[0]);
        s->out[1] = safe_close(s->out[1]);
        s->err[1] = safe_close(s->err[1]);
}

static void stdio_close(struct stdio *s)
{
        io_close_all(s->in, 2);
        io_close_all(s->out, 2);
        io_close_all(s->err, 2);
}

static size_t pack_run(uint8_t *frame, uint64_t id, Sandboxd__V1__Run *run)
{
        static ProtobufCBinaryData argv = { 4, (uint8_t *) "true" };
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        size_t size;

        run->n_argv = 1;
        run->argv = &argv;
        request.id = id;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_RUN;
        request.run = run;
        size = sandboxd__v1__request__pack(&request, frame + FRAME_HEADER_SIZE);
        frame_header(frame, size);
        return FRAME_HEADER_SIZE + size;
}

static void client_run_fds(struct client *c, uint64_t id, uint32_t passed_fds, const int *fds,
        size_t n)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        uint8_t frame[256];
        size_t size;

        run.passed_fds = passed_fds;
        size = pack_run(frame, id, &run);
        ck_assert_int_eq(io_send_message(c->fd, frame, size, fds, n), 0);
}

static void client_run_stdio(struct client *c, uint64_t id, struct stdio *s)
{
        stdio_open(s);
        client_run_fds(c, id, ALL, (int[]) { s->in[0], s->out[1], s->err[1] }, 3);
        stdio_close_passed(s);
}

static void client_run_credit(struct client *c, uint64_t id, uint64_t credit)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;

        run.output_credit = credit;
        client_run(c, id, &run);
}

static void client_credit(struct client *c, uint64_t id, Sandboxd__V1__OutputCredit__Of of,
        uint64_t bytes)
{
        Sandboxd__V1__OutputCredit m = SANDBOXD__V1__OUTPUT_CREDIT__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;

        m.of = of;
        m.bytes = bytes;
        request.id = id;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_OUTPUT_CREDIT;
        request.output_credit = &m;
        client_send(c, &request);
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

static void large_output(void)
{
        policy.profiles[0].defaults.value[LIMIT_OUTPUT] = 1 * MIB;
        restart();
}

START_TEST(test_passed)
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
        client_run_stdio(&c, 3, &io);
        monitor_expect_start(&s);
        client_expect(&c, 3, BODY(STARTED));
        ck_assert_uint_eq(s.message.flags, CHANNEL_START_STDIN);
        ck_assert_int_eq(write(io.in[1], "in", 2), 2);
        ck_assert_int_eq(read(s.fds[CHANNEL_FD_STDIN], text, sizeof(text)), 2);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], "out", 3), 0);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDERR], "err!", 4), 0);
        expect_readable(io.out[0]);
        ck_assert_int_eq(read(io.out[0], text, sizeof(text)), 3);
        ck_assert_mem_eq(text, "out", 3);
        expect_readable(io.err[0]);
        ck_assert_int_eq(read(io.err[0], text, sizeof(text)), 4);
        ck_assert_mem_eq(text, "err!", 4);
        monitor_end(&s, JOB_STATUS_OK);
        result = client_expect(&c, 3, BODY(RESULT))->result;
        ck_assert_uint_eq(result->stdout_bytes, 3);
        ck_assert_uint_eq(result->stderr_bytes, 4);
        ck_assert(!result->stdout_truncated && !result->stderr_truncated);
        expect_eof(io.out[0]);
        expect_eof(io.err[0]);
        ck_assert_uint_eq(count_fds(), before);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* The limits hold as if it were sent. */
START_TEST(test_passed_limit)
{
        Sandboxd__V1__Result *result;
        struct client c;
        struct stdio io;
        struct start s;

        client_hello(&c);
        client_run_stdio(&c, 2, &io);
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        job_writes(&s, CHANNEL_FD_STDOUT, 3000);
        expect_bytes(io.out[0], 1000);
        job_writes(&s, CHANNEL_FD_STDERR, 64000);
        expect_bytes(io.err[0], 1000);
        monitor_expect_kill(&s, JOB_STATUS_OUTPUT_LIMIT);
        monitor_end(&s, JOB_STATUS_OUTPUT_LIMIT);
        result = client_expect(&c, 2, BODY(RESULT))->result;
        ck_assert_uint_eq(result->stdout_bytes, 3000);
        ck_assert_uint_eq(result->stderr_bytes, 64000);
        ck_assert(result->stdout_truncated && result->stderr_truncated);
        expect_eof(io.out[0]);
        expect_eof(io.err[0]);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* A pipe that is full stalls its own stream; the Result waits until all is in it. */
START_TEST(test_passed_full)
{
        const size_t all = 130 * KIB;
        struct client c;
        struct stdio io;
        struct start s;

        large_output();
        client_hello(&c);
        client_run_stdio(&c, 2, &io);
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        ck_assert_int_ge(fcntl(s.fds[CHANNEL_FD_STDOUT], F_SETPIPE_SZ, 256 * KIB), 0);
        job_writes(&s, CHANNEL_FD_STDOUT, all);
        job_writes(&s, CHANNEL_FD_STDERR, 10);
        expect_bytes(io.err[0], 10);
        monitor_end(&s, JOB_STATUS_OK);
        expect_service(&c, 3);
        client_wait(&c);
        expect_bytes(io.out[0], all);
        ck_assert_uint_eq(client_expect(&c, 2, BODY(RESULT))->result->stdout_bytes, all);
        expect_eof(io.out[0]);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* A job whose pipe somebody keeps open, as test_pipe_kept_open() in test-frontend.c. */
START_TEST(test_passed_kept_open)
{
        struct client c;
        struct stdio io;
        struct start s;

        client_hello(&c);
        client_run_stdio(&c, 2, &io);
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        job_writes(&s, CHANNEL_FD_STDOUT, 10);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_OK }, -EBADF);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        ck_assert_uint_eq(client_expect(&c, 2, BODY(RESULT))->result->stdout_bytes, 10);
        expect_bytes(io.out[0], 10);
        expect_eof(io.out[0]);
        start_close(&s);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* Nobody reads any more: the job is told as by any pipe, whether or not it has written. */
START_TEST(test_passed_reader_gone)
{
        struct client c;
        struct stdio io;
        struct start s;

        client_hello(&c);
        client_run_stdio(&c, 2, &io);
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        io.out[0] = safe_close(io.out[0]);
        expect_broken(s.fds[CHANNEL_FD_STDOUT]);
        job_writes(&s, CHANNEL_FD_STDERR, 10);
        expect_bytes(io.err[0], 10);
        monitor_end(&s, JOB_STATUS_SIGNALED);
        ck_assert(!client_expect(&c, 2, BODY(RESULT))->result->stdout_truncated);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* The client leaves while its pipe is full. */
START_TEST(test_passed_client_vanishes)
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
        client_run_stdio(&c, 2, &io);
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        for (int i = 0; i < 2; i++)
                job_writes(&s, CHANNEL_FD_STDOUT, 60 * KIB);
        client_close(&c);
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        expect_broken(s.fds[CHANNEL_FD_STDOUT]);
        expect_bytes(io.out[0], 60 * KIB);
        monitor_end(&s, JOB_STATUS_CANCELLED);
        expect_service(&other, 3);
        ck_assert_uint_eq(count_fds(), before);
        stdio_close(&io);
        client_close(&other);
}
END_TEST

/* A client that cancels is not waited for: what has no room is dropped, and said to be. */
START_TEST(test_passed_full_and_cancel)
{
        struct client c;
        struct stdio io;
        struct start s;

        large_output();
        client_hello(&c);
        client_run_stdio(&c, 2, &io);
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        for (int i = 0; i < 2; i++)
                job_writes(&s, CHANNEL_FD_STDOUT, 60 * KIB);
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
        ck_assert_uint_eq(c.last->result->stdout_bytes, 120 * KIB);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* The daemon stops: the same. */
START_TEST(test_passed_full_and_stop)
{
        struct client c;
        struct stdio io;
        struct start s;

        large_output();
        client_hello(&c);
        client_run_stdio(&c, 2, &io);
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        for (int i = 0; i < 2; i++)
                job_writes(&s, CHANNEL_FD_STDOUT, 60 * KIB);
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

/* Two Runs in one message, and one whose fds come with the end of the frame before. */
START_TEST(test_passed_order)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        uint8_t frames[512];
        size_t first, all;
        struct start s[2];
        struct stdio io[2];
        struct client c;

        client_hello(&c);
        for (size_t i = 0; i < 2; i++)
                stdio_open(&io[i]);
        run.passed_fds = ALL;
        first = pack_run(frames, 2, &run);
        all = first + pack_run(frames + first, 3, &run);
        if (_i == 0)
                ck_assert_int_eq(io_send_message(c.fd, frames, all,
                                         (int[]) { io[0].in[0], io[0].out[1], io[0].err[1],
                                                 io[1].in[0], io[1].out[1], io[1].err[1] },
                                         6),
                        0);
        else {
                ck_assert_int_eq(io_send_message(c.fd, frames, 9,
                                         (int[]) { io[0].in[0], io[0].out[1], io[0].err[1] }, 3),
                        0);
                (void) usleep(20000);
                ck_assert_int_eq(io_send_message(c.fd, frames + 9, all - 9,
                                         (int[]) { io[1].in[0], io[1].out[1], io[1].err[1] }, 3),
                        0);
        }
        for (size_t i = 0; i < 2; i++) {
                stdio_close_passed(&io[i]);
                monitor_expect_start(&s[i]);
                client_expect(&c, 2 + i, BODY(STARTED));
        }
        for (size_t i = 0; i < 2; i++) {
                job_writes(&s[i], CHANNEL_FD_STDOUT, 10 + i);
                monitor_end(&s[i], JOB_STATUS_OK);
                client_expect(&c, 2 + i, BODY(RESULT));
                expect_bytes(io[i].out[0], 10 + i);
                expect_eof(io[i].out[0]);
                stdio_close(&io[i]);
        }
        client_close(&c);
}
END_TEST

static int open_read_end(void)
{
        int ends[2];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        (void) close(ends[1]);
        return ends[0];
}

static int open_both_ends(void)
{
        char path[64];
        int ends[2], fd;

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[0]);
        fd = open(path, O_RDWR | O_CLOEXEC);
        io_close_all(ends, 2);
        return fd;
}

static int open_path_of_pipe(void)
{
        char path[64];
        int end = open_read_end(), fd;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", end);
        fd = open(path, O_PATH | O_CLOEXEC);
        (void) close(end);
        return fd;
}

static int open_directory(void)
{
        return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int open_device(void)
{
        return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static int open_file(void)
{
        return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

static int open_memfd(void)
{
        return io_memfd_new("test");
}

static int open_socket(void)
{
        return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int open_epoll(void)
{
        return epoll_create1(EPOLL_CLOEXEC);
}

static int open_pidfd(void)
{
        return (int) syscall(SYS_pidfd_open, getpid(), 0);
}

static int open_namespace(void)
{
        return open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
}

/* What is no write end of a pipe, and whether closing it is sure not to wait. */
static const struct {
        int (*open)(void);
        bool closes;
} others[] = {
        { open_read_end, true },
        { open_both_ends, true },
        { open_path_of_pipe, true },
        { open_memfd, true },
        { open_socket, true },
        { open_directory, false },
        { open_device, false },
        { open_file, false },
        { open_epoll, false },
        { open_pidfd, false },
        { open_namespace, false },
};

START_TEST(test_no_pipe)
{
        int fd = others[_i].open();
        struct client c;
        unsigned before;

        ck_assert_int_ge(fd, 0);
        client_hello(&c);
        expect_service(&c, 2);
        before = count_fds();
        client_run_fds(&c, 3, 2, &fd, 1);
        client_expect_error(&c, 3, ERROR_CODE(INVALID_ARGUMENT), "stdout is not the write end");
        ck_assert_str_eq(c.last->error->field, "stdout");
        expect_service(&c, 4);
        ck_assert_uint_eq(count_fds(), before + !others[_i].closes);
        (void) close(fd);
        client_close(&c);
}
END_TEST

START_TEST(test_write_end_as_stdin)
{
        struct client c;
        struct stdio io;

        client_hello(&c);
        stdio_open(&io);
        client_run_fds(&c, 2, 1, &io.out[1], 1);
        client_expect_error(&c, 2, ERROR_CODE(INVALID_ARGUMENT), "stdin is not the read end");
        expect_service(&c, 3);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* Stdin that is sent as well, and a job that outlives who reads its pipes. */
START_TEST(test_passed_and_more)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        uint8_t frame[256];
        struct client c;
        struct stdio io;
        size_t size;

        client_hello(&c);
        stdio_open(&io);
        run.passed_fds = 1;
        run.stdin = _i == 0;
        run.detach = _i == 1;
        size = pack_run(frame, 2, &run);
        ck_assert_int_eq(io_send_message(c.fd, frame, size, &io.in[0], 1), 0);
        client_expect_error(&c, 2, ERROR_CODE(INVALID_ARGUMENT), _i == 0 ? "at once" : "detach");
        expect_service(&c, 3);
        stdio_close(&io);
        client_close(&c);
}
END_TEST

/* A refused Run closes what came with it. */
START_TEST(test_refused)
{
        struct start s[3];
        struct client c;
        struct stdio io;

        policy.server.max_queued_per_user = 0;
        restart();
        client_hello(&c);
        for (uint64_t i = 0; i < 3; i++) {
                client_run_credit(&c, 2 + i, 0);
                monitor_expect_start(&s[i]);
                client_expect(&c, 2 + i, BODY(STARTED));
        }
        client_run_stdio(&c, 9, &io);
        client_expect_error(&c, 9, ERROR_CODE(BUSY), "MaxJobsPerUser=");
        expect_eof(io.out[0]);
        for (uint64_t i = 0; i < 3; i++) {
                monitor_end(&s[i], JOB_STATUS_OK);
                client_expect(&c, 2 + i, BODY(RESULT));
        }
        stdio_close(&io);
        client_close(&c);
}
END_TEST

static const char host[] = "\0\0\0\4\x08\x02\x4a\x00";

/* Fds where none belong: the connection is closed, and so are they. */
static const struct {
        uint32_t passed_fds;
        size_t n;
        const char *part;
        bool no_run;
} misuses[] = {
        { 0, 1, "no Run takes", false },
        { 0, 1, "no Run takes", true },
        { 2, 0, "0 file descriptors came", false },
        { 7, 2, "2 file descriptors came", false },
        { 3, 3, "no Run takes", false },
        { 8, 1, "passed_fds is 8", false },
        { UINT32_MAX, 6, "passed_fds is", false },
        { 7, 7, "more file descriptors", false },
        { 7, IO_FDS_MAX, "more file descriptors", false },
};

START_TEST(test_misuse)
{
        int fds[IO_FDS_MAX];
        struct client c, other;
        struct start s;
        unsigned before;

        client_hello(&other);
        expect_service(&other, 2);
        before = count_fds();
        client_hello(&c);
        for (size_t i = 0; i < misuses[_i].n; i++)
                fds[i] = open_read_end();
        if (misuses[_i].no_run)
                ck_assert_int_eq(io_send_message(c.fd, host, sizeof(host) - 1, fds, misuses[_i].n),
                        0);
        else
                client_run_fds(&c, 2, misuses[_i].passed_fds, fds, misuses[_i].n);
        io_close_all(fds, misuses[_i].n);
        /* One that names none is a job like any other, until the fds are seen to be nobody's. */
        if (misuses[_i].passed_fds == 0 && !misuses[_i].no_run) {
                monitor_expect_start(&s);
                client_expect(&c, 2, BODY(STARTED));
        } else if (misuses[_i].no_run)
                client_expect(&c, 2, BODY(HOST));
        else if (misuses[_i].passed_fds == 3)
                client_expect_error(&c, 2, ERROR_CODE(INVALID_ARGUMENT), "stdout");
        ck_assert_ptr_nonnull(client_receive(&c));
        ck_assert_int_eq(c.last->error->code, ERROR_CODE(BAD_REQUEST));
        ck_assert_msg(strstr(c.last->error->message, misuses[_i].part), "%s",
                c.last->error->message);
        client_expect_end(&c);
        if (misuses[_i].passed_fds == 0 && !misuses[_i].no_run) {
                monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
                monitor_end(&s, JOB_STATUS_CANCELLED);
        }
        expect_service(&other, 3);
        ck_assert_uint_eq(count_fds(), before);
        client_close(&c);
        client_close(&other);
}
END_TEST

/* Half a frame with fds is one that must end in time. */
START_TEST(test_half_a_frame)
{
        struct client c, other;
        struct stdio io;

        client_hello(&other);
        client_hello(&c);
        stdio_open(&io);
        ck_assert_int_eq(io_send_message(c.fd, host, 5, &io.out[1], 1), 0);
        io.out[1] = safe_close(io.out[1]);
        client_expect_error(&c, 0, ERROR_CODE(BAD_FRAME), "FrameTimeoutSec=");
        expect_eof(io.out[0]);
        client_expect_end(&c);
        expect_service(&other, 2);
        stdio_close(&io);
        client_close(&c);
        client_close(&other);
}
END_TEST

/* What may not be closed is bounded: after that the user's fds are not taken in at all. */
START_TEST(test_held)
{
        int fd = open_device(), fds[] = { fd, fd, fd, fd, fd, fd };
        struct client c, quiet;
        unsigned before;

        client_hello(&quiet);
        client_hello(&c);
        expect_service(&c, 2);
        before = count_fds();
        for (uint64_t i = 0; i < PASSED_HELD_MAX; i++) {
                client_run_fds(&c, 3 + i, 4, &fd, 1);
                client_expect_error(&c, 3 + i, ERROR_CODE(INVALID_ARGUMENT), "stderr");
        }
        ck_assert_uint_eq(count_fds(), before + PASSED_HELD_MAX);
        client_run_fds(&c, 99, 4, &fd, 1);
        client_expect_error(&c, 0, ERROR_CODE(BUSY), "no pipes");
        client_expect_end(&c);
        client_close(&c);
        for (int i = 0; i < 10; i++) {
                client_hello(&c);
                ck_assert_int_eq(io_send_message(c.fd, host, sizeof(host) - 1, fds,
                                         ELEMENTSOF(fds)),
                        0);
                client_expect_error(&c, 0, ERROR_CODE(BUSY), "no pipes");
                client_close(&c);
        }
        expect_service(&quiet, 2);
        ck_assert_uint_eq(count_fds(), before + PASSED_HELD_MAX - 1);
        (void) close(fd);
        client_close(&quiet);
}
END_TEST

START_TEST(test_credit)
{
        struct client c;
        struct start s;

        client_hello(&c);
        client_run_credit(&c, 2, 100);
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        job_writes(&s, CHANNEL_FD_STDOUT, 500);
        client_expect_output(&c, 2, 100);
        /* Neither the other stream nor another job waits for that. */
        job_writes(&s, CHANNEL_FD_STDERR, 50);
        ck_assert_int_eq(client_expect_output(&c, 2, 50)->stream,
                SANDBOXD__V1__OUTPUT__STREAM__STDERR);
        expect_service(&c, 3);
        client_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDERR, 1000);
        client_wait(&c);
        client_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, 150);
        client_expect_output(&c, 2, 150);
        client_wait(&c);
        client_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, UINT64_MAX);
        client_expect_output(&c, 2, 250);
        client_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, UINT64_MAX);
        job_writes(&s, CHANNEL_FD_STDOUT, 1);
        client_expect_output(&c, 2, 1);
        monitor_end(&s, JOB_STATUS_OK);
        client_expect(&c, 2, BODY(RESULT));
        /* Nor is it an error when it comes too late. */
        client_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, 1);
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        job_writes(&s, CHANNEL_FD_STDOUT, 300);
        client_expect_output(&c, 2, 100);
        monitor_end(&s, JOB_STATUS_OK);
        expect_service(&c, 3);
        client_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, 100);
        client_expect_output(&c, 2, 100);
        client_wait(&c);
        if (_i == 0) {
                client_credit(&c, 2, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, 100);
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
        Suite *suite = suite_create("frontend-fds");
        TCase *tc = tcase_create("frontend-fds");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_set_timeout(tc, 30);
        tcase_add_test(tc, test_passed);
        tcase_add_test(tc, test_passed_limit);
        tcase_add_test(tc, test_passed_full);
        tcase_add_test(tc, test_passed_kept_open);
        tcase_add_test(tc, test_passed_reader_gone);
        tcase_add_test(tc, test_passed_client_vanishes);
        tcase_add_loop_test(tc, test_passed_full_and_cancel, 0, 2);
        tcase_add_test(tc, test_passed_full_and_stop);
        tcase_add_loop_test(tc, test_passed_order, 0, 2);
        tcase_add_loop_test(tc, test_no_pipe, 0, (int) ELEMENTSOF(others));
        tcase_add_test(tc, test_write_end_as_stdin);
        tcase_add_loop_test(tc, test_passed_and_more, 0, 2);
        tcase_add_test(tc, test_refused);
        tcase_add_loop_test(tc, test_misuse, 0, (int) ELEMENTSOF(misuses));
        tcase_add_test(tc, test_half_a_frame);
        tcase_add_test(tc, test_held);
        tcase_add_test(tc, test_credit);
        tcase_add_test(tc, test_credit_and_limit);
        tcase_add_loop_test(tc, test_credit_after_the_end, 0, 2);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
