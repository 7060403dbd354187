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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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
        monitor_expect_start(&s);
        client_expect(c, 2, BODY(STARTED));
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
        monitor_end(&s, JOB_STATUS_OK);
        client_expect(&c, 2, BODY(RESULT));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        s.fds[CHANNEL_FD_STDIN] = safe_close(s.fds[CHANNEL_FD_STDIN]);
        ck_assert(client_expect(&c, 2, BODY(STDIN_CREDIT))->stdin_credit->closed);
        /* What was under way is no misuse. */
        client_stdin(&c, 2, "late", 4, true);
        monitor_end(&s, JOB_STATUS_OK);
        client_expect(&c, 2, BODY(RESULT));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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
        monitor_end(&s, JOB_STATUS_OK);
        client_expect(&c, 2, BODY(RESULT));
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
                monitor_expect_start(&s[i]);
                client_expect(&c, 2 + i, BODY(STARTED));
        }
        for (size_t i = 0; i < ELEMENTSOF(s); i++) {
                monitor_end(&s[i], JOB_STATUS_OK);
                client_expect(&c, 2 + i, BODY(RESULT));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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
        monitor_end(&s, JOB_STATUS_OK);
        client_expect(&c, 2, BODY(RESULT));
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
                monitor_expect_start(&s[i]);
                client_expect(&c, 2 + i, BODY(STARTED));
        }
        client_run(&c, 9, &run);
        client_expect_error(&c, 9, ERROR_CODE(BUSY), "MaxJobsPerUser=");
        /* Whether the request is right is not looked at then. */
        run.workdir = (ProtobufCBinaryData) BYTES("..");
        client_run(&c, 9, &run);
        client_expect_error(&c, 9, ERROR_CODE(BUSY), "MaxJobsPerUser=");
        for (size_t i = 0; i < 3; i++) {
                monitor_end(&s[i], JOB_STATUS_OK);
                client_expect(&c, 2 + i, BODY(RESULT));
        }
        expect_service(&c, 10);
        client_close(&c);
}
END_TEST

START_TEST(test_connection_caps)
{
        struct client c[4], more;

        for (size_t i = 0; i < 4; i++)
                client_hello(&c[i]);
        client_open(&more);
        client_expect_error(&more, 0, ERROR_CODE(BUSY), "MaxConnectionsPerUser=");
        client_expect_end(&more);
        client_close(&more);
        client_close(&c[0]);
        for (size_t i = 1; i < 4; i++)
                expect_service(&c[i], 2);
        client_hello(&c[0]);
        for (size_t i = 0; i < 4; i++)
                client_close(&c[i]);
}
END_TEST

static void check_bad_frame(const char *bytes, size_t size, const char *part)
{
        struct client c;

        client_hello(&c);
        ck_assert_int_eq(io_write_full(c.fd, bytes, size), 0);
        client_expect_error(&c, 0, ERROR_CODE(BAD_FRAME), part);
        client_expect_end(&c);
        client_close(&c);
}

START_TEST(test_bad_frames)
{
        struct client c;

        check_bad_frame("\0\0\0\0", 4, "empty");
        check_bad_frame("\xff\xff\xff\xff", 4, "MaxFrameSize=");
        check_bad_frame("\0\x40\0\1", 4, "MaxFrameSize=");
        check_bad_frame("\0\0\0\3\xff\xff\xff", 7, "not a Request");
        check_bad_frame("\0\0\0\1", 4, "FrameTimeoutSec=");
        check_bad_frame("\0", 1, "FrameTimeoutSec=");
        client_hello(&c);
        expect_service(&c, 2);
        client_close(&c);
}
END_TEST

