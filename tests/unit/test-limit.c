/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of limits: each row is complete, reads its unit, refuses what is out of its range.
 */
#include <check.h>
#include <stdio.h>

#include "common/limit.h"

START_TEST(test_table)
{
        for (int i = 0; i < _LIMIT_COUNT; i++) {
                const struct limit_info *info = &limit_table[i];

                ck_assert_ptr_nonnull(info->key);
                ck_assert_ptr_nonnull(info->field);
                ck_assert_uint_lt(info->least, info->most);
                for (int j = 0; j < i; j++) {
                        ck_assert_str_ne(info->key, limit_table[j].key);
                        ck_assert_str_ne(info->field, limit_table[j].field);
                }
        }
}
END_TEST

START_TEST(test_ends_of_range)
{
        for (int i = 0; i < _LIMIT_COUNT; i++) {
                const struct limit_info *info = &limit_table[i];
                const uint64_t ends[] = { info->least, info->most };

                for (size_t j = 0; j < ELEMENTSOF(ends); j++) {
                        char text[LIMIT_TEXT_MAX];
                        uint64_t v = 1;

                        limit_format(i, ends[j], text);
                        ck_assert_msg(limit_parse(i, text, &v) == 0, "%s=%s", info->key, text);
                        ck_assert_uint_eq(v, ends[j]);
                }
        }
}
END_TEST

START_TEST(test_parse)
{
        static const struct {
                enum limit_id id;
                const char *text;
                int result;
                uint64_t value;
        } rows[] = {
                { LIMIT_WALL_TIME, "30s", 0, 30 * USEC_PER_SEC },
                { LIMIT_WALL_TIME, "1ms", 0, USEC_PER_MSEC },
                { LIMIT_WALL_TIME, "999us", -ERANGE },
                { LIMIT_WALL_TIME, "8761h", -ERANGE },
                { LIMIT_WALL_TIME, "30M", -EINVAL },
                { LIMIT_WALL_TIME, "", -EINVAL },
                { LIMIT_CPU_TIME, "", 0, 0 },
                { LIMIT_CPU_TIME, "0", -ERANGE },
                { LIMIT_MEMORY, "256M", 0, 256 * MIB },
                { LIMIT_MEMORY, "4095K", -ERANGE },
                { LIMIT_MEMORY, "0", -ERANGE },
                { LIMIT_MEMORY, "-1", -EINVAL },
                { LIMIT_MEMORY, "10 bananas", -EINVAL },
                { LIMIT_CPU_QUOTA, "150%", 0, 150 },
                { LIMIT_CPU_QUOTA, "150", -EINVAL },
                { LIMIT_CPU_QUOTA, "0%", -ERANGE },
                { LIMIT_PIDS, "64", 0, 64 },
                { LIMIT_PIDS, "0", -ERANGE },
                { LIMIT_PIDS, "64K", -EINVAL },
                { LIMIT_PIDS, "99999999999999999999", -ERANGE },
                { LIMIT_FILES_SIZE, "0", 0, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                uint64_t v = 77;
                int r = limit_parse(rows[i].id, rows[i].text, &v);

                ck_assert_msg(r == rows[i].result, "%s=%s: %d, expected %d",
                        limit_table[rows[i].id].key, rows[i].text, r, rows[i].result);
                ck_assert_uint_eq(v, r < 0 ? 77 : rows[i].value);
        }
}
END_TEST

START_TEST(test_format)
{
        char text[LIMIT_TEXT_MAX];

        ck_assert_str_eq(limit_format(LIMIT_CPU_TIME, 0, text), "none");
        ck_assert_str_eq(limit_format(LIMIT_CPU_TIME, 1500000, text), "1500ms");
        ck_assert_str_eq(limit_format(LIMIT_MEMORY, GIB, text), "1G");
        ck_assert_str_eq(limit_format(LIMIT_CPU_QUOTA, 50, text), "50%");
        ck_assert_str_eq(limit_format(LIMIT_PIDS, 64, text), "64");
        ck_assert_str_eq(limit_format(LIMIT_FILES_SIZE, 0, text), "0");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("limit");
        TCase *t = tcase_create("limit");
        SRunner *runner;
        int failed;

        tcase_add_test(t, test_table);
        tcase_add_test(t, test_ends_of_range);
        tcase_add_test(t, test_parse);
        tcase_add_test(t, test_format);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
