/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of a job: which may follow which. And that a kill which could not be sent is sent later.
 */
#include <check.h>
#include <sys/socket.h>

#include "common/io.h"
#include "daemon/frontend/job.h"

static const bool allowed[_JOB_STATE_COUNT][_JOB_STATE_COUNT] = {
        [JOB_RECEIVING] = { [JOB_QUEUED] = true, [JOB_STARTING] = true, [JOB_FINISHED] = true },
        [JOB_QUEUED] = { [JOB_STARTING] = true, [JOB_FINISHED] = true },
        [JOB_STARTING] = { [JOB_FEEDING] = true, [JOB_RUNNING] = true, [JOB_FINISHED] = true },
        [JOB_FEEDING] = { [JOB_RUNNING] = true, [JOB_DRAINING] = true, [JOB_FINISHED] = true },
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

START_TEST(test_kill_is_sent_once)
{
        static struct frontend f = { .channel.fd = -EBADF };
        struct job job = { .frontend = &f, .id = 7, .state = JOB_RUNNING };
        struct channel_kill kill;
        int pair[2];

        TAILQ_INIT(&f.channel.pending);
        job_kill(&job, JOB_STATUS_CANCELLED);
        ck_assert(!job.killed);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
        f.channel.fd = pair[1];
        job_kill(&job, JOB_STATUS_OUTPUT_LIMIT);
        job_kill(&job, JOB_STATUS_CANCELLED);
        ck_assert(job.killed);
        ck_assert_int_eq(io_receive_message(pair[0], &kill, sizeof(kill), NULL, 0, NULL),
                sizeof(kill));
        ck_assert_uint_eq(kill.header.job, 7);
        ck_assert_uint_eq(kill.cause, JOB_STATUS_OUTPUT_LIMIT);
        ck_assert_int_eq(io_receive_message(pair[0], &kill, sizeof(kill), NULL, 0, NULL), -EAGAIN);
        io_close_all(pair, 2);
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
        tcase_add_test(tc, test_kill_is_sent_once);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