/* The frames that one user has begun, on all connections, have a bound together. */
START_TEST(test_half_frames)
{
        _cleanup_free_ uint8_t *data = calloc(1, 4 * MIB);
        struct client c[8], more, idle;

        policy.server.max_connections = policy.server.max_connections_per_user = 16;
        policy.server.frame_timeout_usec = 10 * USEC_PER_SEC;
        restart();
        frame_header(data, 4 * MIB);
        client_hello(&idle);
        for (size_t i = 0; i < ELEMENTSOF(c); i++) {
                client_hello(&c[i]);
                ck_assert_int_eq(io_write_full(c[i].fd, data, 4 * MIB), 0);
        }
        client_hello(&more);
        ck_assert_int_eq(io_write_full(more.fd, data, 1), 0);
        client_expect_error(&more, 0, ERROR_CODE(BUSY), "more than 32M of requests");
        client_expect_end(&more);
        client_close(&more);
        /* What comes as a whole is served; and there is room again once a connection is closed. */
        expect_service(&idle, 2);
        client_close(&c[0]);
        client_hello(&c[0]);
        ck_assert_int_eq(io_write_full(c[0].fd, data, 4 * MIB), 0);
        client_simple(&idle, 3, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        client_expect(&idle, 3, BODY(HOST));
        for (size_t i = 0; i < ELEMENTSOF(c); i++)
                client_close(&c[i]);
        client_close(&idle);
}
END_TEST

/* The sanitizers keep for a while what is freed. */
#ifdef WITH_SANITIZERS
#define RSS_ROOM (256 * MIB)
#else
#define RSS_ROOM (2 * MIB)
#endif

/* A connection that has sent a large frame does not hold on to the memory for it. */
START_TEST(test_large_frames_are_given_back)
{
        static uint8_t code[3 * MIB];
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c[4];
        uint64_t before = 0;

        for (size_t i = 0; i < ELEMENTSOF(c); i++) {
                client_hello(&c[i]);
                run.runtime = (ProtobufCBinaryData) BYTES("python");
                run.code = (ProtobufCBinaryData) { sizeof(code), code };
                client_run(&c[i], 2, &run);
                client_expect_error(&c[i], 2, ERROR_CODE(OVER_LIMIT), "code");
                expect_service(&c[i], 3);
                if (i == 0)
                        before = frontend_rss();
        }
        ck_assert_uint_lt(frontend_rss(), before + RSS_ROOM);
        for (size_t i = 0; i < ELEMENTSOF(c); i++)
                client_close(&c[i]);
}
END_TEST

/* Clients with many requests under way are served in turn. */
START_TEST(test_requests_in_turn)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        unsigned first_three[2] = {};
        struct client c[2];
        struct start s[6];

        policy.server.max_jobs_per_user = ELEMENTSOF(s);
        restart();
        client_hello(&c[0]);
        client_hello(&c[1]);
        /* All requests are there before the frontend looks. */
        ck_assert_int_eq(kill(pid, SIGSTOP), 0);
        for (uint64_t id = 2; id < 5; id++)
                client_run(&c[0], id, &run);
        run.profile = (ProtobufCBinaryData) BYTES("open");
        for (uint64_t id = 2; id < 5; id++)
                client_run(&c[1], id, &run);
        ck_assert_int_eq(kill(pid, SIGCONT), 0);
        for (size_t i = 0; i < ELEMENTSOF(s); i++) {
                monitor_expect_start(&s[i]);
                ck_assert_uint_lt(s[i].message.profile, 2);
                if (i < 3)
                        first_three[s[i].message.profile]++;
                monitor_end(&s[i], JOB_STATUS_OK);
        }
        ck_assert(first_three[0] > 0 && first_three[1] > 0);
        client_close(&c[0]);
        client_close(&c[1]);
}
END_TEST

/* MaxFrameSize= holds for what the daemon sends, too. */
START_TEST(test_small_frames)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        Sandboxd__V1__Run__LimitsEntry limit = SANDBOXD__V1__RUN__LIMITS_ENTRY__INIT,
                                       *limits = &limit;
        static uint8_t data[60000];
        struct client c;
        struct start s;

        policy.server.max_frame_bytes = 4 * KIB;
        memset(policy.profiles[0].description, 'x', sizeof(policy.profiles[0].description) - 1);
        policy.n_profiles = POLICY_PROFILES_MAX;
        for (size_t i = 1; i < POLICY_PROFILES_MAX; i++)
                policy.profiles[i] = policy.profiles[0];
        restart();
        client_hello(&c);
        c.reader.max_frame = 4 * KIB;
        limit.key = (char *) "output_bytes";
        limit.value = 1 * MIB;
        run.n_limits = 1;
        run.limits = &limits;
        client_run(&c, 2, &run);
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t) (i / 7);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], data, sizeof(data)), 0);
        for (size_t done = 0; done < sizeof(data);) {
                Sandboxd__V1__Output *output = client_expect(&c, 2, BODY(OUTPUT))->output;

                ck_assert_uint_le(output->data.len, sizeof(data) - done);
                ck_assert_mem_eq(output->data.data, data + done, output->data.len);
                done += output->data.len;
        }
        monitor_end(&s, JOB_STATUS_OK);
        client_expect(&c, 2, BODY(RESULT));
        client_simple(&c, 3, SANDBOXD__V1__REQUEST__BODY_LIST_PROFILES);
        client_expect_error(&c, 3, ERROR_CODE(INTERNAL), "MaxFrameSize=");
        expect_service(&c, 4);
        client_close(&c);
}
END_TEST

