/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The count of sandboxes that are being taken down: when there are too many, when that is over, and that one
 * which stays is not counted for ever.
 */
#include <check.h>

#include "daemon/monitor/backlog.h"

#define MANY 8

static sd_event *event;
static struct backlog backlog;
static struct backlog_entry entries[2 * MANY];
static unsigned n_changes;

static void on_changed(void *userdata)
{
        ck_assert_ptr_eq(userdata, &backlog);
        n_changes++;
}

static void setup(void)
{
        memset(entries, 0, sizeof(entries));
        n_changes = 0;
        ck_assert_int_ge(sd_event_new(&event), 0);
        backlog_init(&backlog, event);
        backlog.max = MANY;
        backlog.window_usec = 3600 * USEC_PER_SEC;
        backlog.changed = on_changed;
        backlog.userdata = &backlog;
}

static void teardown(void)
{
        backlog_done(&backlog);
        ck_assert_uint_eq(backlog.n, 0);
        event = sd_event_unref(event);
}

static void add(size_t from, size_t to)
{
        for (size_t i = from; i < to; i++)
                backlog_add(&backlog, &entries[i]);
}

static void expect(bool behind, unsigned changes)
{
        ck_assert_int_eq(backlog.behind, behind);
        ck_assert_uint_eq(n_changes, changes);
}

START_TEST(test_bound)
{
        backlog_init(&backlog, event);
        ck_assert_uint_ge(backlog.max, 64 + 16);
        ck_assert_uint_gt(backlog.window_usec, 0);
}
END_TEST

START_TEST(test_said_when_it_changes)
{
        add(0, MANY);
        expect(false, 0);
        add(MANY, MANY + 1);
        expect(true, 1);
        add(MANY + 1, MANY + 3);
        expect(true, 1);
        /* Half of it is not below half. */
        for (size_t i = 0; i < 3 + MANY / 2; i++)
                backlog_remove(&backlog, &entries[i]);
        ck_assert_uint_eq(backlog.n, MANY / 2);
        expect(true, 1);
        backlog_remove(&backlog, &entries[MANY]);
        expect(false, 2);
        add(MANY + 3, 2 * MANY);
        expect(false, 2);
}
END_TEST

START_TEST(test_each_counts_once)
{
        for (size_t i = 0; i < 2 * MANY; i++)
                add(0, 1);
        ck_assert_uint_eq(backlog.n, 1);
        backlog_remove(&backlog, &entries[0]);
        backlog_remove(&backlog, &entries[0]);
        add(0, 1);
        ck_assert_uint_eq(backlog.n, 0);
        /* One that never was. */
        backlog_remove(&backlog, &entries[1]);
        ck_assert_uint_eq(backlog.n, 0);
        expect(false, 0);
}
END_TEST

/* Nobody comes by, and it is over all the same. */
START_TEST(test_those_that_stay)
{
        backlog.window_usec = 500 * USEC_PER_MSEC;
        add(0, 2 * MANY);
        expect(true, 1);
        while (backlog.behind)
                ck_assert_int_gt(sd_event_run(event, 10 * USEC_PER_SEC), 0);
        expect(false, 2);
        ck_assert_uint_lt(backlog.n, MANY / 2);
}
END_TEST

/* What is old makes room for what is new, also when no timer runs. */
START_TEST(test_old_ones_are_dropped)
{
        add(0, MANY);
        for (size_t i = 0; i < MANY; i++)
                entries[i].since_usec -= backlog.window_usec;
        add(MANY, MANY + 1);
        ck_assert_uint_eq(backlog.n, 1);
        expect(false, 0);
        backlog_remove(&backlog, &entries[0]);
        ck_assert_uint_eq(backlog.n, 1);
}
END_TEST

START_TEST(test_done_says_nothing)
{
        add(0, 2 * MANY);
        expect(true, 1);
        backlog_done(&backlog);
        for (size_t i = 0; i < 2 * MANY; i++)
                backlog_remove(&backlog, &entries[i]);
        ck_assert_uint_eq(n_changes, 1);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("backlog");
        TCase *tc = tcase_create("backlog");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_bound);
        tcase_add_test(tc, test_said_when_it_changes);
        tcase_add_test(tc, test_each_counts_once);
        tcase_add_test(tc, test_those_that_stay);
        tcase_add_test(tc, test_old_ones_are_dropped);
        tcase_add_test(tc, test_done_says_nothing);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
