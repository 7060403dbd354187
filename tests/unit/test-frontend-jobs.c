/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs as objects, seen by clients: detached ones, asking for them by id from other connections, what is
 * kept of them. Another user's job needs two users: see the integration
 * tests.
 */
#include "tests/unit/fixture-jobs.h"

START_TEST(test_features)
{
        static const char *const wanted[] = { "jobs", "detach", "queue", "drain" };
        struct client c;

        client_hello(&c);
        for (size_t i = 0; i < ELEMENTSOF(wanted); i++) {
                bool found = false;

                for (size_t j = 0; j < c.last->hello->n_features; j++)
                        found |= streq(c.last->hello->features[j], wanted[i]);
                ck_assert_msg(found, "no feature %s", wanted[i]);
        }
        client_close(&c);
}
END_TEST

START_TEST(test_detach)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        const Sandboxd__V1__Result *r;
        const Sandboxd__V1__Job *job;
        struct client c, other;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        client_hello(&other);
        run.detach = true;
        run.label = (ProtobufCBinaryData) BYTES("nightly");
        begin_job(&c, 2, &run, &s, id);
        /* Nothing more is said to the request: its id is free. */
        job_writes(&s, CHANNEL_FD_STDOUT, "one");
        client_wait(&c);
        client_close(&c);
        client_wait(&other);
        ask(&other, 5, REQUEST(WAIT_JOB), id);
        job_writes(&s, CHANNEL_FD_STDERR, "two");
        /* No KILL came: the end is the job's own. */
        start_close(&s);
        monitor_ended(&s,
                &(struct channel_ended) { .status = JOB_STATUS_EXITED,
                        .exit_code = 7,
                        .wall_usec = 11 },
                -EBADF);
        r = client_expect(&other, 5, BODY(RESULT))->result;
        ck_assert_str_eq(r->job_id, id);
        ck_assert_int_eq(r->status, STATUS(EXITED));
        ck_assert_int_eq(r->exit_code, 7);
        ck_assert_str_eq(r->message, "exited with code 7");
        ck_assert_uint_eq(r->stdout_bytes, 3);
        ck_assert_uint_eq(r->stderr_bytes, 3);
        ck_assert(!r->stdout_truncated);
        ck_assert_mem_eq(r->label.data, "nightly", 7);
        ck_assert_uint_ge(r->ended_at_usec, r->started_at_usec);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);

        /* Again, and all the rest. */
        ask(&other, 6, REQUEST(WAIT_JOB), id);
        ck_assert_int_eq(client_expect(&other, 6, BODY(RESULT))->result->exit_code, 7);
        job = get_job(&other, 7, id);
        ck_assert_int_eq(job->state, JOB_STATE(FINISHED));
        ck_assert(job->detached);
        ck_assert_uint_eq(job->owner_uid, getuid());
        ck_assert_str_eq(job->runtime, "command");
        ck_assert_str_eq(job->profile, "default");
        ck_assert_uint_eq(job->n_limits, _LIMIT_COUNT);
        ck_assert_int_eq(job->result->exit_code, 7);
        ck_assert_uint_eq(job->result->usage->wall_usec, 11);
        ck_assert_uint_gt(job->created_at_usec, 0);
        ask(&other, 8, REQUEST(READ_OUTPUT), id);
        expect_output(&other, 8, OUT, "one");
        expect_output(&other, 8, ERR, "two");
        client_expect(&other, 8, BODY(OUTPUT_END));
        ck_assert(!other.last->output_end->running);
        ck_assert_uint_eq(other.last->output_end->stdout_kept, 3);
        ck_assert_uint_eq(other.last->output_end->stderr_bytes, 3);
        client_close(&other);
}
END_TEST

START_TEST(test_detach_refused)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;

        client_hello(&c);
        run.detach = true;
        run.stdin = true;
        client_run(&c, 2, &run);
        client_expect_error(&c, 2, ERROR_CODE(INVALID_ARGUMENT), "stdin");
        ck_assert_str_eq(c.last->error->field, "stdin");
        expect_service(&c, 3);
        client_close(&c);
}
END_TEST

/* Before it is started it is its client's. */
START_TEST(test_detach_and_an_upload_that_breaks_off)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        Sandboxd__V1__File files[2], *items[2];
        struct client c, other;

        client_hello(&c);
        client_hello(&other);
        run_with_files(&run, files, items);
        run.detach = true;
        client_run(&c, 2, &run);
        client_wait(&c);
        ask_list(&other, 3, true);
        ck_assert_uint_eq(client_expect(&other, 3, BODY(JOBS))->jobs->n_jobs, 1);
        ck_assert_int_eq(other.last->jobs->jobs[0]->state, JOB_STATE(RECEIVING));
        client_close(&c);
        do {
                ask_list(&other, 4, true);
        } while (client_expect(&other, 4, BODY(JOBS))->jobs->n_jobs > 0);
        ck_assert_uint_eq(get_host(&other)->running_jobs, 0);
        client_close(&other);
}
END_TEST

