/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend's policies: which is current, which a job holds, and which may still be started.
 */
#include <check.h>
#include <stdio.h>

#include "common/io.h"
#include "daemon/frontend/policies.h"
#include "tests/unit/fixture-policy.h"

static struct policy policy;
static struct policies policies;
static size_t n_before;

/* How many policies this process has mapped. */
static size_t count_mapped(void)
{
        FILE *f = fopen("/proc/self/maps", "re");
        char line[512];
        size_t n = 0;

        ck_assert_ptr_nonnull(f);
        while (fgets(line, sizeof(line), f))
                n += strstr(line, "memfd:policy") != NULL;
        (void) fclose(f);
        return n - n_before;
}

static int add(uint32_t generation)
{
        int fd, r;

        ck_assert_int_eq(policy_publish(&policy, &fd), 0);
        r = policies_add(&policies, generation, fd);
        (void) close(fd);
        return r;
}

static void setup(void)
{
        fixture_policy(&policy);
        n_before = 0;
        n_before = count_mapped();
        policies = (struct policies) {};
        ck_assert_int_eq(add(7), 0);
}

static void teardown(void)
{
        policies_done(&policies);
        ck_assert_uint_eq(count_mapped(), 0);
}

/* The monitor can be told of this one that it is of no more use; 0 for none. */
static void expect_spent(uint32_t generation)
{
        struct mapped_policy *p = policies_find_spent(&policies);

        ck_assert_uint_eq(p ? p->generation : 0, generation);
        if (p)
                policies_retire(&policies, p);
}

START_TEST(test_first)
{
        ck_assert_uint_eq(policies.current->generation, 7);
        ck_assert_int_eq(memcmp(policies.current->policy, &policy, sizeof(policy)), 0);
        ck_assert_ptr_null(policies_find_spent(&policies));
}
END_TEST

START_TEST(test_unused_is_unmapped)
{
        policy.server.max_jobs++;
        ck_assert_int_eq(add(8), 0);
        expect_spent(7);
        expect_spent(0);
        ck_assert_uint_eq(count_mapped(), 1);
        ck_assert_uint_eq(policies.current->policy->server.max_jobs, policy.server.max_jobs);
}
END_TEST

START_TEST(test_job_keeps_its_own)
{
        struct mapped_policy *a = policies_take(&policies), *b;

        policy.n_profiles = 1;
        ck_assert_int_eq(add(8), 0);
        b = policies_take(&policies);
        ck_assert_int_eq(add(9), 0);
        ck_assert_uint_eq(a->generation, 7);
        ck_assert_uint_eq(a->policy->n_profiles, 2);
        ck_assert_uint_eq(b->policy->n_profiles, 1);
        ck_assert_uint_eq(count_mapped(), 3);
        /* The younger one first: each goes with its own last user. */
        policies_end_plan(b);
        expect_spent(8);
        policies_release(&policies, b);
        ck_assert_uint_eq(count_mapped(), 2);
        ck_assert_uint_eq(a->policy->n_profiles, 2);
        policies_end_plan(a);
        expect_spent(7);
        policies_release(&policies, a);
        ck_assert_uint_eq(count_mapped(), 1);
}
END_TEST

START_TEST(test_shared_by_jobs)
{
        struct mapped_policy *a = policies_take(&policies);

        ck_assert_ptr_eq(policies_take(&policies), a);
        policies_end_plan(a);
        ck_assert_int_eq(add(8), 0);
        expect_spent(0);
        policies_end_plan(a);
        expect_spent(7);
        policies_release(&policies, a);
        ck_assert_uint_eq(count_mapped(), 2);
        policies_release(&policies, a);
        ck_assert_uint_eq(count_mapped(), 1);
}
END_TEST

/* One that runs needs its policy, but the monitor does not need to keep it. */
START_TEST(test_spent)
{
        struct mapped_policy *a = policies_take(&policies), *b;

        ck_assert_int_eq(add(8), 0);
        b = policies_take(&policies);
        ck_assert_int_eq(add(9), 0);
        expect_spent(0);
        policies_end_plan(b);
        expect_spent(8);
        expect_spent(0);
        policies_end_plan(a);
        expect_spent(7);
        expect_spent(0);
        ck_assert_uint_eq(count_mapped(), 3);
        policies_release(&policies, a);
        policies_release(&policies, b);
}
END_TEST

/* The monitor could not be told for a while: it is not forgotten, though no job needs it. */
START_TEST(test_told_late)
{
        struct mapped_policy *a = policies_take(&policies);

        ck_assert_int_eq(add(8), 0);
        policies_end_plan(a);
        policies_release(&policies, a);
        ck_assert_int_eq(add(9), 0);
        ck_assert_uint_eq(count_mapped(), 3);
        expect_spent(8);
        expect_spent(7);
        expect_spent(0);
        ck_assert_uint_eq(count_mapped(), 1);
}
END_TEST

/* The current one stays without a user. */
START_TEST(test_current_stays)
{
        struct mapped_policy *a = policies_take(&policies);

        policies_end_plan(a);
        policies_release(&policies, a);
        ck_assert_ptr_eq(policies.current, a);
        ck_assert_uint_eq(a->policy->n_profiles, 2);
}
END_TEST

START_TEST(test_refused)
{
        int fd = io_memfd_new("policy");

        ck_assert_int_eq(add(7), -EBADMSG);
        ck_assert_int_eq(add(6), -EBADMSG);
        ck_assert_int_eq(add(0), -EBADMSG);
        ck_assert_int_lt(policies_add(&policies, 8, -EBADF), 0);
        /* Not sealed; sealed, but no policy. */
        ck_assert_int_eq(policies_add(&policies, 8, fd), -EBADMSG);
        ck_assert_int_eq(io_memfd_seal(fd), 0);
        ck_assert_int_eq(policies_add(&policies, 8, fd), -EBADMSG);
        (void) close(fd);
        policy.version++;
        ck_assert_int_eq(add(8), -EBADMSG);
        ck_assert_uint_eq(policies.current->generation, 7);
        ck_assert_uint_eq(count_mapped(), 1);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("policies");
        TCase *tc = tcase_create("policies");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_first);
        tcase_add_test(tc, test_unused_is_unmapped);
        tcase_add_test(tc, test_job_keeps_its_own);
        tcase_add_test(tc, test_shared_by_jobs);
        tcase_add_test(tc, test_spent);
        tcase_add_test(tc, test_told_late);
        tcase_add_test(tc, test_current_stays);
        tcase_add_test(tc, test_refused);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
