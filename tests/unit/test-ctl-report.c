/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `run` and `wait` make of a result: the JSON object, the exit code, text that is safe to
 * print.
 */
#include <check.h>

#include "client/ctl/result-report.h"
#include "client/lib/object.h"

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

/* A result as the library makes one of what came. */
static sandbox_result *result_of(const Sandboxd__V1__Result *message)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        struct received received = {};
        sandbox_result *result;
        uint8_t *packed;
        size_t size;

        response.body_case = SANDBOXD__V1__RESPONSE__BODY_RESULT;
        response.result = (Sandboxd__V1__Result *) message;
        size = sandboxd__v1__response__get_packed_size(&response);
        packed = malloc(size);
        (void) sandboxd__v1__response__pack(&response, packed);
        received.response = sandboxd__v1__response__unpack(NULL, size, packed);
        free(packed);
        ck_assert_ptr_nonnull(received.response);
        ck_assert_int_eq(result_new(received, &result), 0);
        return result;
}

static json_t *report_json(const Sandboxd__V1__Result *message)
{
        sandbox_result *result = result_of(message);
        json_t *object = result_json(result, &out, &err);

        sandbox_result_unref(result);
        return object;
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
                "queued_usec", "setup_usec", "warm", "runtime", "profile", "label",
                "started_at_usec", "ended_at_usec", "files" };
        static const char *const usage[] = { "wall_usec", "cpu_user_usec", "cpu_system_usec",
                "memory_peak_bytes", "pids_peak" };
        Sandboxd__V1__Result result = SANDBOXD__V1__RESULT__INIT;
        json_auto_t *object = NULL;

        result.status = SANDBOXD__V1__STATUS__EXITED;
        result.exit_code = 3;
        object = report_json(&result);
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
        object = report_json(&result);
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
                { "0.1", "0.1" },
                { "-1.50E+400 ", "-1.50E+400" },
                { "9223372036854775808", "9223372036854775808" },
                { "1267650600228229401496703205376", "1267650600228229401496703205376" },
                { "{\"id\" : -18446744073709551616}", "{\"id\":-18446744073709551616}" },
                { "{\"a\":1,\"a\":2}", "{\"a\":1,\"a\":2}" },
                { "\"a \\\" 123\\\\\"", "\"a \\\" 123\\\\\"" },
                { "\"\\u001b\"", "\"\\u001b\"" },
                { "\"a\\u0000b\"", "\"a\\u0000b\"" },
                { " [1, {\"a\": null}] ", "[1,{\"a\":null}]" },
                { "", NULL },
                { "NaN", NULL },
                { "1 2", NULL },
                { "012", NULL },
                { "-", NULL },
                { "1.", NULL },
                { "1e", NULL },
                { "12x34", NULL },
                { "1},\"a\":{", NULL },
                { "\"a", NULL },
                { "\"a\\", NULL },
                { "\"\033\"", NULL },
                { "\"\\ud800\"", NULL },
                { "{\"a\":", NULL },
                { "\"\xff\"", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                char *text = json_minify_untrusted(rows[i].text, strlen(rows[i].text));

                ck_assert_pstr_eq(text, rows[i].result);
                free(text);
        }
        ck_assert_ptr_null(json_minify_untrusted("1\0", 2));
        ck_assert_ptr_null(json_minify_untrusted("\"\0\"", 3));
}
END_TEST

/* Nesting that would overflow the stack of a recursive reader, ours or the next. */
START_TEST(test_untrusted_json_depth)
{
        static char text[1 << 20];
        char *shown;

        memset(text, '[', sizeof(text));
        ck_assert_ptr_null(json_minify_untrusted(text, sizeof(text)));
        memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
        shown = json_minify_untrusted(text, 2 * JSON_DEPTH_MAX);
        ck_assert_uint_eq(strlen(shown), 2 * JSON_DEPTH_MAX);
        free(shown);
        memset(text + JSON_DEPTH_MAX, '[', 1);
        memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
        ck_assert_ptr_null(json_minify_untrusted(text, 2 * JSON_DEPTH_MAX + 2));
}
END_TEST