START_TEST(test_decoding_is_bounded)
{
        /* Two bytes each in the frame, an array entry and a block of memory each when unpacked. */
        const size_t n = 1 * MIB, run = 2 * n, request = 2 + 1 + 4 + run;
        _cleanup_free_ uint8_t *frame = calloc(1, 4 + request);
        uint8_t *p = frame;
        struct client c;

        frame_header(frame, request);
        p += 4;
        *p++ = 0x08; /* id */
        *p++ = 0x02;
        *p++ = 0x1a; /* run, of a length in four bytes */
        *p++ = (uint8_t) (run | 0x80);
        *p++ = (uint8_t) (run >> 7 | 0x80);
        *p++ = (uint8_t) (run >> 14 | 0x80);
        *p++ = (uint8_t) (run >> 21);
        for (size_t i = 0; i < n; i++) {
                *p++ = 0x32; /* files, empty */
                *p++ = 0x00;
        }
        client_hello(&c);
        ck_assert_int_eq(io_write_full(c.fd, frame, 4 + request), 0);
        client_expect_error(&c, 0, ERROR_CODE(BAD_FRAME), "too many parts");
        client_expect_end(&c);
        client_close(&c);
}
END_TEST

START_TEST(test_misuse)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        struct start s;

        client_open(&c);
        client_run(&c, 5, &run);
        client_expect_error(&c, 5, ERROR_CODE(BAD_REQUEST), "Hello");
        client_expect_end(&c);
        client_close(&c);

        client_hello(&c);
        client_simple(&c, 0, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        client_expect_error(&c, 0, ERROR_CODE(BAD_REQUEST), "id");
        client_close(&c);

        client_hello(&c);
        ck_assert_int_eq(io_write_full(c.fd, "\0\0\0\2\x08\x09", 6), 0);
        client_expect_error(&c, 9, ERROR_CODE(BAD_REQUEST), "body");
        client_close(&c);

        client_hello(&c);
        client_run(&c, 2, &run);
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        client_run(&c, 2, &run);
        client_expect_error(&c, 2, ERROR_CODE(BAD_REQUEST), "in use");
        client_close(&c);
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        monitor_end(&s, JOB_STATUS_CANCELLED);

        client_open(&c);
        client_expect_error(&c, 0, ERROR_CODE(BAD_FRAME), "Hello");
        client_close(&c);
}
END_TEST

START_TEST(test_byte_by_byte)
{
        static const char frames[] = "\0\0\0\6\x08\x01\x12\x02\x08\x01" /* Hello, protocol 1 */
                                     "\0\0\0\4\x08\x02\x4a\x00";        /* GetHost */
        struct client c;

        client_open(&c);
        for (size_t i = 0; i < sizeof(frames) - 1; i++)
                ck_assert_int_eq(io_write_full(c.fd, frames + i, 1), 0);
        client_expect(&c, 1, BODY(HELLO));
        client_expect(&c, 2, BODY(HOST));
        client_close(&c);
}
END_TEST

