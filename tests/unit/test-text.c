/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What quotes a client is made safe to show.
 */
#include <check.h>

#include "common/macro.h"
#include "daemon/frontend/text.h"

static const struct {
        const char *given;
        const char *shown;
} cases[] = {
        { "", "" },
        { "plain text, '%s'", "plain text, '%s'" },
        { "a\nb\tc\x1b[31m\x7f", "a?b?c?[31m?" },
        { "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
                "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80" },
        { "cut \xe2\x82", "cut ??" },
        { "\xff\xfe\x80", "???" },
        { "overlong \xc0\xaf \xe0\x80\xaf", "overlong ?? ???" },
        { "surrogate \xed\xa0\x80", "surrogate ???" },
        { "beyond \xf4\x90\x80\x80", "beyond ????" },
        { "C1 \xc2\x85", "C1 ??" },
        { "zero width \xe2\x80\x8b\xe2\x80\x8f", "zero width ??????" },
        { "lines \xe2\x80\xa8", "lines ???" },
        { "bidi \xe2\x80\xaa\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9", "bidi ????????????" },
        { "beside \xe2\x80\x8a\xe2\x80\x90\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa",
                "beside \xe2\x80\x8a\xe2\x80\x90\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa" },
};

START_TEST(test_clean)
{
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = strdup(cases[i].given);

                ck_assert_str_eq(text_clean(text), cases[i].shown);
                /* What is clean stays as it is. */
                ck_assert_str_eq(text_clean(text), cases[i].shown);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("text");
        TCase *tc = tcase_create("text");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_clean);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
