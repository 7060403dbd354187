/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What has ended and is kept: by count, bytes and time, the oldest first, each user for itself; who may
 * see it; and that the books are empty when it is gone.
 */
#include <check.h>
#include <stdio.h>

#include "common/io.h"
#include "daemon/frontend/frontend.h"
#include "daemon/frontend/results.h"
#include "tests/unit/fixture-policy.h"

static struct policy policy;
static struct frontend *f;
/* Stands for jobs that live, which nothing here looks into. */
static struct job *const alive = (struct job *) &policy;

static void setup(void)
{
        fixture_policy(&policy);
        f = calloc(1, sizeof(*f));
        f->policy = &policy;
        LIST_INIT(&f->connections);
        LIST_INIT(&f->jobs);
        registry_init(&f->registry);
        ck_assert_int_eq(sd_event_new(&f->event), 0);
        ck_assert_int_eq(results_init(f), 0);
}

static void teardown(void)
{
        results_done(f);
        ck_assert(account_book_is_empty(&f->accounts));
        (void) sd_event_unref(f->event);
        free(f);
}

static struct result *begin(uid_t uid)
{
        struct result *r;

        ck_assert_int_eq(results_begin(f, alive, uid, "label", 5, &r), 0);
        ck_assert_uint_ne(r->id, 0);
        return r;
}

static void end(struct result *r)
{
        r->job = NULL;
        results_keep(r);
}

static uint64_t keep(uid_t uid, uint64_t bytes)
{
        struct result *r = begin(uid);
        uint64_t id = r->id;

        ck_assert(bytes == 0 || results_charge(r, bytes));
        end(r);
        return id;
}

static bool is_kept(uint64_t id)
{
        return registry_find(&f->registry, id) != NULL;
}

static bool may_see(uid_t uid, uint64_t id)
{
        char text[RESULT_ID_TEXT_MAX];

        (void) result_format_id(id, text);
        return registry_find_for(&f->registry, uid, text, strlen(text)) != NULL;
}

START_TEST(test_count)
{
        uint64_t ids[6], other = keep(1001, 0);

        for (size_t i = 0; i < ELEMENTSOF(ids); i++)
                ids[i] = keep(1000, 0);
        for (size_t i = 0; i < ELEMENTSOF(ids); i++)
                ck_assert_int_eq(is_kept(ids[i]), i >= 2);
        ck_assert(is_kept(other));
        ck_assert_uint_eq(f->accounts.total[ACCOUNT_RESULTS], 5);
}
END_TEST

/* In the order in which they ended, not in which they began. */
START_TEST(test_oldest_is_who_ended_first)
{
        struct result *first = begin(1000);
        uint64_t id = first->id, ids[4];

        for (size_t i = 0; i < 3; i++)
                ids[i] = keep(1000, 0);
        end(first);
        ids[3] = keep(1000, 0);
        ck_assert(is_kept(id));
        ck_assert(!is_kept(ids[0]));
        ck_assert(is_kept(ids[1]));
}
END_TEST

START_TEST(test_none_is_kept)
{
        policy.server.max_results_per_user = 0;
        ck_assert(!is_kept(keep(1000, 100)));
}
END_TEST

/* 2 MiB of a user, 4 MiB of all. */
START_TEST(test_bytes_of_a_user)
{
        uint64_t a = keep(1000, 1 * MIB), b = keep(1000, 512 * KIB), c = keep(1001, 1 * MIB);
        struct result *r = begin(1000);

        ck_assert(results_charge(r, 256 * KIB));
        ck_assert(is_kept(a));
        ck_assert(results_charge(r, 1 * MIB));
        ck_assert(!is_kept(a));
        ck_assert(is_kept(b) && is_kept(c));
        /* More than there is for him: then nothing is lost for it. */
        ck_assert(!results_charge(r, 1 * MIB));
        ck_assert(is_kept(b));
        ck_assert(results_charge(r, 256 * KIB));
        ck_assert(is_kept(b));
        end(r);
}
END_TEST

/* What lives is not dropped, nor is another user's. */
START_TEST(test_bytes_of_all)
{
        struct result *a = begin(1000), *b = begin(1001), *c = begin(1002);
        uint64_t id = keep(1001, 512 * KIB);

        ck_assert(results_charge(a, 2 * MIB));
        ck_assert(results_charge(b, 1 * MIB));
        ck_assert(!results_charge(c, 1 * MIB));
        ck_assert(is_kept(id));
        ck_assert(results_charge(b, 1 * MIB));
        ck_assert(!is_kept(id));
        end(a);
        end(b);
        end(c);
        ck_assert_uint_eq(f->accounts.total[ACCOUNT_KEPT], 4 * MIB);
}
END_TEST

static uint64_t expires_usec(void)
{
        uint64_t usec = 0;
        int enabled;

        ck_assert_int_ge(sd_event_source_get_enabled(f->expiry, &enabled), 0);
        if (enabled == SD_EVENT_OFF)
                return 0;
        ck_assert_int_ge(sd_event_source_get_time(f->expiry, &usec), 0);
        return usec;
}

