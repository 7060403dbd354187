/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients send, in whatever pieces, and how much of it: frames, requests in turn, misuse, and a client
 * that does not read.
 */
#include "tests/unit/fixture-frontend.h"

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
        expect_begin(&c, 2, &s);
        for (size_t i = 0; i < sizeof(data); i++)
                data[i] = (uint8_t) (i / 7);
        ck_assert_int_eq(io_write_full(s.fds[CHANNEL_FD_STDOUT], data, sizeof(data)), 0);
        for (size_t done = 0; done < sizeof(data);) {
                Sandboxd__V1__Output *output = client_expect(&c, 2, BODY(OUTPUT))->output;

                ck_assert_uint_le(output->data.len, sizeof(data) - done);
                ck_assert_mem_eq(output->data.data, data + done, output->data.len);
                done += output->data.len;
        }
        expect_end(&c, 2, &s);
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
        expect_begin(&c, 2, &s);
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

int main(void)
{
        Suite *suite = suite_create("frontend-connection");
        TCase *tc = tcase_create("frontend-connection");

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_set_timeout(tc, 30);
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
        suite_add_tcase(suite, tc);
        return run_suite(suite);
}
