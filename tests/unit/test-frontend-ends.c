/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ends of jobs whose clients do not do their part: nobody waits for them for ever, neither the slot
 * nor those who ask elsewhere, and what they are told is the same as anybody else is.
 */
#include <sched.h>

#include "daemon/wire/transfer.h"
#include "tests/unit/fixture-jobs.h"

static void setup_ends(void)
{
        setup_jobs();
        policy.profiles[0].maximums.value[LIMIT_OUTPUT] = 16 * MIB;
        policy.profiles[0].maximums.value[LIMIT_FILES_SIZE] = 4 * MIB;
        policy.profiles[0].maximums.value[LIMIT_TMP_SIZE] = 4 * MIB;
        policy.profiles[0].defaults = policy.profiles[0].maximums;
        restart();
}

static uint32_t running_jobs(struct client *c)
{
        client_simple(c, 900, REQUEST(GET_HOST));
        return client_expect(c, 900, BODY(HOST))->host->running_jobs;
}

/* Writes until the pipe stays full while the frontend does other things. Returns the bytes written. */
static size_t job_fills(const struct start *s, enum channel_start_fd stream, struct client *other)
{
        static const uint8_t data[64 * KIB];
        size_t written = 0;
        unsigned full = 0;

        ck_assert_int_eq(io_set_nonblock(s->fds[stream]), 0);
        while (full < 10) {
                ssize_t n = write(s->fds[stream], data, sizeof(data));

                full = n > 0 ? 0 : full + 1;
                written += n > 0 ? (size_t) n : 0;
                client_wait(other);
        }
        return written;
}

static int value_file(size_t size)
{
        _cleanup_free_ char *data = calloc(1, size);
        int fd = memfd_create("value", MFD_CLOEXEC);
        char head[32];

        (void) snprintf(head, sizeof(head), "%zu 0\n", size);
        memset(data, 'v', size);
        ck_assert_int_eq(io_write_full(fd, head, strlen(head)), 0);
        ck_assert_int_eq(io_write_full(fd, data, size), 0);
        return fd;
}

/* The job ends while its client reads nothing. Somebody else ends the wait. */
START_TEST(test_cancel_for_one_that_does_not_read)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        int value = value_file(1000);
        struct client c, other;
        size_t written, got = 0;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        client_hello(&other);
        run.runtime = (ProtobufCBinaryData) BYTES("python");
        run.code = (ProtobufCBinaryData) BYTES("42");
        begin_job(&c, 2, &run, &s, id);
        written = job_fills(&s, CHANNEL_FD_STDOUT, &other);
        start_close(&s);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_OK }, value);
        (void) close(value);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        ask(&other, 3, REQUEST(WAIT_JOB), id);
        /* It is waited for, to begin with. */
        ck_assert_uint_eq(running_jobs(&other), 1);
        ask(&other, 4, REQUEST(CANCEL_JOB), id);
        client_expect(&other, 4, BODY(DONE));
        client_expect(&other, 3, BODY(RESULT));
        ck_assert_int_eq(other.last->result->status, STATUS(OK));
        ck_assert_uint_eq(other.last->result->stdout_bytes, written);
        ck_assert(other.last->result->stdout_truncated);
        /* One is enough: with many of them there would be no end. */
        ck_assert_ptr_null(other.last->result->return_value);
        ck_assert_ptr_nonnull(strstr(other.last->result->message, "does not read"));
        ck_assert_uint_eq(running_jobs(&other), 0);
        while (client_receive(&c)->body_case == BODY(OUTPUT))
                got += c.last->output->data.len;
        ck_assert_int_eq(c.last->body_case, BODY(RESULT));
        ck_assert_uint_lt(got, written);
        expect_service(&c, 3);
        client_close(&c);
        client_close(&other);
}
END_TEST

static void cancel_before_the_end(struct client *other, const char *id)
{
        ask(other, 4, REQUEST(CANCEL_JOB), id);
        client_expect(other, 4, BODY(DONE));
}

