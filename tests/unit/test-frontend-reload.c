/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Another policy, while clients are connected.
 */
#include "tests/unit/fixture-frontend.h"

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
        expect_end(&c, 2, &s);
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
        expect_begin(&c, 2, &s);
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
        expect_end(&c, 2, &s);
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
        expect_begin(&c, 2, &s);
        client_run_upload(&c, 3);
        client_wait(&c);
        monitor_reload(2);
        client_run_upload(&c, 4);
        client_expect_error(&c, 3, ERROR_CODE(BUSY), "send the job again");
        monitor_expect_retire(1);
        monitor_expect_silence();
        client_simple(&c, 4, SANDBOXD__V1__REQUEST__BODY_CANCEL);
        client_expect(&c, 4, BODY(RESULT));
        expect_end(&c, 2, &s);
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
        Suite *suite = suite_create("frontend-reload");
        TCase *tc = tcase_create("frontend-reload");

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_set_timeout(tc, 30);
        tcase_add_test(tc, test_reload_while_idle);
        tcase_add_test(tc, test_reload);
        tcase_add_test(tc, test_reload_while_a_job_runs);
        tcase_add_test(tc, test_reload_during_an_upload);
        tcase_add_test(tc, test_reload_and_a_slow_upload);
        tcase_add_test(tc, test_reload_and_a_client_that_vanishes);
        tcase_add_test(tc, test_reload_and_frames);
        tcase_add_loop_test(tc, test_bad_reload, 0, (int) ELEMENTSOF(bad_reloads));
        suite_add_tcase(suite, tc);
        return run_suite(suite);
}
