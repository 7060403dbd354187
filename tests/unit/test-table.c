/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash table: what is put in is found until it is taken out, whatever the keys.
 */
#include <check.h>

#include "daemon/frontend/table.h"

#define N 10000

static struct table_entry entries[N];

static uint64_t key_of(size_t i, int kind)
{
        /* In a row, far apart, and equal in their low bits. */
        static const uint64_t steps[] = { 1, UINT64_C(1) << 32, UINT64_C(1) << 50 };

        return (uint64_t) i * steps[kind] + 1;
}

START_TEST(test_many)
{
        struct table t = {};

        for (size_t i = 0; i < N; i++)
                ck_assert_int_eq(table_add(&t, &entries[i], key_of(i, _i)), 0);
        ck_assert_uint_eq(t.n, N);
        for (size_t i = 0; i < N; i++)
                ck_assert_ptr_eq(table_find(&t, key_of(i, _i)), &entries[i]);
        ck_assert_ptr_null(table_find(&t, 0));
        for (size_t i = 0; i < N; i += 2)
                table_remove(&t, &entries[i]);
        for (size_t i = 0; i < N; i++)
                ck_assert_ptr_eq(table_find(&t, key_of(i, _i)), i % 2 == 0 ? NULL : &entries[i]);
        for (size_t i = 1; i < N; i += 2)
                table_remove(&t, &entries[i]);
        /* Nothing is held by an empty one. */
        ck_assert_ptr_null(t.buckets);
        table_done(&t);
}
END_TEST

START_TEST(test_empty)
{
        struct table t = {};

        ck_assert_ptr_null(table_find(&t, 7));
        ck_assert_int_eq(table_add(&t, &entries[0], 7), 0);
        table_remove(&t, &entries[0]);
        ck_assert_ptr_null(table_find(&t, 7));
        ck_assert_int_eq(table_add(&t, &entries[0], 7), 0);
        ck_assert_ptr_eq(table_find(&t, 7), &entries[0]);
        table_remove(&t, &entries[0]);
        table_done(&t);
}
END_TEST

/* No bucket is much longer than the others, also for keys that a client would choose. */
START_TEST(test_spread)
{
        struct table t = {};
        size_t longest = 0;

        for (size_t i = 0; i < N; i++)
                ck_assert_int_eq(table_add(&t, &entries[i], key_of(i, _i)), 0);
        for (size_t i = 0; i < (size_t) 1 << t.bits; i++) {
                size_t n = 0;

                for (const struct table_entry *e = t.buckets[i]; e; e = e->next)
                        n++;
                longest = MAX(longest, n);
        }
        ck_assert_uint_lt(longest, 200);
        for (size_t i = 0; i < N; i++)
                table_remove(&t, &entries[i]);
        table_done(&t);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("table");
        TCase *tc = tcase_create("table");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(tc, test_many, 0, 3);
        tcase_add_test(tc, test_empty);
        tcase_add_loop_test(tc, test_spread, 0, 3);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
