/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces made ahead of time: the books, with a maker that answers as a test says. What it hands over are
 * two ends of a pipe.
 */
#include <check.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/io.h"
#include "daemon/monitor/launch.h"
#include "daemon/monitor/spares.h"
#include "daemon/wire/launch.h"

#define ENOUGH 1024

static struct uid_pool uids;
static struct spares spares;
static sd_event *event;
static unsigned n_makers;
static int start_answer;
static bool waits_for_maker; /* it is heard when it has ended, with orders unread */
/* What the maker does: answers so many orders, then this. */
static unsigned n_good;
static enum { GO_ON, FAIL, DIE, BABBLE, HANG } then;

static void answer(int fd, const void *data, size_t size, const int *fds, size_t n_fds)
{
        if (io_send_message(fd, data, size, fds, n_fds) < 0)
                _exit(2);
}

static _noreturn_ void make(int fd)
{
        struct launch_event made = { .kind = LAUNCH_MADE };
        const struct launch_event failed = {
                .kind = LAUNCH_FAILED,
                .step = SETUP_STEP_NETWORK,
                .error = ENOSPC,
        };
        struct launch_namespaces order;
        size_t n_fds;
        int pair[2];

        for (unsigned i = 0;
                io_receive_message(fd, &order, sizeof(order), NULL, 0, &n_fds) == sizeof(order);
                i++) {
                if (order.kind != LAUNCH_NAMESPACES || order.version != LAUNCH_VERSION ||
                        order.payload_id != order.init_id + 1)
                        _exit(2);
                if (i < n_good || then == GO_ON) {
                        if (pipe(pair) < 0)
                                _exit(2);
                        answer(fd, &made, sizeof(made), pair, 2);
                        continue;
                }
                if (then == FAIL)
                        answer(fd, &failed, sizeof(failed), NULL, 0);
                if (then == BABBLE)
                        answer(fd, &made, sizeof(made), NULL, 0);
                if (then == BABBLE || then == HANG)
                        (void) pause();
                _exit(1);
        }
        _exit(0);
}

int launch_maker(int init_fd, int control, int *ret_pidfd)
{
        pid_t pid;

        if (start_answer < 0)
                return start_answer;
        n_makers++;
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0)
                make(control);
        *ret_pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        ck_assert_int_ge(*ret_pidfd, 0);
        if (waits_for_maker) {
                siginfo_t info;

                ck_assert_int_eq(waitid(P_PIDFD, (id_t) *ret_pidfd, &info, WEXITED | WNOWAIT), 0);
        }
        return pid;
}

static void setup_ids(uint64_t size)
{
        n_makers = n_good = 0;
        start_answer = 0;
        waits_for_maker = false;
        then = GO_ON;
        ck_assert_int_eq(uid_pool_init(&uids, 0x70000000, size), 0);
        ck_assert_int_ge(sd_event_new(&event), 0);
        ck_assert_int_eq(spares_init(&spares, event, &uids, -EBADF), 0);
}

static void setup(void)
{
        setup_ids(ENOUGH);
}

static void teardown(void)
{
        spares_done(&spares);
        ck_assert_uint_eq(uid_pool_used(&uids), 0);
        uid_pool_done(&uids);
        event = sd_event_unref(event);
        /* No maker is left. */
        ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
        ck_assert_int_eq(errno, ECHILD);
}

static bool is_at_rest(void)
{
        return spares.pid == 0 && (spares.n >= spares.wanted || spares.pause.usec > 0);
}

/* As long as there is something to be made, and nothing has failed. */
static void run(void)
{
        for (unsigned i = 0; i < 1000 && !is_at_rest(); i++)
                ck_assert_int_ge(sd_event_run(event, 100 * USEC_PER_MSEC), 0);
        ck_assert(is_at_rest());
}

static void release(struct spare *s)
{
        (void) close(s->userns_fd);
        (void) close(s->netns_fd);
        uid_pool_release(&uids, s->ids);
}

START_TEST(test_made_and_taken)
{
        struct spare first, second;

        ck_assert_int_eq(spares_take(&spares, &first), -ENOENT);
        spares_set(&spares, 4);
        run();
        ck_assert_uint_eq(n_makers, 1);
        ck_assert_uint_eq(spares.n, 4);
        ck_assert_uint_eq(uid_pool_used(&uids), 4);
        ck_assert_int_eq(spares_take(&spares, &first), 0);
        ck_assert_int_eq(spares_take(&spares, &second), 0);
        ck_assert_uint_eq(first.ids.init, 0x70000000);
        ck_assert_uint_eq(second.ids.init, 0x70000002);
        /* Each has its own two. */
        ck_assert_int_eq(write(first.netns_fd, "1", 1), 1);
        ck_assert_int_eq(write(second.netns_fd, "2", 1), 1);
        for (unsigned i = 0; i < 2; i++) {
                char c = 0;

                ck_assert_int_eq(read(i ? second.userns_fd : first.userns_fd, &c, 1), 1);
                ck_assert_int_eq(c, i ? '2' : '1');
        }
        release(&first);
        release(&second);
}
END_TEST