/* Cancelled while it runs, and its client reads nothing then. */
START_TEST(test_cancelled_before)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c, other;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        client_hello(&other);
        begin_job(&c, 2, &run, &s, id);
        (void) job_fills(&s, CHANNEL_FD_STDERR, &other);
        cancel_before_the_end(&other, id);
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        monitor_end(&s, JOB_STATUS_CANCELLED);
        ask(&other, 5, REQUEST(WAIT_JOB), id);
        client_expect(&other, 5, BODY(RESULT));
        ck_assert(other.last->result->stderr_truncated);
        client_close(&c);
        client_close(&other);
}
END_TEST

/* Nobody cancels it: it ends when there was time enough. Without room on the connection, and without
 * credit. */
START_TEST(test_overdue)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c, other;
        char id[ID_SIZE];
        struct start s;

        overdue_usec = 50 * USEC_PER_MSEC;
        restart();
        client_hello(&c);
        client_hello(&other);
        run.output_credit = (uint64_t) _i;
        begin_job(&c, 2, &run, &s, id);
        (void) job_fills(&s, CHANNEL_FD_STDOUT, &other);
        ask(&other, 3, REQUEST(WAIT_JOB), id);
        monitor_end(&s, JOB_STATUS_EXITED);
        client_expect(&other, 3, BODY(RESULT));
        ck_assert_int_eq(other.last->result->status, STATUS(EXITED));
        ck_assert(other.last->result->stdout_truncated);
        ck_assert_ptr_nonnull(strstr(other.last->result->message, "within 50ms"));
        ck_assert_uint_eq(running_jobs(&other), 0);
        while (client_receive(&c)->body_case == BODY(OUTPUT))
                ;
        ck_assert_int_eq(c.last->body_case, BODY(RESULT));
        client_close(&c);
        client_close(&other);
}
END_TEST

/* There is no room to keep the value. Whoever asks, and whenever, is told the same; the client of the Run,
 * to whom it is sent at once, gets it. */
START_TEST(test_value_that_cannot_be_kept)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        int value = value_file(100 * KIB);
        struct client c, other;
        char id[ID_SIZE];
        struct start s;

        policy.server.max_kept_per_user = 64 * KIB;
        restart();
        client_hello(&c);
        client_hello(&other);
        run.runtime = (ProtobufCBinaryData) BYTES("python");
        run.code = (ProtobufCBinaryData) BYTES("42");
        run.detach = _i;
        begin_job(&c, 2, &run, &s, id);
        ask(&other, 3, REQUEST(WAIT_JOB), id);
        client_wait(&other);
        start_close(&s);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_OK }, value);
        (void) close(value);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        if (!run.detach) {
                client_expect(&c, 2, BODY(RESULT));
                ck_assert_uint_eq(c.last->result->return_value->text.len, 100 * KIB);
                ck_assert_str_eq(c.last->result->message, "");
        }
        for (uint64_t i = 3; i < 5; i++) {
                if (i > 3)
                        ask(&other, i, REQUEST(WAIT_JOB), id);
                client_expect(&other, i, BODY(RESULT));
                ck_assert_ptr_null(other.last->result->return_value);
                ck_assert_ptr_nonnull(strstr(other.last->result->message, "MaxKeptPerUser="));
        }
        client_close(&c);
        client_close(&other);
}
END_TEST

static const Sandboxd__V1__JobList *list_jobs(struct client *c)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__ListJobs m = SANDBOXD__V1__LIST_JOBS__INIT;

        m.all = true;
        request.id = 901;
        request.body_case = REQUEST(LIST_JOBS);
        request.list_jobs = &m;
        client_send(c, &request);
        return client_expect(c, 901, BODY(JOBS))->jobs;
}

static void client_run_large(struct client *c, uint64_t id)
{
        Sandboxd__V1__File file = SANDBOXD__V1__FILE__INIT, *items[] = { &file };
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;

        file.name = (ProtobufCBinaryData) BYTES("large");
        file.size = 2 * MIB;
        run.n_files = 1;
        run.files = items;
        client_run(c, id, &run);
}

