/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A daemon of the test's own, as the library's clients see it: a socket on which the test says the
 * daemon's lines and hears the client's. What a blocking call is to be answered is said before it is
 * made, so one thread does both; ids count up from 1, which is that of Hello.
 */

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "client/lib/sandbox.h"
#include "common/io.h"
#include "proto/frame.h"
#include "proto/sandboxd.pb-c.h"

#define FIRST_ID 2 /* of the first request after Hello */
#define TIMEOUT_USEC (5 * USEC_PER_SEC)

static char fake_dir[64], fake_path[96];
static int listen_fd = -EBADF, daemon_fd = -EBADF;
static struct frame_reader heard_reader;
static Sandboxd__V1__Request *heard; /* by hear() */
static int said_fds[8];              /* that go with the first byte that is said next */
static size_t n_said_fds;
static sandbox_client *client;

static inline void fake_listen(void)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        (void) snprintf(fake_dir, sizeof(fake_dir), "%s", "/tmp/test-client-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(fake_dir));
        (void) snprintf(fake_path, sizeof(fake_path), "%s/socket", fake_dir);
        (void) str_copy(address.sun_path, sizeof(address.sun_path), fake_path);
        listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_ge(listen_fd, 0);
        ck_assert_int_eq(bind(listen_fd, (struct sockaddr *) &address, sizeof(address)), 0);
        ck_assert_int_eq(listen(listen_fd, 4), 0);
        frame_reader_init(&heard_reader, FRAME_MAX_DEFAULT);
        ck_assert_int_eq(sandbox_client_new(&client), 0);
        sandbox_client_set_timeout(client, TIMEOUT_USEC);
}

static inline void drop_heard(void)
{
        if (heard)
                sandboxd__v1__request__free_unpacked(heard, NULL);
        heard = NULL;
}

static inline void fake_done(void)
{
        client = sandbox_client_free(client);
        drop_heard();
        frame_reader_done(&heard_reader);
        daemon_fd = safe_close(daemon_fd);
        listen_fd = safe_close(listen_fd);
        (void) unlink(fake_path);
        (void) rmdir(fake_dir);
}

static inline void say_bytes(const void *data, size_t size)
{
        if (n_said_fds == 0) {
                ck_assert_int_eq(io_write_full(daemon_fd, data, size), 0);
                return;
        }
        ck_assert_int_eq(io_send_message(daemon_fd, data, size, said_fds, n_said_fds), 0);
        io_close_all(said_fds, n_said_fds);
        n_said_fds = 0;
}

static inline void say(uint64_t id, Sandboxd__V1__Response *response)
{
        size_t size;
        uint8_t *buf;

        response->id = id;
        size = sandboxd__v1__response__get_packed_size(response);
        buf = malloc(size + FRAME_HEADER_SIZE);
        ck_assert_ptr_nonnull(buf);
        frame_header(buf, size);
        (void) sandboxd__v1__response__pack(response, buf + FRAME_HEADER_SIZE);
        say_bytes(buf, size + FRAME_HEADER_SIZE);
        free(buf);
}

static inline void say_hello(uint32_t protocol, uint32_t max_frame, uint64_t file_credit)
{
        static char *features[] = { (char *) "run", (char *) "lists", (char *) "stream-sockets",
                (char *) "jobs", (char *) "detach", (char *) "drain", (char *) "get",
                (char *) "credit", (char *) "on-behalf", (char *) "watch-jobs" };
        Sandboxd__V1__HelloReply reply = SANDBOXD__V1__HELLO_REPLY__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        reply.protocol = protocol;
        reply.version = (char *) "1.2.3";
        reply.features = features;
        /* One without credit is one that is old. */
        reply.n_features = file_credit > 0 ? ELEMENTSOF(features) : 2;
        reply.max_frame_bytes = max_frame;
        reply.file_credit = file_credit;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_HELLO;
        response.hello = &reply;
        say(1, &response);
}

static inline void say_error(uint64_t id, Sandboxd__V1__ErrorCode code, const char *field,
        const char *message)
{
        Sandboxd__V1__Error error = SANDBOXD__V1__ERROR__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        error.code = code;
        error.field = (char *) field;
        error.message = (char *) message;
        error.retry_after_usec = code == SANDBOXD__V1__ERROR_CODE__BUSY ? 7000 : 0;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_ERROR;
        response.error = &error;
        say(id, &response);
}

