/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers, sizes, times, percentages and booleans as policy files and command lines write them.
 */
#include <check.h>
#include <inttypes.h>

#include "common/parse.h"

struct row {
        const char *text;
        int result;
        uint64_t value;
};

static void check_rows(int (*parse)(const char *, uint64_t *), const struct row *rows, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                uint64_t v = 12345;
                int r = parse(rows[i].text, &v);

                ck_assert_msg(r == rows[i].result, "'%s': %d, expected %d", rows[i].text, r,
                        rows[i].result);
                /* The output is left alone on an error. */
                ck_assert_msg(v == (r < 0 ? 12345 : rows[i].value), "'%s': %" PRIu64, rows[i].text,
                        v);
        }
}

START_TEST(test_u64)
{
        static const struct row rows[] = {
                { "0", 0, 0 },
                { "007", 0, 7 },
                { "18446744073709551615", 0, UINT64_MAX },
                { "18446744073709551616", -ERANGE },
                { "99999999999999999999999", -ERANGE },
                { "", -EINVAL },
                { "-1", -EINVAL },
                { "+1", -EINVAL },
                { " 1", -EINVAL },
                { "1 ", -EINVAL },
                { "1.0", -EINVAL },
                { "0x10", -EINVAL },
                { "1e3", -EINVAL },
                { "nan", -EINVAL },
                { "10 bananas", -EINVAL },
                { "\xd9\xa1", -EINVAL },
        };

        check_rows(parse_u64, rows, ELEMENTSOF(rows));
}
END_TEST

START_TEST(test_u32)
{
        uint32_t v = 7;

        ck_assert_int_eq(parse_u32("4294967295", &v), 0);
        ck_assert_uint_eq(v, UINT32_MAX);
        ck_assert_int_eq(parse_u32("4294967296", &v), -ERANGE);
        ck_assert_uint_eq(v, UINT32_MAX);
        ck_assert_int_eq(parse_u32("x", &v), -EINVAL);
}
END_TEST

START_TEST(test_u64_hex)
{
        static const struct row rows[] = {
                { "0x70000000", 0, 0x70000000 },
                { "0XaBc", 0, 0xabc },
                { "0xffffffffffffffff", 0, UINT64_MAX },
                { "0x10000000000000000", -ERANGE },
                { "65536", 0, 65536 },
                { "0x", -EINVAL },
                { "0xg", -EINVAL },
                { "x10", -EINVAL },
                { "-0x1", -EINVAL },
                { "", -EINVAL },
        };

        check_rows(parse_u64_hex, rows, ELEMENTSOF(rows));
}
END_TEST

START_TEST(test_size)
{
        static const struct row rows[] = {
                { "0", 0, 0 },
                { "512", 0, 512 },
                { "1K", 0, 1024 },
                { "64M", 0, 64 * MIB },
                { "1.5G", 0, 1536 * MIB },
                { "0.5K", 0, 512 },
                { "2T", 0, 2048 * GIB },
                { "16777216T", -ERANGE },
                { "16777215T", 0, UINT64_MAX - 1024 * GIB + 1 },
                { "64m", -EINVAL },
                { "64MB", -EINVAL },
                { "64MiB", -EINVAL },
                { "M", -EINVAL },
                { "1.M", -EINVAL },
                { ".5M", -EINVAL },
                { "1.1234567M", -EINVAL },
                { "-1M", -EINVAL },
                { "1 M", -EINVAL },
                { "1,5G", -EINVAL },
                { "infinity", -EINVAL },
        };

        check_rows(parse_size, rows, ELEMENTSOF(rows));
}
END_TEST

