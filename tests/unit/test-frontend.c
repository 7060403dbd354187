/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend as its clients and the monitor see it; see fixture-frontend.h.
 */
#include "tests/unit/fixture-frontend.h"

START_TEST(test_job)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        Sandboxd__V1__Response *r;
        struct spec_view spec;
        char id[32];
        struct client c;
        struct start s;

        client_hello(&c);
        run.runtime = (ProtobufCBinaryData) BYTES("py");
        run.code = (ProtobufCBinaryData) { 8, (uint8_t *) "print(1)" };
        run.label = (ProtobufCBinaryData) { 3, (uint8_t *) "abc" };
        client_run(&c, 7, &run);

        monitor_expect_start(&s);
        ck_assert_uint_eq(s.n_fds, 3);
        ck_assert_uint_eq(s.message.flags, CHANNEL_START_RETURN_VALUE);
        ck_assert_uint_eq(s.message.limits.value[LIMIT_MEMORY], 256 * MIB);
        ck_assert_int_eq(spec_view_open(&spec, s.fds[CHANNEL_FD_SPEC]), 0);
        ck_assert_str_eq(spec.exec, "/usr/bin/python3");
        ck_assert_str_eq(spec.file_names[0], "main.py");
        ck_assert_mem_eq(spec.data, "print(1)", 8);
        spec_view_done(&spec);

        r = client_expect(&c, 7, BODY(STARTED));
        (void) snprintf(id, sizeof(id), "%s", r->started->job_id);
        ck_assert_uint_eq(strlen(id), 16);
        ck_assert_str_eq(r->started->runtime, "python");
        ck_assert_uint_eq(r->started->stdin_credit, 0);

        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], "one", 3), 0);
        r = client_expect(&c, 7, BODY(OUTPUT));
        ck_assert_int_eq(r->output->stream, SANDBOXD__V1__OUTPUT__STREAM__STDOUT);
        ck_assert_mem_eq(r->output->data.data, "one", 3);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDERR], "two!", 4), 0);
        r = client_expect(&c, 7, BODY(OUTPUT));
        ck_assert_int_eq(r->output->stream, SANDBOXD__V1__OUTPUT__STREAM__STDERR);

        start_close(&s);
        monitor_ended(&s,
                &(struct channel_ended) {
                        .status = JOB_STATUS_EXITED,
                        .exit_code = 3,
                        .flags = CHANNEL_ENDED_CPU_THROTTLED,
                        .wall_usec = 11,
                        .memory_peak_bytes = 12,
                },
                -EBADF);
        r = client_expect(&c, 7, BODY(RESULT));
        ck_assert_str_eq(r->result->job_id, id);
        ck_assert_int_eq(r->result->status, SANDBOXD__V1__STATUS__EXITED);
        ck_assert_int_eq(r->result->exit_code, 3);
        ck_assert_str_eq(r->result->message, "exited with code 3");
        ck_assert_uint_eq(r->result->stdout_bytes, 3);
        ck_assert_uint_eq(r->result->stderr_bytes, 4);
        ck_assert(!r->result->stdout_truncated);
        ck_assert(r->result->cpu_throttled && !r->result->pids_limit_hit);
        ck_assert_ptr_null(r->result->return_value);
        ck_assert_uint_eq(r->result->usage->wall_usec, 11);
        ck_assert_uint_eq(r->result->usage->memory_peak_bytes, 12);
        ck_assert_uint_gt(r->result->started_at_usec, 0);
        ck_assert_mem_eq(r->result->label.data, "abc", 3);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        expect_service(&c, 8);
        client_close(&c);
}
END_TEST

START_TEST(test_output_is_bounded)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        uint8_t data[10000] = {};
        struct client c;
        struct start s;

        client_hello(&c);
        client_run(&c, 2, &run);
        expect_begin(&c, 2, &s);
        for (size_t i = 0; i < 6; i++)
                ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], data, sizeof(data)), 0);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], data, 3999), 0);
        monitor_end(&s, JOB_STATUS_OK);
        ck_assert_uint_eq(client_drain(&c, 2), 1000);
        ck_assert_uint_eq(c.last->result->stdout_bytes, 63999);
        ck_assert(c.last->result->stdout_truncated && !c.last->result->stderr_truncated);
        client_close(&c);
}
END_TEST