/* One that was refused while its files came never was, though the monitor still has it. */
START_TEST(test_withdrawn)
{
        struct client c, other;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        client_hello(&other);
        client_run_large(&c, 2);
        monitor_expect_start(&s);
        ck_assert_uint_eq(list_jobs(&other)->n_jobs, 1);
        (void) snprintf(id, ID_SIZE, "%s", other.last->jobs->jobs[0]->job_id);
        client_file(&c, 2, 1, "there is no such file");
        client_expect_error(&c, 2, ERROR_CODE(INVALID_ARGUMENT), "1 files");
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        ck_assert_uint_eq(list_jobs(&other)->n_jobs, 0);
        ask(&other, 3, REQUEST(GET_JOB), id);
        client_expect_error(&other, 3, ERROR_CODE(NO_SUCH_JOB), "no job has this id");
        ask(&other, 3, REQUEST(WAIT_JOB), id);
        client_expect_error(&other, 3, ERROR_CODE(NO_SUCH_JOB), "no job has this id");
        /* Its slot is taken as long as there is something of it. */
        ck_assert_uint_eq(running_jobs(&other), 1);
        monitor_end(&s, JOB_STATUS_CANCELLED);
        while (running_jobs(&other) > 0)
                ;
        client_close(&c);
        client_close(&other);
}
END_TEST

/* Strings count from the Run on, also of one whose files do not come; and names of files to fetch as long as
 * their job runs. */
START_TEST(test_strings_are_charged)
{
        static uint8_t text[120 * KIB];
        static uint8_t names[200][4000];
        ProtobufCBinaryData argv[9], get[ELEMENTSOF(names)];
        Sandboxd__V1__File file = SANDBOXD__V1__FILE__INIT, *items[] = { &file };
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        struct start s[2];

        memset(text, 'x', sizeof(text));
        for (size_t i = 0; i < ELEMENTSOF(argv); i++)
                argv[i] = (ProtobufCBinaryData) { sizeof(text), text };
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                memset(names[i], 'x', sizeof(names[i]));
                for (size_t k = 200; k < sizeof(names[i]); k += 200)
                        names[i][k] = '/';
                (void) snprintf((char *) names[i], 4, "%03zu", i);
                names[i][3] = 'x';
                get[i] = (ProtobufCBinaryData) { sizeof(names[i]), names[i] };
        }
        client_hello(&c);
        file.name = (ProtobufCBinaryData) BYTES("f");
        file.size = 2;
        run.n_argv = ELEMENTSOF(argv);
        run.argv = argv;
        run.n_files = 1;
        run.files = items;
        client_run(&c, 2, &run);
        client_run(&c, 3, &run);
        client_expect_error(&c, 3, ERROR_CODE(BUSY), "strings");
        client_simple(&c, 2, REQUEST(CANCEL));
        client_expect(&c, 2, BODY(RESULT));
        sandboxd__v1__run__init(&run);
        run.n_get = ELEMENTSOF(get);
        run.get = get;
        for (uint64_t i = 0; i < ELEMENTSOF(s); i++) {
                client_run(&c, 4 + i, &run);
                expect_begin(&c, 4 + i, &s[i]);
        }
        client_run(&c, 6, &run);
        client_expect_error(&c, 6, ERROR_CODE(BUSY), "strings");
        client_close(&c);
        for (size_t i = ELEMENTSOF(s); i-- > 0;) {
                monitor_expect_kill(&s[i], JOB_STATUS_CANCELLED);
                monitor_end(&s[i], JOB_STATUS_CANCELLED);
        }
}
END_TEST

static void hello_and_fill(struct client *c, struct client *other, struct start *s)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char id[ID_SIZE];

        client_hello(c);
        client_hello(other);
        client_run_upload(c, 3);
        begin_job(c, 2, &run, s, id);
        (void) job_fills(s, CHANNEL_FD_STDOUT, other);
}

/* A client that neither reads nor sends does not hold its upload; nor does one that has sent something that
 * cannot be handled, since it does not read. */