/* Who waits elsewhere hears the same as the client whose job it is. */
START_TEST(test_wait_for_an_attached_job)
{
        struct client c, other;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        client_hello(&other);
        begin_attached(&c, 2, &s, id);
        for (uint64_t i = 10; i < 13; i++)
                ask(&other, i, REQUEST(WAIT_JOB), id);
        client_wait(&other);
        monitor_end(&s, JOB_STATUS_OK);
        ck_assert_str_eq(client_expect(&c, 2, BODY(RESULT))->result->job_id, id);
        for (size_t i = 0; i < 3; i++) {
                ck_assert_int_eq(client_receive(&other)->body_case, BODY(RESULT));
                ck_assert_str_eq(other.last->result->job_id, id);
        }
        client_close(&c);
        client_close(&other);
}
END_TEST

START_TEST(test_follow)
{
        Sandboxd__V1__ReadOutput m = SANDBOXD__V1__READ_OUTPUT__INIT;
        struct client c, other;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        client_hello(&other);
        begin_detached(&c, 2, &s, id);
        job_writes(&s, CHANNEL_FD_STDOUT, "before");
        /* That it was read shows in what is kept. */
        do {
                ask(&other, 3, REQUEST(READ_OUTPUT), id);
                while (client_receive(&other)->body_case == BODY(OUTPUT))
                        ;
                ck_assert_int_eq(other.last->body_case, BODY(OUTPUT_END));
                ck_assert(other.last->output_end->running);
        } while (other.last->output_end->stdout_kept < 6);
        m.follow = true;
        ask_output(&other, 4, id, &m);
        expect_output(&other, 4, OUT, "before");
        job_writes(&s, CHANNEL_FD_STDERR, "while");
        expect_output(&other, 4, ERR, "while");
        job_writes(&s, CHANNEL_FD_STDOUT, "last");
        monitor_end(&s, JOB_STATUS_OK);
        expect_output(&other, 4, OUT, "last");
        ck_assert(!client_expect(&other, 4, BODY(OUTPUT_END))->output_end->running);
        client_close(&c);
        client_close(&other);
}
END_TEST

START_TEST(test_read_a_part)
{
        Sandboxd__V1__ReadOutput m = SANDBOXD__V1__READ_OUTPUT__INIT;
        struct client c;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        begin_detached(&c, 2, &s, id);
        job_writes(&s, CHANNEL_FD_STDOUT, "abcdef");
        job_writes(&s, CHANNEL_FD_STDERR, "123456");
        monitor_end(&s, JOB_STATUS_OK);
        ask(&c, 3, REQUEST(WAIT_JOB), id);
        client_expect(&c, 3, BODY(RESULT));
        m.stream = ERR;
        m.offset = 4;
        ask_output(&c, 4, id, &m);
        expect_output(&c, 4, ERR, "56");
        client_expect(&c, 4, BODY(OUTPUT_END));
        m.offset = 100;
        ask_output(&c, 5, id, &m);
        client_expect(&c, 5, BODY(OUTPUT_END));
        m.offset = 0;
        m.stream = OUT;
        m.output_credit = 2;
        ask_output(&c, 6, id, &m);
        expect_output(&c, 6, OUT, "ab");
        client_wait(&c);
        give_credit(&c, 6, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDERR, 100);
        client_wait(&c);
        give_credit(&c, 6, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, UINT64_MAX);
        expect_output(&c, 6, OUT, "cdef");
        client_expect(&c, 6, BODY(OUTPUT_END));
        /* It is over; what was on its way is no misuse. */
        give_credit(&c, 6, SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT, 1);
        m.stream = (Sandboxd__V1__Output__Stream) 3;
        ask_output(&c, 7, id, &m);
        client_expect_error(&c, 7, ERROR_CODE(INVALID_ARGUMENT), "stream");
        client_close(&c);
}
END_TEST

