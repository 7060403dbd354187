/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups in a policy, and its way to another process.
 */
#include <check.h>

#include "common/io.h"
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

/* What is mapped is what was published, and not what became of it here. */
START_TEST(test_publish)
{
        const struct policy *mapped;
        int fd;

        policy.version = POLICY_VERSION;
        ck_assert_int_eq(policy_publish(&policy, &fd), 0);
        ck_assert(io_memfd_is_sealed(fd));
        policy.n_profiles = 1;
        ck_assert_int_eq(policy_map(fd, &mapped), 0);
        (void) close(fd);
        ck_assert_uint_eq(mapped->n_profiles, 2);
        ck_assert_str_eq(mapped->runtimes[1].aliases[1], "node");
        policy_unmap(mapped);
}
END_TEST

static void expect_not_mapped(void)
{
        const struct policy *mapped = NULL;
        int fd;

        ck_assert_int_eq(policy_publish(&policy, &fd), 0);
        ck_assert_int_eq(policy_map(fd, &mapped), -EBADMSG);
        ck_assert_ptr_null(mapped);
        (void) close(fd);
}

START_TEST(test_map_of_another_build)
{
        const struct policy *mapped;
        int fd;

        policy.version = POLICY_VERSION + 1;
        expect_not_mapped();
        policy.version = POLICY_VERSION;
        policy.n_profiles = POLICY_PROFILES_MAX + 1;
        expect_not_mapped();
        policy.n_profiles = 1;
        policy.n_runtimes = POLICY_RUNTIMES_MAX + 1;
        expect_not_mapped();
        ck_assert_int_lt(policy_map(-EBADF, &mapped), 0);
        /* Of the right size and version, but it could change. */
        fd = io_memfd_new("policy");
        policy.n_runtimes = 1;
        ck_assert_int_eq(io_write_full(fd, &policy, sizeof(policy)), 0);
        ck_assert_int_eq(policy_map(fd, &mapped), -EBADMSG);
        (void) close(fd);
        /* Sealed, but short. */
        fd = io_memfd_new("policy");
        ck_assert_int_eq(io_write_full(fd, &policy, sizeof(policy) - 1), 0);
        ck_assert_int_eq(io_memfd_seal(fd), 0);
        ck_assert_int_eq(policy_map(fd, &mapped), -EBADMSG);
        (void) close(fd);
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
        tcase_add_test(t, test_publish);
        tcase_add_test(t, test_map_of_another_build);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
