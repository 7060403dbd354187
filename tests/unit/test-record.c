/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many refusals are recorded.
 */
#include <check.h>

#include "daemon/frontend/record.h"

#define MOST 20
#define INTERVAL (30 * USEC_PER_SEC)

START_TEST(test_window)
{
        struct record_window w = {};
        uint64_t now = 1000, suppressed = 1;

        for (unsigned i = 0; i < MOST; i++) {
                ck_assert(record_window_take(&w, 1, now++, &suppressed));
                ck_assert_uint_eq(suppressed, 0);
        }
        for (unsigned i = 0; i < 7; i++)
                ck_assert(!record_window_take(&w, 1, now++, &suppressed));
        ck_assert(!record_window_take(&w, 1, 1000 + INTERVAL - 1, &suppressed));
        ck_assert(record_window_take(&w, 1, 1000 + INTERVAL, &suppressed));
        ck_assert_uint_eq(suppressed, 8);
        ck_assert(record_window_take(&w, 1, 1000 + INTERVAL, &suppressed));
        ck_assert_uint_eq(suppressed, 0);
}
END_TEST

/* One user's many hide no other's, and many users fill no journal. */
START_TEST(test_first_of_each_user)
{
        struct record_window w = {};
        uint64_t suppressed = 0;
        unsigned recorded = 0;

        for (unsigned i = 0; i < MOST + 3; i++)
                (void) record_window_take(&w, 1, 1000, &suppressed);
        ck_assert(record_window_take(&w, 2, 1000, &suppressed));
        ck_assert_uint_eq(suppressed, 3);
        ck_assert(!record_window_take(&w, 2, 1000, &suppressed));
        for (uid_t uid = 3; uid < 1000; uid++)
                recorded += record_window_take(&w, uid, 1000, &suppressed);
        ck_assert_uint_eq(recorded, RECORD_UIDS_MAX - 2);
        ck_assert(record_window_take(&w, 2, 1000 + INTERVAL, &suppressed));
}
END_TEST

START_TEST(test_kinds_do_not_share)
{
        struct record_book book = {};

        for (unsigned i = 0; i < MOST + 3; i++)
                record_refusal(&book, 1, SANDBOXD__V1__ERROR_CODE__BUSY, "busy");
        record_refusal(&book, 1, SANDBOXD__V1__ERROR_CODE__DENIED, "denied");
        record_refusal(&book, 1, SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT, "its own mistake");
        ck_assert_uint_eq(book.refusals[RECORD_BUSY].suppressed, 3);
        ck_assert_uint_eq(book.refusals[RECORD_DENIED].recorded, 1);
        ck_assert_uint_eq(book.refusals[RECORD_OVER_LIMIT].recorded, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("record");
        TCase *tc = tcase_create("record");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tc, test_window);
        tcase_add_test(tc, test_first_of_each_user);
        tcase_add_test(tc, test_kinds_do_not_share);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