START_TEST(test_upload_of_one_that_does_not_read)
{
        struct client c, other;
        struct start s;

        policy.server.frame_timeout_usec = 150 * USEC_PER_MSEC;
        restart();
        hello_and_fill(&c, &other, &s);
        if (_i)
                client_simple(&c, 4, REQUEST(GET_HOST));
        while (running_jobs(&other) > 1)
                ;
        client_close(&c);
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        monitor_end(&s, JOB_STATUS_CANCELLED);
        client_close(&other);
}
END_TEST

/* The bytes are all here in time, and wait: the job is started once they can be handled. */
START_TEST(test_upload_that_waits_to_be_read)
{
        static char content[400 * KIB + 1];
        struct client c, other;
        struct start s, second;

        policy.server.frame_timeout_usec = USEC_PER_SEC;
        restart();
        memset(content, 'x', sizeof(content) - 1);
        hello_and_fill(&c, &other, &s);
        /* It does not fit into the socket. */
        if (fork() == 0) {
                client_file(&c, 3, 0, content);
                _exit(0);
        }
        (void) usleep(2000000);
        ck_assert_uint_eq(running_jobs(&other), 2);
        start_close(&s);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_OK }, -EBADF);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        while (client_receive(&c)->body_case != BODY(STARTED))
                ck_assert_int_ne(c.last->body_case, BODY(ERROR));
        monitor_expect_start(&second);
        monitor_end(&second, JOB_STATUS_OK);
        client_close(&c);
        client_close(&other);
}
END_TEST

/* A detached job that has left a large value and much output. */
static void leave_much(struct client *c, char id[static ID_SIZE])
{
        static const uint8_t data[800 * KIB];
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        int value = value_file(1020 * KIB);
        struct start s;

        run.runtime = (ProtobufCBinaryData) BYTES("python");
        run.code = (ProtobufCBinaryData) BYTES("42");
        run.detach = true;
        begin_job(c, 2, &run, &s, id);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], data, sizeof(data)), 0);
        start_close(&s);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_OK }, value);
        (void) close(value);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        ask(c, 3, REQUEST(WAIT_JOB), id);
        ck_assert_uint_eq(client_expect(c, 3, BODY(RESULT))->result->return_value->text.len,
                1020 * KIB);
}

/* One user has a large result told on many connections, and reads none. */
START_TEST(test_unread_on_many_connections)
{
        enum { MOST = 110, MANY = 40 };
        static struct client unread[MOST];
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char id[ID_SIZE], running[ID_SIZE];
        size_t n_closed = 0;
        struct client c, last;
        struct start s;

        policy.server.max_connections = policy.server.max_connections_per_user = MOST + 2;
        policy.server.max_kept = policy.server.max_kept_per_user = 8 * MIB;
        restart();
        client_hello(&c);
        leave_much(&c, id);
        run.detach = true;
        begin_job(&c, 4, &run, &s, running);
        for (size_t i = 0; i < MOST; i++) {
                client_hello(&unread[i]);
                if (i != MANY) {
                        ask(&unread[i], 2, REQUEST(WAIT_JOB), id);
                        continue;
                }
                /* From here on 800 KiB are too much for one to be heard. */
                client_wait(&c);
                last = unread[i];
                ask(&last, 2, REQUEST(READ_OUTPUT), id);
                /* They are queued in turns. */
                for (int turn = 0; turn < 20; turn++)
                        client_wait(&c);
                ask(&last, 3, REQUEST(CANCEL_JOB), running);
                monitor_expect_silence();
                while (client_receive(&last)->id == 2)
                        ;
                ck_assert_int_eq(last.last->body_case, BODY(DONE));
                monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
                unread[i] = last;
        }
        client_wait(&c);
        for (size_t i = 0; i < MOST; i++) {
                struct pollfd p = { .fd = unread[i].fd, .events = POLLIN };

                ck_assert_int_ge(poll(&p, 1, 0), 0);
                n_closed += (p.revents & POLLHUP) != 0;
                /* The first were there when there was room. */
                ck_assert(!(p.revents & POLLHUP) || i > MANY);
                client_close(&unread[i]);
        }
        ck_assert_uint_gt(n_closed, 0);
        /* What was charged is given back. */
        client_hello(&last);
        ask(&last, 2, REQUEST(WAIT_JOB), id);
        client_expect(&last, 2, BODY(RESULT));
        client_close(&last);
        client_close(&c);
        monitor_end(&s, JOB_STATUS_CANCELLED);
}
END_TEST

