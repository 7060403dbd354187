/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The library's connection: connecting, being refused, nonsense, the end of it, and what a loop is
 * told to wait for.
 */
#include "tests/unit/fixture-daemon.h"

static int connected, connect_error;

static void on_connect(sandbox_client *c, const sandbox_error *error, void *userdata)
{
        ck_assert_ptr_eq(userdata, &connected);
        connected++;
        connect_error = error ? error->error : 0;
        /* Nothing may wait in here. */
        ck_assert_int_eq(sandbox_client_process(c), -EDEADLK);
        ck_assert_int_eq(sandbox_drain(c), -EDEADLK);
}

static void setup(void)
{
        connected = connect_error = 0;
        fake_listen();
        ck_assert_int_eq(sandbox_client_connect_async(client, fake_path, on_connect, &connected),
                0);
        daemon_fd = accept(listen_fd, NULL, NULL);
        ck_assert_int_ge(daemon_fd, 0);
}

/* What a client does that is connected by hand. */
static int process(void)
{
        int r;

        while ((r = sandbox_client_process(client)) > 0)
                ;
        return r;
}

START_TEST(test_hello)
{
        ck_assert_int_eq(sandbox_client_get_fd(client) >= 0, 1);
        ck_assert_int_eq(sandbox_client_get_events(client), POLLIN);
        ck_assert_uint_ne(sandbox_client_get_timeout(client), SANDBOX_FOREVER);
        ck_assert_int_eq(sandbox_drain(client), -ENOTCONN);
        ck_assert_int_eq(process(), 0);
        ck_assert_int_eq(connected, 0);
        HEAR(HELLO);
        ck_assert_uint_eq(heard->id, 1);
        ck_assert_uint_eq(heard->hello->protocol, SANDBOX_PROTOCOL);
        say_hello(SANDBOX_PROTOCOL, 8192, 0);
        ck_assert_int_eq(process(), 0);
        ck_assert_int_eq(connected, 1);
        ck_assert_int_eq(connect_error, 0);
        ck_assert_str_eq(sandbox_client_get_daemon_version(client), "1.2.3");
        ck_assert_uint_eq(sandbox_client_get_max_request(client), 8192);
        ck_assert_int_eq(sandbox_client_has_feature(client, "lists"), 1);
        ck_assert_int_eq(sandbox_client_has_feature(client, "dance"), 0);
        ck_assert_str_eq(sandbox_client_get_feature(client, 1), "lists");
        ck_assert_ptr_null(sandbox_client_get_feature(client, 2));
        ck_assert_uint_eq(sandbox_client_get_timeout(client), SANDBOX_FOREVER);
        ck_assert_int_eq(sandbox_client_connect(client, fake_path), -EISCONN);
}
END_TEST

START_TEST(test_hello_of_another_version)
{
        say_hello(SANDBOX_PROTOCOL + 1, 0, 0);
        ck_assert_int_eq(process(), -EPROTONOSUPPORT);
        ck_assert_int_eq(connect_error, -EPROTONOSUPPORT);
        ck_assert_ptr_null(sandbox_client_get_daemon_version(client));
}
END_TEST

/* A daemon that is full says so about the connection and closes it. */
START_TEST(test_hello_refused)
{
        const sandbox_error *error;

        say_error(0, SANDBOXD__V1__ERROR_CODE__BUSY, "", "too many connections: try again");
        daemon_fd = safe_close(daemon_fd);
        ck_assert_int_eq(process(), -EBUSY);
        ck_assert_int_eq(connected, 1);
        ck_assert_int_eq(connect_error, -EBUSY);
        error = sandbox_client_get_error(client);
        ck_assert_str_eq(error->message, "too many connections: try again");
        ck_assert_str_eq(error->name, "BUSY");
        ck_assert_int_eq(error->code, SANDBOX_ERROR_BUSY);
        ck_assert_uint_eq(error->retry_after_usec, 7000);
        /* It stays so, whatever else is asked. */
        ck_assert_int_eq(sandbox_drain(client), -ENOTCONN);
        ck_assert_int_eq(sandbox_client_process(client), -EBUSY);
        ck_assert_int_eq(sandbox_client_get_fd(client), -ENOTCONN);
}
END_TEST

START_TEST(test_refused_by_id)
{
        say_error(1, SANDBOXD__V1__ERROR_CODE__DENIED, "", "you may not");
        ck_assert_int_eq(process(), -EACCES);
        ck_assert_int_eq(connect_error, -EACCES);
}
END_TEST

START_TEST(test_blocking_connect)
{
        sandbox_client *c;

        sandbox_client_free(client);
        ck_assert_int_eq(sandbox_client_new(&client), 0);
        sandbox_client_set_timeout(client, USEC_PER_MSEC);
        ck_assert_int_eq(sandbox_client_connect(client, fake_path), -ETIMEDOUT);
        ck_assert_ptr_nonnull(strstr(sandbox_client_get_error(client)->message, fake_path));
        ck_assert_str_eq(sandbox_client_get_error(client)->name, "UNREACHABLE");
        /* The environment names the socket when nothing else does. */
        ck_assert_int_eq(setenv("SANDBOXD_SOCKET", "/nonexistent/socket", 1), 0);
        ck_assert_int_eq(sandbox_client_connect(client, NULL), -ENOENT);
        ck_assert_ptr_nonnull(strstr(sandbox_client_get_error(client)->message, "/nonexistent"));
        ck_assert_int_eq(sandbox_client_new(&c), 0);
        ck_assert_int_eq(sandbox_client_process(c), -ENOTCONN);
        ck_assert_ptr_null(sandbox_client_free(c));
}
END_TEST

