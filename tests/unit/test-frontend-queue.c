/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that wait for a slot or for the host, seen by clients, and what root may do with all of them: drain,
 * resume and stop-all.
 */
#include "tests/unit/fixture-jobs.h"

/* One runs, as many as may, and the next waits. */
static void expect_queued(struct client *c, uint64_t id, Sandboxd__V1__Run *run, uint32_t position,
        char job_id[static ID_SIZE])
{
        const Sandboxd__V1__Queued *m;

        client_run(c, id, run);
        m = client_expect(c, id, BODY(QUEUED))->queued;
        ck_assert_uint_eq(m->position, position);
        ck_assert_uint_eq(strlen(m->job_id), 16);
        (void) snprintf(job_id, ID_SIZE, "%s", m->job_id);
}

static void restart_with_one_slot(void)
{
        policy.server.max_jobs_per_user = 1;
        restart();
}

START_TEST(test_queue)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char ids[4][ID_SIZE];
        struct client c;
        struct start s;

        restart_with_one_slot();
        client_hello(&c);
        begin_attached(&c, 2, &s, ids[0]);
        for (uint32_t i = 1; i < 4; i++)
                expect_queued(&c, 2 + i, &run, i, ids[i]);
        client_run(&c, 9, &run);
        client_expect_error(&c, 9, ERROR_CODE(BUSY), "MaxQueuedPerUser=");
        ck_assert_uint_gt(c.last->error->retry_after_usec, 0);
        ck_assert_uint_eq(get_host(&c)->queued_jobs, 3);
        ck_assert_uint_eq(get_host(&c)->running_jobs, 1);
        ck_assert_int_eq(get_job(&c, 20, ids[1])->state, JOB_STATE(QUEUED));
        ask(&c, 21, REQUEST(SIGNAL_JOB), ids[1]);
        client_expect_error(&c, 21, ERROR_CODE(NOT_RUNNING), "does not run yet");
        monitor_expect_silence();
        for (uint32_t i = 1; i < 4; i++) {
                expect_end(&c, 1 + i, &s);
                monitor_expect_start(&s);
                ck_assert_str_eq(client_expect(&c, 2 + i, BODY(STARTED))->started->job_id, ids[i]);
        }
        monitor_end(&s, JOB_STATUS_OK);
        ck_assert_uint_gt(client_expect(&c, 5, BODY(RESULT))->result->queued_usec, 0);
        expect_service(&c, 6);
        client_close(&c);
}
END_TEST

START_TEST(test_no_queue)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        char id[ID_SIZE];
        struct start s;

        policy.server.max_queued_per_user = 0;
        restart_with_one_slot();
        client_hello(&c);
        begin_attached(&c, 2, &s, id);
        client_run(&c, 3, &run);
        client_expect_error(&c, 3, ERROR_CODE(BUSY), "MaxJobsPerUser=");
        expect_end(&c, 2, &s);
        expect_service(&c, 4);
        client_close(&c);
}
END_TEST

START_TEST(test_queue_of_all)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        char id[ID_SIZE];
        struct start s;

        policy.server.max_jobs = 1;
        policy.server.max_queued = 1;
        restart();
        client_hello(&c);
        begin_attached(&c, 2, &s, id);
        expect_queued(&c, 3, &run, 1, id);
        client_run(&c, 4, &run);
        client_expect_error(&c, 4, ERROR_CODE(BUSY), "MaxQueued=");
        expect_end(&c, 2, &s);
        expect_begin(&c, 3, &s);
        expect_end(&c, 3, &s);
        client_close(&c);
}
END_TEST

