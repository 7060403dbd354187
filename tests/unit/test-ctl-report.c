/* SPDX-License-Identifier: Apache-2.0 */
/* sources: client/ctl/run-report.c client/ctl/json.c client/ctl/style.c */
/*
 * What `sandboxctl run` makes of a result: the JSON object, the exit code, text that is safe to
 * print.
 */
#include <check.h>

#include "client/ctl/run-report.h"

static struct run_stream out, err;

static void setup(void)
{
        run_stream_init(&out, -EBADF);
        run_stream_init(&err, -EBADF);
}

static void teardown(void)
{
        run_stream_done(&out);
        run_stream_done(&err);
}

static const char *text_of(const json_t *object, const char *key)
{
        return json_string_value(json_object_get(object, key));
}

START_TEST(test_fields)
{
        static const char *const names[] = { "job_id", "status", "exit_code", "signal", "message",
                "step", "stdout", "stderr", "stdout_bytes", "stderr_bytes", "stdout_truncated",
                "stderr_truncated", "pids_limit_hit", "cpu_throttled", "return_value", "usage",
                "queued_usec", "setup_usec", "warm", "runtime", "profile", "started_at_usec" };
        static const char *const usage[] = { "wall_usec", "cpu_user_usec", "cpu_system_usec",
                "memory_peak_bytes", "pids_peak" };
        Sandboxd__V1__Result result = SANDBOXD__V1__RESULT__INIT;
        json_auto_t *object = NULL;

        result.status = SANDBOXD__V1__STATUS__EXITED;
        result.exit_code = 3;
        object = run_report_json(&result, &out, &err);
        ck_assert_uint_eq(json_object_size(object), ELEMENTSOF(names));
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                ck_assert_msg(json_object_get(object, names[i]), "%s", names[i]);
        for (size_t i = 0; i < ELEMENTSOF(usage); i++)
                ck_assert_msg(json_object_get(json_object_get(object, "usage"), usage[i]), "%s",
                        usage[i]);
        ck_assert_str_eq(text_of(object, "status"), "EXITED");
        ck_assert_int_eq(json_integer_value(json_object_get(object, "exit_code")), 3);
        ck_assert(json_is_null(json_object_get(object, "return_value")));
        ck_assert_str_eq(text_of(object, "stdout"), "");
}
END_TEST

START_TEST(test_output_bytes)
{
        static const uint8_t nul[] = { 'a', 0, 'b' }, not_text[] = { 0xff, 0, 'a', 'b' };
        Sandboxd__V1__Result result = SANDBOXD__V1__RESULT__INIT;
        json_auto_t *object = NULL;

        ck_assert_int_eq(run_stream_take(&out, nul, sizeof(nul)), 0);
        ck_assert_int_eq(run_stream_take(&err, not_text, sizeof(not_text)), 0);
        object = run_report_json(&result, &out, &err);
        ck_assert_uint_eq(json_string_length(json_object_get(object, "stdout")), sizeof(nul));
        ck_assert_mem_eq(text_of(object, "stdout"), nul, sizeof(nul));
        ck_assert_ptr_null(json_object_get(object, "stderr"));
        ck_assert_str_eq(text_of(object, "stderr_base64"), "/wBhYg==");
}
END_TEST

START_TEST(test_base64)
{
        static const struct {
                const char *bytes, *text;
        } rows[] = { { "\xff", "/w==" }, { "\xff\xfe", "//4=" }, { "\xff\xfe\xfd", "//79" },
                { "\xff\xfe\xfd\xfc", "//79/A==" } };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                json_auto_t *object = json_new_object();

                json_set_bytes(object, "x", rows[i].bytes, strlen(rows[i].bytes));
                ck_assert_str_eq(text_of(object, "x_base64"), rows[i].text);
        }
}
END_TEST

