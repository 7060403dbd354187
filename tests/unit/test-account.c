/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The books of who holds what.
 */
#include <check.h>

#include "daemon/frontend/account.h"

START_TEST(test_caps)
{
        struct account_book book = {};

        ck_assert(account_book_is_empty(&book));
        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_JOBS, 1, 2, 3), 0);
        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_JOBS, 1, 2, 3), 0);
        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_JOBS, 1, 2, 3), -EDQUOT);
        ck_assert_int_eq(account_charge(&book, 2, ACCOUNT_JOBS, 1, 2, 3), 0);
        ck_assert_int_eq(account_charge(&book, 2, ACCOUNT_JOBS, 1, 2, 3), -EUSERS);
        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_CONNECTIONS, 1, 2, 3), 0);
        ck_assert_uint_eq(book.total[ACCOUNT_JOBS], 3);
        account_release(&book, 1, ACCOUNT_JOBS, 1);
        ck_assert_int_eq(account_charge(&book, 2, ACCOUNT_JOBS, 1, 2, 3), 0);
        account_release(&book, 2, ACCOUNT_JOBS, 1);
        account_release(&book, 2, ACCOUNT_JOBS, 1);
        account_release(&book, 1, ACCOUNT_JOBS, 1);
        ck_assert(!account_book_is_empty(&book));
        account_release(&book, 1, ACCOUNT_CONNECTIONS, 1);
        ck_assert(account_book_is_empty(&book));
}
END_TEST

START_TEST(test_nothing_is_kept_of_a_refusal)
{
        struct account_book book = {};

        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_JOBS, 1, 0, 3), -EDQUOT);
        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_JOBS, 1, 3, 0), -EUSERS);
        ck_assert(account_book_is_empty(&book));
}
END_TEST

START_TEST(test_many_users)
{
        struct account_book book = {};

        for (uid_t uid = 0; uid < 100; uid++)
                ck_assert_int_eq(account_charge(&book, uid, ACCOUNT_JOBS, 1, 1, 100), 0);
        for (uid_t uid = 0; uid < 100; uid++)
                account_release(&book, (uid * 37) % 100, ACCOUNT_JOBS, 1);
        ck_assert(account_book_is_empty(&book));
}
END_TEST

START_TEST(test_amounts)
{
        struct account_book book = {};

        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_UPLOADS, 0, 10, 20), 0);
        ck_assert(account_book_is_empty(&book));
        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_UPLOADS, 11, 10, 20), -EDQUOT);
        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_UPLOADS, 7, 10, 20), 0);
        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_UPLOADS, UINT64_MAX, 10, UINT64_MAX),
                -EUSERS);
        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_UPLOADS, 4, 10, 20), -EDQUOT);
        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_UPLOADS, 3, 10, 20), 0);
        /* One user's account is nothing to another's. */
        ck_assert_int_eq(account_charge(&book, 2, ACCOUNT_UPLOADS, 10, 10, 20), 0);
        ck_assert_int_eq(account_charge(&book, 3, ACCOUNT_UPLOADS, 1, 10, 20), -EUSERS);
        account_release(&book, 1, ACCOUNT_UPLOADS, 9);
        account_release(&book, 1, ACCOUNT_UPLOADS, 0);
        ck_assert_uint_eq(book.total[ACCOUNT_UPLOADS], 11);
        account_release(&book, 1, ACCOUNT_UPLOADS, 1);
        account_release(&book, 2, ACCOUNT_UPLOADS, 10);
        ck_assert(account_book_is_empty(&book));
}
END_TEST

START_TEST(test_shares)
{
        struct account_book book = {};

        ck_assert_uint_eq(account_share(&book, 1, ACCOUNT_SOCKETS, 100), 50);
        ck_assert_int_eq(account_charge(&book, 1, ACCOUNT_SOCKETS, 50, 50, 100), 0);
        /* What it holds itself does not make its own share smaller, but that of others. */
        ck_assert_uint_eq(account_share(&book, 1, ACCOUNT_SOCKETS, 100), 50);
        ck_assert_uint_eq(account_share(&book, 2, ACCOUNT_SOCKETS, 100), 25);
        ck_assert_uint_eq(account_share(&book, 2, ACCOUNT_SOCKETS, 49), 0);
        account_release(&book, 1, ACCOUNT_SOCKETS, 50);
        ck_assert(account_book_is_empty(&book));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("account");
        TCase *tc = tcase_create("account");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_caps);
        tcase_add_test(tc, test_nothing_is_kept_of_a_refusal);
        tcase_add_test(tc, test_many_users);
        tcase_add_test(tc, test_amounts);
        tcase_add_test(tc, test_shares);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