static void check_output_kill(bool strict, size_t size)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        _cleanup_free_ uint8_t *data = calloc(1, size);
        struct client c;
        struct start s;

        client_hello(&c);
        run.strict_output = strict;
        client_run(&c, 2, &run);
        expect_begin(&c, 2, &s);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDERR], data, size), 0);
        monitor_expect_kill(&s, JOB_STATUS_OUTPUT_LIMIT);
        monitor_end(&s, JOB_STATUS_OUTPUT_LIMIT);
        ck_assert_uint_eq(client_drain(&c, 2), 1000);
        ck_assert_int_eq(c.last->result->status, SANDBOXD__V1__STATUS__OUTPUT_LIMIT);
        ck_assert_ptr_nonnull(strstr(c.last->result->message, "--output-limit"));
        ck_assert(c.last->result->stderr_truncated);
        client_close(&c);
}

START_TEST(test_output_limit)
{
        check_output_kill(false, 64000);
}
END_TEST

START_TEST(test_strict_output)
{
        check_output_kill(true, 1001);
}
END_TEST

/* The monitor says that all has ended before the output was read. */
static void check_output_after_the_end(struct client *c, bool strict, size_t size,
        const struct channel_ended *ended, Sandboxd__V1__Status status)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        _cleanup_free_ uint8_t *data = calloc(1, size);
        struct start s;

        run.strict_output = strict;
        client_run(c, 2, &run);
        expect_begin(c, 2, &s);
        monitor_ended(&s, ended, -EBADF);
        /* The frontend has read that: its answer to this request comes from a later turn. */
        monitor_send(CHANNEL_OP_GONE, 0);
        client_simple(c, 3, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        client_expect(c, 3, BODY(HOST));
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], data, size), 0);
        start_close(&s);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        (void) client_drain(c, 2);
        ck_assert_int_eq(c->last->result->status, status);
        if (status == SANDBOXD__V1__STATUS__OUTPUT_LIMIT) {
                ck_assert_int_eq(c->last->result->exit_code, 0);
                ck_assert_int_eq(c->last->result->signal, 0);
                ck_assert_ptr_nonnull(strstr(c->last->result->message, "--output-limit"));
        }
}

START_TEST(test_output_limit_after_the_end)
{
        static const struct {
                struct channel_ended ended;
                Sandboxd__V1__Status passed; /* for a job that passed its limit */
                Sandboxd__V1__Status kept;
        } cases[] = {
                { { .status = JOB_STATUS_OK }, SANDBOXD__V1__STATUS__OUTPUT_LIMIT,
                        SANDBOXD__V1__STATUS__OK },
                { { .status = JOB_STATUS_EXITED, .exit_code = 3 },
                        SANDBOXD__V1__STATUS__OUTPUT_LIMIT, SANDBOXD__V1__STATUS__EXITED },
                { { .status = JOB_STATUS_SIGNALED, .signal = SIGPIPE },
                        SANDBOXD__V1__STATUS__OUTPUT_LIMIT, SANDBOXD__V1__STATUS__SIGNALED },
                { { .status = JOB_STATUS_TIMEOUT }, SANDBOXD__V1__STATUS__TIMEOUT,
                        SANDBOXD__V1__STATUS__TIMEOUT },
        };
        struct client c;

        client_hello(&c);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                check_output_after_the_end(&c, true, 1001, &cases[i].ended, cases[i].passed);
                check_output_after_the_end(&c, true, 1000, &cases[i].ended, cases[i].kept);
                check_output_after_the_end(&c, false, 64000, &cases[i].ended, cases[i].passed);
                check_output_after_the_end(&c, false, 63999, &cases[i].ended, cases[i].kept);
        }
        client_close(&c);
}
END_TEST