START_TEST(test_queue_and_cancel)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char ids[3][ID_SIZE];
        struct client c;
        struct start s;

        restart_with_one_slot();
        client_hello(&c);
        begin_attached(&c, 2, &s, ids[0]);
        expect_queued(&c, 3, &run, 1, ids[1]);
        expect_queued(&c, 4, &run, 2, ids[2]);
        client_simple(&c, 3, REQUEST(CANCEL));
        ck_assert_int_eq(client_expect(&c, 3, BODY(RESULT))->result->status, STATUS(CANCELLED));
        ask(&c, 5, REQUEST(CANCEL_JOB), ids[2]);
        client_expect(&c, 5, BODY(DONE));
        ck_assert_int_eq(client_expect(&c, 4, BODY(RESULT))->result->status, STATUS(CANCELLED));
        ck_assert_uint_eq(get_host(&c)->queued_jobs, 0);
        expect_end(&c, 2, &s);
        monitor_expect_silence();
        expect_service(&c, 6);
        client_close(&c);
}
END_TEST

/* Who waits for his turn when his client goes: an attached one does not get it, a detached one does. */
START_TEST(test_queue_and_a_client_that_vanishes)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char ids[3][ID_SIZE];
        struct client c, other;
        struct start s;

        restart_with_one_slot();
        client_hello(&c);
        client_hello(&other);
        begin_detached(&other, 2, &s, ids[0]);
        expect_queued(&c, 3, &run, 1, ids[1]);
        run.detach = true;
        expect_queued(&c, 4, &run, 2, ids[2]);
        client_close(&c);
        ask(&other, 5, REQUEST(WAIT_JOB), ids[1]);
        ck_assert_int_eq(client_expect(&other, 5, BODY(RESULT))->result->status, STATUS(CANCELLED));
        ck_assert_uint_eq(get_host(&other)->queued_jobs, 1);
        monitor_end(&s, JOB_STATUS_OK);
        monitor_expect_start(&s);
        ck_assert_int_eq(get_host(&other)->queued_jobs, 0);
        monitor_end(&s, JOB_STATUS_OK);
        ask(&other, 6, REQUEST(WAIT_JOB), ids[2]);
        ck_assert_int_eq(client_expect(&other, 6, BODY(RESULT))->result->status, STATUS(OK));
        client_close(&other);
}
END_TEST

/* One of whose files nothing is left to be sent when it is queued: what is on its way into the sandbox when its
 * client leaves needs no client. */
START_TEST(test_queue_and_a_client_that_leaves)
{
        const size_t size = 600 * KIB;
        _cleanup_free_ uint8_t *data = calloc(1, size), *buffer = malloc(size);
        Sandboxd__V1__File files[2], *items[2];
        Sandboxd__V1__Run run;
        char ids[2][ID_SIZE];
        struct client c, other;
        struct start s;
        int input;

        policy.profiles[0].maximums.value[LIMIT_FILES_SIZE] = 4 * MIB;
        policy.profiles[0].maximums.value[LIMIT_TMP_SIZE] = 4 * MIB;
        policy.profiles[0].defaults = policy.profiles[0].maximums;
        policy.server.max_upload_per_user = 4 * MIB;
        restart_with_one_slot();
        client_hello(&c);
        client_hello(&other);
        begin_detached(&other, 2, &s, ids[0]);
        run_with_files(&run, files, items);
        for (size_t i = 0; i < 2; i++) {
                files[i].data = (ProtobufCBinaryData) { size, data };
                files[i].size = size;
        }
        run.detach = true;
        expect_queued(&c, 3, &run, 1, ids[1]);
        monitor_end(&s, JOB_STATUS_OK);
        monitor_expect_start(&s);
        ck_assert(s.message.flags & CHANNEL_START_INPUT);
        client_close(&c);
        monitor_expect_silence();
        input = TAKE_FD(s.fds[--s.n_fds]);
        ck_assert_int_eq(io_read_full(input, buffer, size), (ssize_t) size);
        (void) close(input);
        monitor_end(&s, JOB_STATUS_OK);
        ask(&other, 6, REQUEST(WAIT_JOB), ids[1]);
        ck_assert_int_eq(client_expect(&other, 6, BODY(RESULT))->result->status, STATUS(OK));
        client_close(&other);
}
END_TEST

