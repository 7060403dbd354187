/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Watches of all jobs: what they are told and when, whose jobs they see, and what becomes of those that
 * are not read.
 */
#include "daemon/frontend/watch-jobs.h"
#include "tests/unit/fixture-jobs.h"

#define KIND(name) SANDBOXD__V1__JOB_EVENT__KIND__##name
#define WATCH 77
#define ALICE 12345

static struct client c, watcher;
static struct start s;
static char id[ID_SIZE], other[ID_SIZE];

static void setup_watch(void)
{
        setup_jobs();
        policy.server.max_results_per_user = 1;
        restart();
        client_hello(&c);
        client_hello(&watcher);
}

static void teardown_watch(void)
{
        client_close(&c);
        client_close(&watcher);
        teardown();
}

static void watch(struct client *w, uint64_t request)
{
        Sandboxd__V1__Request m = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__WatchJobs body = SANDBOXD__V1__WATCH_JOBS__INIT;

        m.id = request;
        m.body_case = REQUEST(WATCH_JOBS);
        m.watch_jobs = &body;
        client_send(w, &m);
}

/* The next event; output of a job may come between. */
static const Sandboxd__V1__JobEvent *expect_any(struct client *w)
{
        const Sandboxd__V1__Response *r;

        do {
                r = client_receive(w);
                ck_assert_ptr_nonnull(r);
        } while (r->body_case == BODY(OUTPUT));
        ck_assert_int_eq(r->body_case, BODY(JOB_EVENT));
        ck_assert_uint_eq(r->id, WATCH);
        return r->job_event;
}

static const Sandboxd__V1__JobEvent *expect_kind(struct client *w,
        Sandboxd__V1__JobEvent__Kind kind)
{
        const Sandboxd__V1__JobEvent *e = expect_any(w);

        ck_assert_int_eq(e->kind, kind);
        return e;
}

static const Sandboxd__V1__Job *expect_job(struct client *w, Sandboxd__V1__JobEvent__Kind kind,
        const char *job_id, Sandboxd__V1__JobState state)
{
        const Sandboxd__V1__JobEvent *e = expect_kind(w, kind);

        ck_assert_ptr_nonnull(e->job);
        ck_assert_ptr_null(e->host);
        ck_assert_str_eq(e->job->job_id, job_id);
        ck_assert_int_eq(e->job->state, state);
        ck_assert_int_eq(e->job->result != NULL, state == JOB_STATE(FINISHED));
        return e->job;
}

/* Nothing but the id. */
static void expect_removed(struct client *w, const char *job_id)
{
        const Sandboxd__V1__Job *job =
                expect_job(w, KIND(REMOVED), job_id, JOB_STATE(JOB_STATE_UNSPECIFIED));

        ck_assert_str_eq(job->runtime, "");
        ck_assert_uint_eq(job->created_at_usec, 0);
}

static void expect_current(struct client *w)
{
        const Sandboxd__V1__JobEvent *e = expect_kind(w, KIND(HOST));

        ck_assert_ptr_nonnull(e->host);
        ck_assert_str_eq(e->host->driver, policy.driver);
        e = expect_kind(w, KIND(CURRENT));
        ck_assert_ptr_null(e->job);
        ck_assert_ptr_null(e->host);
}

static void begin_watch(struct client *w)
{
        watch(w, WATCH);
        expect_current(w);
}

/* Whatever was to be said is said before the answer to what is asked next. */
static void expect_nothing(struct client *w)
{
        client_wait(w);
}

/* A detached job that has ended. */
static void run_job(struct client *of, char job_id[static ID_SIZE])
{
        begin_detached(of, 500, &s, job_id);
        monitor_end(&s, JOB_STATUS_OK);
        ask(of, 501, REQUEST(WAIT_JOB), job_id);
        client_expect(of, 501, BODY(RESULT));
}

START_TEST(test_what_there_is)
{
        run_job(&c, id);
        begin_detached(&c, 2, &s, other);
        watch(&watcher, WATCH);
        expect_job(&watcher, KIND(ADDED), id, JOB_STATE(FINISHED));
        expect_job(&watcher, KIND(ADDED), other, JOB_STATE(RUNNING));
        expect_current(&watcher);
        monitor_end(&s, JOB_STATUS_OK);
}
END_TEST