START_TEST(test_stdin)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        static uint8_t data[256 * KIB], got[256 * KIB];
        struct client c;
        struct start s;
        uint64_t credit;

        client_hello(&c);
        run.stdin = true;
        client_run(&c, 2, &run);
        monitor_expect_start(&s);
        ck_assert_uint_eq(s.n_fds, 4);
        credit = client_expect(&c, 2, BODY(STARTED))->started->stdin_credit;
        ck_assert_uint_eq(credit, sizeof(data));
        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t) (i * 7);
        client_stdin(&c, 2, data, sizeof(data), false);
        ck_assert_int_eq(io_read_full(s.fds[CHANNEL_FD_STDIN], got, sizeof(got)), sizeof(got));
        ck_assert_mem_eq(data, got, sizeof(got));
        for (credit = 0; credit < sizeof(data);)
                credit += client_expect(&c, 2, BODY(STDIN_CREDIT))->stdin_credit->bytes;
        ck_assert_uint_eq(credit, sizeof(data));
        client_stdin(&c, 2, "end", 3, true);
        ck_assert_int_eq(io_read_full(s.fds[CHANNEL_FD_STDIN], got, sizeof(got)), 3);
        expect_end(&c, 2, &s);
        client_close(&c);
}
END_TEST

START_TEST(test_stdin_closed_by_job)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        struct start s;

        client_hello(&c);
        run.stdin = true;
        client_run(&c, 2, &run);
        expect_begin(&c, 2, &s);
        s.fds[CHANNEL_FD_STDIN] = safe_close(s.fds[CHANNEL_FD_STDIN]);
        ck_assert(client_expect(&c, 2, BODY(STDIN_CREDIT))->stdin_credit->closed);
        /* What was under way is no misuse. */
        client_stdin(&c, 2, "late", 4, true);
        expect_end(&c, 2, &s);
        client_close(&c);
}
END_TEST

START_TEST(test_stdin_over_credit)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        static uint8_t data[256 * KIB];
        struct client c;
        struct start s;

        client_hello(&c);
        run.stdin = true;
        client_run(&c, 2, &run);
        expect_begin(&c, 2, &s);
        client_stdin(&c, 2, data, sizeof(data), false);
        /* 64 KiB fit the pipe, and are given back; a second full credit is too much. */
        client_stdin(&c, 2, data, sizeof(data), false);
        while (client_receive(&c) && c.last->body_case == BODY(STDIN_CREDIT))
                ;
        ck_assert_ptr_nonnull(c.last);
        ck_assert_int_eq(c.last->error->code, ERROR_CODE(BAD_REQUEST));
        client_expect_end(&c);
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        monitor_end(&s, JOB_STATUS_CANCELLED);
        client_close(&c);
}
END_TEST

START_TEST(test_stdin_not_asked_for)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        struct start s;

        client_hello(&c);
        client_run(&c, 2, &run);
        expect_begin(&c, 2, &s);
        client_stdin(&c, 2, "x", 1, false);
        client_expect_error(&c, 2, ERROR_CODE(BAD_REQUEST), "stdin");
        client_expect_end(&c);
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        monitor_end(&s, JOB_STATUS_CANCELLED);
        client_close(&c);
}
END_TEST

START_TEST(test_cancel)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        struct start s;

        client_hello(&c);
        client_simple(&c, 99, SANDBOXD__V1__REQUEST__BODY_CANCEL);
        client_run(&c, 2, &run);
        expect_begin(&c, 2, &s);
        client_simple(&c, 2, SANDBOXD__V1__REQUEST__BODY_CANCEL);
        client_simple(&c, 2, SANDBOXD__V1__REQUEST__BODY_CANCEL);
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], "part", 4), 0);
        monitor_end(&s, JOB_STATUS_CANCELLED);
        ck_assert_uint_eq(client_drain(&c, 2), 4);
        ck_assert_int_eq(c.last->result->status, SANDBOXD__V1__STATUS__CANCELLED);
        expect_service(&c, 3);
        client_close(&c);
}
END_TEST