/* Files of one that waits for a slot are received all the same, and a later one does not overtake. */
START_TEST(test_queue_and_an_upload)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char ids[2][ID_SIZE];
        struct client c;
        struct start s;

        restart_with_one_slot();
        client_hello(&c);
        begin_attached(&c, 2, &s, ids[0]);
        client_run_upload(&c, 3);
        expect_queued(&c, 4, &run, 1, ids[1]);
        expect_end(&c, 2, &s);
        expect_begin(&c, 4, &s);
        client_simple(&c, 3, REQUEST(CANCEL));
        client_expect(&c, 3, BODY(RESULT));
        expect_end(&c, 4, &s);
        expect_service(&c, 6);
        client_close(&c);
}
END_TEST

/* Nothing of it is lost, not even its end: it is too early. */
START_TEST(test_queue_and_stdin)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char ids[2][ID_SIZE];
        struct client c, other;
        struct start s;

        restart_with_one_slot();
        client_hello(&c);
        client_hello(&other);
        begin_attached(&other, 2, &s, ids[0]);
        run.stdin = true;
        expect_queued(&c, 3, &run, 1, ids[1]);
        client_stdin(&c, 3, "", 0, true);
        client_expect_error(&c, 3, ERROR_CODE(BAD_REQUEST), "wait for Started");
        client_expect_end(&c);
        expect_end(&other, 2, &s);
        expect_service(&other, 3);
        client_close(&c);
        client_close(&other);
}
END_TEST

/* Strings are held as long as a job waits, and count as what waits. */
START_TEST(test_queue_is_charged)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        static uint8_t text[120 * KIB];
        ProtobufCBinaryData argv[7];
        char id[ID_SIZE];
        struct client c;
        struct start s;

        restart_with_one_slot();
        memset(text, 'x', sizeof(text));
        for (size_t i = 0; i < ELEMENTSOF(argv); i++)
                argv[i] = (ProtobufCBinaryData) { sizeof(text), text };
        client_hello(&c);
        begin_attached(&c, 2, &s, id);
        run.n_argv = ELEMENTSOF(argv);
        run.argv = argv;
        expect_queued(&c, 3, &run, 1, id);
        expect_queued(&c, 6, &run, 2, id);
        client_run(&c, 4, &run);
        client_expect_error(&c, 4, ERROR_CODE(BUSY), "MaxUploadPerUser=");
        client_simple(&c, 3, REQUEST(CANCEL));
        client_expect(&c, 3, BODY(RESULT));
        client_simple(&c, 6, REQUEST(CANCEL));
        client_expect(&c, 6, BODY(RESULT));
        expect_queued(&c, 5, &run, 1, id);
        expect_end(&c, 2, &s);
        expect_begin(&c, 5, &s);
        expect_end(&c, 5, &s);
        client_close(&c);
}
END_TEST

START_TEST(test_queue_and_stop)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char ids[2][ID_SIZE];
        struct client c;
        struct start s;

        restart_with_one_slot();
        client_hello(&c);
        begin_attached(&c, 2, &s, ids[0]);
        expect_queued(&c, 3, &run, 1, ids[1]);
        monitor_send(CHANNEL_OP_STOP, 0);
        client_expect_error(&c, 3, ERROR_CODE(DRAINING), "stopping");
        start_close(&s);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_CANCELLED }, -EBADF);
        client_expect(&c, 2, BODY(RESULT));
        client_expect_error(&c, 0, ERROR_CODE(DRAINING), "stopping");
        client_expect_end(&c);
        expect_exit();
        client_close(&c);
}
END_TEST