START_TEST(test_forget)
{
        Sandboxd__V1__ReadOutput m = SANDBOXD__V1__READ_OUTPUT__INIT;
        struct client c;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        begin_detached(&c, 2, &s, id);
        ask(&c, 3, REQUEST(WAIT_JOB), id);
        m.follow = true;
        ask_output(&c, 4, id, &m);
        order(&c, 3, REQUEST(FORGET));
        order(&c, 4, REQUEST(FORGET));
        order(&c, 77, REQUEST(FORGET));
        client_wait(&c);
        job_writes(&s, CHANNEL_FD_STDOUT, "x");
        /* The id is free, and it alone is answered. */
        ask(&c, 3, REQUEST(WAIT_JOB), id);
        expect_end(&c, 3, &s);
        client_wait(&c);
        client_close(&c);
}
END_TEST

START_TEST(test_ids_under_way)
{
        static const Sandboxd__V1__Request__BodyCase bodies[] = {
                REQUEST(WAIT_JOB),
                REQUEST(READ_OUTPUT),
                REQUEST(GET_JOB),
                REQUEST(RUN),
        };
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c, other;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        begin_detached(&c, 2, &s, id);
        for (size_t i = 0; i < ELEMENTSOF(bodies); i++) {
                client_hello(&other);
                ask(&other, 3, REQUEST(WAIT_JOB), id);
                if (bodies[i] == REQUEST(RUN))
                        client_run(&other, 3, &run);
                else
                        ask(&other, 3, bodies[i], id);
                client_expect_error(&other, 3, ERROR_CODE(BAD_REQUEST), "in use");
                client_expect_end(&other);
                client_close(&other);
        }
        /* A Run's own id too. */
        client_hello(&other);
        client_run(&other, 3, &run);
        {
                struct start attached;

                expect_begin(&other, 3, &attached);
                ask(&other, 3, REQUEST(WAIT_JOB), id);
                client_expect_error(&other, 3, ERROR_CODE(BAD_REQUEST), "in use");
                client_expect_end(&other);
                monitor_expect_kill(&attached, JOB_STATUS_CANCELLED);
                monitor_end(&attached, JOB_STATUS_CANCELLED);
        }
        monitor_end(&s, JOB_STATUS_OK);
        client_close(&other);
        client_close(&c);
}
END_TEST

START_TEST(test_no_such_job)
{
        static const Sandboxd__V1__Request__BodyCase bodies[] = {
                REQUEST(GET_JOB),
                REQUEST(WAIT_JOB),
                REQUEST(READ_OUTPUT),
                REQUEST(CANCEL_JOB),
                REQUEST(SIGNAL_JOB),
        };
        static const char *const ids[] = { "0000000000000000", "0123456789abcdef", "", "x",
                "0123456789abcdef0123456789abcdef" };
        char text[ERROR_TEXT_MAX] = "";
        struct client c;
        uint64_t n = 10;

        client_hello(&c);
        for (size_t i = 0; i < ELEMENTSOF(bodies); i++)
                for (size_t j = 0; j < ELEMENTSOF(ids); j++) {
                        ask(&c, ++n, bodies[i], ids[j]);
                        client_expect_error(&c, n, ERROR_CODE(NO_SUCH_JOB), "no job has this id");
                        ck_assert_str_eq(c.last->error->field, "job_id");
                        if (text[0] == '\0')
                                (void) snprintf(text, sizeof(text), "%s", c.last->error->message);
                        ck_assert_str_eq(c.last->error->message, text);
                }
        expect_service(&c, 5);
        client_close(&c);
}
END_TEST

START_TEST(test_cancel_job)
{
        struct client c, other;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        client_hello(&other);
        begin_attached(&c, 2, &s, id);
        ask(&other, 3, REQUEST(CANCEL_JOB), id);
        client_expect(&other, 3, BODY(DONE));
        ask(&other, 4, REQUEST(CANCEL_JOB), id);
        client_expect(&other, 4, BODY(DONE));
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        monitor_end(&s, JOB_STATUS_CANCELLED);
        ck_assert_int_eq(client_expect(&c, 2, BODY(RESULT))->result->status, STATUS(CANCELLED));
        /* Of one that has ended nothing changes. */
        ask(&other, 5, REQUEST(CANCEL_JOB), id);
        client_expect(&other, 5, BODY(DONE));
        ask(&other, 6, REQUEST(WAIT_JOB), id);
        ck_assert_int_eq(client_expect(&other, 6, BODY(RESULT))->result->status, STATUS(CANCELLED));
        client_close(&c);
        client_close(&other);
}
END_TEST

static void monitor_expect_signal(const struct start *s, uint32_t number)
{
        struct channel_signal m;
        ssize_t n = io_receive_message(channel, &m, sizeof(m), NULL, 0, NULL);

        ck_assert_int_eq(n, sizeof(m));
        ck_assert(channel_header_valid(&m.header, (size_t) n));
        ck_assert_int_eq(m.header.op, CHANNEL_OP_SIGNAL);
        ck_assert_uint_eq(m.header.job, s->message.header.job);
        ck_assert_uint_eq(m.signal, number);
}