START_TEST(test_life_of_a_job)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        const Sandboxd__V1__Job *job;

        begin_watch(&watcher);
        run.label = bytes_of("the label");
        run.detach = true;
        begin_job(&c, 2, &run, &s, id);
        job = expect_job(&watcher, KIND(ADDED), id, JOB_STATE(RUNNING));
        ck_assert_uint_eq(job->owner_uid, geteuid());
        ck_assert_str_eq(job->runtime, "command");
        ck_assert_uint_eq(job->label.len, strlen("the label"));
        ck_assert_uint_gt(job->started_at_usec, 0);
        expect_nothing(&watcher);
        monitor_end(&s, JOB_STATUS_TIMEOUT);
        job = expect_job(&watcher, KIND(CHANGED), id, JOB_STATE(FINISHED));
        ck_assert_int_eq(job->result->status, STATUS(TIMEOUT));
        ck_assert_uint_gt(job->ended_at_usec, 0);
        /* The next that ends takes its place. */
        begin_detached(&c, 3, &s, other);
        expect_job(&watcher, KIND(ADDED), other, JOB_STATE(RUNNING));
        monitor_end(&s, JOB_STATUS_OK);
        expect_job(&watcher, KIND(CHANGED), other, JOB_STATE(FINISHED));
        expect_removed(&watcher, id);
}
END_TEST

START_TEST(test_states_before_it_runs)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct start first[4];
        char ids[4][ID_SIZE];

        begin_watch(&watcher);
        for (size_t i = 0; i < 4; i++) {
                begin_detached(&c, 10 + i, &first[i], ids[i]);
                expect_job(&watcher, KIND(ADDED), ids[i], JOB_STATE(RUNNING));
        }
        client_run_upload(&c, 2);
        ck_assert_int_eq(expect_kind(&watcher, KIND(ADDED))->job->state, JOB_STATE(RECEIVING));
        (void) str_copy(id, sizeof(id), watcher.last->job_event->job->job_id);
        /* It never was. */
        client_close(&c);
        expect_removed(&watcher, id);
        client_hello(&c);
        client_run(&c, 3, &run);
        (void) str_copy(id, sizeof(id), client_expect(&c, 3, BODY(QUEUED))->queued->job_id);
        expect_job(&watcher, KIND(ADDED), id, JOB_STATE(QUEUED));
        client_simple(&c, 3, REQUEST(CANCEL));
        ck_assert_int_eq(expect_job(&watcher, KIND(CHANGED), id, JOB_STATE(FINISHED))
                                 ->result->status,
                STATUS(CANCELLED));
        client_expect(&c, 3, BODY(RESULT));
        client_run(&c, 4, &run);
        (void) str_copy(id, sizeof(id), client_expect(&c, 4, BODY(QUEUED))->queued->job_id);
        expect_job(&watcher, KIND(ADDED), id, JOB_STATE(QUEUED));
        monitor_end(&first[0], JOB_STATUS_OK);
        expect_job(&watcher, KIND(CHANGED), ids[0], JOB_STATE(FINISHED));
        monitor_expect_start(&s);
        while (!streq(expect_any(&watcher)->job->job_id, id))
                ;
        ck_assert_int_eq(watcher.last->job_event->kind, KIND(CHANGED));
        ck_assert_int_eq(watcher.last->job_event->job->state, JOB_STATE(RUNNING));
        monitor_end(&s, JOB_STATUS_OK);
        for (size_t i = 1; i < 4; i++)
                monitor_end(&first[i], JOB_STATUS_OK);
}
END_TEST

START_TEST(test_own_jobs_alone)
{
        struct start alices;
        struct client alice, runs;

        client_hello_as(&alice, ALICE);
        client_hello_as(&runs, ALICE);
        begin_watch(&alice);
        begin_watch(&watcher);
        begin_detached(&c, 2, &s, id);
        expect_job(&watcher, KIND(ADDED), id, JOB_STATE(RUNNING));
        begin_detached(&runs, 2, &alices, other);
        expect_job(&watcher, KIND(ADDED), other, JOB_STATE(RUNNING));
        expect_job(&alice, KIND(ADDED), other, JOB_STATE(RUNNING));
        monitor_end(&s, JOB_STATUS_OK);
        expect_job(&watcher, KIND(CHANGED), id, JOB_STATE(FINISHED));
        monitor_end(&alices, JOB_STATUS_OK);
        expect_job(&watcher, KIND(CHANGED), other, JOB_STATE(FINISHED));
        expect_job(&alice, KIND(CHANGED), other, JOB_STATE(FINISHED));
        client_close(&alice);
        client_close(&runs);
}
END_TEST

