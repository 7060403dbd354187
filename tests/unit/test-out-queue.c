/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames for a client with fds: that those come with the first byte of their frame, however little the
 * socket takes at a time, and are charged until they are received.
 */
#include <check.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/io.h"
#include "daemon/frontend/out-queue.h"

#define UID 1000

static struct account_book accounts;
static struct out_queue queue;
static int ours, theirs;
static uint64_t request;

static void setup(void)
{
        int ends[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
                0);
        ours = ends[0];
        theirs = ends[1];
        out_queue_init(&queue, &accounts, UID);
}

static void teardown(void)
{
        account_release(&accounts, UID, ACCOUNT_SOCKETS, out_queue_done(&queue));
        ck_assert(account_book_is_empty(&accounts));
        ours = safe_close(ours);
        theirs = safe_close(theirs);
}

static void push(size_t size, uint8_t byte)
{
        uint8_t *p = queue_extend(&queue.bytes, size);

        ck_assert_ptr_nonnull(p);
        memset(p, byte, size);
}

/* A frame with the write end of a pipe, n times; returns the read end. */
static int push_fds(size_t size, uint8_t byte, size_t n)
{
        int ends[2], fds[OUT_FDS_MAX];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        push(size, byte);
        for (size_t i = 0; i < n; i++) {
                fds[i] = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
                ck_assert_int_eq(account_charge(&accounts, UID, ACCOUNT_SOCKETS, 1, 100, 100), 0);
        }
        (void) close(ends[1]);
        ck_assert_int_eq(out_queue_attach(&queue, byte, size, fds, n), 0);
        return ends[0];
}

static bool is_closed(int read_end)
{
        uint8_t byte;

        return read(read_end, &byte, 1) == 0;
}