START_TEST(test_client_vanishes)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c, other;
        struct start s[2];

        client_hello(&c);
        client_run(&c, 2, &run);
        client_run(&c, 3, &run);
        monitor_expect_start(&s[0]);
        monitor_expect_start(&s[1]);
        client_close(&c);
        monitor_expect_kill(&s[1], JOB_STATUS_CANCELLED);
        monitor_expect_kill(&s[0], JOB_STATUS_CANCELLED);
        client_hello(&other);
        expect_service(&other, 2);
        monitor_end(&s[0], JOB_STATUS_CANCELLED);
        monitor_end(&s[1], JOB_STATUS_CANCELLED);
        expect_service(&other, 3);
        client_close(&other);
}
END_TEST

START_TEST(test_files)
{
        Sandboxd__V1__File files[2], *items[2];
        Sandboxd__V1__Run run;
        struct spec_view spec;
        struct client c;
        struct start s;

        client_hello(&c);
        run_with_files(&run, files, items);
        client_run(&c, 2, &run);
        client_file(&c, 2, 1, "BB");
        client_file(&c, 2, 0, "aaaa");
        client_file(&c, 2, 1, "B");
        monitor_expect_start(&s);
        ck_assert_int_eq(spec_view_open(&spec, s.fds[CHANNEL_FD_SPEC]), 0);
        ck_assert_uint_eq(spec.n_files, 2);
        ck_assert_str_eq(spec.file_names[1], "d/b");
        ck_assert_uint_eq(spec.files[1].mode, 0755);
        ck_assert_mem_eq(spec.data, "AAaaaaBBB", 9);
        ck_assert(spec.search_path);
        spec_view_done(&spec);
        client_expect(&c, 2, BODY(STARTED));
        expect_end(&c, 2, &s);
        client_close(&c);
}
END_TEST

START_TEST(test_files_misused)
{
        Sandboxd__V1__File files[2], *items[2];
        Sandboxd__V1__Run run;
        struct client c;

        client_hello(&c);
        run_with_files(&run, files, items);
        client_run(&c, 2, &run);
        client_file(&c, 2, 1, "BBBB");
        client_expect_error(&c, 2, ERROR_CODE(INVALID_ARGUMENT), "files[1] got more bytes");
        client_run(&c, 3, &run);
        client_file(&c, 3, 2, "B");
        client_expect_error(&c, 3, ERROR_CODE(INVALID_ARGUMENT), "file 2");
        client_run(&c, 4, &run);
        client_simple(&c, 4, SANDBOXD__V1__REQUEST__BODY_CANCEL);
        ck_assert_int_eq(client_expect(&c, 4, BODY(RESULT))->result->status,
                SANDBOXD__V1__STATUS__CANCELLED);
        /* Gone in the middle of an upload. */
        client_run(&c, 5, &run);
        client_close(&c);
        client_hello(&c);
        expect_service(&c, 2);
        client_close(&c);
}
END_TEST

