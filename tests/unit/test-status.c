/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names, wire numbers and exit codes of verdicts: users and other programs rely on each of them.
 */
#include <check.h>

#include "common/status.h"

struct verdict {
        enum job_status status;
        int number;
        const char *name;
        int exit_code;
};

/* Of a job that exited 3, or died of SIGSEGV. */
static const struct verdict verdicts[] = {
        { JOB_STATUS_NONE, 0, "NONE", 125 },
        { JOB_STATUS_OK, 1, "OK", 0 },
        { JOB_STATUS_EXITED, 2, "EXITED", 3 },
        { JOB_STATUS_SIGNALED, 3, "SIGNALED", 139 },
        { JOB_STATUS_TIMEOUT, 4, "TIMEOUT", 124 },
        { JOB_STATUS_CPU_LIMIT, 5, "CPU_LIMIT", 152 },
        { JOB_STATUS_MEMORY_LIMIT, 6, "MEMORY_LIMIT", 137 },
        { JOB_STATUS_OUTPUT_LIMIT, 7, "OUTPUT_LIMIT", 153 },
        { JOB_STATUS_VIOLATION, 8, "VIOLATION", 159 },
        { JOB_STATUS_CANCELLED, 9, "CANCELLED", 143 },
        { JOB_STATUS_SETUP_ERROR, 10, "SETUP_ERROR", 125 },
};

START_TEST(test_verdict)
{
        const struct verdict *v = &verdicts[_i];

        ck_assert_int_eq((int) v->status, v->number);
        ck_assert_str_eq(job_status_name(v->status), v->name);
        ck_assert_int_eq(job_status_exit_code(v->status, 3, 11, "", 0), v->exit_code);
}
END_TEST

START_TEST(test_all_are_here)
{
        ck_assert_uint_eq(ELEMENTSOF(verdicts), _JOB_STATUS_COUNT);
        ck_assert_str_eq(job_status_name(_JOB_STATUS_COUNT), "UNKNOWN");
        ck_assert_str_eq(job_status_name((enum job_status) - 1), "UNKNOWN");
}
END_TEST

START_TEST(test_failed_exec)
{
        ck_assert_int_eq(job_status_exit_code(JOB_STATUS_SETUP_ERROR, 0, 0, "exec", ENOENT), 127);
        ck_assert_int_eq(job_status_exit_code(JOB_STATUS_SETUP_ERROR, 0, 0, "exec", EACCES), 126);
        ck_assert_int_eq(job_status_exit_code(JOB_STATUS_SETUP_ERROR, 0, 0, "exec", ENOEXEC), 126);
        /* Only the exec's own errno says that the program is not there. */
        ck_assert_int_eq(job_status_exit_code(JOB_STATUS_SETUP_ERROR, 0, 0, "files", ENOENT), 125);
}
END_TEST

START_TEST(test_steps)
{
        ck_assert_str_eq(setup_step_name(SETUP_STEP_NONE), "");
        for (int i = 1; i < _SETUP_STEP_COUNT; i++) {
                ck_assert_msg(!strnull(setup_step_name(i)), "step %d has no name", i);
                for (int j = 1; j < i; j++)
                        ck_assert_str_ne(setup_step_name(i), setup_step_name(j));
        }
        ck_assert_str_eq(setup_step_name(SETUP_STEP_EXEC), "exec");
        ck_assert_str_eq(setup_step_name(_SETUP_STEP_COUNT), "unknown");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("status");
        TCase *t = tcase_create("status");
        SRunner *runner;
        int failed;

        tcase_add_loop_test(t, test_verdict, 0, ELEMENTSOF(verdicts));
        tcase_add_test(t, test_all_are_here);
        tcase_add_test(t, test_failed_exec);
        tcase_add_test(t, test_steps);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
