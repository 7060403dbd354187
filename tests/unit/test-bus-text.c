/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a bus takes as a string, and what is made of the rest.
 */
#include <check.h>

#include "daemon/bus/text.h"

static const struct {
        const char *given;
        bool is_string;
        const char *made;
} cases[] = {
        { "", true, "" },
        { "plain\n\t\x01", true, "plain\n\t\x01" },
        { "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", true,
                "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80" },
        { "\xff", false, "?" },
        { "cut \xe2\x82", false, "cut ??" },
        { "overlong \xc0\xaf", false, "overlong ??" },
        { "surrogate \xed\xa0\x80", false, "surrogate ???" },
        { "beyond \xf4\x90\x80\x80", false, "beyond ????" },
        { "U+FDD0 \xef\xb7\x90", false, "U+FDD0 ???" },
        { "U+FDEF \xef\xb7\xaf", false, "U+FDEF ???" },
        { "U+FDF0 \xef\xb7\xb0", true, "U+FDF0 \xef\xb7\xb0" },
        { "U+FFFD \xef\xbf\xbd", true, "U+FFFD \xef\xbf\xbd" },
        { "U+FFFE \xef\xbf\xbe", false, "U+FFFE ???" },
        { "U+FFFF \xef\xbf\xbf", false, "U+FFFF ???" },
        { "U+10FFFF \xf4\x8f\xbf\xbf", false, "U+10FFFF ????" },
};

START_TEST(test_texts)
{
        char made[64];

        ck_assert_int_eq(text_is_string(cases[_i].given, strlen(cases[_i].given)),
                cases[_i].is_string);
        ck_assert_str_eq(text_make_string(made, sizeof(made), cases[_i].given), cases[_i].made);
        ck_assert(text_is_string(made, strlen(made)));
}
END_TEST

START_TEST(test_nul)
{
        ck_assert(!text_is_string("a\0b", 3));
}
END_TEST

/* No code point is cut in two. */
START_TEST(test_room)
{
        char made[8];

        ck_assert_str_eq(text_make_string(made, 5, "abc\xe2\x82\xac"), "abc");
        ck_assert_str_eq(text_make_string(made, 7, "abc\xe2\x82\xac"), "abc\xe2\x82\xac");
        ck_assert_str_eq(text_make_string(made, 1, "abc"), "");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("bus-text");
        TCase *t = tcase_create("all");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(t, test_texts, 0, ELEMENTSOF(cases));
        tcase_add_test(t, test_nul);
        tcase_add_test(t, test_room);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
