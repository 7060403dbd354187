/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel ids: never shared by two live sandboxes, the pair freed longest ago first.
 */
#include <check.h>

#include "daemon/monitor/uid-pool.h"

START_TEST(test_refuses_bad_ranges)
{
        struct uid_pool p;

        ck_assert_int_eq(uid_pool_init(&p, 0, 100), -EINVAL);
        ck_assert_int_eq(uid_pool_init(&p, 1000, 0), -EINVAL);
        ck_assert_int_eq(uid_pool_init(&p, 1000, 1), -EINVAL);
        ck_assert_int_eq(uid_pool_init(&p, UINT32_MAX - 10, 11), -EINVAL);
        ck_assert_int_eq(uid_pool_init(&p, UINT64_C(1) << 33, 10), -EINVAL);
}
END_TEST

START_TEST(test_gives_every_pair_once)
{
        struct uid_pool p;
        struct uid_pair pair;
        bool seen[10] = {};

        ck_assert_int_eq(uid_pool_init(&p, 5000, 10), 0);
        for (int i = 0; i < 5; i++) {
                ck_assert_int_eq(uid_pool_acquire(&p, &pair), 0);
                ck_assert_uint_ge(pair.init, 5000);
                ck_assert_uint_lt(pair.payload, 5010);
                ck_assert(!seen[pair.init - 5000] && !seen[pair.payload - 5000]);
                seen[pair.init - 5000] = seen[pair.payload - 5000] = true;
        }
        ck_assert_uint_eq(uid_pool_used(&p), 5);
        ck_assert_int_eq(uid_pool_acquire(&p, &pair), -EUSERS);
        uid_pool_done(&p);
}
END_TEST

START_TEST(test_reuses_oldest_first)
{
        struct uid_pool p;
        struct uid_pair pairs[3], again;

        ck_assert_int_eq(uid_pool_init(&p, 5000, 6), 0);
        for (int i = 0; i < 3; i++)
                ck_assert_int_eq(uid_pool_acquire(&p, &pairs[i]), 0);
        uid_pool_release(&p, pairs[1]);
        uid_pool_release(&p, pairs[0]);
        uid_pool_release(&p, pairs[2]);
        ck_assert_uint_eq(uid_pool_used(&p), 0);
        ck_assert_int_eq(uid_pool_acquire(&p, &again), 0);
        ck_assert_uint_eq(again.init, pairs[1].init);
        ck_assert_int_eq(uid_pool_acquire(&p, &again), 0);
        ck_assert_uint_eq(again.init, pairs[0].init);
        uid_pool_done(&p);
}
END_TEST

/* A freed pair waits until every other one had its turn. */
START_TEST(test_fresh_before_freed)
{
        struct uid_pool p;
        struct uid_pair first, pair;

        ck_assert_int_eq(uid_pool_init(&p, 5000, 8), 0);
        ck_assert_int_eq(uid_pool_acquire(&p, &first), 0);
        uid_pool_release(&p, first);
        for (int i = 0; i < 3; i++) {
                ck_assert_int_eq(uid_pool_acquire(&p, &pair), 0);
                ck_assert_uint_ne(pair.init, first.init);
                uid_pool_release(&p, pair);
        }
        ck_assert_int_eq(uid_pool_acquire(&p, &pair), 0);
        ck_assert_uint_eq(pair.init, first.init);
        uid_pool_done(&p);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("uid-pool");
        TCase *tc = tcase_create("uid-pool");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tc, test_refuses_bad_ranges);
        tcase_add_test(tc, test_gives_every_pair_once);
        tcase_add_test(tc, test_reuses_oldest_first);
        tcase_add_test(tc, test_fresh_before_freed);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