START_TEST(test_half_go_before_more_are_made)
{
        struct spare s;

        spares_set(&spares, 4);
        run();
        ck_assert_int_eq(spares_take(&spares, &s), 0);
        release(&s);
        ck_assert_int_eq(sd_event_run(event, 100 * USEC_PER_MSEC), 0);
        ck_assert_uint_eq(spares.n, 3);
        ck_assert_int_eq(spares_take(&spares, &s), 0);
        release(&s);
        run();
        ck_assert_uint_eq(spares.n, 4);
        ck_assert_uint_eq(n_makers, 2);
}
END_TEST

/* What was made before is there; what was not gives its ids back, and the next try waits. */
START_TEST(test_maker_ends_early)
{
        uint64_t before = io_now_usec(), pause;

        n_good = 2;
        then = _i;
        waits_for_maker = then != BABBLE;
        spares_set(&spares, 4);
        run();
        ck_assert_uint_eq(spares.n, 2);
        ck_assert_uint_eq(uid_pool_used(&uids), 2);
        ck_assert_uint_ge(spares.pause.end_usec, before + spares.pause.usec);
        pause = spares.pause.usec;
        ck_assert_int_eq(sd_event_run(event, 100 * USEC_PER_MSEC), 0);
        ck_assert_uint_eq(n_makers, 1);
        /* What comes right after all ends the pause, else it is longer. */
        spares.pause.end_usec = 0;
        (void) sd_event_source_set_time(spares.refill, 0);
        n_good = 0;
        while (n_makers < 2 || spares.pid > 0)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        ck_assert_uint_gt(spares.pause.usec, pause);
        spares.pause.end_usec = 0;
        (void) sd_event_source_set_time(spares.refill, 0);
        waits_for_maker = false;
        then = GO_ON;
        while (spares.n < 4 || spares.pid > 0)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        ck_assert_uint_eq(spares.pause.usec, 0);
}
END_TEST

START_TEST(test_maker_cannot_be_started)
{
        start_answer = -EAGAIN;
        spares_set(&spares, 4);
        run();
        ck_assert_uint_eq(spares.n, 0);
        ck_assert_uint_eq(uid_pool_used(&uids), 0);
        ck_assert_uint_gt(spares.pause.usec, 0);
}
END_TEST

START_TEST(test_fewer_are_wanted)
{
        spares_set(&spares, 4);
        run();
        /* What waited is given back, as after a reload. */
        spares_set(&spares, 1);
        ck_assert_uint_eq(spares.n, 0);
        ck_assert_uint_eq(uid_pool_used(&uids), 0);
        run();
        ck_assert_uint_eq(spares.n, 1);
        ck_assert_uint_eq(uid_pool_used(&uids), 1);
        /* While more are under way. */
        spares_set(&spares, 8);
        while (spares.pid == 0)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        spares_set(&spares, 0);
        run();
        ck_assert_uint_eq(spares.n, 0);
        ck_assert_uint_eq(uid_pool_used(&uids), 0);
}
END_TEST

/* It is ended with us, whatever it does. */
START_TEST(test_done_while_one_hangs)
{
        then = HANG;
        spares_set(&spares, 4);
        while (spares.pid == 0)
                ck_assert_int_ge(sd_event_run(event, UINT64_MAX), 0);
        ck_assert_uint_eq(uid_pool_used(&uids), 4);
}
END_TEST

START_TEST(test_most_ids_are_for_jobs)
{
        teardown();
        setup_ids(2 * 16);
        spares_set(&spares, 64);
        run();
        ck_assert_uint_eq(spares.n, 2);
        teardown();
        setup_ids(2 * 7);
        spares_set(&spares, 64);
        run();
        ck_assert_uint_eq(n_makers, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("spares");
        TCase *c = tcase_create("all");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(c, setup, teardown);
        tcase_add_test(c, test_made_and_taken);
        tcase_add_test(c, test_half_go_before_more_are_made);
        tcase_add_loop_test(c, test_maker_ends_early, FAIL, BABBLE + 1);
        tcase_add_test(c, test_maker_cannot_be_started);
        tcase_add_test(c, test_fewer_are_wanted);
        tcase_add_test(c, test_done_while_one_hangs);
        tcase_add_test(c, test_most_ids_are_for_jobs);
        suite_add_tcase(suite, c);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
