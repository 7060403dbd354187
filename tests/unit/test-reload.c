/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reload: the child's generation or sentence comes back, whatever way the child ends; one that was
 * asked for while another is under way follows it; and nothing is left of any.
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "daemon/monitor/reload.h"
#include "tests/unit/fixture-generation.h"
#include "tests/unit/fixture-policy.h"

static struct policy policy;
static struct reload reload;
static unsigned n_begun, n_ended;
static bool got_one;
static struct error last_error;
static int held[2]; /* a pipe whose write end the child must not keep */
static size_t n_open;

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

static void on_begun(void *userdata)
{
        n_begun++;
}

static void on_ended(void *userdata, struct generation *g, const struct error *error)
{
        n_ended++;
        got_one = g != NULL;
        last_error = *error;
        (void) generation_unref(g);
}

static int make_one(void *userdata, struct generation **ret, struct error *ret_error)
{
        *ret = fixture_make_generation(&policy);
        return *ret ? 0 : error_set(ret_error, -EIO, "no generation");
}

static int make_error(void *userdata, struct generation **ret, struct error *ret_error)
{
        return error_set(ret_error, -EINVAL, "line 3 is wrong");
}

static int make_death(void *userdata, struct generation **ret, struct error *ret_error)
{
        (void) raise(SIGKILL);
        return 0;
}

static int make_nothing_for_long(void *userdata, struct generation **ret, struct error *ret_error)
{
        while (pause() < 0)
                ;
        return 0;
}

static void setup(void)
{
        fixture_policy(&policy);
        n_begun = n_ended = 0;
        got_one = false;
        last_error = (struct error) {};
        reload = (struct reload) {
                .make = make_one,
                .begun = on_begun,
                .ended = on_ended,
                .timeout_usec = 20 * USEC_PER_SEC,
                .pidfd = -EBADF,
                .socket = -EBADF,
        };
        ck_assert_int_ge(sd_event_new(&reload.event), 0);
        ck_assert_int_eq(pipe2(held, O_CLOEXEC | O_NONBLOCK), 0);
        n_open = count_fds();
}

/* No fd, and no child, is left. */
static void teardown(void)
{
        reload_done(&reload);
        ck_assert_int_lt(waitpid(-1, NULL, WNOHANG), 0);
        ck_assert_int_eq(errno, ECHILD);
        reload.event = sd_event_unref(reload.event);
        /* The loop's own, and those that it made for timers. */
        ck_assert_uint_lt(count_fds(), n_open);
        io_close_all(held, 2);
}

static void wait_for(unsigned n)
{
        while (n_ended < n)
                ck_assert_int_gt(sd_event_run(reload.event, 10 * USEC_PER_SEC), 0);
}

START_TEST(test_generation)
{
        for (unsigned i = 1; i <= 3; i++) {
                reload_request(&reload);
                ck_assert_int_eq(reload.state, RELOAD_READING);
                wait_for(i);
                ck_assert(got_one);
                ck_assert_int_eq(reload.state, RELOAD_IDLE);
                ck_assert_int_eq(reload.pid, 0);
        }
        ck_assert_uint_eq(n_begun, 3);
}
END_TEST

START_TEST(test_sentence)
{
        reload.make = make_error;
        reload_request(&reload);
        wait_for(1);
        ck_assert(!got_one);
        ck_assert_str_eq(last_error.text, "line 3 is wrong");
}
END_TEST

START_TEST(test_death)
{
        reload.make = make_death;
        reload_request(&reload);
        wait_for(1);
        ck_assert(!got_one);
        ck_assert_ptr_nonnull(strstr(last_error.text, "died"));
        /* The next one may have more luck. */
        reload.make = make_one;
        reload_request(&reload);
        wait_for(2);
        ck_assert(got_one);
}
END_TEST

/* That the child is dead is not waited for: it could be stuck in a file system. */
static void on_ended_before_the_child(void *userdata, struct generation *g,
        const struct error *error)
{
        siginfo_t info;

        ck_assert_int_eq(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT), 0);
        on_ended(userdata, g, error);
}

START_TEST(test_deadline)
{
        siginfo_t info;

        reload.ended = on_ended_before_the_child;
        reload.make = make_nothing_for_long;
        reload.timeout_usec = 10 * USEC_PER_MSEC;
        reload_request(&reload);
        wait_for(1);
        ck_assert(!got_one);
        ck_assert_ptr_nonnull(strstr(last_error.text, "in time"));
        while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0)
                ck_assert_int_ge(sd_event_run(reload.event, 10 * USEC_PER_SEC), 0);
        reload.ended = on_ended;
        reload.make = make_death;
        reload.timeout_usec = 20 * USEC_PER_SEC;
        reload_request(&reload);
        wait_for(2);
        ck_assert_ptr_nonnull(strstr(last_error.text, "died"));
}
END_TEST

/* The files may have changed after they were read: one more, and one only. */
START_TEST(test_again)
{
        for (unsigned i = 0; i < 5; i++)
                reload_request(&reload);
        ck_assert_uint_eq(n_begun, 1);
        ck_assert_int_eq(reload.state, RELOAD_AGAIN);
        wait_for(1);
        ck_assert_uint_eq(n_begun, 2);
        ck_assert_int_eq(reload.state, RELOAD_READING);
        wait_for(2);
        ck_assert_uint_eq(n_begun, 2);
        ck_assert_int_eq(reload.state, RELOAD_IDLE);
}
END_TEST

START_TEST(test_cancel)
{
        reload_cancel(&reload); /* there is none */
        reload.make = make_nothing_for_long;
        reload_request(&reload);
        reload_request(&reload);
        reload_cancel(&reload);
        wait_for(1);
        ck_assert(!got_one);
        ck_assert_uint_eq(n_begun, 1);
        ck_assert_int_eq(reload.state, RELOAD_IDLE);
}
END_TEST

/* The daemon's end comes in the middle of it. */
START_TEST(test_done_while_reading)
{
        reload.make = make_nothing_for_long;
        reload_request(&reload);
        reload_done(&reload);
        ck_assert_uint_eq(n_ended, 0);
}
END_TEST

/* A lock or a job's pipe must not live on in a child that hangs. */
START_TEST(test_child_keeps_no_fd)
{
        char c;

        reload.make = make_nothing_for_long;
        reload_request(&reload);
        held[1] = safe_close(held[1]);
        ck_assert_int_eq(fcntl(held[0], F_SETFL, 0), 0);
        ck_assert_int_eq(read(held[0], &c, 1), 0);
        ck_assert_int_eq(reload.state, RELOAD_READING);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("reload");
        TCase *tc = tcase_create("reload");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_generation);
        tcase_add_test(tc, test_sentence);
        tcase_add_test(tc, test_death);
        tcase_add_test(tc, test_deadline);
        tcase_add_test(tc, test_again);
        tcase_add_test(tc, test_cancel);
        tcase_add_test(tc, test_done_while_reading);
        tcase_add_test(tc, test_child_keeps_no_fd);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
