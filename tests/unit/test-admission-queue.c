/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue: users in turn, of one user who came first, and those who may have no slot are passed over.
 */
#include <check.h>

#include "daemon/frontend/admission-queue.h"

static struct admission_queue q;
static struct waiter waiters[100];
static uid_t refused; /* may have no slot */
static bool none;     /* nobody may */

static void setup(void)
{
        admission_queue_init(&q);
        memset(waiters, 0, sizeof(waiters));
        refused = 0;
        none = false;
}

static int take(void *userdata, uid_t uid)
{
        ck_assert_ptr_eq(userdata, &q);
        if (none)
                return -EUSERS;
        return uid == refused ? -EDQUOT : 0;
}

static void add(size_t i, uid_t uid)
{
        ck_assert_int_eq(admission_queue_add(&q, &waiters[i], uid), 0);
        ck_assert_ptr_nonnull(waiters[i].user);
}

/* The index of the one whose turn it is; -1 for nobody. */
static int next(void)
{
        struct waiter *w = admission_queue_take(&q, take, &q);

        if (!w)
                return -1;
        ck_assert_ptr_null(w->user);
        return (int) (w - waiters);
}

START_TEST(test_one_user)
{
        for (size_t i = 0; i < 3; i++)
                add(i, 1000);
        ck_assert_uint_eq(admission_queue_count(&q, 1000), 3);
        ck_assert_uint_eq(admission_queue_count(&q, 1001), 0);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(next(), i);
        ck_assert_int_eq(next(), -1);
        ck_assert(admission_queue_is_empty(&q));
}
END_TEST

/* Fifty that came first do not hold up one of another user for more than one turn. */
START_TEST(test_turns)
{
        for (size_t i = 0; i < 50; i++)
                add(i, 1000);
        ck_assert_int_eq(next(), 0);
        add(60, 1001);
        add(61, 1001);
        add(70, 1002);
        ck_assert_int_eq(next(), 1);
        ck_assert_int_eq(next(), 60);
        ck_assert_int_eq(next(), 70);
        ck_assert_int_eq(next(), 2);
        ck_assert_int_eq(next(), 61);
        ck_assert_int_eq(next(), 3);
        ck_assert_int_eq(next(), 4);
        for (size_t i = 5; i < 50; i++)
                ck_assert_int_eq(next(), (int) i);
}
END_TEST

START_TEST(test_who_may_not_is_passed_over)
{
        add(0, 1000);
        add(1, 1001);
        refused = 1000;
        ck_assert_int_eq(next(), 1);
        ck_assert_int_eq(next(), -1);
        ck_assert_uint_eq(admission_queue_count(&q, 1000), 1);
        refused = 0;
        none = true;
        ck_assert_int_eq(next(), -1);
        none = false;
        ck_assert_int_eq(next(), 0);
}
END_TEST

/* He who could have no slot keeps his turn. */
START_TEST(test_turn_is_kept)
{
        add(0, 1000);
        add(1, 1001);
        add(2, 1001);
        refused = 1000;
        ck_assert_int_eq(next(), 1);
        refused = 0;
        ck_assert_int_eq(next(), 0);
        ck_assert_int_eq(next(), 2);
}
END_TEST

START_TEST(test_remove)
{
        add(0, 1000);
        add(1, 1000);
        add(2, 1001);
        admission_queue_remove(&q, &waiters[0]);
        admission_queue_remove(&q, &waiters[2]);
        ck_assert_uint_eq(admission_queue_count(&q, 1000), 1);
        ck_assert_uint_eq(admission_queue_count(&q, 1001), 0);
        ck_assert_int_eq(next(), 1);
        ck_assert(admission_queue_is_empty(&q));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("admission-queue");
        TCase *tc = tcase_create("admission-queue");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, NULL);
        tcase_add_test(tc, test_one_user);
        tcase_add_test(tc, test_turns);
        tcase_add_test(tc, test_who_may_not_is_passed_over);
        tcase_add_test(tc, test_turn_is_kept);
        tcase_add_test(tc, test_remove);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