START_TEST(test_signal_job)
{
        static const uint32_t bad[] = { 0, 65, UINT32_MAX };
        struct client c;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        begin_detached(&c, 2, &s, id);
        ask_signal(&c, 3, id, SIGUSR1);
        monitor_expect_signal(&s, SIGUSR1);
        client_expect(&c, 3, BODY(DONE));
        ask_signal(&c, 3, id, 64);
        monitor_expect_signal(&s, 64);
        client_expect(&c, 3, BODY(DONE));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                ask_signal(&c, 4, id, bad[i]);
                client_expect_error(&c, 4, ERROR_CODE(INVALID_ARGUMENT), "1 to 64");
                ck_assert_str_eq(c.last->error->field, "signal");
        }
        monitor_end(&s, JOB_STATUS_OK);
        ask(&c, 5, REQUEST(WAIT_JOB), id);
        client_expect(&c, 5, BODY(RESULT));
        ask_signal(&c, 6, id, SIGUSR1);
        client_expect_error(&c, 6, ERROR_CODE(NOT_RUNNING), "has ended");
        client_close(&c);
}
END_TEST

static void monitor_expect_usage(const struct start *s)
{
        struct channel_header h;
        ssize_t n = io_receive_message(channel, &h, sizeof(h), NULL, 0, NULL);

        ck_assert_int_eq(n, sizeof(h));
        ck_assert_int_eq(h.op, CHANNEL_OP_USAGE);
        ck_assert_uint_eq(h.job, s->message.header.job);
}

static void monitor_used(const struct start *s, uint64_t wall_usec)
{
        struct channel_used m = { .wall_usec = wall_usec, .memory_bytes = 12, .pids = 3 };

        channel_header_init(&m.header, CHANNEL_OP_USED, sizeof(m), s->message.header.job);
        ck_assert_int_eq(io_send_message(channel, &m, sizeof(m), NULL, 0), 0);
}

START_TEST(test_usage)
{
        const Sandboxd__V1__Job *job;
        struct client c;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        begin_detached(&c, 2, &s, id);
        ask(&c, 3, REQUEST(GET_JOB), id);
        ask(&c, 4, REQUEST(GET_JOB), id);
        client_wait(&c);
        /* One question for both. */
        monitor_expect_usage(&s);
        monitor_expect_silence();
        monitor_used(&s, 77);
        for (size_t i = 0; i < 2; i++) {
                ck_assert_int_eq(client_receive(&c)->body_case, BODY(JOB));
                job = c.last->job;
                ck_assert_str_eq(job->job_id, id);
                ck_assert_int_eq(job->state, JOB_STATE(RUNNING));
                ck_assert_uint_eq(job->usage->wall_usec, 77);
                ck_assert_uint_eq(job->usage->memory_peak_bytes, 12);
                ck_assert_uint_eq(job->usage->pids_peak, 3);
                ck_assert_ptr_null(job->result);
                ck_assert_uint_eq(job->n_limits, _LIMIT_COUNT);
        }
        /* And another for who comes later; the end is an answer too, also when it is not all yet. */
        ask(&c, 5, REQUEST(GET_JOB), id);
        monitor_expect_usage(&s);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_OK, .wall_usec = 79 },
                -EBADF);
        job = client_expect(&c, 5, BODY(JOB))->job;
        ck_assert_int_eq(job->state, JOB_STATE(RUNNING));
        ck_assert_uint_eq(job->usage->wall_usec, 79);
        start_close(&s);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        do
                job = get_job(&c, 8, id);
        while (job->state != JOB_STATE(FINISHED));
        ck_assert_int_eq(job->result->status, STATUS(OK));
        /* An answer that crossed the end. */
        monitor_used(&s, 78);
        expect_service(&c, 6);
        client_close(&c);
}
END_TEST