START_TEST(test_closed)
{
        daemon_fd = safe_close(daemon_fd);
        ck_assert_int_eq(process(), -ECONNRESET);
        ck_assert_int_eq(connect_error, -ECONNRESET);
}
END_TEST

START_TEST(test_nonsense)
{
        static const uint8_t no_message[] = { 0, 0, 0, 2, 0xff, 0xff };

        say_bytes(no_message, sizeof(no_message));
        ck_assert_int_eq(process(), -EBADMSG);
}
END_TEST

START_TEST(test_oversized_frame)
{
        static const uint8_t header[] = { 0xff, 0xff, 0xff, 0xff };

        say_bytes(header, sizeof(header));
        ck_assert_int_eq(process(), -EMSGSIZE);
}
END_TEST

/* A frame that unpacks to far more than it has: a list of empty messages. */
START_TEST(test_budget)
{
        static const size_t n = 3 * MIB, piece = 64 * KIB;
        uint8_t *frame = calloc(1, FRAME_HEADER_SIZE + 5 + n), *p = frame + FRAME_HEADER_SIZE;
        int r = 0;

        ck_assert_ptr_nonnull(frame);
        say_hello(SANDBOX_PROTOCOL, 0, 0);
        ck_assert_int_eq(process(), 0);
        /* Response.jobs of n bytes, in which each two are an empty job. */
        frame_header(frame, 5 + n);
        *p++ = 10 << 3 | 2;
        for (int i = 0; i < 4; i++)
                *p++ = (uint8_t) ((n >> (7 * i) & 0x7f) | (i < 3 ? 0x80 : 0));
        for (size_t i = 0; i < n; i += 2)
                p[i] = 1 << 3 | 2;
        for (size_t done = 0; r == 0 && done < FRAME_HEADER_SIZE + 5 + n; done += piece) {
                say_bytes(frame + done, MIN(piece, FRAME_HEADER_SIZE + 5 + n - done));
                r = process();
        }
        ck_assert_int_eq(r, -ENOBUFS);
        free(frame);
}
END_TEST

START_TEST(test_half_a_frame)
{
        static const uint8_t half[] = { 0, 0, 0, 9, 1 };

        say_bytes(half, sizeof(half));
        ck_assert_int_eq(sandbox_client_process(client), 0);
        ck_assert_int_eq(sandbox_client_process(client), 0);
}
END_TEST

START_TEST(test_connect_errors)
{
        static const struct {
                const char *path;
                int error;
        } rows[] = {
                { "", -ENOENT },
                { "/nonexistent/socket", -ENOENT },
                { "/dev/null/x", -ENOTDIR },
                { "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                        -ENAMETOOLONG },
        };
        sandbox_client *c;

        ck_assert_int_eq(sandbox_client_new(&c), 0);
        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ck_assert_int_eq(sandbox_client_connect_async(c, rows[i].path, on_connect, NULL),
                        rows[i].error);
                ck_assert_int_eq(sandbox_client_get_error(c)->code, SANDBOX_ERROR_UNREACHABLE);
        }
        listen_fd = safe_close(listen_fd);
        ck_assert_int_eq(sandbox_client_connect(c, fake_path), -ECONNREFUSED);
        ck_assert_int_eq(connected, 0);
        sandbox_client_free(c);
}
END_TEST

/* A queue of connections that is full: tried again until it is not. */
START_TEST(test_full_queue)
{
        sandbox_client *clients[16];
        size_t n = 0;

        for (; n < ELEMENTSOF(clients); n++) {
                ck_assert_int_eq(sandbox_client_new(&clients[n]), 0);
                ck_assert_int_eq(sandbox_client_connect_async(clients[n], fake_path, NULL, NULL),
                        0);
                if (sandbox_client_get_fd(clients[n]) < 0)
                        break;
        }
        ck_assert_uint_lt(n, ELEMENTSOF(clients));
        ck_assert_int_eq(sandbox_client_process(clients[n]), 0);
        ck_assert_int_eq(sandbox_client_get_fd(clients[n]), -ENOTCONN);
        safe_close(accept(listen_fd, NULL, NULL));
        ck_assert_int_eq(sandbox_client_process(clients[n]), 0);
        ck_assert_int_ge(sandbox_client_get_fd(clients[n]), 0);
        for (size_t i = 0; i <= n; i++)
                sandbox_client_free(clients[i]);
}
END_TEST

/* After the end of a connection the same client may have another. */
START_TEST(test_again)
{
        say_hello(SANDBOX_PROTOCOL, 0, 0);
        ck_assert_int_eq(process(), 0);
        sandbox_client_disconnect(client);
        ck_assert_ptr_null(sandbox_client_get_daemon_version(client));
        safe_close(daemon_fd);
        ck_assert_int_eq(sandbox_client_connect_async(client, fake_path, on_connect, &connected),
                0);
        daemon_fd = accept(listen_fd, NULL, NULL);
        say_hello(SANDBOX_PROTOCOL, 0, 0);
        ck_assert_int_eq(process(), 0);
        ck_assert_int_eq(connected, 2);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("client");
        TCase *t = tcase_create("client");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, fake_done);
        tcase_add_test(t, test_hello);
        tcase_add_test(t, test_hello_of_another_version);
        tcase_add_test(t, test_hello_refused);
        tcase_add_test(t, test_refused_by_id);
        tcase_add_test(t, test_blocking_connect);
        tcase_add_test(t, test_closed);
        tcase_add_test(t, test_nonsense);
        tcase_add_test(t, test_oversized_frame);
        tcase_add_test(t, test_budget);
        tcase_add_test(t, test_half_a_frame);
        tcase_add_test(t, test_connect_errors);
        tcase_add_test(t, test_full_queue);
        tcase_add_test(t, test_again);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
