/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where lines go, and which events are worth one there.
 */
#include <check.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "common/log.h"

static int file = -EBADF; /* what stderr is during a test */

static void setup(void)
{
        file = io_memfd_new("stderr");
        ck_assert_int_ge(file, 0);
        ck_assert_int_eq(dup2(file, STDERR_FILENO), STDERR_FILENO);
        ck_assert_int_eq(unsetenv("SANDBOXD_LOG_LEVEL"), 0);
}

static void teardown(void)
{
        file = safe_close(file);
}

static void open_with_stream_off_by(unsigned off)
{
        char text[64];
        struct stat st;

        ck_assert_int_eq(fstat(file, &st), 0);
        (void) snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t) st.st_dev,
                (uintmax_t) st.st_ino + off);
        ck_assert_int_eq(setenv("JOURNAL_STREAM", text, true), 0);
        log_open("test");
}

static void expect_written(const char *expected)
{
        char text[4096] = "";

        ck_assert_int_ge(pread(file, text, sizeof(text) - 1, 0), 0);
        ck_assert_str_eq(text, expected);
}

START_TEST(test_plain_lines)
{
        /* The variable is there, but stderr was redirected since. */
        open_with_stream_off_by(1);
        errno = ENOENT;
        log_info("one %d", 1);
        ck_assert_int_eq(errno, ENOENT);
        log_debug("nobody asked for this");
        expect_written("test: one 1\n");
}
END_TEST

START_TEST(test_long_lines_are_cut)
{
        static char text[3000];
        char written[4096];
        ssize_t n;

        open_with_stream_off_by(1);
        memset(text, 'x', sizeof(text) - 1);
        log_info("%s", text);
        n = pread(file, written, sizeof(written), 0);
        ck_assert_int_eq(n, 1023);
        ck_assert_int_eq(written[n - 1], '\n');
}
END_TEST

START_TEST(test_events_on_a_plain_stderr)
{
        static const struct log_field fields[] = { { "SANDBOX_UID", "1" }, {} };

        open_with_stream_off_by(1);
        ck_assert(!log_wants(EVENT_JOB_STARTED));
        ck_assert(!log_wants(EVENT_JOB_ENDED));
        ck_assert(log_wants(EVENT_REFUSED));
        log_event(EVENT_JOB_ENDED, fields, "a job of many");
        log_event(EVENT_REFUSED, fields, "refused %d", 1);
        expect_written("test: refused 1\n");
        ck_assert_int_eq(setenv("SANDBOXD_LOG_LEVEL", "debug", true), 0);
        log_open("test");
        ck_assert(log_wants(EVENT_JOB_ENDED));
}
END_TEST

START_TEST(test_the_journal_gets_everything)
{
        open_with_stream_off_by(0);
        ck_assert(log_wants(EVENT_JOB_STARTED));
        log_info("to the journal, whether one listens or not");
        expect_written("");
        ck_assert_int_eq(setenv("SANDBOXD_LOG_LEVEL", "warning", true), 0);
        log_open("test");
        ck_assert(!log_wants(EVENT_JOB_STARTED));
        ck_assert(log_wants(EVENT_FRONTEND_DIED));
}
END_TEST

START_TEST(test_close_goes_back_to_stderr)
{
        open_with_stream_off_by(0);
        log_close();
        log_warning("last words");
        expect_written("<4>last words\n");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("log");
        TCase *tc = tcase_create("log");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_plain_lines);
        tcase_add_test(tc, test_long_lines_are_cut);
        tcase_add_test(tc, test_events_on_a_plain_stderr);
        tcase_add_test(tc, test_the_journal_gets_everything);
        tcase_add_test(tc, test_close_goes_back_to_stderr);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