/* Very many jobs that do not read their stdin cost no more than so much. */
START_TEST(test_stdin_of_many_jobs)
{
        enum { JOBS = 80 };
        static struct start starts[JOBS];
        static uint8_t data[256 * KIB];
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        uint64_t credit, all = 0;
        struct client c;

        policy.server.max_jobs = policy.server.max_jobs_per_user = JOBS;
        restart();
        client_hello(&c);
        run.stdin = true;
        for (size_t i = 0; i < JOBS; i++) {
                client_run(&c, 10 + i, &run);
                monitor_expect_start(&starts[i]);
                credit = client_expect(&c, 10 + i, BODY(STARTED))->started->stdin_credit;
                ck_assert_uint_ge(credit, 16 * KIB);
                all += credit;
                monitor_started(starts[i].message.header.job, NULL, 0);
        }
        ck_assert_uint_le(all, 18 * MIB);
        /* With a small credit, too, any number of bytes can be sent. */
        client_stdin(&c, 10 + JOBS - 1, data, credit, false);
        ck_assert_int_eq(io_read_full(starts[JOBS - 1].fds[CHANNEL_FD_STDIN], data, credit),
                credit);
        ck_assert_uint_gt(client_expect(&c, 10 + JOBS - 1, BODY(STDIN_CREDIT))->stdin_credit->bytes,
                0);
        /* One that has ended gives it back. */
        monitor_end(&starts[0], JOB_STATUS_OK);
        while (client_receive(&c)->body_case != BODY(RESULT))
                ;
        client_run(&c, 2, &run);
        monitor_expect_start(&starts[0]);
        ck_assert_uint_eq(client_expect(&c, 2, BODY(STARTED))->started->stdin_credit, 256 * KIB);
        for (size_t i = 0; i < JOBS; i++)
                monitor_end(&starts[i], JOB_STATUS_OK);
        for (size_t n = 0; n < JOBS;)
                n += client_receive(&c)->body_case == BODY(RESULT);
        client_close(&c);
}
END_TEST

/* A detached job that was queued is handed over: it has a result, whether its client still listens or not. */
START_TEST(test_handed_over)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char ids[2][ID_SIZE];
        struct client c;
        struct start s;

        plan_grace_usec = 50 * USEC_PER_MSEC;
        policy.server.max_jobs_per_user = 1;
        restart();
        client_hello(&c);
        begin_job(&c, 2, &run, &s, ids[0]);
        run.detach = true;
        client_run(&c, 3, &run);
        (void) snprintf(ids[1], ID_SIZE, "%s", client_expect(&c, 3, BODY(QUEUED))->queued->job_id);
        monitor_reload(2);
        client_expect_error(&c, 3, ERROR_CODE(BUSY), "send the job again");
        monitor_expect_retire(1);
        /* Nothing else is said to it, and its id is free. */
        ask(&c, 3, REQUEST(WAIT_JOB), ids[1]);
        client_expect(&c, 3, BODY(RESULT));
        ck_assert_int_eq(c.last->result->status, STATUS(SETUP_ERROR));
        ck_assert_str_eq(c.last->result->step, "receive");
        ck_assert_ptr_nonnull(strstr(c.last->result->message, "send the job again"));
        expect_end(&c, 2, &s);
        client_close(&c);
}
END_TEST

static bool monitor_has_start(struct start *s)
{
        struct pollfd p = { .fd = channel, .events = POLLIN };

        if (poll(&p, 1, 200) == 0)
                return false;
        monitor_expect_start(s);
        return true;
}