/* More than one message, oldest first; what has ended only when asked for. */
START_TEST(test_list)
{
        enum { N = 80 };
        static char ids[N][ID_SIZE];
        struct client c;
        char running[ID_SIZE];
        struct start s;
        size_t n = 0;
        bool more;

        policy.server.max_results_per_user = N;
        restart();
        client_hello(&c);
        for (size_t i = 0; i < N; i++) {
                begin_attached(&c, 2, &s, ids[i]);
                expect_end(&c, 2, &s);
        }
        begin_detached(&c, 3, &s, running);
        ask_list(&c, 4, false);
        client_expect(&c, 4, BODY(JOBS));
        ck_assert_uint_eq(c.last->jobs->n_jobs, 1);
        ck_assert(!c.last->jobs->more);
        ck_assert_str_eq(c.last->jobs->jobs[0]->job_id, running);
        ck_assert_ptr_null(c.last->jobs->jobs[0]->result);
        ask_list(&c, 5, true);
        do {
                const Sandboxd__V1__JobList *list = client_expect(&c, 5, BODY(JOBS))->jobs;

                for (size_t i = 0; i < list->n_jobs; i++, n++) {
                        ck_assert_str_eq(list->jobs[i]->job_id, n < N ? ids[n] : running);
                        ck_assert_int_eq(list->jobs[i]->result != NULL, n < N);
                }
                more = list->more;
        } while (more);
        ck_assert_uint_eq(n, N + 1);
        monitor_end(&s, JOB_STATUS_OK);
        client_close(&c);
}
END_TEST

static const Sandboxd__V1__Job *list_one(struct client *c, uint64_t id)
{
        ask_list(c, id, false);
        client_expect(c, id, BODY(JOBS));
        ck_assert_uint_eq(c->last->jobs->n_jobs, 1);
        return c->last->jobs->jobs[0];
}

/* What names the scope is told as soon as it is known, and stays when the job has ended. */
static void expect_sandbox(bool warm, uint64_t bits)
{
        struct channel_started m = { .warm = warm };
        char id[ID_SIZE], sandbox[ID_SIZE];
        struct client c;
        struct start s;

        client_hello(&c);
        begin_detached(&c, 2, &s, id);
        ck_assert_str_eq(list_one(&c, 3)->sandbox_id, "");
        m.sandbox = s.message.header.job ^ bits;
        (void) snprintf(sandbox, sizeof(sandbox), "%016" PRIx64, m.sandbox);
        ck_assert_int_eq(streq(sandbox, id), !warm);
        channel_header_init(&m.header, CHANNEL_OP_STARTED, sizeof(m), s.message.header.job);
        ck_assert_int_eq(io_send_message(channel, &m, sizeof(m), NULL, 0), 0);
        client_wait(&c);
        ck_assert_str_eq(list_one(&c, 4)->sandbox_id, sandbox);
        monitor_end(&s, JOB_STATUS_OK);
        ask(&c, 5, REQUEST(WAIT_JOB), id);
        client_expect(&c, 5, BODY(RESULT));
        ck_assert_str_eq(get_job(&c, 6, id)->sandbox_id, sandbox);
        client_close(&c);
}

START_TEST(test_sandbox_of_its_own)
{
        expect_sandbox(false, 0);
}
END_TEST

START_TEST(test_sandbox_made_ahead_of_time)
{
        expect_sandbox(true, CHANNEL_ID_PARKED | 0xabc);
}
END_TEST

/* Of one that never was made nothing is told. */
START_TEST(test_sandbox_that_was_not_made)
{
        struct client c;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        begin_detached(&c, 2, &s, id);
        monitor_end(&s, JOB_STATUS_SETUP_ERROR);
        ask(&c, 3, REQUEST(WAIT_JOB), id);
        client_expect(&c, 3, BODY(RESULT));
        ck_assert_str_eq(get_job(&c, 4, id)->sandbox_id, "");
        client_close(&c);
}
END_TEST

START_TEST(test_list_of_nothing)
{
        struct client c;

        client_hello(&c);
        ask_list(&c, 4, true);
        ck_assert_uint_eq(client_expect(&c, 4, BODY(JOBS))->jobs->n_jobs, 0);
        ck_assert(!c.last->jobs->more);
        client_close(&c);
}
END_TEST

static int value_file(const char *text)
{
        int fd = memfd_create("value", MFD_CLOEXEC);

        ck_assert_int_eq(io_write_full(fd, text, strlen(text)), 0);
        return fd;
}

START_TEST(test_return_value_is_kept)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        char id[ID_SIZE];
        struct start s;
        int fd = value_file("2 1\n424");

        client_hello(&c);
        run.runtime = (ProtobufCBinaryData) BYTES("python");
        run.code = (ProtobufCBinaryData) BYTES("42");
        run.detach = true;
        begin_job(&c, 2, &run, &s, id);
        start_close(&s);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_OK }, fd);
        (void) close(fd);
        for (uint64_t i = 3; i < 5; i++) {
                ask(&c, i, REQUEST(WAIT_JOB), id);
                client_expect(&c, i, BODY(RESULT));
                ck_assert_mem_eq(c.last->result->return_value->text.data, "42", 2);
                ck_assert_uint_eq(c.last->result->return_value->json.len, 1);
        }
        ck_assert_uint_gt(get_host(&c)->kept_bytes, 0);
        ck_assert_uint_eq(get_host(&c)->kept_results, 1);
        ask_list(&c, 6, true);
        client_expect(&c, 6, BODY(JOBS));
        ck_assert_ptr_null(c.last->jobs->jobs[0]->result->return_value);
        ck_assert_ptr_nonnull(get_job(&c, 7, id)->result->return_value);
        client_close(&c);
}
END_TEST

