/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sentence of each status.
 */
#include <check.h>
#include <signal.h>

#include "daemon/frontend/result-message.h"
#include "tests/unit/fixture-policy.h"

static struct policy policy;

static void setup(void)
{
        fixture_policy(&policy);
}

static void teardown(void)
{
}

static void expect(const struct channel_ended *ended, const struct limits *limits, bool strict,
        const char *sentence)
{
        struct result_message m = {
                .ended = ended,
                .profile = &policy.profiles[0],
                .limits = limits ?: &policy.profiles[0].defaults,
                .command = "prog",
                .workdir = "/box/x",
                .strict_output = strict,
        };
        struct error text;

        ck_assert_str_eq(result_message_format(&m, &text), sentence);
}

static void expect_status(enum job_status status, const char *sentence)
{
        expect(&(struct channel_ended) { .status = status }, NULL, false, sentence);
}

START_TEST(test_statuses)
{
        expect_status(JOB_STATUS_OK, "");
        expect_status(JOB_STATUS_TIMEOUT,
                "stopped after its wall-clock limit of 5s: raise it with --timeout");
        expect_status(JOB_STATUS_MEMORY_LIMIT,
                "ran out of memory at its limit of 256M: raise it with --memory");
        expect(&(struct channel_ended) { .status = JOB_STATUS_MEMORY_LIMIT,
                       .memory_peak_bytes = 64 * MIB },
                NULL, false,
                "killed for memory below its own limit of 256M: its user's slice or the host has "
                "no more: try again later");
        expect(&(struct channel_ended) { .status = JOB_STATUS_MEMORY_LIMIT,
                       .memory_peak_bytes = 256 * MIB },
                NULL, false, "ran out of memory at its limit of 256M: raise it with --memory");
        expect_status(JOB_STATUS_OUTPUT_LIMIT,
                "stopped for writing 64 times its output limit of 1000: raise it with "
                "--output-limit");
        expect(&(struct channel_ended) { .status = JOB_STATUS_OUTPUT_LIMIT }, NULL, true,
                "stopped for writing more than its output limit of 1000: raise it with "
                "--output-limit");
        expect_status(JOB_STATUS_VIOLATION, "made a system call that the sandbox forbids (SIGSYS)");
        expect_status(JOB_STATUS_CANCELLED, "cancelled before it ended");
        expect(&(struct channel_ended) { .status = JOB_STATUS_EXITED, .exit_code = 3 }, NULL, false,
                "exited with code 3");
        expect(&(struct channel_ended) { .status = JOB_STATUS_SIGNALED, .signal = SIGSEGV }, NULL,
                false, "died of signal 11 (SIGSEGV)");
        expect(&(struct channel_ended) { .status = JOB_STATUS_SIGNALED, .signal = 40 }, NULL, false,
                "died of signal 40");
}
END_TEST

START_TEST(test_limits_at_their_maximum)
{
        expect(&(struct channel_ended) { .status = JOB_STATUS_CPU_LIMIT },
                &policy.profiles[0].maximums, false,
                "stopped after its CPU-time limit of 30s, the most that profile 'default' "
                "allows");
}
END_TEST

static void expect_setup(enum setup_step step, int error, const char *detail, const char *sentence)
{
        struct channel_ended ended = {
                .status = JOB_STATUS_SETUP_ERROR,
                .step = step,
                .error = error,
        };

        (void) str_copy(ended.detail, sizeof(ended.detail), detail);
        expect(&ended, NULL, false, sentence);
}

START_TEST(test_setup_errors)
{
        expect_setup(SETUP_STEP_EXEC, ENOENT, "", "prog: not found in the sandbox");
        expect_setup(SETUP_STEP_EXEC, EACCES, "", "prog: not an executable program in the sandbox");
        expect_setup(SETUP_STEP_EXEC, EIO, "", "prog: could not be executed: Input/output error");
        expect_setup(SETUP_STEP_RECEIVE, ESTALE, "", RESULT_POLICY_REPLACED);
        expect_setup(SETUP_STEP_LIMITS, ENOTSUP, "pids",
                "this host cannot enforce the limit of pids: see 'sandboxctl doctor', or list it "
                "in "
                "AllowMissing= in sandboxd.conf");
        expect_setup(SETUP_STEP_FILES, ENOSPC, "",
                "the files do not fit into the 1M of /box: raise it with --tmp-size");
        expect_setup(SETUP_STEP_FILES, ENOENT, "",
                "workdir or a file's folder cannot be used (ENOENT): check workdir "
                "'/box/x'");
        expect_setup(SETUP_STEP_FILES, ETIMEDOUT, "",
                "the files did not all come within 1h: send them faster, or as fewer bytes");
        expect_setup(SETUP_STEP_CLONE, EAGAIN, "",
                "the sandbox could not be made: step clone failed with EAGAIN");
        expect_setup(SETUP_STEP_CGROUP, EBUSY, "memory",
                "the sandbox could not be made: step cgroup failed with EBUSY for memory");
        expect_setup(SETUP_STEP_SCOPE, ERFKILL, "Unit sandbox-u2001.slice is masked.",
                "the sandbox got no scope from systemd (Unit sandbox-u2001.slice is masked): run "
                "it "
                "again, or have an administrator see the journal");
        expect_setup(SETUP_STEP_SCOPE, ETIMEDOUT, "no answer in time",
                "the sandbox got no scope from systemd (no answer in time): run it again, or have "
                "an "
                "administrator see the journal");
        expect_setup(SETUP_STEP_LOST, ETIMEDOUT, "",
                "the sandbox was not ready in time: the host is busy, or short of something; run "
                "it "
                "again");
        expect_setup(SETUP_STEP_LOST, ECHILD, "",
                "the sandbox was killed from outside before it could tell the job's end: run it "
                "again, or have an administrator see the journal");
}
END_TEST

START_TEST(test_detail_without_nul)
{
        struct channel_ended ended = {
                .status = JOB_STATUS_SETUP_ERROR,
                .step = 12345,
                .error = 54321,
        };
        struct result_message m = {
                .ended = &ended,
                .profile = &policy.profiles[0],
                .limits = &policy.profiles[0].defaults,
                .command = "prog",
                .workdir = "/box",
        };
        struct error text;

        memset(ended.detail, 'x', sizeof(ended.detail));
        ck_assert_ptr_nonnull(strstr(result_message_format(&m, &text), "step unknown failed"));
        ended.status = 12345;
        ck_assert_str_eq(result_message_format(&m, &text), "");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("result-message");
        TCase *tc = tcase_create("result-message");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_statuses);
        tcase_add_test(tc, test_limits_at_their_maximum);
        tcase_add_test(tc, test_setup_errors);
        tcase_add_test(tc, test_detail_without_nul);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