START_TEST(test_upload_quota)
{
        struct client c, other;

        policy.server.frame_timeout_usec = 10 * USEC_PER_SEC;
        policy.server.max_jobs_per_user = 8;
        restart();
        client_hello(&c);
        client_hello(&other);
        client_run_upload(&c, 2);
        client_run_upload(&c, 3);
        client_simple(&c, 4, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        ck_assert_uint_eq(client_expect(&c, 4, BODY(HOST))->host->running_jobs, 2);
        /* All connections of a user count together. */
        client_run_upload(&other, 2);
        client_expect_error(&other, 2, ERROR_CODE(BUSY), "MaxUploadPerUser=");
        client_simple(&other, 3, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        ck_assert_uint_eq(client_expect(&other, 3, BODY(HOST))->host->running_jobs, 2);
        expect_service(&other, 4);
        /* What is dropped makes room, and so does what is handed over. */
        client_simple(&c, 2, SANDBOXD__V1__REQUEST__BODY_CANCEL);
        client_expect(&c, 2, BODY(RESULT));
        client_run_upload(&other, 5);
        client_run_upload(&other, 6);
        client_expect_error(&other, 6, ERROR_CODE(BUSY), "MaxUploadPerUser=");
        client_close(&c);
        client_hello(&c);
        client_simple(&c, 2, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        ck_assert_uint_eq(client_expect(&c, 2, BODY(HOST))->host->running_jobs, 1);
        client_run_upload(&other, 7);
        client_simple(&other, 8, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        client_expect(&other, 8, BODY(HOST));
        expect_service(&other, 9);
        client_close(&other);
        client_close(&c);
}
END_TEST

/* Files that are complete hold nothing of the quota, however many jobs run. */
START_TEST(test_upload_handed_over)
{
        static uint8_t content[400 * KIB];
        Sandboxd__V1__File file = SANDBOXD__V1__FILE__INIT, *items[] = { &file };
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct start s[3];
        struct client c;

        client_hello(&c);
        file.name = (ProtobufCBinaryData) BYTES("a");
        file.size = sizeof(content);
        file.data = (ProtobufCBinaryData) { sizeof(content), content };
        run.n_files = 1;
        run.files = items;
        for (size_t i = 0; i < ELEMENTSOF(s); i++) {
                client_run(&c, 2 + i, &run);
                expect_begin(&c, 2 + i, &s[i]);
        }
        for (size_t i = 0; i < ELEMENTSOF(s); i++) {
                expect_end(&c, 2 + i, &s[i]);
        }
        client_close(&c);
}
END_TEST

START_TEST(test_upload_over_the_quota_alone)
{
        struct client c;

        policy.server.max_upload_per_user = 300 * KIB;
        restart();
        client_hello(&c);
        client_run_upload(&c, 2);
        client_expect_error(&c, 2, ERROR_CODE(OVER_LIMIT), "MaxUploadPerUser= allows 300K");
        ck_assert_str_eq(c.last->error->field, "files");
        expect_service(&c, 3);
        client_close(&c);
}
END_TEST

START_TEST(test_upload_deadline)
{
        Sandboxd__V1__File files[2], *items[2];
        Sandboxd__V1__Run run;
        struct client c;
        struct start s;

        policy.server.frame_timeout_usec = 750 * USEC_PER_MSEC;
        restart();
        client_hello(&c);
        run_with_files(&run, files, items);
        /* Progress renews it: each pause is well below it, and all together well over it. */
        client_run(&c, 2, &run);
        for (unsigned i = 0; i < 4; i++) {
                (void) usleep(250000);
                client_file(&c, 2, 0, "a");
        }
        client_file(&c, 2, 1, "BBB");
        expect_begin(&c, 2, &s);
        /* A FileData without bytes is no progress. */
        client_run(&c, 3, &run);
        for (unsigned i = 0; i < 4; i++) {
                (void) usleep(250000);
                client_file(&c, 3, 0, "");
        }
        client_simple(&c, 4, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        client_expect_error(&c, 3, ERROR_CODE(INVALID_ARGUMENT), "FrameTimeoutSec=");
        ck_assert_str_eq(c.last->error->field, "files");
        client_expect(&c, 4, BODY(HOST));
        /* Only that Run has ended. */
        expect_end(&c, 2, &s);
        expect_service(&c, 5);
        client_close(&c);
}
END_TEST

START_TEST(test_refusals_keep_the_connection)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;

        client_hello(&c);
        run.runtime = (ProtobufCBinaryData) BYTES("cobol");
        client_run(&c, 2, &run);
        client_expect_error(&c, 2, ERROR_CODE(UNKNOWN_RUNTIME), "python, javascript, command");
        run.runtime = (ProtobufCBinaryData) BYTES("");
        expect_service(&c, 3);
        client_close(&c);
}
END_TEST

START_TEST(test_busy)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct start s[3];
        struct client c;

        client_hello(&c);
        for (size_t i = 0; i < 3; i++) {
                client_run(&c, 2 + i, &run);
                expect_begin(&c, 2 + i, &s[i]);
        }
        client_run(&c, 9, &run);
        client_expect_error(&c, 9, ERROR_CODE(BUSY), "MaxJobsPerUser=");
        /* Whether the request is right is not looked at then. */
        run.workdir = (ProtobufCBinaryData) BYTES("..");
        client_run(&c, 9, &run);
        client_expect_error(&c, 9, ERROR_CODE(BUSY), "MaxJobsPerUser=");
        for (size_t i = 0; i < 3; i++) {
                expect_end(&c, 2 + i, &s[i]);
        }
        expect_service(&c, 10);
        client_close(&c);
}
END_TEST

/* Ends a python job with this in the return value's file; the message is in c->last. */
static Sandboxd__V1__Result *run_returning(struct client *c, const void *data, size_t size,
        enum job_status status)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        _cleanup_close_ int fd = io_memfd_new("return");
        struct start s;

        ck_assert_int_eq(io_write_full(fd, data, size), 0);
        run.runtime = (ProtobufCBinaryData) BYTES("python");
        run.code = (ProtobufCBinaryData) { 1, (uint8_t *) "1" };
        client_run(c, 2, &run);
        expect_begin(c, 2, &s);
        start_close(&s);
        monitor_ended(&s, &(struct channel_ended) { .status = status }, fd);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        return client_expect(c, 2, BODY(RESULT))->result;
}

START_TEST(test_return_value)
{
        _cleanup_free_ char *large = calloc(1, 2 * MIB);
        Sandboxd__V1__Result *r;
        struct client c;

        client_hello(&c);
        r = run_returning(&c, "4 2\n'42'42", 10, JOB_STATUS_OK);
        ck_assert_ptr_nonnull(r->return_value);
        ck_assert_uint_eq(r->return_value->text.len, 4);
        ck_assert_mem_eq(r->return_value->text.data, "'42'", 4);
        ck_assert_mem_eq(r->return_value->json.data, "42", 2);
        r = run_returning(&c, "4 2\n'42'42", 10, JOB_STATUS_EXITED);
        ck_assert_ptr_null(r->return_value);
        r = run_returning(&c, "4 3\n'42'42", 10, JOB_STATUS_OK);
        ck_assert_ptr_null(r->return_value);
        r = run_returning(&c, "", 0, JOB_STATUS_OK);
        ck_assert_ptr_null(r->return_value);
        ck_assert_str_eq(r->message, "");
        r = run_returning(&c, large, 2 * MIB, JOB_STATUS_OK);
        ck_assert_ptr_null(r->return_value);
        ck_assert_str_eq(r->message, "return value dropped: larger than 1M");
        (void) memcpy(large, "1048576 0\n", 10);
        r = run_returning(&c, large, 1 * MIB + 10, JOB_STATUS_OK);
        ck_assert_ptr_nonnull(r->return_value);
        ck_assert_uint_eq(r->return_value->text.len, 1 * MIB);
        client_close(&c);
}
END_TEST

START_TEST(test_setup_error)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        Sandboxd__V1__Result *r;
        struct client c;
        struct start s;

        client_hello(&c);
        client_run(&c, 2, &run);
        expect_begin(&c, 2, &s);
        start_close(&s);
        monitor_ended(&s,
                &(struct channel_ended) {
                        .status = JOB_STATUS_SETUP_ERROR,
                        .step = SETUP_STEP_EXEC,
                        .error = ENOENT,
                },
                -EBADF);
        r = client_expect(&c, 2, BODY(RESULT))->result;
        ck_assert_str_eq(r->message, "true: not found in the sandbox");
        ck_assert_str_eq(r->step, "exec");
        ck_assert_int_eq(r->error, ENOENT);
        client_close(&c);
}
END_TEST

START_TEST(test_gone_without_report)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        struct start s;

        client_hello(&c);
        client_run(&c, 2, &run);
        expect_begin(&c, 2, &s);
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        client_expect_error(&c, 2, ERROR_CODE(INTERNAL), "without a report");
        start_close(&s);
        expect_service(&c, 3);
        client_close(&c);
}
END_TEST