/* What there is no room for is lost, and that is said; the job does not notice. */
START_TEST(test_output_that_cannot_be_kept)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        Sandboxd__V1__Run__LimitsEntry limit = SANDBOXD__V1__RUN__LIMITS_ENTRY__INIT;
        Sandboxd__V1__Run__LimitsEntry *limits[] = { &limit };
        static uint8_t data[64 * KIB];
        const Sandboxd__V1__Result *r;
        struct client c;
        char id[ID_SIZE];
        struct start s;

        policy.server.max_kept_per_user = 32 * KIB;
        restart();
        client_hello(&c);
        limit.key = (char *) "output_bytes";
        limit.value = 1 * MIB;
        run.n_limits = 1;
        run.limits = limits;
        run.detach = true;
        begin_job(&c, 2, &run, &s, id);
        for (size_t i = 0; i < 4; i++)
                ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], data, sizeof(data)), 0);
        monitor_end(&s, JOB_STATUS_OK);
        ask(&c, 3, REQUEST(WAIT_JOB), id);
        r = client_expect(&c, 3, BODY(RESULT))->result;
        ck_assert_int_eq(r->status, STATUS(OK));
        ck_assert_uint_eq(r->stdout_bytes, 256 * KIB);
        ck_assert(r->stdout_truncated && !r->stderr_truncated);
        ck_assert_ptr_nonnull(strstr(r->message, "MaxKeptPerUser="));
        ask(&c, 4, REQUEST(READ_OUTPUT), id);
        while (client_receive(&c)->body_case == BODY(OUTPUT))
                ;
        ck_assert_uint_gt(c.last->output_end->stdout_kept, 8 * KIB);
        ck_assert_uint_le(c.last->output_end->stdout_kept, 32 * KIB);
        ck_assert_uint_le(get_host(&c)->kept_bytes, 32 * KIB);
        client_close(&c);
}
END_TEST

START_TEST(test_results_go_oldest_first)
{
        struct client c;
        char ids[3][ID_SIZE];
        struct start s;

        policy.server.max_results_per_user = 2;
        restart();
        client_hello(&c);
        for (size_t i = 0; i < 3; i++) {
                begin_detached(&c, 2, &s, ids[i]);
                monitor_end(&s, JOB_STATUS_OK);
                ask(&c, 3, REQUEST(WAIT_JOB), ids[i]);
                client_expect(&c, 3, BODY(RESULT));
        }
        ask(&c, 4, REQUEST(GET_JOB), ids[0]);
        client_expect_error(&c, 4, ERROR_CODE(NO_SUCH_JOB), "no job has this id");
        get_job(&c, 5, ids[1]);
        get_job(&c, 6, ids[2]);
        /* A reload holds for what is there. */
        policy.server.max_results_per_user = 1;
        monitor_reload(2);
        monitor_expect_retire(1);
        ask(&c, 7, REQUEST(GET_JOB), ids[1]);
        client_expect_error(&c, 7, ERROR_CODE(NO_SUCH_JOB), "no job has this id");
        get_job(&c, 8, ids[2]);
        client_close(&c);
}
END_TEST

START_TEST(test_results_go_with_time)
{
        struct client c;
        char id[ID_SIZE];
        struct start s;

        policy.server.result_retention_usec = 50 * USEC_PER_MSEC;
        restart();
        client_hello(&c);
        begin_detached(&c, 2, &s, id);
        ask(&c, 3, REQUEST(WAIT_JOB), id);
        expect_end(&c, 3, &s);
        do {
                (void) usleep(10000);
                ask(&c, 4, REQUEST(GET_JOB), id);
        } while (client_receive(&c)->body_case == BODY(JOB));
        ck_assert_int_eq(c.last->error->code, ERROR_CODE(NO_SUCH_JOB));
        client_close(&c);
}
END_TEST

/* What a client that does not read may cost; the sanitizers have memory of their own. */
#ifdef WITH_SANITIZERS
#define RSS_ROOM (256 * MIB)
#else
#define RSS_ROOM (3 * MIB / 2)
#endif