/* A reload gives what waits a while, and more slots at once. */
START_TEST(test_queue_and_reload)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char ids[4][ID_SIZE];
        struct client c, other;
        struct start s, second;

        plan_grace_usec = 100 * USEC_PER_MSEC;
        restart_with_one_slot();
        client_hello(&c);
        client_hello(&other);
        begin_attached(&c, 2, &s, ids[0]);
        expect_queued(&c, 3, &run, 1, ids[1]);
        expect_queued(&c, 4, &run, 2, ids[2]);
        run.detach = true;
        expect_queued(&other, 5, &run, 3, ids[3]);
        client_close(&other);
        policy.server.max_jobs_per_user = 2;
        monitor_reload(2);
        monitor_expect_start(&second);
        ck_assert_uint_eq(second.message.generation, 1);
        client_expect(&c, 3, BODY(STARTED));
        client_expect_error(&c, 4, ERROR_CODE(BUSY), "send the job again");
        monitor_expect_retire(1);
        ask(&c, 6, REQUEST(WAIT_JOB), ids[3]);
        client_expect(&c, 6, BODY(RESULT));
        ck_assert_int_eq(c.last->result->status, STATUS(SETUP_ERROR));
        ck_assert_ptr_nonnull(strstr(c.last->result->message, "send the job again"));
        expect_end(&c, 3, &second);
        expect_end(&c, 2, &s);
        client_close(&c);
}
END_TEST

static void monitor_backlog(bool behind)
{
        struct channel_backlog m = { .behind = behind };

        channel_header_init(&m.header, CHANNEL_OP_BACKLOG, sizeof(m), 0);
        ck_assert_int_eq(io_send_message(channel, &m, sizeof(m), NULL, 0), 0);
}

/* While the host is behind no job is started, and all else goes on: results, signals, cancels. */
START_TEST(test_backlog)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct channel_signal signal;
        char id[ID_SIZE];
        struct client c;
        struct start s, next;

        client_hello(&c);
        begin_attached(&c, 2, &s, id);
        monitor_backlog(true);
        for (uint64_t i = 3; i < 6; i++)
                client_run(&c, i, &run);
        monitor_expect_silence();
        ask(&c, 7, REQUEST(SIGNAL_JOB), id);
        client_expect(&c, 7, BODY(DONE));
        ck_assert_int_eq(io_receive_message(channel, &signal, sizeof(signal), NULL, 0, NULL),
                sizeof(signal));
        ck_assert_int_eq(signal.header.op, CHANNEL_OP_SIGNAL);
        client_simple(&c, 4, REQUEST(CANCEL));
        ck_assert_int_eq(client_expect(&c, 4, BODY(RESULT))->result->status, STATUS(CANCELLED));
        /* A slot that becomes free is not used either. */
        expect_end(&c, 2, &s);
        monitor_backlog(true);
        monitor_expect_silence();
        monitor_backlog(false);
        monitor_expect_start(&s);
        monitor_expect_start(&next);
        client_expect(&c, 3, BODY(STARTED));
        client_expect(&c, 5, BODY(STARTED));
        expect_end(&c, 3, &s);
        monitor_end(&next, JOB_STATUS_OK);
        ck_assert_uint_gt(client_expect(&c, 5, BODY(RESULT))->result->queued_usec, 0);
        expect_service(&c, 8);
        client_close(&c);
}
END_TEST

/* Slots and the queue are bounded as ever, and who may have a slot is not refused. */
START_TEST(test_backlog_and_the_queue)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char ids[4][ID_SIZE];
        struct client c;
        struct start s;

        restart_with_one_slot();
        client_hello(&c);
        monitor_backlog(true);
        client_run(&c, 2, &run);
        for (uint32_t i = 1; i < 4; i++)
                expect_queued(&c, 2 + i, &run, i, ids[i]);
        client_run(&c, 6, &run);
        client_expect_error(&c, 6, ERROR_CODE(BUSY), "MaxQueuedPerUser=");
        monitor_expect_silence();
        monitor_backlog(false);
        for (uint64_t i = 2; i < 6; i++) {
                expect_begin(&c, i, &s);
                expect_end(&c, i, &s);
        }
        client_close(&c);
}
END_TEST