/* A process that outlives the job's end keeps its pipe open: the result waits until all is gone. */
START_TEST(test_pipe_kept_open)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        struct start s;

        client_hello(&c);
        client_run(&c, 2, &run);
        expect_begin(&c, 2, &s);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_OK }, -EBADF);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], "late", 4), 0);
        client_expect(&c, 2, BODY(OUTPUT));
        monitor_send(CHANNEL_OP_GONE, s.message.header.job);
        client_expect(&c, 2, BODY(RESULT));
        start_close(&s);
        client_close(&c);
}
END_TEST

START_TEST(test_ping)
{
        struct channel_header h;

        for (unsigned i = 0; i < 3; i++) {
                monitor_send(CHANNEL_OP_PING, 0);
                ck_assert_int_eq(io_receive_message(channel, &h, sizeof(h), NULL, 0,
                                         &(size_t) { 0 }),
                        sizeof(h));
                ck_assert(channel_header_valid(&h, sizeof(h)));
                ck_assert_uint_eq(h.op, CHANNEL_OP_PONG);
        }
}
END_TEST

START_TEST(test_stop)
{
        Sandboxd__V1__File files[2], *items[2];
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT, uploading;
        struct client c;
        struct start s;

        client_hello(&c);
        client_run(&c, 2, &run);
        expect_begin(&c, 2, &s);
        run_with_files(&uploading, files, items);
        client_run(&c, 3, &uploading);
        client_simple(&c, 4, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        ck_assert_uint_eq(client_expect(&c, 4, BODY(HOST))->host->running_jobs, 2);
        monitor_send(CHANNEL_OP_STOP, 0);
        client_expect_error(&c, 3, ERROR_CODE(DRAINING), "stopping");
        client_run(&c, 5, &run);
        client_expect_error(&c, 5, ERROR_CODE(DRAINING), "stopping");
        start_close(&s);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_CANCELLED }, -EBADF);
        client_expect(&c, 2, BODY(RESULT));
        client_expect_error(&c, 0, ERROR_CODE(DRAINING), "stopping");
        client_expect_end(&c);
        expect_exit();
        client_close(&c);
}
END_TEST

