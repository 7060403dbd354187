/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The whole frontend in a child process, for suites that are on both of its sides: as the monitor on
 * the channel, and as its clients. No sandbox is made; the job's ends of the pipes are with the test.
 */

#include <check.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "common/io.h"
#include "daemon/frontend/frontend.h"
#include "daemon/wire/spec.h"
#include "proto/frame.h"
#include "proto/sandboxd.pb-c.h"
#include "tests/unit/fixture-policy.h"

#define ERROR_CODE(name) SANDBOXD__V1__ERROR_CODE__##name
#define BODY(name) SANDBOXD__V1__RESPONSE__BODY_##name
#define BYTES(text)                                                                                \
        {                                                                                          \
                sizeof(text) - 1, (uint8_t *) (text)                                               \
        }

static struct policy policy;
static uint64_t plan_grace_usec;
static uint64_t overdue_usec;
static pid_t pid;
static int channel = -EBADF;
/* The sockets stay open here, as they do in systemd. */
static int listeners[2] = { -EBADF, -EBADF };
static struct sockaddr_un addresses[2];
static socklen_t address_sizes[2];
static unsigned chosen; /* the one that clients connect to */

/* A client: its socket and what it has received. */
struct client {
        int fd;
        struct frame_reader reader;
        Sandboxd__V1__Response *last;
        int fds[8]; /* that came with the bytes received last */
        size_t n_fds;
};

/* What the monitor was asked to start. */
struct start {
        struct channel_start message;
        int fds[_CHANNEL_FD_COUNT];
        size_t n_fds;
};

/* As policy stands now. */
static inline int new_policy_memfd(void)
{
        int fd;

        ck_assert_int_eq(policy_publish(&policy, &fd), 0);
        return fd;
}

static inline void serve(int channel_fd)
{
        struct policies policies = {};
        int fd = new_policy_memfd(), r;
        struct frontend *f;

        (void) signal(SIGPIPE, SIG_IGN);
        /* As sandboxd-frontend does. */
        (void) mallopt(M_MMAP_THRESHOLD, 128 * KIB);
        (void) mallopt(M_TRIM_THRESHOLD, 128 * KIB);
        ck_assert_int_eq(policies_add(&policies, 1, fd), 0);
        (void) close(fd);
        r = frontend_new(channel_fd, listeners, &policies, &f);
        if (r >= 0) {
                f->plan_grace_usec = plan_grace_usec;
                f->overdue_usec = overdue_usec;
                r = frontend_run(f);
                frontend_free(f);
        }
        exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static inline int open_listener(struct sockaddr_un *address, socklen_t *ret_size)
{
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        *address = (struct sockaddr_un) { .sun_family = AF_UNIX };
        /* No name given: the kernel chooses a free abstract one. */
        ck_assert_int_eq(bind(fd, (struct sockaddr *) address, sizeof(sa_family_t)), 0);
        *ret_size = sizeof(*address);
        ck_assert_int_eq(getsockname(fd, (struct sockaddr *) address, ret_size), 0);
        ck_assert_int_eq(listen(fd, 64), 0);
        return fd;
}

static inline void start_frontend(void)
{
        int pair[2];

        chosen = 0;
        for (uint32_t i = 0; i < policy.n_listeners; i++)
                listeners[i] = open_listener(&addresses[i], &address_sizes[i]);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        (void) fflush(NULL);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                (void) close(pair[0]);
                serve(pair[1]);
        }
        (void) close(pair[1]);
        channel = pair[0];
        ck_assert_int_eq(setsockopt(channel, SOL_SOCKET, SO_RCVTIMEO,
                                 &(struct timeval) { .tv_sec = 5 }, sizeof(struct timeval)),
                0);
}

static inline void setup(void)
{
        fixture_policy(&policy);
        plan_grace_usec = CHANNEL_PLAN_GRACE_USEC;
        overdue_usec = FRONTEND_OVERDUE_USEC;
        (void) signal(SIGPIPE, SIG_IGN);
        start_frontend();
}

