/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The return value's file, which a hostile job may have written.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/io.h"
#include "daemon/frontend/return-value.h"

static int read_text(const char *text, size_t size, struct return_value *ret)
{
        _cleanup_close_ int fd = io_memfd_new("return");

        ck_assert_int_eq(io_write_full(fd, text, size), 0);
        return return_value_read(fd, RETURN_VALUE_MAX, ret);
}

START_TEST(test_good)
{
        struct return_value v;

        ck_assert_int_eq(read_text("4 2\n'42'42", 10, &v), 1);
        ck_assert_uint_eq(v.text_size, 4);
        ck_assert_mem_eq(v.text, "'42'", 4);
        ck_assert_uint_eq(v.json_size, 2);
        ck_assert_mem_eq(v.json, "42", 2);
        return_value_done(&v);
        ck_assert_int_eq(read_text("3 0\na\0\xff", 7, &v), 1);
        ck_assert_mem_eq(v.text, "a\0\xff", 3);
        ck_assert_uint_eq(v.json_size, 0);
        return_value_done(&v);
        ck_assert_int_eq(read_text("0 0\n", 4, &v), 1);
        return_value_done(&v);
}
END_TEST

START_TEST(test_empty)
{
        struct return_value v;

        ck_assert_int_eq(read_text("", 0, &v), 0);
}
END_TEST

START_TEST(test_malformed)
{
        static const char *const cases[] = {
                "4",
                "4 2",
                "4 2\n",
                "4 2\n'42'4",
                "4 2\n'42'422",
                "-1 2\n",
                " 4 2\n'42'42",
                "4  2\n'42'42",
                "4 2 \n'42'42",
                "4\n2\n'42'42",
                "0x4 2\n'42'42",
                "+4 2\n'42'42",
                "18446744073709551615 1\n",
                "99999999999999999999999999 2\n'42'42",
                "18446744073709551612 4\n",
                "text",
        };
        struct return_value v;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                ck_assert_msg(read_text(cases[i], strlen(cases[i]), &v) == -EBADMSG, "'%s'",
                        cases[i]);
}
END_TEST

START_TEST(test_size)
{
        _cleanup_free_ char *large = calloc(1, RETURN_VALUE_MAX + 64);
        struct return_value v;
        int head;

        ck_assert_int_eq(read_text(large, RETURN_VALUE_MAX + 64, &v), -EFBIG);
        /* The head is not of the value: one that was cut to the maximum is whole. */
        head = sprintf(large, "%zu 0\n", (size_t) RETURN_VALUE_MAX);
        ck_assert_int_eq(read_text(large, (size_t) head + RETURN_VALUE_MAX, &v), 1);
        ck_assert_uint_eq(v.text_size, RETURN_VALUE_MAX);
        return_value_done(&v);
        head = sprintf(large, "%zu 1000\n", (size_t) RETURN_VALUE_MAX - 1000);
        ck_assert_int_eq(read_text(large, (size_t) head + RETURN_VALUE_MAX, &v), 1);
        ck_assert_uint_eq(v.json_size, 1000);
        return_value_done(&v);
        head = sprintf(large, "%zu 1\n", (size_t) RETURN_VALUE_MAX);
        ck_assert_int_eq(read_text(large, (size_t) head + RETURN_VALUE_MAX + 1, &v), -EFBIG);
}
END_TEST

/* Sparse, and as large as can be: refused by its size, not read. */
START_TEST(test_sparse)
{
        _cleanup_close_ int fd = io_memfd_new("return");
        struct return_value v;

        ck_assert_int_eq(ftruncate(fd, (off_t) 1 << 40), 0);
        ck_assert_int_eq(return_value_read(fd, RETURN_VALUE_MAX, &v), -EFBIG);
}
END_TEST

START_TEST(test_not_a_file)
{
        struct return_value v;
        int fds[2];

        ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
        ck_assert_int_eq(return_value_read(fds[0], RETURN_VALUE_MAX, &v), -EBADMSG);
        io_close_all(fds, 2);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("return-value");
        TCase *tc = tcase_create("return-value");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_good);
        tcase_add_test(tc, test_empty);
        tcase_add_test(tc, test_malformed);
        tcase_add_test(tc, test_size);
        tcase_add_test(tc, test_sparse);
        tcase_add_test(tc, test_not_a_file);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
