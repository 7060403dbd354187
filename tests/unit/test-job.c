/* SPDX-License-Identifier: Apache-2.0 */
/* sources: daemon/frontend/libfrontend.a daemon/wire/libwire.a proto/libproto.a common/libcommon.a
 * libraries: systemd protobuf-c */
/*
 * The states of a job: which may follow which, and nothing else.
 */
#include <check.h>

#include "daemon/frontend/job-state.h"

static const bool allowed[_JOB_STATE_COUNT][_JOB_STATE_COUNT] = {
        [JOB_RECEIVING] = { [JOB_STARTING] = true, [JOB_FINISHED] = true },
        [JOB_STARTING] = { [JOB_RUNNING] = true, [JOB_FINISHED] = true },
        [JOB_RUNNING] = { [JOB_DRAINING] = true, [JOB_FINISHED] = true },
        [JOB_DRAINING] = { [JOB_FINISHED] = true },
};

START_TEST(test_transitions)
{
        for (enum job_state from = 0; from < _JOB_STATE_COUNT; from++)
                for (enum job_state to = 0; to < _JOB_STATE_COUNT; to++)
                        ck_assert_msg(job_state_may_follow(from, to) == allowed[from][to],
                                "%s to %s", job_state_name(from), job_state_name(to));
}
END_TEST

START_TEST(test_names)
{
        for (enum job_state a = 0; a < _JOB_STATE_COUNT; a++)
                for (enum job_state b = 0; b < a; b++)
                        ck_assert_str_ne(job_state_name(a), job_state_name(b));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("job");
        TCase *tc = tcase_create("job");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_transitions);
        tcase_add_test(tc, test_names);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
