/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a job ended, first cause first: one table.
 */
#include <check.h>
#include <signal.h>
#include <sys/wait.h>

#include "daemon/monitor/verdict.h"

static const struct {
        struct ending ending;
        struct verdict verdict;
} table[] = {
        { { .code = CLD_EXITED }, { .status = JOB_STATUS_OK } },
        { { .code = CLD_EXITED, .status = 3 }, { .status = JOB_STATUS_EXITED, .exit_code = 3 } },
        { { .code = CLD_KILLED, .status = SIGSEGV },
                { .status = JOB_STATUS_SIGNALED, .signal = SIGSEGV } },
        { { .code = CLD_DUMPED, .status = SIGABRT },
                { .status = JOB_STATUS_SIGNALED, .signal = SIGABRT } },
        { { .code = CLD_KILLED, .status = SIGSYS },
                { .status = JOB_STATUS_VIOLATION, .signal = SIGSYS } },
        /* killed by the monitor: its reason, whatever the payload made of it */
        { { .cause = JOB_STATUS_TIMEOUT, .code = CLD_KILLED, .status = SIGKILL },
                { .status = JOB_STATUS_TIMEOUT } },
        { { .cause = JOB_STATUS_CANCELLED }, { .status = JOB_STATUS_CANCELLED } },
        { { .cause = JOB_STATUS_TIMEOUT, .oom_kills = 1 }, { .status = JOB_STATUS_TIMEOUT } },
        /* an OOM kill counts, also when the payload went on to exit well */
        { { .oom_kills = 1, .code = CLD_KILLED, .status = SIGKILL },
                { .status = JOB_STATUS_MEMORY_LIMIT } },
        { { .oom_kills = 2, .code = CLD_EXITED }, { .status = JOB_STATUS_MEMORY_LIMIT } },
        { { .oom_kills = 1, .step = SETUP_STEP_EXEC, .error = ENOMEM },
                { .status = JOB_STATUS_MEMORY_LIMIT } },
        { { .step = SETUP_STEP_EXEC, .error = ENOENT, .code = CLD_EXITED, .status = 1 },
                { .status = JOB_STATUS_SETUP_ERROR, .step = SETUP_STEP_EXEC, .error = ENOENT } },
        { { .cause = JOB_STATUS_CANCELLED, .step = SETUP_STEP_PROC, .error = EPERM },
                { .status = JOB_STATUS_CANCELLED } },
        /* init died without a word */
        { {}, { .status = JOB_STATUS_SETUP_ERROR, .step = SETUP_STEP_LOST, .error = ECHILD } },
};

START_TEST(test_table)
{
        struct verdict v = verdict_of(&table[_i].ending);

        ck_assert_int_eq(v.status, table[_i].verdict.status);
        ck_assert_int_eq(v.exit_code, table[_i].verdict.exit_code);
        ck_assert_int_eq(v.signal, table[_i].verdict.signal);
        ck_assert_int_eq(v.step, table[_i].verdict.step);
        ck_assert_int_eq(v.error, table[_i].verdict.error);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("verdict");
        TCase *tc = tcase_create("verdict");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_loop_test(tc, test_table, 0, ELEMENTSOF(table));
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