START_TEST(test_time)
{
        static const struct row rows[] = {
                { "5", 0, 5000000 },
                { "5s", 0, 5000000 },
                { "1.5s", 0, 1500000 },
                { "250ms", 0, 250000 },
                { "10us", 0, 10 },
                { "10min", 0, 600000000 },
                { "1h", 0, UINT64_C(3600000000) },
                { "0.000001", 0, 1 },
                { "5124095577h", -ERANGE },
                { "99999999999999999999", -ERANGE },
                { "5m", -EINVAL },
                { "5d", -EINVAL },
                { "1min 30s", -EINVAL },
                { "-5s", -EINVAL },
                { "s", -EINVAL },
                { "soon", -EINVAL },
                { "", -EINVAL },
        };

        check_rows(parse_time, rows, ELEMENTSOF(rows));
}
END_TEST

START_TEST(test_percent)
{
        static const struct row rows[] = {
                { "100%", 0, 100 },
                { "0%", 0, 0 },
                { "100", -EINVAL },
                { "12.5%", -EINVAL },
                { "%", -EINVAL },
                { "100%%", -EINVAL },
                { "nan%", -EINVAL },
                { "18446744073709551616%", -ERANGE },
        };

        check_rows(parse_percent, rows, ELEMENTSOF(rows));
}
END_TEST

START_TEST(test_cpus)
{
        static const struct row rows[] = {
                { "1", 0, 100 },
                { "0.5", 0, 50 },
                { "1.25", 0, 125 },
                { "0.001", 0, 0 },
                { "50%", -EINVAL },
                { "-1", -EINVAL },
                { "", -EINVAL },
        };

        check_rows(parse_cpus, rows, ELEMENTSOF(rows));
}
END_TEST

START_TEST(test_bool)
{
        static const char *const yes[] = { "yes", "true", "on", "1" };
        static const char *const no[] = { "no", "false", "off", "0" };
        static const char *const neither[] = { "", "y", "Yes", "maybe", "2", "yes " };
        bool v = false;

        for (size_t i = 0; i < ELEMENTSOF(yes); i++) {
                ck_assert_int_eq(parse_bool(yes[i], &v), 0);
                ck_assert(v);
        }
        for (size_t i = 0; i < ELEMENTSOF(neither); i++) {
                ck_assert_int_eq(parse_bool(neither[i], &v), -EINVAL);
                ck_assert(v);
        }
        for (size_t i = 0; i < ELEMENTSOF(no); i++) {
                ck_assert_int_eq(parse_bool(no[i], &v), 0);
                ck_assert(!v);
        }
}
END_TEST

/* What is formatted is read back as the same value. */
START_TEST(test_format)
{
        static const struct {
                uint64_t value;
                const char *size;
                const char *time;
        } rows[] = {
                { 0, "0", "0s" },
                { 1, "1", "1us" },
                { 1000, "1000", "1ms" },
                { 1024, "1K", "1024us" },
                { 1500000, "1500000", "1500ms" },
                { 64 * MIB, "64M", "67108864us" },
                { 600000000, "600000000", "10min" },
                { UINT64_C(7200000000), "7031250K", "2h" },
                { UINT64_MAX, "18446744073709551615", "18446744073709551615us" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char buf[FORMAT_MAX];
                uint64_t v;

                ck_assert_str_eq(format_size(buf, rows[i].value), rows[i].size);
                ck_assert_int_eq(parse_size(buf, &v), 0);
                ck_assert_uint_eq(v, rows[i].value);
                ck_assert_str_eq(format_time(buf, rows[i].value), rows[i].time);
                ck_assert_int_eq(parse_time(buf, &v), 0);
                ck_assert_uint_eq(v, rows[i].value);
        }
}
END_TEST

int main(void)
{
        Suite *s = suite_create("parse");
        TCase *t = tcase_create("parse");
        SRunner *runner;
        int failed;

        tcase_add_test(t, test_u64);
        tcase_add_test(t, test_u32);
        tcase_add_test(t, test_u64_hex);
        tcase_add_test(t, test_size);
        tcase_add_test(t, test_time);
        tcase_add_test(t, test_percent);
        tcase_add_test(t, test_cpus);
        tcase_add_test(t, test_bool);
        tcase_add_test(t, test_format);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