START_TEST(test_untrusted_json)
{
        static const struct {
                const char *text;
                const char *result; /* NULL: not one valid value */
        } rows[] = {
                { "42", "42" },
                { "\"a\\u0000b\"", "\"a\\u0000b\"" },
                { " [1, {\"a\": null}] ", "[1,{\"a\":null}]" },
                { "", NULL },
                { "NaN", NULL },
                { "1 2", NULL },
                { "{\"a\":", NULL },
                { "1267650600228229401496703205376", NULL },
                { "\"\xff\"", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                json_auto_t *value = json_parse_untrusted(rows[i].text, strlen(rows[i].text));
                char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

                ck_assert_str_eq(text, rows[i].result ? rows[i].result : "null");
                free(text);
        }
}
END_TEST

/* Nesting that would overflow the stack of a recursive reader. */
START_TEST(test_untrusted_json_depth)
{
        static char text[1 << 20];
        json_auto_t *value = NULL;

        memset(text, '[', sizeof(text));
        value = json_parse_untrusted(text, sizeof(text));
        ck_assert(json_is_null(value));
}
END_TEST

START_TEST(test_exit_codes)
{
        static const struct {
                Sandboxd__V1__Status status;
                int exit_code, signal;
                const char *step;
                int error, expected;
        } rows[] = {
                { SANDBOXD__V1__STATUS__OK, 0, 0, "", 0, 0 },
                { SANDBOXD__V1__STATUS__EXITED, 7, 0, "", 0, 7 },
                { SANDBOXD__V1__STATUS__SIGNALED, 0, 6, "", 0, 134 },
                { SANDBOXD__V1__STATUS__TIMEOUT, 0, 9, "", 0, 124 },
                { SANDBOXD__V1__STATUS__CPU_LIMIT, 0, 9, "", 0, 152 },
                { SANDBOXD__V1__STATUS__MEMORY_LIMIT, 0, 9, "", 0, 137 },
                { SANDBOXD__V1__STATUS__OUTPUT_LIMIT, 0, 9, "", 0, 153 },
                { SANDBOXD__V1__STATUS__VIOLATION, 0, 31, "", 0, 159 },
                { SANDBOXD__V1__STATUS__CANCELLED, 0, 9, "", 0, 143 },
                { SANDBOXD__V1__STATUS__SETUP_ERROR, 0, 0, "cgroup", EIO, 125 },
                { SANDBOXD__V1__STATUS__SETUP_ERROR, 0, 0, "exec", EACCES, 126 },
                { SANDBOXD__V1__STATUS__SETUP_ERROR, 0, 0, "exec", ENOENT, 127 },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Sandboxd__V1__Result result = SANDBOXD__V1__RESULT__INIT;

                result.status = rows[i].status;
                result.exit_code = rows[i].exit_code;
                result.signal = rows[i].signal;
                result.step = (char *) rows[i].step;
                result.error = rows[i].error;
                ck_assert_int_eq(run_report_exit_code(&result), rows[i].expected);
        }
}
END_TEST

START_TEST(test_print_untrusted)
{
        static const struct {
                const char *text, *shown;
        } rows[] = {
                { "plain \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", "plain \xc3\xa4 \xe2\x82\xac "
                                                                  "\xf0\x9f\x98\x80" },
                { "a\nb\tc", "a\n  b\tc" }, { "\033[31m\r\x7f", "\\x1b[31m\\x0d\\x7f" },
                { "\xc2\x9b"
                  "31m",
                        "\\xc2\\x9b31m" },             /* a C1 control character */
                { "\xe2\x80\xae", "\\xe2\\x80\\xae" }, /* turns the direction */
                { "\xc0\x80\xff", "\\xc0\\x80\\xff" }, /* no UTF-8 */
                { "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* a surrogate */
                { "\xe2\x82", "\\xe2\\x82" },          /* cut */
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char *shown = NULL;
                size_t size = 0;
                FILE *f = open_memstream(&shown, &size);

                print_untrusted(f, rows[i].text, strlen(rows[i].text), 2);
                ck_assert_int_eq(fclose(f), 0);
                ck_assert_str_eq(shown, rows[i].shown);
                free(shown);
        }
}
END_TEST

START_TEST(test_human)
{
        char buf[HUMAN_MAX];

        ck_assert_str_eq(human_time(buf, 340), "340 us");
        ck_assert_str_eq(human_time(buf, 12345), "12.3 ms");
        ck_assert_str_eq(human_time(buf, 999900), "1 s");
        ck_assert_str_eq(human_time(buf, 125 * USEC_PER_SEC), "2 min 5 s");
        ck_assert_str_eq(human_size(buf, 512), "512 bytes");
        ck_assert_str_eq(human_size(buf, MIB), "1M");
        ck_assert_str_eq(human_size(buf, 1023 * KIB), "0.999M");
        ck_assert_str_eq(human_size(buf, 5452595), "5.2M");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ctl-report");
        TCase *t = tcase_create("ctl-report");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_fields);
        tcase_add_test(t, test_output_bytes);
        tcase_add_test(t, test_base64);
        tcase_add_test(t, test_untrusted_json);
        tcase_add_test(t, test_untrusted_json_depth);
        tcase_add_test(t, test_exit_codes);
        tcase_add_test(t, test_print_untrusted);
        tcase_add_test(t, test_human);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
