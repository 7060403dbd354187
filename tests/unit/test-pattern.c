/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The patterns by which files are asked for.
 */
#include <check.h>
#include <fnmatch.h>

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
                ck_assert_msg(pattern_matches(table[i].pattern, table[i].name, NULL) ==
                                      table[i].match,
                        "'%s' and '%s'", table[i].pattern, table[i].name);
}
END_TEST

/* Parts around the ends of words, where places are carried over. */
START_TEST(test_lengths)
{
        char name[PATTERN_PART_MAX + 2] = "", pattern[PATTERN_PART_MAX + 3];

        for (size_t n = 1; n <= PATTERN_PART_MAX; n++) {
                memset(name, 'a', n);
                memset(pattern, '?', n);
                pattern[n] = '\0';
                ck_assert(pattern_part_matches(pattern, name, NULL));
                pattern[n] = '?';
                pattern[n + 1] = '\0';
                ck_assert(!pattern_part_matches(pattern, name, NULL));
                pattern[n - 1] = '\0';
                ck_assert(!pattern_part_matches(pattern, name, NULL));
                ck_assert(pattern_part_matches("*[a]", name, NULL));
                ck_assert(!pattern_part_matches("*[!a]", name, NULL));
                name[n - 1] = 'b';
                ck_assert(pattern_part_matches("*[b]*", name, NULL));
                ck_assert(pattern_part_matches("*?", name, NULL));
                ck_assert_int_eq(pattern_part_matches("?*b", name, NULL), n > 1);
                ck_assert(!pattern_part_matches("*[b]?", name, NULL));
        }
        memset(name, 'a', PATTERN_PART_MAX + 1);
        ck_assert(!pattern_part_matches("*?", name, NULL));
}
END_TEST

static void draw(unsigned *seed, const char *from, char text[static 10])
{
        size_t n = 1 + (*seed >> 16) % 9;

        for (size_t i = 0; i < n; i++) {
                *seed = *seed * 1103515245 + 12345;
                text[i] = from[(*seed >> 16) % strlen(from)];
        }
        text[n] = '\0';
}

/* The C library says the same of what both take for the same. */
START_TEST(test_like_fnmatch)
{
        char pattern[10], part[10];
        unsigned seed = 1, matching = 0;

        for (unsigned i = 0; i < 300000; i++) {
                const char *open, *close;
                bool r;

                draw(&seed, "ab?**[]!-.", pattern);
                draw(&seed, "aaab.-]", part);
                open = strrchr(pattern, '[');
                close = strrchr(pattern, ']');
                /* Whether a set is closed it sees in another way, and it has classes. */
                if ((open && (!close || close < open + 3)) || strstr(pattern, "[.") ||
                        strstr(pattern, "[-"))
                        continue;
                r = pattern_part_matches(pattern, part, NULL);
                matching += r;
                ck_assert_msg(r == (fnmatch(pattern, part, FNM_NOESCAPE | FNM_PERIOD) == 0),
                        "'%s' and '%s'", pattern, part);
        }
        ck_assert_uint_gt(matching, 1000);
}
END_TEST

/* However much a pattern can be tried, it is looked at once. */
START_TEST(test_cost)
{
        static const struct {
                const char *before, *many, *behind;
                const char *name;
        } rows[] = {
                { "*[", "x", "b]z", "b" },
                { "*", "a", "b?", "a" },
                { "", "*a", "*b", "a" },
                { "", "*?", "[b]", "a" },
                { "*", "[!-b]", "c?", "a" },
                { "", "[a]", "*[a]", "a" },
                { "", "a", "*b", "a" },
                { "*", "[]", "]", "]" },
        };
        char pattern[PATTERN_PART_MAX + 1], name[PATTERN_PART_MAX + 1] = "";

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                size_t n = strlen(rows[i].many), rest = strlen(rows[i].behind), cost = 0;

                (void) strcpy(pattern, rows[i].before);
                while (strlen(pattern) + n + rest <= PATTERN_PART_MAX)
                        (void) strcat(pattern, rows[i].many);
                (void) strcat(pattern, rows[i].behind);
                memset(name, rows[i].name[0], PATTERN_PART_MAX);
                (void) pattern_part_matches(pattern, name, &cost);
                ck_assert_uint_gt(cost, 0);
                ck_assert_msg(cost <= PATTERN_PART_COST, "%zu for '%s'", cost, pattern);
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("pattern");
        TCase *tc = tcase_create("pattern");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_patterns);
        tcase_add_test(tc, test_lengths);
        tcase_add_test(tc, test_like_fnmatch);
        tcase_add_test(tc, test_cost);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
