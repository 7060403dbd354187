/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Relays as the service starts them: what they copy, what they refuse, how they end. This program is the relay
 * too, as sandboxd-bus is.
 */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/io.h"
#include "daemon/bus/relay-check.h"
#include "daemon/bus/relays.h"

#define SIZE (3 * MIB + 17)
#define STRANGER 4711

static struct relays relays;
static sd_event *event;
static uint8_t pattern[SIZE];
static uint8_t received[SIZE + 1];

/* What on_ready and on_end were told. */
static struct {
        unsigned calls;
        unsigned ready; /* calls of on_ready, all before */
        enum relay_end end;
        char reason[RELAY_REASON_MAX];
} ended;

static void setup(void)
{
        sigset_t child;

        (void) sigemptyset(&child);
        (void) sigaddset(&child, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &child, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
        ck_assert_int_ge(sd_event_new(&event), 0);
        relays_init(&relays, event, NULL);
        for (size_t i = 0; i < SIZE; i++)
                pattern[i] = (uint8_t) (i * 2654435761U >> 13);
        memset(&ended, 0, sizeof(ended));
}

static void teardown(void)
{
        relays_done(&relays);
        event = sd_event_unref(event);
}

static void on_ready(struct relay *r, void *userdata)
{
        ck_assert_uint_eq(ended.calls, 0);
        ended.ready++;
}

static void on_end(struct relay *r, enum relay_end end, bool was_ready, const char *reason,
        void *userdata)
{
        ended.calls++;
        ended.end = end;
        ck_assert_int_eq(was_ready, ended.ready);
        ck_assert_int_eq(str_copy(ended.reason, sizeof(ended.reason), reason), 0);
}

/* Until every relay there is has been reaped. */
static void wait_reaped(void)
{
        while (!LIST_EMPTY(&relays.list))
                ck_assert_int_gt(sd_event_run(event, 20 * USEC_PER_SEC), 0);
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
        ck_assert_int_eq(errno, ECHILD);
}

static void stream_pair(int *ret_job, int *ret_relay)
{
        int ends[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        *ret_job = ends[0];
        *ret_relay = ends[1];
        ck_assert_int_eq(io_set_nonblock(ends[1]), 0);
}

/* Starts a relay, which alone has both fds then; returns the job's end. */
static int start(uid_t uid, int fd, enum relay_stream stream, struct relay **ret)
{
        int job, ours;

        stream_pair(&job, &ours);
        ck_assert_int_eq(relays_start(&relays, uid, fd, ours, stream, on_ready, on_end, NULL, ret),
                0);
        (void) close(ours);
        (void) close(fd);
        return job;
}

static void assert_ended(enum relay_end end, const char *reason)
{
        wait_reaped();
        ck_assert_uint_eq(ended.calls, 1);
        ck_assert_uint_eq(ended.ready, end != RELAY_REFUSED);
        ck_assert_msg(ended.end == end && strstr(ended.reason, reason),
                "ended %d: '%s', not %d: '%s'", (int) ended.end, ended.reason, (int) end, reason);
        ck_assert_int_eq(end == RELAY_ENDED, ended.reason[0] == '\0');
}

static void *write_pattern(void *userdata)
{
        int fd = *(int *) userdata;

        ck_assert_int_eq(io_write_full(fd, pattern, SIZE), 0);
        (void) close(fd);
        return NULL;
}

/* All of the pattern, and then the end. */
static void assert_reads_pattern(int fd)
{
        ck_assert_int_eq(io_read_full(fd, received, sizeof(received)), SIZE);
        ck_assert_int_eq(memcmp(received, pattern, SIZE), 0);
        (void) close(fd);
}

static int file_with_pattern(void)
{
        int fd = memfd_create("pattern", MFD_CLOEXEC);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(io_write_full(fd, pattern, SIZE), 0);
        ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
        return fd;
}

static void pipe_pair(int ends[static 2])
{
        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
}

START_TEST(test_stdin_file)
{
        assert_reads_pattern(start(getuid(), file_with_pattern(), RELAY_STDIN, NULL));
        assert_ended(RELAY_ENDED, "");
}
END_TEST

/* Also one that does not block: its flags stay as they are. */
START_TEST(test_stdin_pipe)
{
        pthread_t thread;
        int ends[2], kept;

        pipe_pair(ends);
        if (_i > 0)
                ck_assert_int_eq(io_set_nonblock(ends[0]), 0);
        kept = dup(ends[0]);
        ck_assert_int_eq(pthread_create(&thread, NULL, write_pattern, &ends[1]), 0);
        assert_reads_pattern(start(getuid(), ends[0], RELAY_STDIN, NULL));
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        assert_ended(RELAY_ENDED, "");
        ck_assert_int_eq(!!(fcntl(kept, F_GETFL) & O_NONBLOCK), _i > 0);
        (void) close(kept);
}
END_TEST

/* _i: 0 a pipe, 1 one that does not block, 2 a socket, 3 a socket of packets, 4 a file that is appended to */
START_TEST(test_stdout)
{
        pthread_t thread;
        char path[64];
        int ends[2], job;

        if (_i < 2)
                pipe_pair(ends);
        else if (_i < 4)
                ck_assert_int_eq(socketpair(AF_UNIX, _i == 2 ? SOCK_STREAM : SOCK_SEQPACKET, 0,
                                         ends),
                        0);
        else {
                ends[1] = memfd_create("appended", MFD_CLOEXEC);
                (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
                ends[0] = open(path, O_RDONLY | O_CLOEXEC);
                ck_assert_int_eq(fcntl(ends[1], F_SETFL, O_APPEND), 0);
        }
        ck_assert_int_ge(MIN(ends[0], ends[1]), 0);
        if (_i == 1)
                ck_assert_int_eq(io_set_nonblock(ends[1]), 0);
        if (_i == 3)
                ck_assert_int_eq(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &(int) { 4608 },
                                         sizeof(int)),
                        0);
        job = start(getuid(), ends[1], RELAY_STDOUT, NULL);
        ck_assert_int_eq(pthread_create(&thread, NULL, write_pattern, &job), 0);
        if (_i == 4)
                wait_reaped();
        assert_reads_pattern(ends[0]);
        ck_assert_int_eq(pthread_join(thread, NULL), 0);
        assert_ended(RELAY_ENDED, "");
}
END_TEST

/* The reader has gone: so does the job's writer. */
START_TEST(test_stdout_epipe)
{
        int ends[2], job;

        pipe_pair(ends);
        (void) close(ends[0]);
        job = start(getuid(), ends[1], RELAY_STDERR, NULL);
        while (write(job, pattern, 1000) > 0)
                ;
        /* The second when it left something unread. */
        ck_assert(errno == EPIPE || errno == ECONNRESET);
        assert_ended(RELAY_ENDED, "");
        (void) close(job);
}
END_TEST

/* The job has closed its stdin, to which nothing will ever come. */
START_TEST(test_stdin_closed)
{
        int ends[2];

        pipe_pair(ends);
        (void) close(start(getuid(), ends[0], RELAY_STDIN, NULL));
        assert_ended(RELAY_ENDED, "");
        (void) close(ends[1]);
}
END_TEST

/* Nobody reads the full pipe, so the relay is in write(2). */
START_TEST(test_stop)
{
        struct relay *r;
        int ends[2], job;
        char byte;

        pipe_pair(ends);
        job = start(getuid(), ends[1], RELAY_STDOUT, &r);
        ck_assert_int_eq(io_write_full(job, pattern, 100 * KIB), 0);
        ck_assert_int_eq(read(ends[0], &byte, 1), 1);
        relay_stop(r);
        wait_reaped();
        ck_assert_uint_eq(ended.calls, 0);
        ck_assert_int_eq(write(job, &byte, 1), -1);
        (void) close(ends[0]);
        (void) close(job);
}
END_TEST

/* What is wrong with an fd, and the words that say so. */
static int refused_fd(int i, enum relay_stream *stream, const char **ret_reason)
{
        int ends[2];

        *stream = RELAY_STDIN;
        switch (i) {
        case 0:
                *ret_reason = "stdin is open with O_PATH";
                return open("/dev/null", O_PATH | O_CLOEXEC);
        case 1:
                *ret_reason = "stdin is open for writing only";
                return open("/dev/null", O_WRONLY | O_CLOEXEC);
        case 2:
                *stream = RELAY_STDERR;
                *ret_reason = "stderr is open for reading only";
                return open("/dev/null", O_RDONLY | O_CLOEXEC);
        case 3:
                *ret_reason = "a socket that bytes cannot be copied with";
                return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        case 4:
                *ret_reason = "a socket without another end";
                return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        case 5:
                *ret_reason = "a socket that listens";
                ends[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
                ck_assert_int_eq(bind(ends[0],
                                         (struct sockaddr *) &(struct sockaddr_un) { AF_UNIX },
                                         sizeof(sa_family_t)),
                        0);
                ck_assert_int_eq(listen(ends[0], 1), 0);
                return ends[0];
        case 6:
                *ret_reason = "stdin is a directory";
                return open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        case 7:
                *ret_reason = "stdin is a file in /proc";
                return open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
        default:
                *ret_reason = "nothing that bytes are read from";
                return sd_event_get_fd(event);
        }
}

#define REFUSED_QUICKLY 6
#define REFUSED 9

START_TEST(test_refused)
{
        enum relay_stream stream;
        const char *reason;
        struct error e = {};
        int fd = refused_fd(_i, &stream, &reason), copy, job;

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(relay_check_quick(fd, stream, getuid(), &e),
                _i < REFUSED_QUICKLY ? -EINVAL : 0);
        if (_i < REFUSED_QUICKLY)
                ck_assert_ptr_nonnull(strstr(e.text, reason));
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        job = start(getuid(), copy, stream, NULL);
        assert_ended(RELAY_REFUSED, reason);
        ck_assert_int_eq(recv(job, &copy, 1, 0), 0);
        (void) close(job);
}
END_TEST

START_TEST(test_block_device)
{
        struct error e;
        int fd = open("/dev/loop0", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return; /* there is none, or it is not ours */
        ck_assert_int_eq(relay_check(fd, RELAY_STDIN, getuid(), &e), -EINVAL);
        ck_assert_ptr_nonnull(strstr(e.text, "a block device"));
        (void) close(fd);
}
END_TEST

/* The other end is somebody else's, as journald's would be; root may pass any. */
START_TEST(test_foreign_socket)
{
        int ends[2], job;

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        job = start(STRANGER, ends[0], RELAY_STDOUT, NULL);
        (void) io_write_full(job, pattern, 1);
        assert_ended(RELAY_REFUSED, "a socket whose other end is user");
        ck_assert_int_eq(recv(ends[1], received, 1, 0), 0);
        (void) close(ends[1]);
        (void) close(job);
        if (getuid() != 0)
                return;
        ck_assert_int_eq(seteuid(STRANGER), 0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        ck_assert_int_eq(seteuid(0), 0);
        ck_assert_int_eq(relay_check(ends[0], RELAY_STDOUT, 0, NULL), 0);
        ck_assert_int_eq(relay_check(ends[0], RELAY_STDOUT, STRANGER, NULL), 0);
        ck_assert_int_eq(relay_check(ends[0], RELAY_STDOUT, STRANGER + 1, NULL), -EINVAL);
        (void) close(ends[0]);
        (void) close(ends[1]);
}
END_TEST

/* A full disk is said. */
START_TEST(test_failed)
{
        int job = start(getuid(), open("/dev/full", O_WRONLY | O_CLOEXEC), RELAY_STDOUT, NULL);

        (void) io_write_full(job, pattern, 1);
        assert_ended(RELAY_FAILED, "stdout could not be written: No space left on device");
        (void) close(job);
}
END_TEST

static void on_end_exit(struct relay *r, enum relay_end end, bool was_ready, const char *reason,
        void *userdata)
{
        _exit((int) end);
}

/* A service whose fds lie crosswise in the places that they have in the relay. In a process of its own, which
 * may not assert: fds of the suite's are there too. */
static void serve_crosswise(int caller_fd, int socket_fd)
{
        int caller = fcntl(caller_fd, F_DUPFD_CLOEXEC, 10);
        int ours = fcntl(socket_fd, F_DUPFD_CLOEXEC, 10);

        teardown();
        (void) dup2(ours, RELAY_CALLER_FD);
        (void) dup2(caller, RELAY_SOCKET_FD);
        if (sd_event_new(&event) < 0)
                _exit(10);
        relays_init(&relays, event, NULL);
        if (relays_start(&relays, getuid(), RELAY_SOCKET_FD, RELAY_CALLER_FD, RELAY_STDIN, NULL,
                    on_end_exit, NULL, NULL) < 0)
                _exit(11);
        (void) sd_event_loop(event);
        _exit(12);
}

START_TEST(test_places)
{
        int file = file_with_pattern(), job, ours, status;
        pid_t service;

        stream_pair(&job, &ours);
        service = fork();
        if (service == 0)
                serve_crosswise(file, ours);
        (void) close(ours);
        assert_reads_pattern(job);
        ck_assert_int_eq(waitpid(service, &status, 0), service);
        ck_assert_int_eq(status, 0);
        (void) close(file);
}
END_TEST

/* A program that is none is told, and nothing is kept. */
START_TEST(test_no_program)
{
        int job, ours;

        stream_pair(&job, &ours);
        relays.program = "/nonexistent";
        ck_assert_int_eq(relays_start(&relays, 0, job, ours, RELAY_STDIN, NULL, on_end, NULL, NULL),
                -ENOENT);
        wait_reaped();
        (void) close(job);
        (void) close(ours);
}
END_TEST

static unsigned count_fds(pid_t pid)
{
        char path[64];
        unsigned n = 0;

        for (int fd = 0; fd < 1024; fd++) {
                struct stat st;

                (void) snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int) pid, fd);
                n += lstat(path, &st) == 0;
        }
        return n;
}

/* The pid of the only child there is. */
static pid_t only_child(void)
{
        _cleanup_free_ char *text = NULL;

        ck_assert_int_eq(io_read_file(AT_FDCWD, "/proc/thread-self/children", 4096, &text, NULL),
                0);
        return (pid_t) strtol(text, NULL, 10);
}

/* Once bytes flow, it has nothing but its fds and its filter; fds that are open here are not in it. */
START_TEST(test_confined)
{
        _cleanup_free_ char *text = NULL;
        struct relay *r;
        char path[64], byte = 'x';
        int ends[2], leaked = dup2(0, 77), job;

        pipe_pair(ends);
        job = start(getuid(), ends[0], RELAY_STDIN, &r);
        ck_assert_int_eq(write(ends[1], &byte, 1), 1);
        ck_assert_int_eq(read(job, &byte, 1), 1);
        (void) snprintf(path, sizeof(path), "/proc/%d/status", (int) only_child());
        ck_assert_int_eq(io_read_file(AT_FDCWD, path, 16384, &text, NULL), 0);
        ck_assert_ptr_nonnull(strstr(text, "NoNewPrivs:\t1"));
        ck_assert_ptr_nonnull(strstr(text, "Seccomp:\t2"));
        free(TAKE_PTR(text));
        (void) snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int) only_child());
        ck_assert_int_eq(io_read_file(AT_FDCWD, path, 64, &text, NULL), 0);
        ck_assert_str_eq(text, "1000\n");
        if (getuid() == 0)
                ck_assert_uint_eq(count_fds(only_child()), 6);
        relay_stop(r);
        wait_reaped();
        (void) close(leaked);
        (void) close(ends[1]);
        (void) close(job);
}
END_TEST

/* The service dies, and the relay waits for a pipe that nobody writes to. */
START_TEST(test_service_dies)
{
        int ends[2], job, ours;
        char byte = 'x';
        pid_t service;

        pipe_pair(ends);
        stream_pair(&job, &ours);
        service = fork();
        if (service == 0) {
                setup();
                if (relays_start(&relays, getuid(), ends[0], ours, RELAY_STDIN, NULL, on_end, NULL,
                            NULL) < 0)
                        _exit(1);
                (void) pause();
        }
        (void) close(ours);
        ck_assert_int_eq(write(ends[1], &byte, 1), 1);
        ck_assert_int_eq(read(job, &byte, 1), 1);
        ck_assert_int_eq(kill(service, SIGKILL), 0);
        ck_assert_int_eq(waitpid(service, NULL, 0), service);
        ck_assert_int_eq(read(job, &byte, 1), 0);
        (void) close(ends[0]);
        (void) close(ends[1]);
        (void) close(job);
}
END_TEST

/* Those that are killed count until they have gone; another user has room meanwhile. */
START_TEST(test_bounded)
{
        struct relay *rs[RELAYS_USER_MAX], *other;
        int ends[2], job, ours;

        pipe_pair(ends);
        stream_pair(&job, &ours);
        for (unsigned i = 0; i < RELAYS_USER_MAX; i++)
                ck_assert_int_eq(relays_start(&relays, 1000, ends[0], ours, RELAY_STDIN, NULL,
                                         on_end, NULL, &rs[i]),
                        0);
        relay_stop(rs[0]);
        ck_assert_int_eq(relays_start(&relays, 1000, ends[0], ours, RELAY_STDIN, NULL, on_end, NULL,
                                 &other),
                -EDQUOT);
        ck_assert_int_eq(relays_start(&relays, 1001, ends[0], ours, RELAY_STDIN, NULL, on_end, NULL,
                                 &other),
                0);
        for (unsigned i = 1; i < RELAYS_USER_MAX; i++)
                relay_stop(rs[i]);
        relay_stop(other);
        wait_reaped();
        (void) close(ends[0]);
        (void) close(ends[1]);
        (void) close(job);
        (void) close(ours);
}
END_TEST

static int run_suite(void)
{
        Suite *suite = suite_create("bus-relay");
        TCase *tc = tcase_create("bus-relay");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_stdin_file);
        tcase_add_loop_test(tc, test_stdin_pipe, 0, 2);
        tcase_add_loop_test(tc, test_stdout, 0, 5);
        tcase_add_test(tc, test_stdout_epipe);
        tcase_add_test(tc, test_stdin_closed);
        tcase_add_test(tc, test_stop);
        tcase_add_loop_test(tc, test_refused, 0, REFUSED);
        tcase_add_test(tc, test_block_device);
        tcase_add_test(tc, test_foreign_socket);
        tcase_add_test(tc, test_failed);
        tcase_add_test(tc, test_places);
        tcase_add_test(tc, test_no_program);
        tcase_add_test(tc, test_confined);
        tcase_add_test(tc, test_service_dies);
        tcase_add_test(tc, test_bounded);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
        if (argc > 1 && streq(argv[1], "--relay"))
                return relay_main(argc, argv);
        return run_suite();
}