/* The frontend must have ended well: its books were empty, nothing leaked. */
static inline void expect_exit(void)
{
        int status = 0;

        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        pid = 0;
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "frontend ended with 0x%x",
                status);
}

static inline void teardown(void)
{
        channel = safe_close(channel);
        if (pid > 0)
                expect_exit();
        for (size_t i = 0; i < ELEMENTSOF(listeners); i++)
                listeners[i] = safe_close(listeners[i]);
}

/* Another frontend, for what the test has changed in the policy. */
static inline void restart(void)
{
        teardown();
        start_frontend();
}

static inline void client_open(struct client *c)
{
        *c = (struct client) { .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
        frame_reader_init(&c->reader, FRAME_MAX_DEFAULT);
        ck_assert_int_eq(connect(c->fd, (struct sockaddr *) &addresses[chosen],
                                 address_sizes[chosen]),
                0);
        ck_assert_int_eq(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO,
                                 &(struct timeval) { .tv_sec = 5 }, sizeof(struct timeval)),
                0);
}

static inline void client_forget(struct client *c)
{
        if (c->last)
                sandboxd__v1__response__free_unpacked(TAKE_PTR(c->last), NULL);
}

static inline void client_close(struct client *c)
{
        client_forget(c);
        frame_reader_done(&c->reader);
        c->fd = safe_close(c->fd);
}

static inline void client_send(struct client *c, const Sandboxd__V1__Request *request)
{
        size_t size = sandboxd__v1__request__get_packed_size(request);
        _cleanup_free_ uint8_t *frame = malloc(FRAME_HEADER_SIZE + size);

        frame_header(frame, size);
        (void) sandboxd__v1__request__pack(request, frame + FRAME_HEADER_SIZE);
        ck_assert_int_eq(io_write_full(c->fd, frame, FRAME_HEADER_SIZE + size), 0);
}

static inline ssize_t client_fill(struct client *c)
{
        union {
                struct cmsghdr header;
                uint8_t room[CMSG_SPACE(sizeof(c->fds))];
        } control = {};
        struct iovec iov = {};
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        struct cmsghdr *h;
        ssize_t n;

        ck_assert_int_eq(frame_reader_reserve(&c->reader, &iov.iov_base, &iov.iov_len), 0);
        n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
        if (n < 0)
                return -errno;
        h = CMSG_FIRSTHDR(&msg);
        if (h) {
                ck_assert_uint_eq(c->n_fds, 0);
                c->n_fds = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                memcpy(c->fds, CMSG_DATA(h), c->n_fds * sizeof(int));
        }
        frame_reader_advance(&c->reader, (size_t) n);
        return n;
}

/* The next response, NULL at the end of the connection. Freed by the next call. */
static inline Sandboxd__V1__Response *client_receive(struct client *c)
{
        const uint8_t *body;
        size_t size;
        int r;

        client_forget(c);
        while ((r = frame_reader_next(&c->reader, &body, &size)) == 0) {
                ssize_t n = client_fill(c);

                if (n == 0 || n == -ECONNRESET)
                        return NULL;
                ck_assert_int_gt(n, 0);
        }
        ck_assert_int_eq(r, 1);
        c->last = sandboxd__v1__response__unpack(NULL, size, body);
        ck_assert_ptr_nonnull(c->last);
        return c->last;
}

static inline Sandboxd__V1__Response *client_expect(struct client *c, uint64_t id,
        Sandboxd__V1__Response__BodyCase body)
{
        Sandboxd__V1__Response *response = client_receive(c);

        ck_assert_ptr_nonnull(response);
        if (response->body_case == BODY(ERROR) && body != BODY(ERROR))
                ck_abort_msg("unexpected error: %s", response->error->message);
        ck_assert_int_eq(response->body_case, body);
        ck_assert_uint_eq(response->id, id);
        return response;
}