START_TEST(test_time)
{
        uint64_t first, second;

        ck_assert_uint_eq(expires_usec(), 0);
        policy.server.result_retention_usec = 1000 * USEC_PER_SEC;
        first = keep(1000, 0);
        second = keep(1001, 0);
        ck_assert_uint_eq(expires_usec(),
                registry_find(&f->registry, first)->kept_since_usec + 1000 * USEC_PER_SEC);
        registry_find(&f->registry, first)->kept_since_usec -= 1000 * USEC_PER_SEC;
        /* The first of them is overdue; a reload looks at once, as the timer would. */
        results_on_policy(f);
        ck_assert(!is_kept(first));
        ck_assert(is_kept(second));
        ck_assert_uint_eq(expires_usec(),
                registry_find(&f->registry, second)->kept_since_usec + 1000 * USEC_PER_SEC);
        results_drop(registry_find(&f->registry, second));
        results_on_policy(f);
        ck_assert_uint_eq(expires_usec(), 0);
}
END_TEST

START_TEST(test_timer)
{
        uint64_t id;

        policy.server.result_retention_usec = 1;
        id = keep(1000, 0);
        while (is_kept(id))
                ck_assert_int_gt(sd_event_run(f->event, 5 * USEC_PER_SEC), 0);
}
END_TEST

/* Another policy holds for what is kept already. */
START_TEST(test_reload)
{
        uint64_t ids[4], other = keep(1001, 0);

        for (size_t i = 0; i < ELEMENTSOF(ids); i++)
                ids[i] = keep(1000, 100 * KIB);
        policy.server.max_results_per_user = 3;
        results_on_policy(f);
        ck_assert(!is_kept(ids[0]));
        ck_assert(is_kept(ids[1]));
        policy.server.max_kept_per_user = 150 * KIB;
        results_on_policy(f);
        ck_assert(!is_kept(ids[2]));
        ck_assert(is_kept(ids[3]));
        policy.server.result_retention_usec = 0;
        results_on_policy(f);
        ck_assert(!is_kept(ids[3]));
        ck_assert(!is_kept(other));
}
END_TEST

START_TEST(test_who_may_see)
{
        struct result *r = begin(1000);
        uint64_t kept = keep(1000, 0);

        for (size_t i = 0; i < 2; i++) {
                uint64_t id = i == 0 ? r->id : kept;

                ck_assert(may_see(1000, id));
                ck_assert(may_see(0, id));
                ck_assert(!may_see(1001, id));
                ck_assert(!may_see(1000, id + 1));
        }
        ck_assert_ptr_null(registry_find_for(&f->registry, 1000, "", 0));
        end(r);
}
END_TEST

static void expect_list(uid_t uid, bool all, size_t n, const uint64_t *ids)
{
        _cleanup_free_ struct result **list = NULL;
        size_t found;

        ck_assert_int_eq(registry_list(&f->registry, uid, all, &list, &found), 0);
        ck_assert_uint_eq(found, n);
        for (size_t i = 0; i < n; i++)
                ck_assert_uint_eq(list[i]->id, ids[i]);
}

START_TEST(test_list)
{
        struct result *r = begin(1000);
        uint64_t ids[3] = { r->id };

        ids[1] = keep(1000, 0);
        expect_list(1000, false, 1, ids);
        expect_list(1000, true, 2, ids);
        expect_list(1001, true, 0, NULL);
        ids[2] = keep(1001, 0);
        expect_list(1001, true, 1, ids + 2);
        expect_list(1001, false, 0, NULL);
        expect_list(0, true, 3, ids);
        expect_list(0, false, 1, ids);
        end(r);
}
END_TEST

START_TEST(test_ids_as_text)
{
        static const char *const bad[] = {
                "",
                "0",
                "0123456789abcde",
                "0123456789abcdef0",
                "0123456789ABCDEF",
                "0123456789abcdeg",
                "0x23456789abcdef",
                " 123456789abcdef",
        };
        char text[RESULT_ID_TEXT_MAX];
        uint64_t id;

        ck_assert_str_eq(result_format_id(0x1234567890abcdefU, text), "1234567890abcdef");
        ck_assert_int_eq(result_parse_id(text, 16, &id), 0);
        ck_assert_uint_eq(id, 0x1234567890abcdefU);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                ck_assert_msg(result_parse_id(bad[i], strlen(bad[i]), &id) == -EINVAL, "'%s'",
                        bad[i]);
        ck_assert_int_eq(result_parse_id("0123456789abcde\0", 16, &id), -EINVAL);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("results");
        TCase *tc = tcase_create("results");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_count);
        tcase_add_test(tc, test_oldest_is_who_ended_first);
        tcase_add_test(tc, test_none_is_kept);
        tcase_add_test(tc, test_bytes_of_a_user);
        tcase_add_test(tc, test_bytes_of_all);
        tcase_add_test(tc, test_time);
        tcase_add_test(tc, test_timer);
        tcase_add_test(tc, test_reload);
        tcase_add_test(tc, test_who_may_see);
        tcase_add_test(tc, test_list);
        tcase_add_test(tc, test_ids_as_text);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