static inline void say_host(uint64_t id, uint32_t pid)
{
        Sandboxd__V1__Host host = SANDBOXD__V1__HOST__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        host.pid = pid;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_HOST;
        response.host = &host;
        say(id, &response);
}

static inline void say_started(uint64_t id, uint64_t stdin_credit)
{
        Sandboxd__V1__Started started = SANDBOXD__V1__STARTED__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        started.job_id = (char *) "0123456789abcdef";
        started.runtime = (char *) "command";
        started.profile = (char *) "default";
        started.stdin_credit = stdin_credit;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_STARTED;
        response.started = &started;
        say(id, &response);
}

static inline void say_output(uint64_t id, Sandboxd__V1__Output__Stream stream, const void *data,
        size_t size)
{
        Sandboxd__V1__Output output = SANDBOXD__V1__OUTPUT__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        output.stream = stream;
        output.data = (ProtobufCBinaryData) { .len = size, .data = (uint8_t *) data };
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_OUTPUT;
        response.output = &output;
        say(id, &response);
}

static inline void say_file(uint64_t id, Sandboxd__V1__FileOut__Kind kind, const char *name,
        uint64_t size, const char *data)
{
        Sandboxd__V1__FileOut file = SANDBOXD__V1__FILE_OUT__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        file.kind = kind;
        if (name)
                file.name = (ProtobufCBinaryData) { strlen(name), (uint8_t *) name };
        file.mode = 0640;
        file.size = size;
        if (kind == SANDBOXD__V1__FILE_OUT__KIND__FAILED)
                file.error = (char *) data;
        else if (data)
                file.data = (ProtobufCBinaryData) { strlen(data), (uint8_t *) data };
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_FILE_OUT;
        response.file_out = &file;
        say(id, &response);
}

static inline void say_result(uint64_t id, Sandboxd__V1__Status status, int exit_code)
{
        Sandboxd__V1__Result result = SANDBOXD__V1__RESULT__INIT;
        Sandboxd__V1__Usage usage = SANDBOXD__V1__USAGE__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        result.job_id = (char *) "0123456789abcdef";
        result.status = status;
        result.exit_code = exit_code;
        result.label = (ProtobufCBinaryData) { 5, (uint8_t *) "label" };
        usage.wall_usec = 1234;
        result.usage = &usage;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_RESULT;
        response.result = &result;
        say(id, &response);
}

static inline void say_done(uint64_t id)
{
        Sandboxd__V1__Done done = SANDBOXD__V1__DONE__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        response.body_case = SANDBOXD__V1__RESPONSE__BODY_DONE;
        response.done = &done;
        say(id, &response);
}

static inline ssize_t fill_heard(void)
{
        uint8_t buf[65536];
        ssize_t n = recv(daemon_fd, buf, sizeof(buf), MSG_DONTWAIT);

        if (n > 0)
                ck_assert_int_eq(frame_reader_push(&heard_reader, buf, (size_t) n), 0);
        return n;
}

/* The next request of the client, in heard; false when none has come. */
static inline bool hear(void)
{
        const uint8_t *body;
        size_t size;

        drop_heard();
        while (frame_reader_next(&heard_reader, &body, &size) == 0)
                if (fill_heard() <= 0)
                        return false;
        heard = sandboxd__v1__request__unpack(NULL, size, body);
        ck_assert_ptr_nonnull(heard);
        return true;
}

#define HEAR(CASE)                                                                                 \
        do {                                                                                       \
                ck_assert(hear());                                                                 \
                ck_assert_int_eq(heard->body_case, SANDBOXD__V1__REQUEST__BODY_##CASE);            \
        } while (0)

/* Has the client do all that it can. */
static inline void settle(void)
{
        int r;

        while ((r = sandbox_client_process(client)) > 0)
                ;
        ck_assert_int_eq(r, 0);
}

/* A client that is connected, to a daemon that gives that credit for files. */
static inline void fake_connect(uint32_t max_frame, uint64_t file_credit)
{
        fake_listen();
        ck_assert_int_eq(sandbox_client_connect_async(client, fake_path, NULL, NULL), 0);
        daemon_fd = accept(listen_fd, NULL, NULL);
        ck_assert_int_ge(daemon_fd, 0);
        say_hello(SANDBOX_PROTOCOL, max_frame, file_credit);
        settle();
        HEAR(HELLO);
}