static inline void client_expect_error(struct client *c, uint64_t id, Sandboxd__V1__ErrorCode code,
        const char *part)
{
        Sandboxd__V1__Response *response = client_expect(c, id, BODY(ERROR));

        ck_assert_int_eq(response->error->code, code);
        ck_assert_msg(strstr(response->error->message, part), "'%s' is not in '%s'", part,
                response->error->message);
}

static inline void client_expect_end(struct client *c)
{
        ck_assert_ptr_null(client_receive(c));
}

static inline void client_hello(struct client *c)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__Hello hello = SANDBOXD__V1__HELLO__INIT;
        Sandboxd__V1__Response *response;

        client_open(c);
        hello.protocol = 1;
        hello.client = (char *) "test";
        request.id = 1;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_HELLO;
        request.hello = &hello;
        client_send(c, &request);
        response = client_expect(c, 1, BODY(HELLO));
        ck_assert_uint_eq(response->hello->protocol, 1);
        ck_assert_uint_eq(response->hello->max_frame_bytes, policy.server.max_frame_bytes);
}

/* A client of another user. */
static inline void client_hello_as(struct client *c, uid_t uid)
{
        ck_assert_int_eq(seteuid(uid), 0);
        client_hello(c);
        ck_assert_int_eq(seteuid(0), 0);
}

/* Sends a Run of the command runtime, changed by what the test sets in run before. */
static inline void client_run(struct client *c, uint64_t id, Sandboxd__V1__Run *run)
{
        static ProtobufCBinaryData argv = { 4, (uint8_t *) "true" };
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;

        if (run->n_argv == 0 && run->code.len == 0) {
                run->n_argv = 1;
                run->argv = &argv;
        }
        request.id = id;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_RUN;
        request.run = run;
        client_send(c, &request);
}

static inline void client_stdin(struct client *c, uint64_t id, const void *data, size_t size,
        bool eof)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__StdinData m = SANDBOXD__V1__STDIN_DATA__INIT;

        m.data = (ProtobufCBinaryData) { size, (uint8_t *) data };
        m.eof = eof;
        request.id = id;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_STDIN_DATA;
        request.stdin_data = &m;
        client_send(c, &request);
}

static inline void client_file(struct client *c, uint64_t id, uint32_t file, const char *text)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__FileData m = SANDBOXD__V1__FILE_DATA__INIT;

        m.file = file;
        m.data = (ProtobufCBinaryData) { strlen(text), (uint8_t *) text };
        request.id = id;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_FILE_DATA;
        request.file_data = &m;
        client_send(c, &request);
}

static inline void client_simple(struct client *c, uint64_t id,
        Sandboxd__V1__Request__BodyCase body)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__Cancel cancel = SANDBOXD__V1__CANCEL__INIT;
        Sandboxd__V1__ListRuntimes runtimes = SANDBOXD__V1__LIST_RUNTIMES__INIT;
        Sandboxd__V1__ListProfiles profiles = SANDBOXD__V1__LIST_PROFILES__INIT;
        Sandboxd__V1__GetHost host = SANDBOXD__V1__GET_HOST__INIT;

        request.id = id;
        request.body_case = body;
        if (body == SANDBOXD__V1__REQUEST__BODY_CANCEL)
                request.cancel = &cancel;
        else if (body == SANDBOXD__V1__REQUEST__BODY_LIST_RUNTIMES)
                request.list_runtimes = &runtimes;
        else if (body == SANDBOXD__V1__REQUEST__BODY_LIST_PROFILES)
                request.list_profiles = &profiles;
        else
                request.get_host = &host;
        client_send(c, &request);
}

static inline void monitor_expect_start(struct start *s)
{
        ssize_t n = io_receive_message(channel, &s->message, sizeof(s->message), s->fds,
                ELEMENTSOF(s->fds), &s->n_fds);

        ck_assert_int_eq(n, sizeof(s->message));
        ck_assert(channel_header_valid(&s->message.header, (size_t) n));
        ck_assert_int_eq(s->message.header.op, CHANNEL_OP_START);
        ck_assert_uint_ne(s->message.header.job, 0);
        ck_assert_uint_ge(s->n_fds, CHANNEL_FD_STDIN);
}