/* A client that does not read is not written to, and gets all once it does. */
START_TEST(test_a_slow_reader)
{
        enum { SIZE = 3 * 1024 * 1024 };
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        Sandboxd__V1__Run__LimitsEntry limit = SANDBOXD__V1__RUN__LIMITS_ENTRY__INIT;
        Sandboxd__V1__Run__LimitsEntry *limits[] = { &limit };
        static uint8_t data[SIZE];
        struct client c, slow;
        char id[ID_SIZE];
        struct start s;
        uint64_t before, got = 0;
        unsigned n_results = 0;

        policy.server.max_kept = policy.server.max_kept_per_user = 8 * MIB;
        restart();
        client_hello(&c);
        client_hello(&slow);
        limit.key = (char *) "output_bytes";
        limit.value = SIZE;
        run.n_limits = 1;
        run.limits = limits;
        run.detach = true;
        begin_job(&c, 2, &run, &s, id);
        for (size_t i = 0; i < SIZE; i++)
                data[i] = (uint8_t) (i % 251);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], data, SIZE), 0);
        monitor_end(&s, JOB_STATUS_OK);
        ask(&c, 3, REQUEST(WAIT_JOB), id);
        client_expect(&c, 3, BODY(RESULT));
        before = frontend_rss();
        ask(&slow, 4, REQUEST(READ_OUTPUT), id);
        ask(&slow, 5, REQUEST(WAIT_JOB), id);
        for (size_t i = 0; i < 10; i++)
                client_wait(&c);
        ck_assert_uint_lt(frontend_rss(), before + RSS_ROOM);
        while (client_receive(&slow)->body_case != BODY(OUTPUT_END)) {
                if (slow.last->body_case == BODY(RESULT)) {
                        ck_assert_uint_eq(slow.last->id, 5);
                        n_results++;
                        continue;
                }
                ck_assert_int_eq(slow.last->body_case, BODY(OUTPUT));
                ck_assert_mem_eq(slow.last->output->data.data, data + got,
                        slow.last->output->data.len);
                got += slow.last->output->data.len;
        }
        ck_assert_uint_eq(got, SIZE);
        /* The two take turns: either may be the last. */
        if (n_results == 0)
                client_expect(&slow, 5, BODY(RESULT));
        ck_assert_uint_le(n_results, 1);
        client_close(&c);
        client_close(&slow);
}
END_TEST

/* What a client that does not read waits for may be forgotten before it hears of it. */
START_TEST(test_dropped_under_a_reader)
{
        Sandboxd__V1__ReadOutput m = SANDBOXD__V1__READ_OUTPUT__INIT;
        struct client c;
        char ids[2][ID_SIZE];
        struct start s;

        policy.server.max_results_per_user = 1;
        restart();
        client_hello(&c);
        begin_detached(&c, 2, &s, ids[0]);
        job_writes(&s, CHANNEL_FD_STDOUT, "abc");
        monitor_end(&s, JOB_STATUS_OK);
        ask(&c, 3, REQUEST(WAIT_JOB), ids[0]);
        client_expect(&c, 3, BODY(RESULT));
        m.output_credit = 1;
        ask_output(&c, 4, ids[0], &m);
        expect_output(&c, 4, OUT, "a");
        begin_detached(&c, 5, &s, ids[1]);
        monitor_end(&s, JOB_STATUS_OK);
        client_expect_error(&c, 4, ERROR_CODE(NO_SUCH_JOB), "no job has this id");
        client_wait(&c);
        client_close(&c);
}
END_TEST

START_TEST(test_many_watches)
{
        struct client c;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        begin_detached(&c, 2, &s, id);
        for (uint64_t i = 0; i < 1024; i++)
                ask(&c, 100 + i, REQUEST(WAIT_JOB), id);
        ask(&c, 5, REQUEST(WAIT_JOB), id);
        client_expect_error(&c, 5, ERROR_CODE(BUSY), "forget");
        order(&c, 100, REQUEST(FORGET));
        ask(&c, 5, REQUEST(WAIT_JOB), id);
        client_wait(&c);
        monitor_end(&s, JOB_STATUS_OK);
        for (uint64_t i = 0; i < 1024; i++)
                ck_assert_int_eq(client_receive(&c)->body_case, BODY(RESULT));
        /* Closed under those that wait, nothing stays charged: the end of the frontend checks it. */
        begin_detached(&c, 2, &s, id);
        for (uint64_t i = 0; i < 100; i++)
                ask(&c, 100 + i, REQUEST(WAIT_JOB), id);
        client_wait(&c);
        client_close(&c);
        monitor_end(&s, JOB_STATUS_OK);
}
END_TEST

