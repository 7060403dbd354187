/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What users leave unread in sockets that we are done with: what it is charged, until when, and who is refused
 * for it.
 */
#include <check.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "common/io.h"
#include "daemon/frontend/frontend.h"

#define A 1000
#define B 1001

static struct frontend frontend;
static uint8_t bytes[256 * KIB];

static void setup(void)
{
        LIST_INIT(&frontend.connections);
        LIST_INIT(&frontend.jobs);
        frontend.max_open_files = 1 << 20;
        linger_init(&frontend);
        ck_assert_int_ge(sd_event_new(&frontend.event), 0);
}

static void teardown(void)
{
        linger_done(&frontend);
        ck_assert(account_book_is_empty(&frontend.accounts));
        frontend.event = sd_event_unref(frontend.event);
}

/* Has so much linger; returns the reader's end. */
static int leave(uid_t uid, size_t size)
{
        int ends[2];
        const int room = 1 * MIB;

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
                0);
        ck_assert_int_eq(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)), 0);
        for (size_t n = 0; n < size; n += MIN(size - n, sizeof(bytes)))
                ck_assert_int_eq(io_write_full(ends[0], bytes, MIN(size - n, sizeof(bytes))), 0);
        linger(&frontend, uid, ends[0], 0);
        return ends[1];
}

static uint64_t held(uid_t uid)
{
        return account_held(&frontend.accounts, uid, ACCOUNT_LINGERING);
}

static void turn(void)
{
        while (sd_event_run(frontend.event, 0) > 0)
                ;
}

static void charge(uid_t uid, uint64_t amount)
{
        ck_assert_int_eq(account_charge(&frontend.accounts, uid, ACCOUNT_LINGERING, amount,
                                 ACCOUNT_UNLIMITED, ACCOUNT_UNLIMITED),
                0);
}

static void release(uid_t uid, uint64_t amount)
{
        account_release(&frontend.accounts, uid, ACCOUNT_LINGERING, amount);
}

/* Until it is read or closed. */
START_TEST(test_charged)
{
        int other = leave(A, 1), fd;
        const uint64_t least = LINGERING_LEAST;

        ck_assert_uint_eq(held(A), least);
        fd = leave(A, 700 * KIB);
        turn();
        ck_assert_uint_ge(held(A), 700 * KIB + least);
        for (unsigned i = 0; i < 7; i++)
                ck_assert_int_eq(io_read_full(fd, bytes, 100 * KIB), 100 * KIB);
        turn();
        ck_assert_uint_eq(held(A), least);
        (void) close(other);
        turn();
        ck_assert_uint_eq(held(A), 0);
        (void) close(fd);
}
END_TEST

START_TEST(test_nothing_left)
{
        int fd = leave(A, 0);

        ck_assert_uint_eq(held(A), 0);
        ck_assert_int_eq(read(fd, bytes, 1), 0);
        (void) close(fd);
}
END_TEST

/* What is read in part is no longer charged when it matters, though nobody told us. */
START_TEST(test_read_in_part)
{
        int fd = leave(A, 700 * KIB);

        charge(A, LINGERING_USER_MOST - 700 * KIB);
        ck_assert(linger_is_excessive(&frontend, A));
        ck_assert_int_eq(io_read_full(fd, bytes, 256 * KIB), 256 * KIB);
        /* To look costs time, which who is refused does not get each time. */
        ck_assert_uint_gt(frontend.lingering_sweep_usec, io_now_usec());
        frontend.lingering_sweep_usec = UINT64_MAX;
        ck_assert(linger_is_excessive(&frontend, A));
        frontend.lingering_sweep_usec = 0;
        ck_assert(!linger_is_excessive(&frontend, A));
        ck_assert_uint_lt(held(A), LINGERING_USER_MOST - 200 * KIB);
        ck_assert(!linger_is_excessive(&frontend, B));
        release(A, LINGERING_USER_MOST - 700 * KIB);
        (void) close(fd);
        turn();
        ck_assert_uint_eq(held(A), 0);
}
END_TEST

/* More than all are to have: who has left little is served. */
START_TEST(test_more_than_all)
{
        for (uid_t uid = 2000; uid < 2020; uid++)
                charge(uid, LINGERING_USER_MOST);
        ck_assert(linger_is_excessive(&frontend, 2000));
        ck_assert(!linger_is_excessive(&frontend, A));
        charge(A, MIB - 1);
        ck_assert(!linger_is_excessive(&frontend, A));
        charge(A, 1);
        ck_assert(linger_is_excessive(&frontend, A));
        release(A, MIB);
        for (uid_t uid = 2000; uid < 2020; uid++)
                release(uid, LINGERING_USER_MOST);
}
END_TEST

/* Where few files may be open a socket counts as more, a quarter of them being what all may have. A few are
 * left to each user all the same. */
START_TEST(test_few_files)
{
        int fds[8];

        frontend.max_open_files = 1024;
        linger_init(&frontend);
        for (uid_t uid = 2000; uid < 2020; uid++)
                charge(uid, LINGERING_USER_MOST);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                ck_assert(!linger_is_excessive(&frontend, A));
                fds[i] = leave(A, 1);
                ck_assert_uint_eq(held(A), (i + 1) * LINGERING_MOST / 256);
        }
        ck_assert(linger_is_excessive(&frontend, A));
        io_close_all(fds, ELEMENTSOF(fds));
        turn();
        ck_assert_uint_eq(held(A), 0);
        for (uid_t uid = 2000; uid < 2020; uid++)
                release(uid, LINGERING_USER_MOST);
}
END_TEST

/* The reader's own end can lie in the socket, where the kernel does not refuse it: it is not kept open. */
START_TEST(test_sent_to_itself)
{
        int ends[2];

        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
                0);
        ck_assert_int_eq(io_write_full(ends[0], bytes, 1000), 0);
        ck_assert_int_eq(io_send_message(ends[1], bytes, 1, &ends[1], 1), 0);
        (void) close(ends[1]);
        linger(&frontend, A, ends[0], 0);
        turn();
        ck_assert_uint_eq(held(A), 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("linger");
        TCase *tc = tcase_create("linger");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_charged);
        tcase_add_test(tc, test_nothing_left);
        tcase_add_test(tc, test_read_in_part);
        tcase_add_test(tc, test_more_than_all);
        tcase_add_test(tc, test_few_files);
        tcase_add_test(tc, test_sent_to_itself);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