START_TEST(test_lists)
{
        Sandboxd__V1__Response *r;
        struct client c;

        client_hello(&c);
        client_simple(&c, 2, SANDBOXD__V1__REQUEST__BODY_LIST_RUNTIMES);
        r = client_expect(&c, 2, BODY(RUNTIMES));
        ck_assert_uint_eq(r->runtimes->n_runtimes, 3);
        ck_assert_str_eq(r->runtimes->runtimes[0]->aliases[0], "py");
        ck_assert_str_eq(r->runtimes->runtimes[1]->package, "nodejs");
        ck_assert(!r->runtimes->runtimes[1]->available);
        client_simple(&c, 3, SANDBOXD__V1__REQUEST__BODY_LIST_PROFILES);
        r = client_expect(&c, 3, BODY(PROFILES));
        ck_assert_uint_eq(r->profiles->n_profiles, 2);
        ck_assert_uint_eq(r->profiles->profiles[0]->n_limits, _LIMIT_COUNT);
        ck_assert_str_eq(r->profiles->profiles[0]->limits[0]->field, "wall_time_usec");
        client_simple(&c, 4, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        r = client_expect(&c, 4, BODY(HOST));
        ck_assert_str_eq(r->host->driver, "cgroupfs (test)");
        ck_assert_uint_eq(r->host->n_missing, 2);
        ck_assert_str_eq(r->host->missing[1], "pids");
        ck_assert_uint_eq(r->host->pid, (uint32_t) getpid());
        client_close(&c);
}
END_TEST

/* A client that does not read: its job is held up, nobody else, and no byte is lost. */
START_TEST(test_slow_client)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        Sandboxd__V1__Run__LimitsEntry limit = SANDBOXD__V1__RUN__LIMITS_ENTRY__INIT,
                                       *limits = &limit;
        static uint8_t data[64 * KIB];
        uint64_t written = 0;
        struct client c, other;
        struct start s;

        client_hello(&c);
        client_hello(&other);
        limit.key = (char *) "output_bytes";
        limit.value = 64 * MIB;
        run.n_limits = 1;
        run.limits = &limits;
        client_run(&c, 2, &run);
        monitor_expect_start(&s);
        ck_assert_int_eq(io_set_nonblock(s.fds[CHANNEL_FD_STDOUT]), 0);
        for (unsigned idle = 0; idle < 20;) {
                ssize_t n = write(s.fds[CHANNEL_FD_STDOUT], data, sizeof(data));

                if (n > 0) {
                        written += (uint64_t) n;
                        idle = 0;
                } else {
                        idle++;
                        (void) usleep(5000);
                }
                ck_assert_uint_lt(written, 8 * MIB);
        }
        ck_assert_uint_gt(written, 1 * MIB);
        expect_service(&other, 2);
        monitor_end(&s, JOB_STATUS_OK);
        expect_service(&other, 3);
        client_expect(&c, 2, BODY(STARTED));
        ck_assert_uint_eq(client_drain(&c, 2), written);
        ck_assert_uint_eq(c.last->result->stdout_bytes, written);
        client_close(&c);
        client_close(&other);
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
        monitor_expect_start(&s);
        client_expect(c, 2, BODY(STARTED));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
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

/* --- another policy, while clients are connected */

/* A reload is nothing to do: the time goes on. */
START_TEST(test_reload_while_idle)
{
        policy.server.idle_exit_usec = 500 * USEC_PER_MSEC;
        restart();
        for (uint32_t generation = 2; generation < 50; generation++) {
                struct channel_generation m = {};

                monitor_reload(generation);
                ck_assert_int_gt(io_receive_message(channel, &m, sizeof(m), NULL, 0, NULL), 0);
                if (m.header.op == CHANNEL_OP_IDLE)
                        return;
                ck_assert_int_eq(m.header.op, CHANNEL_OP_RETIRE);
                (void) usleep(100000);
        }
        ck_abort_msg("as long as the policy changes it is not idle");
}
END_TEST

/* The frontend has as many policies mapped, once it is done with what it was told before. */
static void expect_policies(struct client *c, unsigned expected)
{
        char path[64], line[512];
        unsigned n = 0;
        FILE *f;

        client_wait(c);
        (void) snprintf(path, sizeof(path), "/proc/%d/maps", (int) pid);
        f = fopen(path, "re");
        ck_assert_ptr_nonnull(f);
        while (fgets(line, sizeof(line), f))
                n += strstr(line, "memfd:policy") != NULL;
        (void) fclose(f);
        ck_assert_uint_eq(n, expected);
}

START_TEST(test_reload)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        struct start s;

        client_hello(&c);
        policy.profiles[0].defaults.value[LIMIT_MEMORY] = 99 * MIB;
        monitor_reload(2);
        monitor_expect_retire(1);
        expect_policies(&c, 1);
        client_run(&c, 2, &run);
        monitor_expect_start(&s);
        ck_assert_uint_eq(s.message.generation, 2);
        ck_assert_uint_eq(s.message.limits.value[LIMIT_MEMORY], 99 * MIB);
        client_expect(&c, 2, BODY(STARTED));
        monitor_end(&s, JOB_STATUS_OK);
        client_expect(&c, 2, BODY(RESULT));
        for (uint32_t generation = 3; generation < 100; generation++) {
                monitor_reload(generation);
                monitor_expect_retire(generation - 1);
        }
        expect_policies(&c, 1);
        expect_service(&c, 3);
        client_close(&c);
}
END_TEST

