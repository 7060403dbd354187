/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups in a policy.
 */
#include <check.h>

#include "common/policy.h"

static struct policy policy;

static void setup(void)
{
        policy = (struct policy) {
                .n_profiles = 2,
                .profiles = { { .name = "default" }, { .name = "strict" }, { .name = "unused" } },
                .n_runtimes = 2,
                .runtimes = {
                        { .name = "command" },
                        { .name = "javascript", .aliases = { "js", "node" } },
                        { .name = "unused", .aliases = { "old" } },
                },
        };
}

START_TEST(test_profiles)
{
        ck_assert_ptr_eq(policy_find_profile(&policy, "default"), &policy.profiles[0]);
        ck_assert_ptr_eq(policy_find_profile(&policy, "strict"), &policy.profiles[1]);
        ck_assert_ptr_null(policy_find_profile(&policy, "Strict"));
        ck_assert_ptr_null(policy_find_profile(&policy, "stric"));
        ck_assert_ptr_null(policy_find_profile(&policy, "unused"));
}
END_TEST

START_TEST(test_runtimes)
{
        ck_assert_ptr_eq(policy_find_runtime(&policy, "command"), &policy.runtimes[0]);
        ck_assert_ptr_eq(policy_find_runtime(&policy, "javascript"), &policy.runtimes[1]);
        ck_assert_ptr_eq(policy_find_runtime(&policy, "js"), &policy.runtimes[1]);
        ck_assert_ptr_eq(policy_find_runtime(&policy, "node"), &policy.runtimes[1]);
        ck_assert_ptr_null(policy_find_runtime(&policy, "ruby"));
        ck_assert_ptr_null(policy_find_runtime(&policy, "unused"));
        ck_assert_ptr_null(policy_find_runtime(&policy, "old"));
}
END_TEST

/* An unused place for an alias is no name. */
START_TEST(test_no_name)
{
        ck_assert_ptr_null(policy_find_runtime(&policy, ""));
        ck_assert_ptr_null(policy_find_runtime(&policy, NULL));
        ck_assert_ptr_null(policy_find_profile(&policy, ""));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("policy");
        TCase *t = tcase_create("policy");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, NULL);
        tcase_add_test(t, test_profiles);
        tcase_add_test(t, test_runtimes);
        tcase_add_test(t, test_no_name);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
