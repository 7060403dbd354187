/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, messages with fds, sealed memfds.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/io.h"

static char folder[] = "/tmp/test-io-XXXXXX";
static int folder_fd = -EBADF;
static int pair[2] = { -EBADF, -EBADF };

static void setup(void)
{
        memcpy(folder, "/tmp/test-io-XXXXXX", sizeof(folder));
        ck_assert_ptr_nonnull(mkdtemp(folder));
        folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(folder_fd, 0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static void teardown(void)
{
        (void) unlinkat(folder_fd, "file", 0);
        folder_fd = safe_close(folder_fd);
        io_close_all(pair, 2);
        (void) rmdir(folder);
}

static int count_fds(void)
{
        int n = 0;

        for (int fd = 0; fd < 256; fd++)
                n += fcntl(fd, F_GETFD) >= 0;
        return n;
}

static void write_file(const char *text, size_t size)
{
        _cleanup_close_ int fd =
                openat(folder_fd, "file", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(io_write_full(fd, text, size), 0);
}

START_TEST(test_read_file)
{
        static const size_t sizes[] = { 0, 1, 4095, 4096, 4097, 8192, 20000 };
        char data[20001];

        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (char) ('a' + i % 23);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                _cleanup_free_ char *text = NULL;
                size_t size = 99;

                write_file(data, sizes[i]);
                ck_assert_int_eq(io_read_file(folder_fd, "file", 20000, &text, &size), 0);
                ck_assert_uint_eq(size, sizes[i]);
                ck_assert_mem_eq(text, data, size);
                ck_assert_int_eq(text[size], '\0');
        }
}
END_TEST

START_TEST(test_read_file_too_large)
{
        char data[9000] = {};
        char *text = NULL;

        write_file(data, 101);
        ck_assert_int_eq(io_read_file(folder_fd, "file", 100, &text, NULL), -EFBIG);
        write_file(data, 9000);
        ck_assert_int_eq(io_read_file(folder_fd, "file", 8999, &text, NULL), -EFBIG);
        ck_assert_int_eq(io_read_file(folder_fd, "file", 100, &text, NULL), -EFBIG);
        ck_assert_ptr_null(text);
}
END_TEST

START_TEST(test_read_file_missing)
{
        char *text = NULL;

        ck_assert_int_eq(io_read_file(folder_fd, "file", 100, &text, NULL), -ENOENT);
        ck_assert_int_eq(io_read_file(folder_fd, ".", 100, &text, NULL), -EISDIR);
        ck_assert_ptr_null(text);
}
END_TEST

START_TEST(test_write_file)
{
        _cleanup_free_ char *text = NULL;

        /* It writes what is there and makes nothing. */
        ck_assert_int_eq(io_write_file(folder_fd, "file", "1"), -ENOENT);
        write_file("", 0);
        ck_assert_int_eq(io_write_file(folder_fd, "file", "max"), 0);
        ck_assert_int_eq(io_read_file(folder_fd, "file", 100, &text, NULL), 0);
        ck_assert_str_eq(text, "max");
        ck_assert_int_eq(io_write_file(AT_FDCWD, "/dev/full", "1"), -ENOSPC);
}
END_TEST

START_TEST(test_read_full)
{
        int fds[2];
        char buf[16] = "";

        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        ck_assert_int_eq(io_write_full(fds[1], "abc", 3), 0);
        ck_assert_int_eq(io_write_full(fds[1], "def", 3), 0);
        fds[1] = safe_close(fds[1]);
        ck_assert_int_eq(io_read_full(fds[0], buf, 4), 4);
        ck_assert_int_eq(io_read_full(fds[0], buf + 4, 10), 2);
        ck_assert_str_eq(buf, "abcdef");
        ck_assert_int_eq(io_read_full(fds[0], buf, 10), 0);
        ck_assert_int_eq(io_read_full(-EBADF, buf, 10), -EBADF);
        fds[0] = safe_close(fds[0]);
}
END_TEST

START_TEST(test_message)
{
        char buf[8] = "";
        size_t n = 99;

        ck_assert_int_eq(io_send_message(pair[0], "hello", 6, NULL, 0), 0);
        ck_assert_int_eq(io_receive_message(pair[1], buf, sizeof(buf), NULL, 0, &n), 6);
        ck_assert_uint_eq(n, 0);
        ck_assert_str_eq(buf, "hello");
        pair[0] = safe_close(pair[0]);
        ck_assert_int_eq(io_receive_message(pair[1], buf, sizeof(buf), NULL, 0, &n), 0);
}
END_TEST

START_TEST(test_message_fds)
{
        int fds[IO_FDS_MAX], n_open = count_fds();
        struct stat a, b;
        size_t n = 0;
        char c;

        ck_assert_int_eq(io_send_message(pair[0], "x", 1, (int[]) { folder_fd, pair[0] }, 2), 0);
        ck_assert_int_eq(io_receive_message(pair[1], &c, 1, fds, 2, &n), 1);
        ck_assert_uint_eq(n, 2);
        ck_assert_int_eq(fstat(folder_fd, &a), 0);
        ck_assert_int_eq(fstat(fds[0], &b), 0);
        ck_assert(a.st_ino == b.st_ino);
        for (size_t i = 0; i < n; i++)
                ck_assert_int_eq(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
        io_close_all(fds, n);
        ck_assert_int_eq(fds[1], -EBADF);
        ck_assert_int_eq(count_fds(), n_open);
}
END_TEST

/* What was not asked for is refused, and leaves no fd behind. */
START_TEST(test_message_refused)
{
        int sent[IO_FDS_MAX], fds[IO_FDS_MAX], n_open = count_fds();
        char c, long_message[64] = {};
        size_t n = 99;

        for (size_t i = 0; i < IO_FDS_MAX; i++)
                sent[i] = folder_fd;
        ck_assert_int_eq(io_send_message(pair[0], "x", 1, sent, IO_FDS_MAX), 0);
        ck_assert_int_eq(io_receive_message(pair[1], &c, 1, fds, IO_FDS_MAX - 1, &n), -EBADMSG);
        ck_assert_int_eq(io_send_message(pair[0], "x", 1, sent, 1), 0);
        ck_assert_int_eq(io_receive_message(pair[1], &c, 1, NULL, 0, NULL), -EBADMSG);
        /* A cut message, with an fd. */
        ck_assert_int_eq(io_send_message(pair[0], long_message, sizeof(long_message), sent, 1), 0);
        ck_assert_int_eq(io_receive_message(pair[1], &c, 1, fds, IO_FDS_MAX, &n), -EBADMSG);
        ck_assert_uint_eq(n, 99);
        ck_assert_int_eq(count_fds(), n_open);
}
END_TEST

START_TEST(test_message_would_block)
{
        char data[4096] = {};
        int r;

        ck_assert_int_eq(io_set_nonblock(pair[0]), 0);
        ck_assert_int_eq(io_set_nonblock(pair[1]), 0);
        ck_assert_int_eq(io_receive_message(pair[1], data, sizeof(data), NULL, 0, NULL), -EAGAIN);
        do
                r = io_send_message(pair[0], data, sizeof(data), NULL, 0);
        while (r == 0);
        ck_assert_int_eq(r, -EAGAIN);
}
END_TEST

/* An error, not a SIGPIPE. */
START_TEST(test_message_peer_gone)
{
        pair[1] = safe_close(pair[1]);
        ck_assert_int_eq(io_send_message(pair[0], "x", 1, NULL, 0), -EPIPE);
}
END_TEST

START_TEST(test_memfd)
{
        _cleanup_close_ int fd = io_memfd_new("test");
        _cleanup_close_ int half = memfd_create("half", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(io_write_full(fd, "abc", 3), 0);
        ck_assert(!io_memfd_is_sealed(fd));
        ck_assert_int_eq(io_memfd_seal(fd), 0);
        ck_assert(io_memfd_is_sealed(fd));
        ck_assert_int_eq(io_write_full(fd, "d", 1), -EPERM);
        ck_assert_int_lt(ftruncate(fd, 0), 0);
        /* Each of the seals counts, and only memfds have them. */
        ck_assert_int_eq(fcntl(half, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL), 0);
        ck_assert(!io_memfd_is_sealed(half));
        ck_assert(!io_memfd_is_sealed(folder_fd));
        ck_assert(!io_memfd_is_sealed(-EBADF));
}
END_TEST

START_TEST(test_close_from)
{
        int fd = fcntl(folder_fd, F_DUPFD_CLOEXEC, 200);

        ck_assert_int_ge(fd, 200);
        ck_assert_int_eq(io_close_from(200), 0);
        ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
        ck_assert_int_ge(fcntl(folder_fd, F_GETFD), 0);
}
END_TEST

/* In a process of its own, which says what is left in a mask. */
START_TEST(test_close_except)
{
        static const int fds[] = { 0, 2, 200, 201, 203 };
        const int keep[] = { 203, -EBADF, 2, 200, 200 };
        int status = 0;
        pid_t pid = fork();

        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                        (void) dup2(folder_fd, fds[i]);
                if (io_close_except(keep, ELEMENTSOF(keep)) < 0)
                        _exit(255);
                for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                        status |= (fcntl(fds[i], F_GETFD) >= 0) << i;
                status |= (fcntl(folder_fd, F_GETFD) >= 0) << 7;
                if (io_close_except(NULL, 0) < 0 || fcntl(203, F_GETFD) >= 0)
                        status = 255;
                _exit(status);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(WEXITSTATUS(status), 1 << 1 | 1 << 2 | 1 << 4);
}
END_TEST

START_TEST(test_clocks)
{
        uint64_t a = io_now_usec(), real = io_realtime_usec();

        ck_assert_uint_gt(a, 0);
        ck_assert_uint_ge(io_now_usec(), a);
        /* After 2020, and in microseconds. */
        ck_assert_uint_gt(real, UINT64_C(1577836800) * USEC_PER_SEC);
        ck_assert_uint_lt(real, UINT64_C(1577836800) * USEC_PER_SEC * 100);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("io");
        TCase *t = tcase_create("io");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_read_file);
        tcase_add_test(t, test_read_file_too_large);
        tcase_add_test(t, test_read_file_missing);
        tcase_add_test(t, test_write_file);
        tcase_add_test(t, test_read_full);
        tcase_add_test(t, test_message);
        tcase_add_test(t, test_message_fds);
        tcase_add_test(t, test_message_refused);
        tcase_add_test(t, test_message_would_block);
        tcase_add_test(t, test_message_peer_gone);
        tcase_add_test(t, test_memfd);
        tcase_add_test(t, test_close_from);
        tcase_add_test(t, test_close_except);
        tcase_add_test(t, test_clocks);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
