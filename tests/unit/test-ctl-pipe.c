/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between sandboxctl and the sockets of a job: bytes arrive whole whatever our stdin and stdout are, and
 * nothing waits.
 */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "client/ctl/run-pipe.h"
#include "common/io.h"

static struct run_pipe moved;
static int far_fd = -EBADF, ours[2] = { -EBADF, -EBADF };

/* The end of a job's socket that we are given; far_fd is the daemon's. */
static int job_socket(void)
{
        int ends[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
                0);
        far_fd = ends[0];
        return ends[1];
}

static void setup(void)
{
        (void) signal(SIGPIPE, SIG_IGN);
        run_pipe_init(&moved);
        ck_assert_int_eq(pipe2(ours, O_CLOEXEC), 0);
}

static void teardown(void)
{
        run_pipe_done(&moved);
        far_fd = safe_close(far_fd);
        io_close_all(ours, ELEMENTSOF(ours));
}

/* Moves until nothing can be moved. */
static int move_all(void)
{
        int r;

        while ((r = run_pipe_move(&moved)) > 0 && run_pipe_open(&moved))
                ;
        return run_pipe_open(&moved) ? r : 0;
}

static void assert_bytes(int fd, const char *text)
{
        char found[64] = "";

        ck_assert_int_eq(read(fd, found, sizeof(found) - 1), strlen(text));
        ck_assert_str_eq(found, text);
}

START_TEST(test_in)
{
        run_pipe_in(&moved, ours[0], job_socket());
        ck_assert_int_eq(move_all(), 0);
        ck_assert_int_eq(moved.wait_fd, ours[0]);
        ck_assert_int_eq(moved.wait_events, POLLIN);
        ck_assert_int_eq(write(ours[1], "abc", 3), 3);
        ck_assert_int_eq(move_all(), 0);
        assert_bytes(far_fd, "abc");
        ck_assert_uint_eq(moved.moved, 3);
        /* The end of stdin is that of the job's. */
        ours[1] = safe_close(ours[1]);
        ck_assert_int_eq(move_all(), 0);
        ck_assert(!run_pipe_open(&moved));
        assert_bytes(far_fd, "");
        ck_assert_uint_eq(moved.moved, 3);
}
END_TEST

/* A job that does not read holds us up; one that has closed its stdin ends it. */
START_TEST(test_in_held_up)
{
        char block[65536] = "";
        uint64_t before;

        run_pipe_in(&moved, ours[0], job_socket());
        do {
                before = moved.moved;
                ck_assert_int_eq(write(ours[1], block, 4096), 4096);
                ck_assert_int_eq(move_all(), 0);
        } while (moved.moved > before);
        ck_assert_int_eq(moved.wait_fd, moved.out);
        ck_assert_int_eq(moved.wait_events, POLLOUT);
        far_fd = safe_close(far_fd);
        ck_assert_int_eq(move_all(), -EPIPE);
}
END_TEST

/* A file as stdin is read from where it is, to its end. */
START_TEST(test_in_file)
{
        char path[] = "/tmp/test-ctl-pipe-XXXXXX";
        int fd = mkstemp(path);

        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(write(fd, "0123456789", 10), 10);
        ck_assert_int_eq(lseek(fd, 4, SEEK_SET), 4);
        run_pipe_in(&moved, fd, job_socket());
        ck_assert_int_eq(move_all(), 0);
        ck_assert(!run_pipe_open(&moved));
        assert_bytes(far_fd, "456789");
        assert_bytes(far_fd, "");
        ck_assert_int_eq(lseek(fd, 0, SEEK_CUR), 10);
        (void) close(fd);
}
END_TEST

static const struct out_row {
        const char *name;
        int type; /* of file: 0 is a pipe */
        int flags;
} out_rows[] = {
        { "pipe", 0, 0 },
        { "file", S_IFREG, 0 },
        { "appended", S_IFREG, O_APPEND },
        { "socket", S_IFSOCK, 0 },
};

START_TEST(test_out)
{
        const struct out_row *row = &out_rows[_i];
        char path[] = "/tmp/test-ctl-pipe-XXXXXX";
        int fds[2];

        if (row->type == S_IFREG) {
                fds[0] = mkstemp(path);
                fds[1] = open(path, O_WRONLY | O_CLOEXEC | row->flags);
        } else if (row->type == S_IFSOCK)
                ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        else
                ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        run_pipe_out(&moved, fds[1], job_socket());
        ck_assert_int_eq(write(far_fd, "abc", 3), 3);
        ck_assert_int_eq(move_all(), 0);
        ck_assert_int_eq(write(far_fd, "def", 3), 3);
        far_fd = safe_close(far_fd);
        ck_assert_int_eq(move_all(), 0);
        ck_assert(!run_pipe_open(&moved));
        ck_assert_uint_eq(moved.moved, 6);
        assert_bytes(fds[0], "abcdef");
        ck_assert(!(fcntl(fds[1], F_GETFL) & O_NONBLOCK));
        io_close_all(fds, 2);
        if (row->type == S_IFREG)
                ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* Onto a pipe or socket that nobody reads no more is written than it takes without waiting. */
START_TEST(test_out_held_up)
{
        static const int types[] = { 0, S_IFSOCK };
        char block[65536] = "";
        uint64_t before;
        int fds[2];

        if (types[_i] == S_IFSOCK)
                ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        else
                ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        run_pipe_out(&moved, fds[1], job_socket());
        do {
                before = moved.moved;
                (void) !write(far_fd, block, sizeof(block));
                ck_assert_int_eq(move_all(), 0);
        } while (moved.moved > before);
        ck_assert_int_eq(moved.wait_fd, fds[1]);
        ck_assert_int_eq(moved.wait_events, POLLOUT);
        safe_close(fds[0]);
        ck_assert_int_eq(move_all(), -EPIPE);
        safe_close(fds[1]);
}
END_TEST

/* A reader that has gone shows with the next byte for it, and not before. */
START_TEST(test_reader_gone)
{
        run_pipe_out(&moved, ours[1], job_socket());
        ours[0] = safe_close(ours[0]);
        ck_assert_int_eq(move_all(), 0);
        ck_assert_int_eq(moved.wait_fd, moved.in);
        ck_assert_int_eq(write(far_fd, "x", 1), 1);
        ck_assert_int_eq(move_all(), -EPIPE);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ctl-pipe");
        TCase *t = tcase_create("ctl-pipe");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_in);
        tcase_add_test(t, test_in_held_up);
        tcase_add_test(t, test_in_file);
        tcase_add_loop_test(t, test_out, 0, ELEMENTSOF(out_rows));
        tcase_add_loop_test(t, test_out_held_up, 0, 2);
        tcase_add_test(t, test_reader_gone);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
