/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many requests that wait for one job: they take turns, with each other and with whatever else is asked.
 */
#include "tests/unit/fixture-frontend.h"

#define N 900u /* of those that wait; fewer than a user may have */
#define FIRST 1000u
#define OTHER 5u
#define ID_SIZE 17

static struct client c;
static struct start job;
static char job_id[ID_SIZE];

static void setup_job(void)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;

        setup();
        policy.server.max_jobs_per_user = 4;
        restart();
        client_hello(&c);
        run.detach = true;
        client_run(&c, 2, &run);
        monitor_expect_start(&job);
        (void) snprintf(job_id, sizeof(job_id), "%s",
                client_expect(&c, 2, BODY(STARTED))->started->job_id);
}

static void teardown_job(void)
{
        client_close(&c);
        teardown();
}

static void follow(uint64_t id)
{
        Sandboxd__V1__ReadOutput m = SANDBOXD__V1__READ_OUTPUT__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;

        m.job_id = (ProtobufCBinaryData) { strlen(job_id), (uint8_t *) job_id };
        m.follow = true;
        request.id = id;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_READ_OUTPUT;
        request.read_output = &m;
        client_send(&c, &request);
}

static void wait_for_end(uint64_t id)
{
        Sandboxd__V1__WaitJob m = SANDBOXD__V1__WAIT_JOB__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;

        m.job_id = (ProtobufCBinaryData) { strlen(job_id), (uint8_t *) job_id };
        request.id = id;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_WAIT_JOB;
        request.wait_job = &m;
        client_send(&c, &request);
}

static void begin_many(void (*begin)(uint64_t id))
{
        for (unsigned i = 0; i < N; i++)
                begin(FIRST + i);
        client_wait(&c);
}

/* What comes until it is woken comes at once. */
static void put_to_sleep(void)
{
        int status;

        ck_assert_int_eq(kill(pid, SIGSTOP), 0);
        ck_assert_int_eq(waitpid(pid, &status, WUNTRACED), pid);
        ck_assert(WIFSTOPPED(status));
}

static void wake(void)
{
        client_simple(&c, OTHER, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        ck_assert_int_eq(kill(pid, SIGCONT), 0);
}

/* Takes one response for each that waits, and that to the other request. Returns how many of the first came
 * before it. */
static unsigned receive_all(Sandboxd__V1__Response__BodyCase body)
{
        bool answered[N] = {};
        unsigned before = 0;
        bool other = false;

        for (unsigned n = 0; n < N || !other;) {
                const Sandboxd__V1__Response *r = client_receive(&c);

                ck_assert_ptr_nonnull(r);
                if (r->id == OTHER) {
                        ck_assert_int_eq(r->body_case, BODY(HOST));
                        ck_assert(!other);
                        other = true;
                        before = n;
                        continue;
                }
                ck_assert_int_eq(r->body_case, body);
                ck_assert(!answered[r->id - FIRST]);
                answered[r->id - FIRST] = true;
                n++;
        }
        return before;
}

START_TEST(test_output)
{
        begin_many(follow);
        put_to_sleep();
        ck_assert_int_eq(io_write_full(job.fds[CHANNEL_FD_STDOUT], "abc", 3), 0);
        wake();
        ck_assert_uint_lt(receive_all(BODY(OUTPUT)), N / 2);
        put_to_sleep();
        monitor_end(&job, JOB_STATUS_OK);
        wake();
        (void) receive_all(BODY(OUTPUT_END));
}
END_TEST

START_TEST(test_end)
{
        begin_many(wait_for_end);
        /* All that is missing is that the sandbox is gone. */
        io_close_all(job.fds, job.n_fds);
        client_wait(&c);
        put_to_sleep();
        monitor_ended(&job, &(struct channel_ended) { .status = JOB_STATUS_OK }, -EBADF);
        wake();
        ck_assert_uint_lt(receive_all(BODY(RESULT)), N / 2);
        monitor_send(CHANNEL_OP_GONE, job.message.header.job);
}
END_TEST

/* Those whose turn has not come when the result goes are told it nevertheless. */
START_TEST(test_end_without_results)
{
        policy.server.max_results_per_user = 0;
        monitor_reload(2);
        monitor_expect_retire(1);
        begin_many(wait_for_end);
        monitor_end(&job, JOB_STATUS_OK);
        client_simple(&c, OTHER, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        (void) receive_all(BODY(RESULT));
}
END_TEST

/* The daemon does not stop before they are told. */
START_TEST(test_stop)
{
        begin_many(wait_for_end);
        put_to_sleep();
        monitor_end(&job, JOB_STATUS_OK);
        monitor_send(CHANNEL_OP_STOP, 0);
        ck_assert_int_eq(kill(pid, SIGCONT), 0);
        for (unsigned i = 0; i < N; i++)
                ck_assert_int_eq(client_receive(&c)->body_case, BODY(RESULT));
        expect_exit();
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("frontend-watch");
        TCase *tc = tcase_create("frontend-watch");

        tcase_add_checked_fixture(tc, setup_job, teardown_job);
        tcase_add_test(tc, test_output);
        tcase_add_test(tc, test_end);
        tcase_add_test(tc, test_end_without_results);
        tcase_add_test(tc, test_stop);
        suite_add_tcase(suite, tc);
        return run_suite(suite);
}