/* The monitor is not given more to make than it can be busy with; what waits for that goes by turns. */
START_TEST(test_starts_in_turn)
{
        enum { JOBS = 2 * CPU_SETSIZE };
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        static struct start starts[JOBS];
        struct client c, other;
        size_t n = 0, most, i;
        cpu_set_t cpus;

        if (getuid() != 0)
                return;
        ck_assert_int_eq(sched_getaffinity(0, sizeof(cpus), &cpus), 0);
        policy.server.max_jobs = policy.server.max_jobs_per_user =
                2 * MAX(2 * (uint32_t) CPU_COUNT(&cpus), 8U);
        policy.server.max_queued_per_user = 0;
        restart();
        client_hello(&c);
        client_hello_as(&other, 12345);
        for (uint64_t id = 10; id < 10 + policy.server.max_jobs - 1; id++)
                client_run(&c, id, &run);
        while (monitor_has_start(&starts[n]))
                n++;
        most = policy.server.max_jobs / 2;
        /* All have their slots, and some a place: of those there are, one user has no more than this. */
        ck_assert_uint_eq(n, most - most / 4);
        ck_assert_uint_eq(running_jobs(&other), policy.server.max_jobs - 1);
        client_run(&other, 2, &run);
        monitor_expect_start(&starts[n++]);
        ck_assert_uint_eq(starts[n - 1].message.owner, 12345);
        client_expect(&other, 2, BODY(STARTED));
        monitor_expect_silence();
        monitor_started(starts[n - 2].message.header.job, NULL, 0);
        monitor_expect_start(&starts[n++]);
        ck_assert_uint_ne(starts[n - 1].message.owner, 12345);
        monitor_expect_silence();
        /* An end makes room as well. */
        for (i = 0; i < n; i++) {
                monitor_end(&starts[i], JOB_STATUS_OK);
                while (n < policy.server.max_jobs && monitor_has_start(&starts[n]))
                        n++;
        }
        ck_assert_uint_eq(n, policy.server.max_jobs);
        client_expect(&other, 2, BODY(RESULT));
        ck_assert_uint_eq(running_jobs(&other), 0);
        client_close(&c);
        client_close(&other);
}
END_TEST

/* One that waits for its turn is not with the monitor yet. */
START_TEST(test_cancel_before_its_turn)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        static struct start starts[2 * CPU_SETSIZE];
        size_t n = 0;
        struct client c;
        uint64_t id;

        policy.server.max_jobs = policy.server.max_jobs_per_user = 4096;
        restart();
        client_hello(&c);
        for (id = 10; monitor_has_start(&starts[n]) || n == 0; id++) {
                n += id > 10;
                client_run(&c, id, &run);
                if (id > 10)
                        client_expect(&c, id - 1, BODY(STARTED));
        }
        client_simple(&c, id - 1, REQUEST(CANCEL));
        client_expect(&c, id - 1, BODY(RESULT));
        ck_assert_int_eq(c.last->result->status, STATUS(CANCELLED));
        ck_assert_uint_eq(running_jobs(&c), n);
        for (size_t i = 0; i < n; i++)
                monitor_end(&starts[i], JOB_STATUS_OK);
        monitor_expect_silence();
        client_close(&c);
}
END_TEST

/* A job that runs has given its place at the monitor back, however few there are. */
START_TEST(test_places_of_running_jobs)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        static struct start starts[2 * CPU_SETSIZE + 4];
        size_t n = 0, places = 0;
        struct client c;
        uint64_t id = 10;

        policy.server.max_jobs = policy.server.max_jobs_per_user = 4096;
        restart();
        client_hello(&c);
        for (; n < 4; n++) {
                client_run(&c, id++, &run);
                expect_begin(&c, id - 1, &starts[n]);
                monitor_started(starts[n].message.header.job, NULL, 0);
        }
        client_run(&c, id++, &run);
        while (monitor_has_start(&starts[n])) {
                n++;
                places++;
                client_run(&c, id++, &run);
        }
        /* Three quarters of eight, or of more. */
        ck_assert_uint_ge(places, 6);
        for (size_t i = 0; i < n; i++)
                monitor_end(&starts[i], JOB_STATUS_OK);
        client_close(&c);
}
END_TEST