START_TEST(test_backlog_and_stop)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;

        client_hello(&c);
        monitor_backlog(true);
        client_run(&c, 2, &run);
        monitor_expect_silence();
        monitor_send(CHANNEL_OP_STOP, 0);
        client_expect_error(&c, 2, ERROR_CODE(DRAINING), "stopping");
        client_expect_error(&c, 0, ERROR_CODE(DRAINING), "stopping");
        client_expect_end(&c);
        expect_exit();
        client_close(&c);
}
END_TEST

START_TEST(test_drain)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char ids[2][ID_SIZE];
        struct client c;
        struct start s;

        restart_with_one_slot();
        client_hello(&c);
        if (getuid() != 0) {
                for (unsigned body = REQUEST(DRAIN); body <= REQUEST(STOP_ALL); body++) {
                        order(&c, 2, body);
                        client_expect_error(&c, 2, ERROR_CODE(DENIED), "root");
                }
                client_close(&c);
                return;
        }
        begin_attached(&c, 2, &s, ids[0]);
        expect_queued(&c, 3, &run, 1, ids[1]);
        order(&c, 4, REQUEST(DRAIN));
        client_expect(&c, 4, BODY(DONE));
        ck_assert(get_host(&c)->draining);
        client_run(&c, 5, &run);
        client_expect_error(&c, 5, ERROR_CODE(DRAINING), "sandboxctl resume");
        /* What runs or waits goes on. */
        expect_end(&c, 2, &s);
        expect_begin(&c, 3, &s);
        expect_end(&c, 3, &s);
        order(&c, 6, REQUEST(RESUME));
        client_expect(&c, 6, BODY(DONE));
        ck_assert(!get_host(&c)->draining);
        expect_service(&c, 7);
        client_close(&c);
}
END_TEST

START_TEST(test_stop_all)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char ids[2][ID_SIZE];
        struct client c, other;
        struct start s;

        if (getuid() != 0)
                return;
        restart_with_one_slot();
        client_hello(&c);
        client_hello(&other);
        begin_attached(&c, 2, &s, ids[0]);
        expect_queued(&c, 3, &run, 1, ids[1]);
        client_run_upload(&c, 4);
        client_wait(&c);
        order(&other, 5, REQUEST(STOP_ALL));
        client_expect(&other, 5, BODY(DONE));
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        for (size_t i = 0; i < 2; i++) {
                ck_assert_int_eq(client_receive(&c)->body_case, BODY(RESULT));
                ck_assert_int_eq(c.last->result->status, STATUS(CANCELLED));
        }
        monitor_end(&s, JOB_STATUS_CANCELLED);
        client_expect(&c, 2, BODY(RESULT));
        expect_service(&c, 6);
        client_close(&c);
        client_close(&other);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("frontend-queue");
        TCase *tc = tcase_create("frontend-queue");

        tcase_add_checked_fixture(tc, setup_jobs, teardown);
        tcase_set_timeout(tc, 30);
        tcase_add_test(tc, test_queue);
        tcase_add_test(tc, test_no_queue);
        tcase_add_test(tc, test_queue_of_all);
        tcase_add_test(tc, test_queue_and_cancel);
        tcase_add_test(tc, test_queue_and_a_client_that_vanishes);
        tcase_add_test(tc, test_queue_and_a_client_that_leaves);
        tcase_add_test(tc, test_queue_and_an_upload);
        tcase_add_test(tc, test_queue_and_stdin);
        tcase_add_test(tc, test_queue_is_charged);
        tcase_add_test(tc, test_queue_and_stop);
        tcase_add_test(tc, test_queue_and_reload);
        tcase_add_test(tc, test_backlog);
        tcase_add_test(tc, test_backlog_and_the_queue);
        tcase_add_test(tc, test_backlog_and_stop);
        tcase_add_test(tc, test_drain);
        tcase_add_test(tc, test_stop_all);
        suite_add_tcase(suite, tc);
        return run_suite(suite);
}