/* The sandbox of a job that nobody is attached to is lost: that is its result. */
START_TEST(test_detached_without_report)
{
        const Sandboxd__V1__Result *r;
        struct client c;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        begin_detached(&c, 2, &s, id);
        ask(&c, 3, REQUEST(WAIT_JOB), id);
        client_wait(&c);
        start_close(&s);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        r = client_expect(&c, 3, BODY(RESULT))->result;
        ck_assert_int_eq(r->status, STATUS(SETUP_ERROR));
        ck_assert_str_eq(r->step, "lost");
        ck_assert_ptr_nonnull(strstr(r->message, "without a report"));
        client_close(&c);
}
END_TEST

/* Who waits for an attached one hears the Error that its client hears. */
START_TEST(test_attached_without_report)
{
        struct client c, other;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        client_hello(&other);
        begin_attached(&c, 2, &s, id);
        ask(&other, 3, REQUEST(WAIT_JOB), id);
        client_wait(&other);
        start_close(&s);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        client_expect_error(&c, 2, ERROR_CODE(INTERNAL), "without a report");
        client_expect_error(&other, 3, ERROR_CODE(INTERNAL), "without a report");
        ask(&other, 4, REQUEST(WAIT_JOB), id);
        client_expect_error(&other, 4, ERROR_CODE(NO_SUCH_JOB), "no job has this id");
        client_close(&c);
        client_close(&other);
}
END_TEST

/* An attached job whose client has gone is cancelled, and remembered. */
START_TEST(test_vanished_client)
{
        struct client c, other;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        client_hello(&other);
        begin_attached(&c, 2, &s, id);
        client_close(&c);
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        monitor_end(&s, JOB_STATUS_CANCELLED);
        ask(&other, 3, REQUEST(WAIT_JOB), id);
        ck_assert_int_eq(client_expect(&other, 3, BODY(RESULT))->result->status, STATUS(CANCELLED));
        client_close(&other);
}
END_TEST

/* What a detached job left keeps the daemon up as long as it is kept; what an attached one left does not,
 * which the frontend's own suite shows. */
START_TEST(test_idle)
{
        struct client c;
        char id[ID_SIZE];
        struct start s;

        policy.server.idle_exit_usec = 20 * USEC_PER_MSEC;
        policy.server.result_retention_usec = 400 * USEC_PER_MSEC;
        restart();
        client_hello(&c);
        begin_detached(&c, 2, &s, id);
        ask(&c, 3, REQUEST(WAIT_JOB), id);
        expect_end(&c, 3, &s);
        client_close(&c);
        (void) usleep(100000);
        monitor_expect_silence();
        monitor_expect_idle();
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("frontend-jobs");
        TCase *tc = tcase_create("frontend-jobs");

        tcase_add_checked_fixture(tc, setup_jobs, teardown);
        tcase_set_timeout(tc, 30);
        tcase_add_test(tc, test_features);
        tcase_add_test(tc, test_detach);
        tcase_add_test(tc, test_detach_refused);
        tcase_add_test(tc, test_detach_and_an_upload_that_breaks_off);
        tcase_add_test(tc, test_wait_for_an_attached_job);
        tcase_add_test(tc, test_follow);
        tcase_add_test(tc, test_read_a_part);
        tcase_add_test(tc, test_forget);
        tcase_add_test(tc, test_ids_under_way);
        tcase_add_test(tc, test_no_such_job);
        tcase_add_test(tc, test_cancel_job);
        tcase_add_test(tc, test_signal_job);
        tcase_add_test(tc, test_usage);
        tcase_add_test(tc, test_list);
        tcase_add_test(tc, test_sandbox_of_its_own);
        tcase_add_test(tc, test_sandbox_made_ahead_of_time);
        tcase_add_test(tc, test_sandbox_that_was_not_made);
        tcase_add_test(tc, test_list_of_nothing);
        tcase_add_test(tc, test_return_value_is_kept);
        tcase_add_test(tc, test_output_that_cannot_be_kept);
        tcase_add_test(tc, test_results_go_oldest_first);
        tcase_add_test(tc, test_results_go_with_time);
        tcase_add_test(tc, test_a_slow_reader);
        tcase_add_test(tc, test_dropped_under_a_reader);
        tcase_add_test(tc, test_many_watches);
        tcase_add_test(tc, test_detached_without_report);
        tcase_add_test(tc, test_attached_without_report);
        tcase_add_test(tc, test_vanished_client);
        tcase_add_test(tc, test_idle);
        suite_add_tcase(suite, tc);
        return run_suite(suite);
}