START_TEST(test_draining)
{
        begin_watch(&watcher);
        order(&c, 2, REQUEST(RESUME));
        client_expect(&c, 2, BODY(DONE));
        expect_nothing(&watcher);
        order(&c, 3, REQUEST(DRAIN));
        client_expect(&c, 3, BODY(DONE));
        ck_assert(expect_kind(&watcher, KIND(HOST))->host->draining);
        order(&c, 4, REQUEST(RESUME));
        ck_assert(!expect_kind(&watcher, KIND(HOST))->host->draining);
}
END_TEST

START_TEST(test_forget)
{
        struct start second;

        begin_watch(&watcher);
        begin_detached(&c, 2, &s, id);
        expect_job(&watcher, KIND(ADDED), id, JOB_STATE(RUNNING));
        order(&watcher, WATCH, REQUEST(FORGET));
        client_wait(&watcher);
        begin_detached(&c, 3, &second, other);
        monitor_end(&second, JOB_STATUS_OK);
        ask(&c, 4, REQUEST(WAIT_JOB), other);
        client_expect(&c, 4, BODY(RESULT));
        monitor_end(&s, JOB_STATUS_OK);
        ask(&c, 5, REQUEST(WAIT_JOB), id);
        client_expect(&c, 5, BODY(RESULT));
        expect_nothing(&watcher);
        /* The id is free, and another watch knows nothing of what this one was told. */
        watch(&watcher, WATCH);
        expect_job(&watcher, KIND(ADDED), id, JOB_STATE(FINISHED));
        expect_current(&watcher);
        watch(&watcher, WATCH);
        client_expect_error(&watcher, WATCH, ERROR_CODE(BAD_REQUEST), "is in use");
}
END_TEST

START_TEST(test_how_many)
{
        struct client runs;

        for (uint64_t i = 0; i < JOB_WATCHES_MAX; i++) {
                watch(&c, 100 + i);
                client_expect(&c, 100 + i, BODY(JOB_EVENT));
                client_expect(&c, 100 + i, BODY(JOB_EVENT));
        }
        watch(&watcher, WATCH);
        client_expect_error(&watcher, WATCH, ERROR_CODE(BUSY), "16 times");
        order(&c, 107, REQUEST(FORGET));
        client_wait(&c);
        begin_watch(&watcher);
        client_hello(&runs);
        begin_detached(&runs, 2, &s, id);
        expect_job(&watcher, KIND(ADDED), id, JOB_STATE(RUNNING));
        client_close(&runs);
        for (uint64_t i = 0; i < JOB_WATCHES_MAX - 1; i++) {
                ck_assert_int_eq(client_receive(&c)->body_case, BODY(JOB_EVENT));
                ck_assert_str_eq(c.last->job_event->job->job_id, id);
        }
        monitor_end(&s, JOB_STATUS_OK);
}
END_TEST