static void put_file(int out, const char *name, const char *data)
{
        const struct transfer_record file = {
                .kind = TRANSFER_REGULAR,
                .mode = 0600,
                .size = strlen(data),
                .name_size = (uint32_t) strlen(name),
        };
        const struct transfer_record part = { .kind = TRANSFER_DATA, .size = strlen(data) };

        ck_assert_int_eq(io_write_full(out, &file, sizeof(file)), 0);
        ck_assert_int_eq(io_write_full(out, name, strlen(name)), 0);
        ck_assert_int_eq(io_write_full(out, &part, sizeof(part)), 0);
        ck_assert_int_eq(io_write_full(out, data, strlen(data)), 0);
}

static void put_end(int out)
{
        const struct transfer_record end = { .kind = TRANSFER_END };

        ck_assert_int_eq(io_write_full(out, &end, sizeof(end)), 0);
}

/* Files are there and not taken: with credit they come, as they are all here; without, they are lost. */
START_TEST(test_files_after_cancel)
{
        ProtobufCBinaryData get = bytes_of("f");
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c, other;
        char id[ID_SIZE];
        struct start s;

        client_hello(&c);
        client_hello(&other);
        run.n_get = 1;
        run.get = &get;
        run.output_credit = 1;
        begin_job(&c, 2, &run, &s, id);
        put_file(s.fds[s.n_fds - 1], "f", "abc");
        put_end(s.fds[s.n_fds - 1]);
        monitor_end(&s, JOB_STATUS_OK);
        client_expect(&c, 2, BODY(FILE_OUT));
        ck_assert_int_eq(c.last->file_out->kind, SANDBOXD__V1__FILE_OUT__KIND__REGULAR);
        client_expect(&c, 2, BODY(FILE_OUT));
        ck_assert_uint_eq(c.last->file_out->data.len, 1);
        ck_assert_uint_eq(running_jobs(&other), 1);
        ask(&other, 4, REQUEST(CANCEL_JOB), id);
        client_expect(&other, 4, BODY(DONE));
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        for (size_t i = 0; i < 2; i++) {
                client_expect(&c, 2, BODY(FILE_OUT));
                ck_assert_int_eq(c.last->file_out->kind, SANDBOXD__V1__FILE_OUT__KIND__FAILED);
        }
        ck_assert_uint_eq(client_expect(&c, 2, BODY(RESULT))->result->files, 0);
        expect_service(&c, 3);
        client_close(&c);
        client_close(&other);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("frontend-ends");
        TCase *tc = tcase_create("frontend-ends");

        tcase_add_checked_fixture(tc, setup_ends, teardown);
        tcase_set_timeout(tc, 30);
        tcase_add_test(tc, test_cancel_for_one_that_does_not_read);
        tcase_add_test(tc, test_cancelled_before);
        tcase_add_loop_test(tc, test_overdue, 0, 2);
        tcase_add_test(tc, test_files_after_cancel);
        tcase_add_loop_test(tc, test_value_that_cannot_be_kept, 0, 2);
        tcase_add_test(tc, test_withdrawn);
        tcase_add_test(tc, test_strings_are_charged);
        tcase_add_loop_test(tc, test_upload_of_one_that_does_not_read, 0, 2);
        tcase_add_test(tc, test_upload_that_waits_to_be_read);
        tcase_add_test(tc, test_unread_on_many_connections);
        tcase_add_test(tc, test_stdin_of_many_jobs);
        tcase_add_test(tc, test_handed_over);
        tcase_add_test(tc, test_starts_in_turn);
        tcase_add_test(tc, test_cancel_before_its_turn);
        tcase_add_test(tc, test_places_of_running_jobs);
        suite_add_tcase(suite, tc);
        return run_suite(suite);
}