/* Reads what comes with one call; how many fds came, which are closed. */
static ssize_t receive(void *data, size_t size, size_t *ret_fds)
{
        union {
                struct cmsghdr header;
                uint8_t room[CMSG_SPACE(8 * sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = data, .iov_len = size };
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        ssize_t n = recvmsg(theirs, &msg, MSG_CMSG_CLOEXEC);
        struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);
        int fds[8];

        *ret_fds = c ? (c->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
        if (c) {
                memcpy(fds, CMSG_DATA(c), *ret_fds * sizeof(int));
                io_close_all(fds, *ret_fds);
        }
        return n;
}

/* The byte that fds come with is the first of their frame, or one in the same message before it. Frames
 * are as long as their number says, and every third has fds. */
START_TEST(test_offsets)
{
        const size_t sizes[] = { 1, 300, 70000, 5, 250000, 2, 1, 90000, 10 };
        static uint8_t buffer[300000];
        size_t all = 0, got = 0, fds = 0, n_fds;
        int ends[ELEMENTSOF(sizes)];

        for (size_t i = 0; i < ELEMENTSOF(sizes); i++) {
                ends[i] = -EBADF;
                if (i % 3 == 1)
                        ends[i] = push_fds(sizes[i], (uint8_t) i, i % OUT_FDS_MAX + 1);
                else
                        push(sizes[i], (uint8_t) i);
                all += sizes[i];
        }
        while (got < all) {
                ssize_t n = out_queue_send(&queue, ours, &request);

                ck_assert(n >= 0 || n == -EAGAIN);
                /* One byte at a time shows with which they come. */
                while ((n = receive(buffer, _i == 0 ? 1 : sizeof(buffer), &n_fds)) > 0) {
                        got += (size_t) n;
                        if (n_fds == 0)
                                continue;
                        /* The last byte of a message is of the frame that its fds are for, or later, and
                         * of none later that has some. */
                        ck_assert_uint_ge(buffer[n - 1], 3 * fds + 1);
                        ck_assert_uint_lt(buffer[n - 1], 3 * (fds + 1) + 1);
                        ck_assert_uint_eq(n_fds, (3 * fds + 1) % OUT_FDS_MAX + 1);
                        if (_i == 0) {
                                size_t start = 0;

                                for (size_t i = 0; i < 3 * fds + 1; i++)
                                        start += sizes[i];
                                ck_assert_uint_eq(got, start + 1);
                        }
                        fds++;
                }
        }
        ck_assert_uint_eq(fds, 3);
        out_queue_settle(&queue, ours);
        ck_assert_uint_eq(account_held(&accounts, UID, ACCOUNT_SOCKETS), 0);
        for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
                if (ends[i] >= 0) {
                        ck_assert(is_closed(ends[i]));
                        (void) close(ends[i]);
                }
}
END_TEST

/* What is not sent is closed with the queue. */
START_TEST(test_dropped)
{
        int a = push_fds(10, 1, 3), b = push_fds(10, 2, 1);

        ck_assert(!is_closed(a));
        ck_assert_uint_eq(account_held(&accounts, UID, ACCOUNT_SOCKETS), 4);
        ck_assert_uint_eq(out_queue_done(&queue), 0);
        ck_assert_uint_eq(account_held(&accounts, UID, ACCOUNT_SOCKETS), 0);
        ck_assert(is_closed(a) && is_closed(b));
        (void) close(a);
        (void) close(b);
}
END_TEST

/* What was sent is still charged, to be settled by who ends the queue. */
START_TEST(test_sent_and_dropped)
{
        int a = push_fds(10, 1, 3), b;
        uint64_t job;

        ck_assert_int_eq(out_queue_send(&queue, ours, &job), 10);
        b = push_fds(10, 2, 1);
        out_queue_drop(&queue);
        ck_assert_uint_eq(out_queue_size(&queue), 0);
        ck_assert_uint_eq(account_held(&accounts, UID, ACCOUNT_SOCKETS), 3);
        ck_assert(!is_closed(a) && is_closed(b));
        ck_assert_uint_eq(out_queue_done(&queue), 3);
        ck_assert_uint_eq(account_held(&accounts, UID, ACCOUNT_SOCKETS), 3);
        account_release(&accounts, UID, ACCOUNT_SOCKETS, 3);
        (void) close(a);
        (void) close(b);
}
END_TEST

/* What was sent is charged until it can no more be in the socket. */
START_TEST(test_unreceived)
{
        uint8_t buffer[64];
        size_t n_fds;
        int ends[8];

        for (size_t i = 0; i < ELEMENTSOF(ends); i++)
                ends[i] = push_fds(1, 1, 3);
        ck_assert_int_eq(out_queue_send(&queue, ours, &request), ELEMENTSOF(ends));
        out_queue_settle(&queue, ours);
        ck_assert_uint_eq(account_held(&accounts, UID, ACCOUNT_SOCKETS), 3 * ELEMENTSOF(ends));
        for (size_t i = 0; i < ELEMENTSOF(ends); i++) {
                ck_assert_int_eq(receive(buffer, 1, &n_fds), 1);
                ck_assert_uint_eq(n_fds, 3);
                out_queue_settle(&queue, ours);
                ck_assert_uint_ge(account_held(&accounts, UID, ACCOUNT_SOCKETS),
                        3 * (ELEMENTSOF(ends) - i - 1));
                (void) close(ends[i]);
        }
        ck_assert_uint_eq(account_held(&accounts, UID, ACCOUNT_SOCKETS), 0);
        ck_assert(account_book_is_empty(&accounts));
}
END_TEST

/* A client that always leaves something unread has received what is long past. */
START_TEST(test_backlog)
{
        static uint8_t buffer[50000];
        size_t n_fds;
        int end = push_fds(1, 1, 3);

        ck_assert_int_eq(out_queue_send(&queue, ours, &request), 1);
        ck_assert_int_eq(receive(buffer, 1, &n_fds), 1);
        for (int i = 0; i < 10; i++) {
                size_t left = sizeof(buffer) - (i == 9 ? 10 : 0);

                push(sizeof(buffer), 2);
                ck_assert_int_eq(out_queue_send(&queue, ours, &request), sizeof(buffer));
                while (left > 0) {
                        ssize_t n = receive(buffer, left, &n_fds);

                        ck_assert_int_gt(n, 0);
                        left -= (size_t) n;
                }
        }
        ck_assert_uint_eq(account_held(&accounts, UID, ACCOUNT_SOCKETS), 3);
        out_queue_settle(&queue, ours);
        ck_assert_uint_eq(account_held(&accounts, UID, ACCOUNT_SOCKETS), 0);
        (void) close(end);
}
END_TEST

/* Too many are on their way already: the frame goes with them, and the rest is sent. */
START_TEST(test_refused)
{
        struct rlimit old, few;
        uid_t uid = getuid();
        uint8_t buffer[64];
        size_t n_fds;
        int end, other[2];

        /* root is not held to it. */
        if (uid == 0)
                ck_assert_int_eq(seteuid(65534), 0);
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
        few = (struct rlimit) { 3, old.rlim_max };
        /* These are on their way, too. */
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other), 0);
        push(4, 1);
        end = push_fds(5, 2, 3);
        push(6, 3);
        for (size_t i = 0; i < 5; i++)
                ck_assert_int_eq(io_send_message(other[0], "x", 1, other, 1), 0);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
        ck_assert_int_eq(out_queue_send(&queue, ours, &request), -ETOOMANYREFS);
        ck_assert_uint_eq(request, 2);
        ck_assert(is_closed(end));
        ck_assert_uint_eq(account_held(&accounts, UID, ACCOUNT_SOCKETS), 0);
        ck_assert_int_eq(out_queue_send(&queue, ours, &request), 6);
        ck_assert_int_eq(receive(buffer, sizeof(buffer), &n_fds), 10);
        ck_assert_uint_eq(buffer[3] * 10U + buffer[4], 13);
        (void) close(end);
        io_close_all(other, 2);
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
        ck_assert_int_eq(seteuid(uid), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("out-queue");
        TCase *t = tcase_create("out-queue");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_loop_test(t, test_offsets, 0, 2);
        tcase_add_test(t, test_dropped);
        tcase_add_test(t, test_sent_and_dropped);
        tcase_add_test(t, test_unreceived);
        tcase_add_test(t, test_backlog);
        tcase_add_test(t, test_refused);
        suite_add_tcase(suite, t);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