/* Has the watcher's connection congested by output that it does not read. */
static void stop_reading(struct start *noisy)
{
        static uint8_t data[64 * KIB];
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        Sandboxd__V1__Run__LimitsEntry limit = SANDBOXD__V1__RUN__LIMITS_ENTRY__INIT;
        Sandboxd__V1__Run__LimitsEntry *limits[] = { &limit };
        int fd;

        limit.key = (char *) "output_bytes";
        limit.value = 64 * MIB;
        run.n_limits = 1;
        run.limits = limits;
        client_run(&watcher, 600, &run);
        monitor_expect_start(noisy);
        client_expect(&watcher, 600, BODY(STARTED));
        fd = noisy->fds[CHANNEL_FD_STDOUT];
        ck_assert_int_eq(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
        expect_kind(&watcher, KIND(ADDED));
        /* Full, and still so after many turns of the loop. */
        while (write(fd, data, sizeof(data)) > 0)
                for (size_t i = 0; i < 50; i++)
                        client_wait(&c);
}

START_TEST(test_not_read)
{
        struct start noisy, first;
        struct client brief;
        char ids[4][ID_SIZE];
        const Sandboxd__V1__Job *job;

        begin_watch(&watcher);
        begin_detached(&c, 2, &first, ids[0]);
        expect_job(&watcher, KIND(ADDED), ids[0], JOB_STATE(RUNNING));
        stop_reading(&noisy);
        monitor_end(&first, JOB_STATUS_TIMEOUT);
        ask(&c, 3, REQUEST(WAIT_JOB), ids[0]);
        client_expect(&c, 3, BODY(RESULT));
        run_job(&c, ids[1]);
        run_job(&c, ids[2]);
        /* One that never was is not told of at all. */
        client_hello(&brief);
        client_run_upload(&brief, 2);
        client_wait(&brief);
        client_close(&brief);
        client_wait(&c);
        begin_detached(&c, 4, &s, ids[3]);
        /* One event of each, though the first two are no longer kept; and those are told, too. */
        job = expect_job(&watcher, KIND(CHANGED), ids[0], JOB_STATE(FINISHED));
        ck_assert_int_eq(job->result->status, STATUS(TIMEOUT));
        expect_removed(&watcher, ids[0]);
        expect_job(&watcher, KIND(ADDED), ids[2], JOB_STATE(FINISHED));
        job = expect_job(&watcher, KIND(ADDED), ids[1], JOB_STATE(FINISHED));
        ck_assert_int_eq(job->result->status, STATUS(OK));
        expect_removed(&watcher, ids[1]);
        expect_job(&watcher, KIND(ADDED), ids[3], JOB_STATE(RUNNING));
        monitor_end(&s, JOB_STATUS_OK);
        expect_job(&watcher, KIND(CHANGED), ids[3], JOB_STATE(FINISHED));
        monitor_end(&noisy, JOB_STATUS_OK);
}
END_TEST

/* What is gone is kept for it no longer than that. */
START_TEST(test_never_read)
{
        struct client reader;
        struct start noisy;

        policy.server.max_results_per_user = 0;
        client_close(&c);
        client_close(&watcher);
        restart();
        client_hello(&c);
        client_hello(&watcher);
        client_hello(&reader);
        begin_watch(&watcher);
        stop_reading(&noisy);
        watch(&reader, WATCH);
        expect_kind(&reader, KIND(ADDED));
        expect_current(&reader);
        for (size_t i = 0; i < JOB_WATCH_OWED_MAX + 1; i++) {
                expect_service(&c, 2);
                /* Who reads has no part in it. */
                expect_kind(&reader, KIND(ADDED));
                if (expect_any(&reader)->kind == KIND(CHANGED))
                        expect_kind(&reader, KIND(REMOVED));
        }
        while (client_receive(&watcher)->body_case == BODY(OUTPUT))
                ;
        ck_assert_uint_eq(watcher.last->id, WATCH);
        ck_assert_int_eq(watcher.last->body_case, BODY(ERROR));
        ck_assert_int_eq(watcher.last->error->code, ERROR_CODE(BUSY));
        expect_nothing(&reader);
        client_close(&reader);
        monitor_end(&noisy, JOB_STATUS_OK);
}
END_TEST

/* Its connection ends with much to be told. */
START_TEST(test_vanished)
{
        struct start noisy;

        begin_watch(&watcher);
        stop_reading(&noisy);
        run_job(&c, id);
        run_job(&c, other);
        client_close(&watcher);
        monitor_expect_kill(&noisy, JOB_STATUS_CANCELLED);
        monitor_end(&noisy, JOB_STATUS_CANCELLED);
        client_hello(&watcher);
        expect_service(&c, 9);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("watch-jobs");
        TCase *tc = tcase_create("watch-jobs");

        tcase_add_checked_fixture(tc, setup_watch, teardown_watch);
        tcase_set_timeout(tc, 60);
        tcase_add_test(tc, test_what_there_is);
        tcase_add_test(tc, test_life_of_a_job);
        tcase_add_test(tc, test_states_before_it_runs);
        tcase_add_test(tc, test_own_jobs_alone);
        tcase_add_test(tc, test_draining);
        tcase_add_test(tc, test_forget);
        tcase_add_test(tc, test_how_many);
        tcase_add_test(tc, test_not_read);
        tcase_add_test(tc, test_never_read);
        tcase_add_test(tc, test_vanished);
        suite_add_tcase(suite, tc);
        return run_suite(suite);
}
