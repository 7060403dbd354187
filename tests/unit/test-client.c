/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client's connection, against a socket on which the test says the daemon's lines. What the
 * daemon says is there before the client asks, so one thread does both.
 */
#include <check.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "client/lib/client.h"
#include "common/io.h"
#include "proto/frame.h"

#define TIMEOUT_USEC (5 * USEC_PER_SEC)

static char dir[64], path[96];
static int listen_fd = -EBADF, daemon_fd = -EBADF;
static struct client *client;

static void setup(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        (void) snprintf(dir, sizeof(dir), "%s", "/tmp/test-client-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
        (void) snprintf(path, sizeof(path), "%s/socket", dir);
        (void) str_copy(address.sun_path, sizeof(address.sun_path), path);
        listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(listen_fd, 0);
        ck_assert_int_eq(bind(listen_fd, (struct sockaddr *) &address, sizeof(address)), 0);
        ck_assert_int_eq(listen(listen_fd, 1), 0);
        ck_assert_int_eq(client_connect(path, &client), 0);
        daemon_fd = accept(listen_fd, NULL, NULL);
        ck_assert_int_ge(daemon_fd, 0);
}

static void teardown(void)
{
        client = client_free(client);
        daemon_fd = safe_close(daemon_fd);
        listen_fd = safe_close(listen_fd);
        (void) unlink(path);
        (void) rmdir(dir);
}

static void say_bytes(const void *data, size_t size)
{
        ck_assert_int_eq(io_write_full(daemon_fd, data, size), 0);
}

static void say(const Sandboxd__V1__Response *response)
{
        uint8_t buf[4096];
        size_t size = sandboxd__v1__response__get_packed_size(response);

        ck_assert_uint_le(size + FRAME_HEADER_SIZE, sizeof(buf));
        frame_header(buf, size);
        (void) sandboxd__v1__response__pack(response, buf + FRAME_HEADER_SIZE);
        say_bytes(buf, size + FRAME_HEADER_SIZE);
}

static void say_hello(uint32_t protocol, uint32_t max_frame)
{
        Sandboxd__V1__HelloReply reply = SANDBOXD__V1__HELLO_REPLY__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        reply.protocol = protocol;
        reply.version = (char *) "1.2.3";
        reply.max_frame_bytes = max_frame;
        response.id = 1;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_HELLO;
        response.hello = &reply;
        say(&response);
}

static void say_host(uint64_t id, uint32_t pid)
{
        Sandboxd__V1__Host host = SANDBOXD__V1__HOST__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        host.pid = pid;
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_HOST;
        response.host = &host;
        say(&response);
}

static void say_error(uint64_t id)
{
        Sandboxd__V1__Error error = SANDBOXD__V1__ERROR__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        error.code = SANDBOXD__V1__ERROR_CODE__BUSY;
        error.message = (char *) "too many connections: try again";
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_ERROR;
        response.error = &error;
        say(&response);
}

static int ask_host(const Sandboxd__V1__Response **ret)
{
        Sandboxd__V1__GetHost body = SANDBOXD__V1__GET_HOST__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;

        request.body_case = SANDBOXD__V1__REQUEST__BODY_GET_HOST;
        request.get_host = &body;
        return client_call(client, &request, TIMEOUT_USEC, ret);
}

START_TEST(test_hello)
{
        uint8_t header[FRAME_HEADER_SIZE], body[256];
        Sandboxd__V1__Request *request;
        size_t size;

        say_hello(CLIENT_PROTOCOL, 8192);
        ck_assert_int_eq(client_hello(client, "test", TIMEOUT_USEC), 0);
        ck_assert_str_eq(client_peer(client)->version, "1.2.3");
        ck_assert_uint_eq(client_max_request(client), 8192);
        ck_assert_int_eq(io_read_full(daemon_fd, header, sizeof(header)), sizeof(header));
        size = header[3];
        ck_assert_int_eq(io_read_full(daemon_fd, body, size), size);
        request = sandboxd__v1__request__unpack(NULL, size, body);
        ck_assert_ptr_nonnull(request);
        ck_assert_uint_eq(request->id, 1);
        ck_assert_int_eq(request->body_case, SANDBOXD__V1__REQUEST__BODY_HELLO);
        ck_assert_str_eq(request->hello->client, "test");
        sandboxd__v1__request__free_unpacked(request, NULL);
}
END_TEST

START_TEST(test_hello_of_another_version)
{
        say_hello(CLIENT_PROTOCOL + 1, 0);
        ck_assert_int_eq(client_hello(client, "test", TIMEOUT_USEC), -EPROTONOSUPPORT);
        ck_assert_ptr_null(client_peer(client));
}
END_TEST

/* A daemon that is full says so about the connection and closes it. */
START_TEST(test_hello_refused)
{
        say_error(0);
        daemon_fd = safe_close(daemon_fd);
        ck_assert_int_eq(client_hello(client, "test", TIMEOUT_USEC), 1);
        ck_assert_str_eq(client_response(client)->error->message,
                "too many connections: try again");
}
END_TEST

START_TEST(test_no_answer)
{
        ck_assert_int_eq(client_hello(client, "test", USEC_PER_MSEC), -ETIMEDOUT);
}
END_TEST

START_TEST(test_closed)
{
        daemon_fd = safe_close(daemon_fd);
        ck_assert_int_eq(client_hello(client, "test", TIMEOUT_USEC), -ECONNRESET);
}
END_TEST

START_TEST(test_nonsense)
{
        static const uint8_t no_message[] = { 0, 0, 0, 2, 0xff, 0xff };

        say_bytes(no_message, sizeof(no_message));
        ck_assert_int_eq(client_hello(client, "test", TIMEOUT_USEC), -EBADMSG);
}
END_TEST

START_TEST(test_oversized_frame)
{
        static const uint8_t header[] = { 0xff, 0xff, 0xff, 0xff };

        say_bytes(header, sizeof(header));
        ck_assert_int_eq(client_hello(client, "test", TIMEOUT_USEC), -EMSGSIZE);
}
END_TEST

/* Responses to other requests come between, and several in one read. */
START_TEST(test_call_takes_its_own_response)
{
        const Sandboxd__V1__Response *response;

        say_hello(CLIENT_PROTOCOL, 0);
        say_host(77, 1);
        say_host(2, 2);
        say_host(3, 3);
        ck_assert_int_eq(client_hello(client, "test", TIMEOUT_USEC), 0);
        ck_assert_int_eq(ask_host(&response), 0);
        ck_assert_uint_eq(response->host->pid, 2);
        ck_assert_int_eq(ask_host(&response), 0);
        ck_assert_uint_eq(response->host->pid, 3);
        ck_assert_str_eq(client_peer(client)->version, "1.2.3");
}
END_TEST

START_TEST(test_receive_does_not_wait)
{
        static const uint8_t half[] = { 0, 0, 0, 9, 1 };
        const Sandboxd__V1__Response *response;

        ck_assert_int_eq(client_receive(client, &response), 0);
        say_bytes(half, sizeof(half));
        ck_assert_int_eq(client_receive(client, &response), 0);
        ck_assert_ptr_null(client_response(client));
}
END_TEST

START_TEST(test_request_too_large)
{
        static uint8_t data[8192];
        Sandboxd__V1__StdinData body = SANDBOXD__V1__STDIN_DATA__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;

        say_hello(CLIENT_PROTOCOL, 8192);
        ck_assert_int_eq(client_hello(client, "test", TIMEOUT_USEC), 0);
        body.data = (ProtobufCBinaryData) { .len = sizeof(data), .data = data };
        request.id = client_next_id(client);
        request.body_case = SANDBOXD__V1__REQUEST__BODY_STDIN_DATA;
        request.stdin_data = &body;
        ck_assert_int_eq(client_queue(client, &request), -EMSGSIZE);
        ck_assert_uint_eq(client_queued(client), 0);
        body.data.len = 8000;
        ck_assert_int_eq(client_queue(client, &request), 0);
        ck_assert_uint_gt(client_queued(client), 8000);
        ck_assert_int_eq(client_flush(client), 0);
        ck_assert_uint_eq(client_queued(client), 0);
}
END_TEST

START_TEST(test_connect_errors)
{
        struct client *none = NULL;
        char too_long[200];

        memset(too_long, 'x', sizeof(too_long) - 1);
        too_long[sizeof(too_long) - 1] = '\0';
        ck_assert_int_eq(client_connect("", &none), -ENOENT);
        ck_assert_int_eq(client_connect("/nonexistent/socket", &none), -ENOENT);
        ck_assert_int_eq(client_connect(too_long, &none), -ENAMETOOLONG);
        listen_fd = safe_close(listen_fd);
        ck_assert_int_eq(client_connect(path, &none), -ECONNREFUSED);
        ck_assert_ptr_null(none);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("client");
        TCase *t = tcase_create("client");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_hello);
        tcase_add_test(t, test_hello_of_another_version);
        tcase_add_test(t, test_hello_refused);
        tcase_add_test(t, test_no_answer);
        tcase_add_test(t, test_closed);
        tcase_add_test(t, test_nonsense);
        tcase_add_test(t, test_oversized_frame);
        tcase_add_test(t, test_call_takes_its_own_response);
        tcase_add_test(t, test_receive_does_not_wait);
        tcase_add_test(t, test_request_too_large);
        tcase_add_test(t, test_connect_errors);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