/* A running job needs its policy here, but not at the monitor. */
START_TEST(test_reload_while_a_job_runs)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        Sandboxd__V1__Response *r;
        struct client c;
        struct start s;

        client_hello(&c);
        run.profile = (ProtobufCBinaryData) BYTES("open");
        client_run(&c, 2, &run);
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        policy.n_profiles = 1;
        monitor_reload(2);
        monitor_expect_retire(1);
        expect_policies(&c, 2);
        client_run(&c, 3, &run);
        client_expect_error(&c, 3, ERROR_CODE(UNKNOWN_PROFILE), "open");
        monitor_end(&s, JOB_STATUS_TIMEOUT);
        r = client_expect(&c, 2, BODY(RESULT));
        ck_assert_str_eq(r->result->profile, "open");
        client_close(&c);
        client_hello(&c);
        expect_policies(&c, 1);
        client_close(&c);
}
END_TEST

/* What is still being uploaded is started as it was planned, and the monitor keeps that policy until
 * then, and no other. */
START_TEST(test_reload_during_an_upload)
{
        Sandboxd__V1__File files[2], *items[2];
        uint64_t before = policy.profiles[1].defaults.value[LIMIT_MEMORY];
        Sandboxd__V1__Run run;
        struct client c;
        struct start s;

        client_hello(&c);
        run_with_files(&run, files, items);
        run.profile = (ProtobufCBinaryData) BYTES("open");
        client_run(&c, 2, &run);
        client_wait(&c);
        policy.n_profiles = 1;
        monitor_reload(2);
        run.profile = (ProtobufCBinaryData) {};
        client_run(&c, 3, &run);
        client_wait(&c);
        monitor_reload(3);
        monitor_reload(4);
        /* Nobody ever planned with the third. */
        monitor_expect_retire(3);
        expect_policies(&c, 3);
        client_file(&c, 2, 0, "aaaa");
        client_file(&c, 2, 1, "BBB");
        monitor_expect_start(&s);
        ck_assert_uint_eq(s.message.generation, 1);
        ck_assert_uint_eq(s.message.profile, 1);
        ck_assert_uint_eq(s.message.limits.value[LIMIT_MEMORY], before);
        monitor_expect_retire(1);
        client_expect(&c, 2, BODY(STARTED));
        /* The other one is given up. */
        client_simple(&c, 3, SANDBOXD__V1__REQUEST__BODY_CANCEL);
        client_expect(&c, 3, BODY(RESULT));
        monitor_expect_retire(2);
        monitor_end(&s, JOB_STATUS_OK);
        client_expect(&c, 2, BODY(RESULT));
        expect_service(&c, 4);
        client_close(&c);
}
END_TEST

/* A client that sends its files byte by byte holds an older policy only for so long, and one that
 * was started in time runs on. */
START_TEST(test_reload_and_a_slow_upload)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct client c;
        struct start s;

        plan_grace_usec = 100 * USEC_PER_MSEC;
        policy.server.frame_timeout_usec = 10 * USEC_PER_SEC;
        restart();
        client_hello(&c);
        client_run(&c, 2, &run);
        monitor_expect_start(&s);
        client_expect(&c, 2, BODY(STARTED));
        client_run_upload(&c, 3);
        client_wait(&c);
        monitor_reload(2);
        client_run_upload(&c, 4);
        client_expect_error(&c, 3, ERROR_CODE(BUSY), "send the job again");
        monitor_expect_retire(1);
        monitor_expect_silence();
        client_simple(&c, 4, SANDBOXD__V1__REQUEST__BODY_CANCEL);
        client_expect(&c, 4, BODY(RESULT));
        monitor_end(&s, JOB_STATUS_OK);
        client_expect(&c, 2, BODY(RESULT));
        expect_service(&c, 5);
        client_close(&c);
}
END_TEST

/* A client that vanishes in the middle of an upload holds no policy. */
START_TEST(test_reload_and_a_client_that_vanishes)
{
        struct client c, other;

        client_hello(&c);
        client_hello(&other);
        client_run_upload(&c, 2);
        client_wait(&c);
        monitor_reload(2);
        client_wait(&c);
        client_close(&c);
        monitor_expect_retire(1);
        expect_service(&other, 2);
        expect_policies(&other, 1);
        client_close(&other);
}
END_TEST