/* The job's other texts cannot draw its value to another place. */
START_TEST(test_show_json)
{
        static const char hostile[] = "\"json\":null,\"json\": null \\\"json\\\":";
        static const char *const values[] = { "[18446744073709551616,0.1]", "null", "\"json\"",
                "{\"json\":null}", "nonsense" };
        Sandboxd__V1__Result result = SANDBOXD__V1__RESULT__INIT;
        Sandboxd__V1__ReturnValue value = SANDBOXD__V1__RETURN_VALUE__INIT;

        ck_assert_int_eq(run_stream_take(&out, hostile, strlen(hostile)), 0);
        value.text = (ProtobufCBinaryData) { strlen(hostile), (uint8_t *) hostile };
        result.message = result.runtime = (char *) hostile;
        result.return_value = &value;
        for (size_t i = 0; i < ELEMENTSOF(values); i++) {
                json_auto_t *object = NULL, *shown_object = NULL;
                char *shown = NULL, expected[64];
                sandbox_result *shown_result;
                size_t size = 0;
                FILE *f = open_memstream(&shown, &size);

                value.json = (ProtobufCBinaryData) { strlen(values[i]), (uint8_t *) values[i] };
                shown_result = result_of(&result);
                shown_object = result_json(shown_result, &out, &err);
                result_show_json(shown_object, shown_result, f);
                sandbox_result_unref(shown_result);
                ck_assert_int_eq(fclose(f), 0);
                (void) snprintf(expected, sizeof(expected), "\",\"json\":%s},\"usage\":{",
                        streq(values[i], "nonsense") ? "null" : values[i]);
                ck_assert_msg(strstr(shown, expected), "%s", shown);
                object = json_loads(shown, JSON_DECODE_INT_AS_REAL, NULL);
                ck_assert_uint_eq(json_object_size(object), 25);
                ck_assert_str_eq(text_of(object, "stdout"), hostile);
                ck_assert_str_eq(text_of(json_object_get(object, "return_value"), "text"), hostile);
                free(shown);
        }
}
END_TEST

/* Of a closed stream nothing waits any more. */
START_TEST(test_closed_stream)
{
        run_stream_init(&out, STDOUT_FILENO);
        ck_assert_int_eq(run_stream_take(&out, "abc", 3), 0);
        ck_assert_uint_eq(run_stream_pending(&out), 3);
        ck_assert_uint_eq(run_stream_close(&out), 3);
        ck_assert_uint_eq(run_stream_pending(&out), 0);
        ck_assert_int_eq(run_stream_take(&out, "d", 1), 0);
        ck_assert_uint_eq(run_stream_pending(&out), 0);
}
END_TEST

/* What was written in parts is written in order, and what is kept of it does not grow. */
START_TEST(test_written_stream)
{
        char read_back[8] = "";
        int fds[2];

        ck_assert_int_eq(pipe(fds), 0);
        run_stream_init(&out, fds[1]);
        for (int i = 0; i < 1000; i++) {
                ck_assert_int_eq(run_stream_take(&out, "abc", 3), 0);
                ck_assert_int_eq(run_stream_write(&out), 3);
                ck_assert_int_eq(run_stream_take(&out, "de", 2), 0);
                ck_assert_int_eq(run_stream_write(&out), 2);
                ck_assert_int_eq(read(fds[0], read_back, sizeof(read_back)), 5);
                ck_assert_str_eq(read_back, "abcde");
        }
        ck_assert_uint_le(out.room, 16);
        ck_assert_uint_eq(out.received, 5000);
        (void) close(fds[0]);
        (void) close(fds[1]);
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
                sandbox_result *shown;

                result.status = rows[i].status;
                result.exit_code = rows[i].exit_code;
                result.signal = rows[i].signal;
                result.step = (char *) rows[i].step;
                result.error = rows[i].error;
                shown = result_of(&result);
                ck_assert_int_eq(sandbox_result_get_shell_code(shown), rows[i].expected);
                sandbox_result_unref(shown);
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
                { "\xe2\x81\xa6", "\\xe2\\x81\\xa6" }, /* so does this one */
                { "\xe2\x80\x8b", "\\xe2\\x80\\x8b" }, /* shows as nothing */
                { "\xe2\x80\x8f", "\\xe2\\x80\\x8f" },
                { "\xe2\x80\xa8", "\\xe2\\x80\\xa8" }, /* breaks the line */
                { "\xe2\x80\x8a\xe2\x80\x90", "\xe2\x80\x8a\xe2\x80\x90" },
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

START_TEST(test_text_untrusted)
{
        char *shown = text_untrusted("a\nb\tc \033[1m\xc3\xa4");

        ck_assert_str_eq(shown, "a\\x0ab\\x09c \\x1b[1m\xc3\xa4");
        free(shown);
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
        tcase_add_test(t, test_show_json);
        tcase_add_test(t, test_closed_stream);
        tcase_add_test(t, test_written_stream);
        tcase_add_test(t, test_exit_codes);
        tcase_add_test(t, test_print_untrusted);
        tcase_add_test(t, test_text_untrusted);
        tcase_add_test(t, test_human);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