static inline void monitor_expect_kill(const struct start *s, enum job_status cause)
{
        struct channel_kill kill;
        ssize_t n = io_receive_message(channel, &kill, sizeof(kill), NULL, 0, NULL);

        ck_assert_int_eq(n, sizeof(kill));
        ck_assert_int_eq(kill.header.op, CHANNEL_OP_KILL);
        ck_assert_uint_eq(kill.header.job, s->message.header.job);
        ck_assert_int_eq(kill.cause, cause);
}

static inline void start_close(struct start *s)
{
        io_close_all(s->fds, s->n_fds);
}

static inline void monitor_ended(const struct start *s, const struct channel_ended *what, int fd)
{
        struct channel_ended m = *what;

        channel_header_init(&m.header, CHANNEL_OP_ENDED, sizeof(m), s->message.header.job);
        ck_assert_int_eq(io_send_message(channel, &m, sizeof(m), &fd, fd >= 0), 0);
}

static inline void monitor_send(enum channel_op op, uint64_t job)
{
        struct channel_header h;

        channel_header_init(&h, op, sizeof(h), job);
        ck_assert_int_eq(io_send_message(channel, &h, sizeof(h), NULL, 0), 0);
}

/* The sandbox is made; of one that was parked, with its ends of the pipes. */
static inline void monitor_started(uint64_t job, const int *fds, size_t n_fds)
{
        struct channel_started m = { .warm = n_fds > 0,
                .sandbox = n_fds > 0 ? job | CHANNEL_ID_PARKED : job };

        channel_header_init(&m.header, CHANNEL_OP_STARTED, sizeof(m), job);
        ck_assert_int_eq(io_send_message(channel, &m, sizeof(m), fds, n_fds), 0);
}

/* The sandbox ends: the job's ends of the pipes close, the report comes, and it is gone. */
static inline void monitor_end(struct start *s, enum job_status status)
{
        start_close(s);
        monitor_ended(s, &(struct channel_ended) { .status = status }, -EBADF);
        monitor_send(CHANNEL_OP_GONE, s->message.header.job);
}

/* A job that was asked for comes to the monitor, and its client is told that it runs. */
static inline void expect_begin(struct client *c, uint64_t id, struct start *s)
{
        monitor_expect_start(s);
        client_expect(c, id, BODY(STARTED));
}

/* It ends well, as its client is told. */
static inline void expect_end(struct client *c, uint64_t id, struct start *s)
{
        monitor_end(s, JOB_STATUS_OK);
        ck_assert_int_eq(client_expect(c, id, BODY(RESULT))->result->status,
                SANDBOXD__V1__STATUS__OK);
}

/* One job that ends well shows that the frontend is in order. */
static inline void expect_service(struct client *c, uint64_t id)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct start s;

        client_run(c, id, &run);
        expect_begin(c, id, &s);
        expect_end(c, id, &s);
}

/* Reads what the job wrote, up to the Result; returns the bytes of output. */
static inline uint64_t client_drain(struct client *c, uint64_t id)
{
        uint64_t bytes = 0;

        for (;;) {
                Sandboxd__V1__Response *r = client_receive(c);

                ck_assert_ptr_nonnull(r);
                ck_assert_uint_eq(r->id, id);
                if (r->body_case == BODY(RESULT))
                        return bytes;
                ck_assert_int_eq(r->body_case, BODY(OUTPUT));
                bytes += r->output->data.len;
        }
}