/* What a connection was told of frames holds to its end, though other settings change at once. */
START_TEST(test_reload_and_frames)
{
        struct client c, late;

        client_hello(&c);
        memset(policy.profiles[0].description, 'x', sizeof(policy.profiles[0].description) - 1);
        policy.n_profiles = POLICY_PROFILES_MAX;
        for (size_t i = 1; i < POLICY_PROFILES_MAX; i++)
                policy.profiles[i] = policy.profiles[0];
        policy.server.max_frame_bytes = 4 * KIB;
        monitor_reload(2);
        monitor_expect_retire(1);
        client_hello(&late);
        client_simple(&c, 3, SANDBOXD__V1__REQUEST__BODY_LIST_PROFILES);
        client_expect(&c, 3, BODY(PROFILES));
        client_simple(&late, 3, SANDBOXD__V1__REQUEST__BODY_LIST_PROFILES);
        client_expect_error(&late, 3, ERROR_CODE(INTERNAL), "MaxFrameSize=");
        policy.server.max_frame_bytes = 4 * MIB;
        monitor_reload(3);
        monitor_expect_retire(2);
        late.reader.max_frame = 4 * KIB;
        client_simple(&late, 4, SANDBOXD__V1__REQUEST__BODY_LIST_PROFILES);
        client_expect_error(&late, 4, ERROR_CODE(INTERNAL), "MaxFrameSize=");
        client_close(&late);
        client_close(&c);
}
END_TEST

static void send_reload_without_fd(void)
{
        struct channel_generation m = { .generation = 2 };

        channel_header_init(&m.header, CHANNEL_OP_POLICY, sizeof(m), 0);
        ck_assert_int_eq(io_send_message(channel, &m, sizeof(m), NULL, 0), 0);
}

static void send_reload_of_the_same(void)
{
        monitor_reload(1);
}

static void send_reload_of_another_build(void)
{
        policy.version++;
        monitor_reload(2);
}

static void send_reload_without_the_socket(void)
{
        policy.n_listeners = 0;
        monitor_reload(2);
}

static void send_reload_with_a_socket_of_no_profile(void)
{
        policy.listener_profiles[0] = policy.n_profiles;
        monitor_reload(2);
}

static void (*const bad_reloads[])(void) = {
        send_reload_without_fd,
        send_reload_of_the_same,
        send_reload_of_another_build,
        send_reload_without_the_socket,
        send_reload_with_a_socket_of_no_profile,
};

/* Without the policy in force nothing is served: the monitor starts another frontend. */
START_TEST(test_bad_reload)
{
        struct client c;

        client_hello(&c);
        bad_reloads[_i]();
        client_expect_error(&c, 0, ERROR_CODE(INTERNAL), "stopping");
        client_expect_end(&c);
        expect_exit();
        client_close(&c);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("frontend");
        TCase *tc = tcase_create("frontend");
        SRunner *runner;
        int failed;

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
        tcase_add_test(tc, test_connection_caps);
        tcase_add_test(tc, test_bad_frames);
        tcase_add_test(tc, test_half_frames);
        tcase_add_test(tc, test_large_frames_are_given_back);
        tcase_add_test(tc, test_requests_in_turn);
        tcase_add_test(tc, test_small_frames);
        tcase_add_test(tc, test_decoding_is_bounded);
        tcase_add_test(tc, test_misuse);
        tcase_add_test(tc, test_byte_by_byte);
        tcase_add_test(tc, test_lists);
        tcase_add_test(tc, test_slow_client);
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
        tcase_add_test(tc, test_reload_while_idle);
        tcase_add_test(tc, test_monitor_dies);
        tcase_add_test(tc, test_no_fd_is_kept);
        tcase_add_test(tc, test_reload);
        tcase_add_test(tc, test_reload_while_a_job_runs);
        tcase_add_test(tc, test_reload_during_an_upload);
        tcase_add_test(tc, test_reload_and_a_slow_upload);
        tcase_add_test(tc, test_reload_and_a_client_that_vanishes);
        tcase_add_test(tc, test_reload_and_frames);
        tcase_add_loop_test(tc, test_bad_reload, 0, (int) ELEMENTSOF(bad_reloads));
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
