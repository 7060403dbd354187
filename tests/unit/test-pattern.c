/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The patterns by which files are asked for.
 */
#include <check.h>

#include "common/pattern.h"

START_TEST(test_patterns)
{
        static const struct {
                const char *pattern;
                const char *name;
                bool match;
        } table[] = {
                { "a", "a", true }, { "a", "b", false }, { "a", "ab", false },
                { "a", "a/b", true }, /* in a folder that is asked for */
                { "a/b", "a", false }, { "a/b", "a/b/c/d", true }, { "*", "a", true },
                { "*", ".a", false }, { ".*", ".a", true }, { "*", "a/.b", true },
                { "*.png", "a.png", true }, { "*.png", "d/a.png", false },
                { "*/*.png", "d/a.png", true }, { "*/*.png", "d/.a.png", false },
                { "[ab]/?", "b/x", true }, { "[ab]/?", "c/x", false }, { "[!ab]", "c", true },
                { "a[", "a[", true }, /* no set, so that it stands for itself */
                { "a\\*", "a*", false },
                { "a\\*", "a\\b", true }, /* a backslash is a byte like others */
                { "[*]", "*", true }, { "[*]", "a", false }, { "[a-c]x", "bx", true },
                { "[a-c]x", "dx", false }, { "[]a]", "]", true }, { "[^]]", "]", false },
                { "[a-]", "-", true }, { "[!a", "[!a", true }, { "a*b*c", "axbxbxc", true },
                { "a*b*c", "axbxbxcx", false }, { "*", "*", true }, { "**a", "a", true },
                { "*a*a*a*b", "aaaaaaaaaaaaaaaaaaaac", false }, { "?a", ".a", false },
                { "[.]a", ".a", false },
                { "[[:alpha:]]", "a", false }, /* no class, but a set and a bracket */
                { "[[:alpha:]]", ":]", true },
                { "[a/b]", "a", false }, /* a set does not reach over a slash */
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                ck_assert_msg(pattern_matches(table[i].pattern, table[i].name) == table[i].match,
                        "'%s' and '%s'", table[i].pattern, table[i].name);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("pattern");
        TCase *tc = tcase_create("pattern");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_patterns);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