static inline void run_with_files(Sandboxd__V1__Run *run, Sandboxd__V1__File files[static 2],
        Sandboxd__V1__File *items[static 2])
{
        sandboxd__v1__run__init(run);
        for (size_t i = 0; i < 2; i++) {
                sandboxd__v1__file__init(&files[i]);
                items[i] = &files[i];
        }
        files[0].name = (ProtobufCBinaryData) { 1, (uint8_t *) "a" };
        files[0].size = 6;
        files[0].data = (ProtobufCBinaryData) { 2, (uint8_t *) "AA" };
        files[1].name = (ProtobufCBinaryData) { 3, (uint8_t *) "d/b" };
        files[1].size = 3;
        files[1].mode = 0755;
        run->n_files = 2;
        run->files = items;
}

/* A job with a file of 400 KiB, of which nothing has come. */
static inline void client_run_upload(struct client *c, uint64_t id)
{
        Sandboxd__V1__File file = SANDBOXD__V1__FILE__INIT, *items[] = { &file };
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;

        file.name = (ProtobufCBinaryData) BYTES("a");
        file.size = 400 * KIB;
        run.n_files = 1;
        run.files = items;
        client_run(c, id, &run);
}

static inline uint64_t frontend_rss(void)
{
        _cleanup_free_ char *text = NULL;
        unsigned long size, rss;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/statm", (int) pid);
        ck_assert_int_eq(io_read_file(AT_FDCWD, path, 4096, &text, NULL), 0);
        ck_assert_int_eq(sscanf(text, "%lu %lu", &size, &rss), 2);
        return rss * (uint64_t) getpagesize();
}

static inline void monitor_expect_idle(void)
{
        struct channel_header h;
        ssize_t n = io_receive_message(channel, &h, sizeof(h), NULL, 0, NULL);

        ck_assert_int_eq(n, sizeof(h));
        ck_assert(channel_header_valid(&h, (size_t) n));
        ck_assert_int_eq(h.op, CHANNEL_OP_IDLE);
}

static inline void monitor_expect_silence(void)
{
        struct pollfd p = { .fd = channel, .events = POLLIN };

        ck_assert_int_eq(poll(&p, 1, 200), 0);
}

static inline unsigned count_fds(void)
{
        char path[64];
        unsigned n = 0;

        for (unsigned fd = 0; fd < 256; fd++) {
                (void) snprintf(path, sizeof(path), "/proc/%d/fd/%u", (int) pid, fd);
                n += faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
        }
        return n;
}

/* What policy says now is in force. */
static inline void monitor_reload(uint32_t generation)
{
        struct channel_generation m = { .generation = generation };
        int fd = new_policy_memfd();

        channel_header_init(&m.header, CHANNEL_OP_POLICY, sizeof(m), 0);
        ck_assert_int_eq(io_send_message(channel, &m, sizeof(m), &fd, 1), 0);
        (void) close(fd);
}

static inline void monitor_expect_retire(uint32_t generation)
{
        struct channel_generation m = {};
        ssize_t n = io_receive_message(channel, &m, sizeof(m), NULL, 0, NULL);

        ck_assert_int_eq(n, sizeof(m));
        ck_assert(channel_header_valid(&m.header, (size_t) n));
        ck_assert_int_eq(m.header.op, CHANNEL_OP_RETIRE);
        ck_assert_uint_eq(m.generation, generation);
}

static inline void client_wait(struct client *c)
{
        client_simple(c, 999, SANDBOXD__V1__REQUEST__BODY_GET_HOST);
        client_expect(c, 999, BODY(HOST));
}

static inline void give_credit(struct client *c, uint64_t id, Sandboxd__V1__OutputCredit__Of of,
        uint64_t bytes)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__OutputCredit m = SANDBOXD__V1__OUTPUT_CREDIT__INIT;

        m.of = of;
        m.bytes = bytes;
        request.id = id;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_OUTPUT_CREDIT;
        request.output_credit = &m;
        client_send(c, &request);
}

/* What main() ends with. */
static inline int run_suite(Suite *suite)
{
        SRunner *runner = srunner_create(suite);
        int failed;

        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