START_TEST(test_stop_with_deaf_client)
{
        struct client c;

        client_hello(&c);
        for (uint64_t id = 2; id < 2000; id++)
                client_simple(&c, id, SANDBOXD__V1__REQUEST__BODY_LIST_PROFILES);
        monitor_send(CHANNEL_OP_STOP, 0);
        expect_exit();
        client_close(&c);
}
END_TEST

/* Which profile the monitor was asked for, by a Run over that socket. */
static uint32_t profile_of(unsigned socket, Sandboxd__V1__Run *run)
{
        struct client c;
        struct start s;

        chosen = socket;
        client_hello(&c);
        client_run(&c, 2, run);
        expect_begin(&c, 2, &s);
        start_close(&s);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_OK }, -EBADF);
        client_expect(&c, 2, BODY(RESULT));
        client_close(&c);
        return s.message.profile;
}

START_TEST(test_default_profile_of_a_socket)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;

        policy.n_listeners = 2;
        policy.listener_profiles[1] = 1;
        restart();
        ck_assert_uint_eq(profile_of(0, &run), 0);
        ck_assert_uint_eq(profile_of(1, &run), 1);
        /* One that is named is taken anywhere. */
        run.profile = (ProtobufCBinaryData) BYTES("open");
        ck_assert_uint_eq(profile_of(0, &run), 1);
        run.profile = (ProtobufCBinaryData) BYTES("default");
        ck_assert_uint_eq(profile_of(1, &run), 0);
}
END_TEST

START_TEST(test_denied)
{
        struct client c;

        policy.access.deny_users = (struct policy_ids) { 1, { geteuid() } };
        restart();
        client_open(&c);
        client_expect_error(&c, 0, ERROR_CODE(DENIED), "DenyUsers=");
        client_expect_end(&c);
        client_close(&c);
}
END_TEST

/* Who connects when the frontend has said that it is idle is left to its next life, unread. */
START_TEST(test_idle_exit)
{
        static const char text[] = "first bytes";
        char buf[sizeof(text)];
        struct client c;
        int fd;

        policy.server.idle_exit_usec = 20 * USEC_PER_MSEC;
        restart();
        monitor_expect_idle();
        client_open(&c);
        ck_assert_int_eq(io_write_full(c.fd, text, sizeof(text)), 0);
        monitor_expect_silence();
        monitor_send(CHANNEL_OP_STOP, 0);
        expect_exit();
        fd = accept4(listeners[0], NULL, NULL, SOCK_CLOEXEC);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(io_read_full(fd, buf, sizeof(buf)), sizeof(buf));
        ck_assert_str_eq(buf, text);
        (void) close(fd);
        client_close(&c);
}
END_TEST

/* Not while somebody is connected, and not while a job without a client is still to be ended. */
START_TEST(test_not_idle)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client quiet, c;
        struct start s;

        policy.server.idle_exit_usec = 20 * USEC_PER_MSEC;
        restart();
        client_open(&quiet);
        client_hello(&c);
        client_close(&quiet);
        monitor_expect_silence();
        client_run(&c, 2, &run);
        monitor_expect_start(&s);
        client_close(&c);
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        monitor_expect_silence();
        start_close(&s);
        monitor_ended(&s, &(struct channel_ended) { .status = JOB_STATUS_CANCELLED }, -EBADF);
        monitor_expect_idle();
}
END_TEST

START_TEST(test_never_idle)
{
        struct client c;

        client_hello(&c);
        client_close(&c);
        monitor_expect_silence();
}
END_TEST

START_TEST(test_monitor_dies)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        struct start s;

        client_hello(&c);
        client_run(&c, 2, &run);
        expect_begin(&c, 2, &s);
        channel = safe_close(channel);
        client_expect_error(&c, 0, ERROR_CODE(INTERNAL), "stopping");
        client_expect_end(&c);
        expect_exit();
        start_close(&s);
        client_close(&c);
}
END_TEST

/* A hundred jobs leave none behind. */
START_TEST(test_no_fd_is_kept)
{
        struct client c;
        unsigned before;

        client_hello(&c);
        expect_service(&c, 2);
        before = count_fds();
        for (uint64_t id = 3; id < 100; id++)
                expect_service(&c, id);
        ck_assert_uint_eq(count_fds(), before);
        client_close(&c);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("frontend");
        TCase *tc = tcase_create("frontend");

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_set_timeout(tc, 30);
        tcase_add_test(tc, test_job);
        tcase_add_test(tc, test_output_is_bounded);
        tcase_add_test(tc, test_output_limit);
        tcase_add_test(tc, test_strict_output);
        tcase_add_test(tc, test_output_limit_after_the_end);
        tcase_add_test(tc, test_stdin);
        tcase_add_test(tc, test_stdin_closed_by_job);
        tcase_add_test(tc, test_stdin_over_credit);
        tcase_add_test(tc, test_stdin_not_asked_for);
        tcase_add_test(tc, test_cancel);
        tcase_add_test(tc, test_client_vanishes);
        tcase_add_test(tc, test_files);
        tcase_add_test(tc, test_files_misused);
        tcase_add_test(tc, test_upload_quota);
        tcase_add_test(tc, test_upload_handed_over);
        tcase_add_test(tc, test_upload_over_the_quota_alone);
        tcase_add_test(tc, test_upload_deadline);
        tcase_add_test(tc, test_refusals_keep_the_connection);
        tcase_add_test(tc, test_busy);
        tcase_add_test(tc, test_return_value);
        tcase_add_test(tc, test_setup_error);
        tcase_add_test(tc, test_gone_without_report);
        tcase_add_test(tc, test_pipe_kept_open);
        tcase_add_test(tc, test_ping);
        tcase_add_test(tc, test_stop);
        tcase_add_test(tc, test_stop_with_deaf_client);
        tcase_add_test(tc, test_default_profile_of_a_socket);
        tcase_add_test(tc, test_denied);
        tcase_add_test(tc, test_idle_exit);
        tcase_add_test(tc, test_not_idle);
        tcase_add_test(tc, test_never_idle);
        tcase_add_test(tc, test_monitor_dies);
        tcase_add_test(tc, test_no_fd_is_kept);
        suite_add_tcase(suite, tc);
        return run_suite(suite);
}
