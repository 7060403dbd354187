/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of jobs, with the test as both of the frontend's other sides: what a sandbox is given of those
 * that stream in, and what a client is given of those that come out, whatever the sandbox writes.
 */
#include "daemon/frontend/feed.h"
#include "daemon/wire/transfer.h"
#include "tests/unit/fixture-frontend.h"

#define LARGE (2 * MIB)

static uint8_t bytes[LARGE];

static void setup_large(void)
{
        setup();
        policy.profiles[0].maximums.value[LIMIT_FILES_SIZE] = 2 * LARGE;
        policy.profiles[0].maximums.value[LIMIT_TMP_SIZE] = 2 * LARGE;
        policy.profiles[0].defaults = policy.profiles[0].maximums;
        restart();
}

/* A start, with its fds at their places. */
struct placed {
        struct start start;
        int fds[_CHANNEL_FD_COUNT];
};

static void expect_start(struct placed *p)
{
        size_t n = 0;

        monitor_expect_start(&p->start);
        for (size_t i = 0; i < _CHANNEL_FD_COUNT; i++)
                p->fds[i] =
                        channel_start_has(p->start.message.flags, i) ? p->start.fds[n++] : -EBADF;
        ck_assert_uint_eq(n, p->start.n_fds);
        p->start.n_fds = 0;
}

/* Its ends of the pipes close, but for the one that files go out by. */
static void close_all_but_collect(struct placed *p)
{
        io_close_all(p->fds, CHANNEL_FD_COLLECT);
}

static void report(const struct placed *p, enum job_status status)
{
        monitor_ended(&p->start, &(struct channel_ended) { .status = status }, -EBADF);
}

static void gone(const struct placed *p)
{
        monitor_send(CHANNEL_OP_GONE, p->start.message.header.job);
}

static void run_large(struct client *c, uint64_t id)
{
        Sandboxd__V1__File file = SANDBOXD__V1__FILE__INIT, *items[] = { &file };
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;

        file.name = (ProtobufCBinaryData) BYTES("large");
        file.size = LARGE;
        run.n_files = 1;
        run.files = items;
        client_run(c, id, &run);
}

static void send_part(struct client *c, uint64_t id, const void *data, size_t size)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__FileData m = SANDBOXD__V1__FILE_DATA__INIT;

        m.data = (ProtobufCBinaryData) { size, (uint8_t *) data };
        request.id = id;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_FILE_DATA;
        request.file_data = &m;
        client_send(c, &request);
}

/* Reads records as the payload's process does, until so many bytes of the file came. */
static void take_bytes(int fd, size_t size)
{
        while (size > 0) {
                struct transfer_part part;

                ck_assert_int_eq(io_read_full(fd, &part, sizeof(part)), sizeof(part));
                ck_assert_uint_eq(part.file, 0);
                ck_assert_uint_le(part.size, size);
                while (part.size > 0) {
                        ssize_t n = read(fd, bytes, part.size);

                        ck_assert_int_gt(n, 0);
                        part.size -= (uint32_t) n;
                        size -= (size_t) n;
                }
        }
}

/* The sandbox is asked for at once, and the client is told that it runs when the last byte is out. */
START_TEST(test_streamed)
{
        struct spec_view spec;
        struct placed p;
        struct client c;
        size_t left = LARGE - FEED_CREDIT;

        client_hello(&c);
        ck_assert_uint_eq(c.last->hello->file_credit, FEED_CREDIT);
        run_large(&c, 2);
        expect_start(&p);
        ck_assert_uint_eq(p.start.message.flags, CHANNEL_START_INPUT);
        ck_assert_int_eq(spec_view_open(&spec, p.fds[CHANNEL_FD_SPEC]), 0);
        ck_assert_uint_eq(spec.n_files, 1);
        ck_assert_uint_eq(spec.n_inline, 0);
        ck_assert_str_eq(spec.file_names[0], "large");
        spec_view_done(&spec);
        memset(bytes, 'x', sizeof(bytes));
        send_part(&c, 2, bytes, FEED_CREDIT);
        take_bytes(p.fds[CHANNEL_FD_INPUT], FEED_CREDIT);
        while (left > 0) {
                uint64_t credit = client_expect(&c, 2, BODY(FILE_CREDIT))->file_credit->bytes;
                size_t n = MIN(left, (size_t) credit);

                send_part(&c, 2, bytes, n);
                take_bytes(p.fds[CHANNEL_FD_INPUT], n);
                left -= n;
        }
        /* More credit than is of use may be on its way. */
        do
                ck_assert_ptr_nonnull(client_receive(&c));
        while (c.last->body_case == BODY(FILE_CREDIT));
        ck_assert_int_eq(c.last->body_case, BODY(STARTED));
        ck_assert_int_eq(read(p.fds[CHANNEL_FD_INPUT], bytes, 1), 0);
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_OK);
        gone(&p);
        client_expect(&c, 2, BODY(RESULT));
        expect_service(&c, 3);
        client_close(&c);
}
END_TEST

/* The sandbox ends while they come: there is a result, and what still comes is no misuse. */
START_TEST(test_streamed_and_ended)
{
        struct placed p;
        struct client c;

        client_hello(&c);
        run_large(&c, 2);
        expect_start(&p);
        memset(bytes, 'x', sizeof(bytes));
        send_part(&c, 2, bytes, 1000);
        close_all_but_collect(&p);
        monitor_ended(&p.start,
                &(struct channel_ended) {
                        .status = JOB_STATUS_SETUP_ERROR,
                        .step = SETUP_STEP_FILES,
                        .error = ENOSPC,
                },
                -EBADF);
        send_part(&c, 2, bytes, 1000);
        ck_assert_int_eq(client_expect(&c, 2, BODY(RESULT))->result->error, ENOSPC);
        send_part(&c, 2, bytes, 1000);
        gone(&p);
        expect_service(&c, 3);
        client_close(&c);
}
END_TEST

/* One that does not send while it could is told so, and the sandbox is ended; its slot is free when that
 * has. */
START_TEST(test_streamed_and_stalled)
{
        struct placed p;
        struct client c;

        policy.server.frame_timeout_usec = 50 * USEC_PER_MSEC;
        policy.server.max_jobs_per_user = 1;
        policy.server.max_queued_per_user = 0;
        restart();
        client_hello(&c);
        run_large(&c, 2);
        expect_start(&p);
        client_expect_error(&c, 2, ERROR_CODE(INVALID_ARGUMENT), "FrameTimeoutSec=");
        monitor_expect_kill(&p.start, JOB_STATUS_CANCELLED);
        client_run_upload(&c, 3);
        client_expect_error(&c, 3, ERROR_CODE(BUSY), "MaxJobsPerUser=");
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_CANCELLED);
        gone(&p);
        client_wait(&c);
        expect_service(&c, 4);
        client_close(&c);
}
END_TEST

/* One that has no credit left is not waited for. */
START_TEST(test_streamed_and_waited_for)
{
        struct placed p;
        struct client c;

        policy.server.frame_timeout_usec = 700 * USEC_PER_MSEC;
        restart();
        client_hello(&c);
        run_large(&c, 2);
        expect_start(&p);
        memset(bytes, 'x', sizeof(bytes));
        for (unsigned i = 0; i < 16; i++)
                send_part(&c, 2, bytes, FEED_CREDIT / 16);
        for (unsigned i = 0; i < 5; i++)
                monitor_expect_silence();
        take_bytes(p.fds[CHANNEL_FD_INPUT], FEED_CREDIT);
        client_expect(&c, 2, BODY(FILE_CREDIT));
        /* Now it is its turn again. */
        while (client_receive(&c)->body_case == BODY(FILE_CREDIT))
                ;
        ck_assert_int_eq(c.last->body_case, BODY(ERROR));
        monitor_expect_kill(&p.start, JOB_STATUS_CANCELLED);
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_CANCELLED);
        gone(&p);
        client_close(&c);
}
END_TEST

START_TEST(test_streamed_and_vanished)
{
        struct placed p;
        struct client c;

        client_hello(&c);
        run_large(&c, 2);
        expect_start(&p);
        client_close(&c);
        monitor_expect_kill(&p.start, JOB_STATUS_CANCELLED);
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_CANCELLED);
        gone(&p);
        client_hello(&c);
        expect_service(&c, 2);
        client_close(&c);
}
END_TEST

/* --- out */

static void run_get(struct client *c, uint64_t id, uint64_t credit, bool detach)
{
        ProtobufCBinaryData get[] = { BYTES("f"), BYTES("*.png") };
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;

        run.n_get = 2;
        run.get = get;
        run.output_credit = credit;
        run.detach = detach;
        client_run(c, id, &run);
}

static void put(int fd, enum transfer_kind kind, const char *name, uint64_t size, const void *data)
{
        const struct transfer_record r = {
                .kind = kind,
                .mode = kind == TRANSFER_REGULAR ? 0600 : 0,
                .size = size,
                .error = kind == TRANSFER_FAILED ? TRANSFER_ERROR_MISSING : TRANSFER_ERROR_NONE,
                .name_size = (uint32_t) strlen(name),
        };

        ck_assert_int_eq(transfer_write(fd, &r, kind == TRANSFER_DATA ? data : name), 0);
}

static const Sandboxd__V1__FileOut *expect_file(struct client *c, uint64_t id,
        Sandboxd__V1__FileOut__Kind kind, const char *name)
{
        const Sandboxd__V1__FileOut *m = client_expect(c, id, BODY(FILE_OUT))->file_out;

        ck_assert_int_eq(m->kind, kind);
        ck_assert_uint_eq(m->name.len, strlen(name));
        if (m->name.len > 0)
                ck_assert_mem_eq(m->name.data, name, m->name.len);
        return m;
}

#define KIND(name) SANDBOXD__V1__FILE_OUT__KIND__##name

static void expect_data(struct client *c, uint64_t id, size_t size)
{
        ck_assert_uint_eq(expect_file(c, id, KIND(KIND_UNSPECIFIED), "")->data.len, size);
}

static void expect_lost(struct client *c, uint64_t id, const char *name)
{
        const Sandboxd__V1__FileOut *m = expect_file(c, id, KIND(FAILED), name);

        ck_assert_ptr_nonnull(strstr(m->error, "gone"));
        ck_assert_ptr_nonnull(strstr(m->error, name));
}

/* The result is last, and waits for the files. */
START_TEST(test_fetched)
{
        const Sandboxd__V1__FileOut *m;
        struct spec_view spec;
        struct placed p;
        struct client c;
        int out;

        client_hello(&c);
        run_get(&c, 2, 0, false);
        expect_start(&p);
        ck_assert_uint_eq(p.start.message.flags, CHANNEL_START_COLLECT);
        ck_assert_int_eq(spec_view_open(&spec, p.fds[CHANNEL_FD_SPEC]), 0);
        ck_assert_uint_eq(spec.n_get, 2);
        ck_assert_str_eq(spec.get[1], "*.png");
        spec_view_done(&spec);
        client_expect(&c, 2, BODY(STARTED));
        out = p.fds[CHANNEL_FD_COLLECT];
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_OK);
        put(out, TRANSFER_FAILED, "*.png", 0, NULL);
        ck_assert_ptr_nonnull(strstr(expect_file(&c, 2, KIND(FAILED), "*.png")->error, "*.png"));
        put(out, TRANSFER_FOLDER, "f", 0, NULL);
        expect_file(&c, 2, KIND(FOLDER), "f");
        put(out, TRANSFER_REGULAR, "f/a", 5, NULL);
        m = expect_file(&c, 2, KIND(REGULAR), "f/a");
        ck_assert_uint_eq(m->size, 5);
        ck_assert_uint_eq(m->mode, 0600);
        put(out, TRANSFER_DATA, "", 3, "abc");
        expect_data(&c, 2, 3);
        put(out, TRANSFER_DATA, "", 2, "de");
        expect_data(&c, 2, 2);
        put(out, TRANSFER_END, "", 0, NULL);
        ck_assert_uint_eq(client_expect(&c, 2, BODY(RESULT))->result->files, 2);
        (void) close(out);
        gone(&p);
        expect_service(&c, 3);
        client_close(&c);
}
END_TEST

static void give_file_credit(struct client *c, uint64_t id, uint64_t size)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__OutputCredit m = SANDBOXD__V1__OUTPUT_CREDIT__INIT;

        m.of = SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_FILES;
        m.bytes = size;
        request.id = id;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_OUTPUT_CREDIT;
        request.output_credit = &m;
        client_send(c, &request);
}

/* Data needs credit; names and the end do not. */
START_TEST(test_fetched_by_credit)
{
        struct placed p;
        struct client c;
        int out;

        client_hello(&c);
        run_get(&c, 2, 4, false);
        expect_start(&p);
        client_expect(&c, 2, BODY(STARTED));
        out = p.fds[CHANNEL_FD_COLLECT];
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_OK);
        put(out, TRANSFER_REGULAR, "f", 10, NULL);
        put(out, TRANSFER_DATA, "", 10, "0123456789");
        put(out, TRANSFER_FOLDER, "a.png", 0, NULL);
        put(out, TRANSFER_END, "", 0, NULL);
        (void) close(out);
        gone(&p);
        expect_file(&c, 2, KIND(REGULAR), "f");
        expect_data(&c, 2, 4);
        client_wait(&c);
        give_file_credit(&c, 2, 6);
        expect_data(&c, 2, 6);
        expect_file(&c, 2, KIND(FOLDER), "a.png");
        client_expect(&c, 2, BODY(RESULT));
        client_close(&c);
}
END_TEST

static void lose_at_once(int out)
{
}

static void lose_in_a_record(int out)
{
        ck_assert_int_eq(write(out, "xxxx", 4), 4);
}

static void lose_by_a_bad_record(int out)
{
        put(out, (enum transfer_kind) 77, "", 0, NULL);
}

static void lose_by_a_bad_name(int out)
{
        put(out, TRANSFER_REGULAR, "../f", 1, NULL);
}

static void lose_by_a_large_size(int out)
{
        put(out, TRANSFER_REGULAR, "f", UINT64_MAX, NULL);
}

/* Init is gone, or not itself: each thing that was asked for is named, and nothing waits. */
START_TEST(test_lost)
{
        static void (*const ways[])(int out) = { lose_at_once, lose_in_a_record,
                lose_by_a_bad_record, lose_by_a_bad_name, lose_by_a_large_size };
        struct placed p;
        struct client c;

        client_hello(&c);
        run_get(&c, 2, 0, false);
        expect_start(&p);
        client_expect(&c, 2, BODY(STARTED));
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_TIMEOUT);
        ways[_i](p.fds[CHANNEL_FD_COLLECT]);
        (void) close(p.fds[CHANNEL_FD_COLLECT]);
        gone(&p);
        expect_lost(&c, 2, "f");
        expect_lost(&c, 2, "*.png");
        ck_assert_int_eq(client_expect(&c, 2, BODY(RESULT))->result->status,
                SANDBOXD__V1__STATUS__TIMEOUT);
        expect_service(&c, 3);
        client_close(&c);
}
END_TEST

/* In the middle of a file: that one, too. */
START_TEST(test_lost_in_a_file)
{
        struct placed p;
        struct client c;

        client_hello(&c);
        run_get(&c, 2, 0, false);
        expect_start(&p);
        client_expect(&c, 2, BODY(STARTED));
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_OK);
        put(p.fds[CHANNEL_FD_COLLECT], TRANSFER_REGULAR, "a.png", 10, NULL);
        put(p.fds[CHANNEL_FD_COLLECT], TRANSFER_DATA, "", 3, "abc");
        (void) close(p.fds[CHANNEL_FD_COLLECT]);
        gone(&p);
        expect_file(&c, 2, KIND(REGULAR), "a.png");
        expect_data(&c, 2, 3);
        expect_lost(&c, 2, "a.png");
        expect_lost(&c, 2, "f");
        expect_lost(&c, 2, "*.png");
        ck_assert_uint_eq(client_expect(&c, 2, BODY(RESULT))->result->files, 0);
        client_close(&c);
}
END_TEST

/* The job has ended, and its client does not want its files any more. */
START_TEST(test_cancelled_and_vanished)
{
        struct placed p;
        struct client c;

        for (unsigned vanish = 0; vanish < 2; vanish++) {
                client_hello(&c);
                run_get(&c, 2, 0, false);
                expect_start(&p);
                client_expect(&c, 2, BODY(STARTED));
                close_all_but_collect(&p);
                report(&p, JOB_STATUS_OK);
                put(p.fds[CHANNEL_FD_COLLECT], TRANSFER_FOLDER, "f", 0, NULL);
                expect_file(&c, 2, KIND(FOLDER), "f");
                if (vanish)
                        client_close(&c);
                else
                        client_simple(&c, 2, SANDBOXD__V1__REQUEST__BODY_CANCEL);
                monitor_expect_kill(&p.start, JOB_STATUS_CANCELLED);
                (void) close(p.fds[CHANNEL_FD_COLLECT]);
                gone(&p);
                if (vanish)
                        continue;
                expect_lost(&c, 2, "f");
                expect_lost(&c, 2, "*.png");
                client_expect(&c, 2, BODY(RESULT));
                client_close(&c);
        }
}
END_TEST

static void get_files(struct client *c, uint64_t id, const char *job, const char *name,
        uint64_t credit)
{
        ProtobufCBinaryData names[] = { { name ? strlen(name) : 0, (uint8_t *) name } };
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__GetFiles m = SANDBOXD__V1__GET_FILES__INIT;

        m.job_id = (ProtobufCBinaryData) { strlen(job), (uint8_t *) job };
        m.n_names = name ? 1 : 0;
        m.names = names;
        m.output_credit = credit;
        request.id = id;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_GET_FILES;
        request.get_files = &m;
        client_send(c, &request);
}

/* Kept, without its client, and replayed as it is asked for; what there is no room for is named. */
START_TEST(test_kept)
{
        struct placed p;
        struct client c;
        char job[32];
        int out;

        policy.server.max_kept_per_user = policy.server.max_kept = 256 * KIB;
        restart();
        client_hello(&c);
        run_get(&c, 2, 0, true);
        expect_start(&p);
        (void) snprintf(job, sizeof(job), "%s",
                client_expect(&c, 2, BODY(STARTED))->started->job_id);
        client_close(&c);
        out = p.fds[CHANNEL_FD_COLLECT];
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_OK);
        memset(bytes, 'x', sizeof(bytes));
        put(out, TRANSFER_REGULAR, "a.png", 30 * KIB, NULL);
        put(out, TRANSFER_DATA, "", 30 * KIB, bytes);
        put(out, TRANSFER_REGULAR, "b.png", 400 * KIB, NULL);
        for (unsigned i = 0; i < 10; i++)
                put(out, TRANSFER_DATA, "", 40 * KIB, bytes);
        /* The next one failed by itself. */
        put(out, TRANSFER_FAILED, "c.png", 0, NULL);
        put(out, TRANSFER_FOLDER, "f", 0, NULL);
        put(out, TRANSFER_REGULAR, "f/g", 0, NULL);
        put(out, TRANSFER_END, "", 0, NULL);
        (void) close(out);
        gone(&p);
        client_hello(&c);
        get_files(&c, 2, job, NULL, 30 * KIB - 1);
        expect_file(&c, 2, KIND(REGULAR), "a.png");
        for (size_t left = 30 * KIB - 1; left > 0;)
                left -= client_expect(&c, 2, BODY(FILE_OUT))->file_out->data.len;
        client_wait(&c);
        give_file_credit(&c, 2, 1);
        expect_data(&c, 2, 1);
        ck_assert_ptr_nonnull(strstr(expect_file(&c, 2, KIND(FAILED), "b.png")->error, "MaxKept"));
        ck_assert_ptr_nonnull(
                strstr(expect_file(&c, 2, KIND(FAILED), "c.png")->error, "there is no"));
        expect_file(&c, 2, KIND(FOLDER), "f");
        expect_file(&c, 2, KIND(REGULAR), "f/g");
        client_expect(&c, 2, BODY(DONE));
        get_files(&c, 3, job, "f/*", 0);
        expect_file(&c, 3, KIND(REGULAR), "f/g");
        client_expect(&c, 3, BODY(DONE));
        get_files(&c, 4, job, "../x", 0);
        client_expect_error(&c, 4, ERROR_CODE(INVALID_ARGUMENT), "names[0]");
        get_files(&c, 5, "0123456789abcdef", NULL, 0);
        client_expect_error(&c, 5, ERROR_CODE(NO_SUCH_JOB), "ps --all");
        client_close(&c);
}
END_TEST

/* Room goes in the middle of a file that needs more than it could: no more is kept, and that is said of what
 * came later. */
START_TEST(test_kept_in_crumbs)
{
        enum { SIZE = 8000 };
        const Sandboxd__V1__FileOut *m;
        struct placed p;
        struct client c;
        char job[32];
        int out;

        policy.server.max_kept_per_user = policy.server.max_kept = 160 * KIB;
        restart();
        client_hello(&c);
        run_get(&c, 2, 0, true);
        expect_start(&p);
        (void) snprintf(job, sizeof(job), "%s",
                client_expect(&c, 2, BODY(STARTED))->started->job_id);
        out = p.fds[CHANNEL_FD_COLLECT];
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_OK);
        put(out, TRANSFER_REGULAR, "a.png", SIZE, NULL);
        for (size_t i = 0; i < SIZE; i++)
                put(out, TRANSFER_DATA, "", 1, bytes);
        /* All but a pipe full of that was read. There is room again, too late. */
        policy.server.max_kept_per_user = policy.server.max_kept = 1 * MIB;
        monitor_reload(2);
        monitor_expect_retire(1);
        put(out, TRANSFER_REGULAR, "f", 0, NULL);
        put(out, TRANSFER_END, "", 0, NULL);
        (void) close(out);
        gone(&p);
        get_files(&c, 3, job, "f", 0);
        m = expect_file(&c, 3, KIND(FAILED), "f");
        ck_assert_ptr_nonnull(strstr(m->error, "MaxKept"));
        client_expect(&c, 3, BODY(DONE));
        client_close(&c);
}
END_TEST

static size_t pack_request(uint8_t *frame, const Sandboxd__V1__Request *request)
{
        size_t size = sandboxd__v1__request__pack(request, frame + FRAME_HEADER_SIZE);

        frame_header(frame, size);
        return FRAME_HEADER_SIZE + size;
}

/* A GetFiles with many times the same name, and in the same write another request. */
static void get_by_many_names(struct client *c, const char *job, const char *name, size_t n_names)
{
        static uint8_t frames[512 * KIB];
        ProtobufCBinaryData names[SPEC_GET_MAX];
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__GetFiles m = SANDBOXD__V1__GET_FILES__INIT;
        Sandboxd__V1__GetHost host = SANDBOXD__V1__GET_HOST__INIT;
        size_t n;

        for (size_t i = 0; i < n_names; i++)
                names[i] = (ProtobufCBinaryData) { strlen(name), (uint8_t *) name };
        m.job_id = (ProtobufCBinaryData) { strlen(job), (uint8_t *) job };
        m.n_names = n_names;
        m.names = names;
        request.id = 2;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_GET_FILES;
        request.get_files = &m;
        n = pack_request(frames, &request);
        request.id = 3;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_GET_HOST;
        request.get_host = &host;
        n += pack_request(frames + n, &request);
        ck_assert_int_eq(io_write_full(c->fd, frames, n), 0);
}

/* A detached job that left so many folders with long names. */
static void keep_folders(struct client *c, unsigned n, char job[static 32])
{
        char name[SPEC_PART_MAX + 1];
        struct placed p;

        run_get(c, 2, 0, true);
        expect_start(&p);
        (void) snprintf(job, 32, "%s", client_expect(c, 2, BODY(STARTED))->started->job_id);
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_OK);
        for (unsigned i = 0; i < n; i++) {
                (void) snprintf(name, sizeof(name), "d%u-%0240u", i, 0);
                put(p.fds[CHANNEL_FD_COLLECT], TRANSFER_FOLDER, name, 0, NULL);
        }
        put(p.fds[CHANNEL_FD_COLLECT], TRANSFER_END, "", 0, NULL);
        (void) close(p.fds[CHANNEL_FD_COLLECT]);
        gone(&p);
}

/* Looking through many files for many names, or for patterns that take long, does not hold up others. */
START_TEST(test_kept_in_turns)
{
        static const struct {
                const char *name;
                size_t n;
        } rows[] = { { NULL, SPEC_GET_MAX }, { "*?z", 16 } };
        char job[32], name[SPEC_PART_MAX + 1];
        struct client c;

        memset(name, 'x', SPEC_PART_MAX);
        name[SPEC_PART_MAX] = '\0';
        client_hello(&c);
        keep_folders(&c, 300, job);
        get_files(&c, 3, job, "d299*", 0);
        client_expect(&c, 3, BODY(FILE_OUT));
        client_expect(&c, 3, BODY(DONE));
        get_by_many_names(&c, job, rows[_i].name ? rows[_i].name : name, rows[_i].n);
        client_expect(&c, 3, BODY(HOST));
        for (unsigned i = 0; i < rows[_i].n; i++)
                ck_assert_int_eq(client_expect(&c, 2, BODY(FILE_OUT))->file_out->kind,
                        KIND(FAILED));
        client_expect(&c, 2, BODY(DONE));
        client_close(&c);
}
END_TEST

/* What was lost of them is kept as a word about it. */
START_TEST(test_kept_and_lost)
{
        struct placed p;
        struct client c;
        char job[32];

        client_hello(&c);
        run_get(&c, 2, 0, true);
        expect_start(&p);
        (void) snprintf(job, sizeof(job), "%s",
                client_expect(&c, 2, BODY(STARTED))->started->job_id);
        /* Asked for before it has ended. */
        get_files(&c, 3, job, NULL, 0);
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_OK);
        put(p.fds[CHANNEL_FD_COLLECT], TRANSFER_FOLDER, "a.png", 0, NULL);
        (void) close(p.fds[CHANNEL_FD_COLLECT]);
        gone(&p);
        expect_file(&c, 3, KIND(FOLDER), "a.png");
        expect_lost(&c, 3, "f");
        expect_lost(&c, 3, "*.png");
        client_expect(&c, 3, BODY(DONE));
        client_close(&c);
}
END_TEST

/* A client that takes nothing does not hold up the end. */
START_TEST(test_stop)
{
        struct placed p;
        struct client c;

        client_hello(&c);
        run_get(&c, 2, 1, false);
        expect_start(&p);
        client_expect(&c, 2, BODY(STARTED));
        close_all_but_collect(&p);
        report(&p, JOB_STATUS_OK);
        put(p.fds[CHANNEL_FD_COLLECT], TRANSFER_REGULAR, "f", 3, NULL);
        put(p.fds[CHANNEL_FD_COLLECT], TRANSFER_DATA, "", 3, "abc");
        expect_file(&c, 2, KIND(REGULAR), "f");
        expect_data(&c, 2, 1);
        monitor_send(CHANNEL_OP_STOP, 0);
        (void) close(p.fds[CHANNEL_FD_COLLECT]);
        gone(&p);
        expect_lost(&c, 2, "f");
        expect_lost(&c, 2, "f");
        expect_lost(&c, 2, "*.png");
        client_expect(&c, 2, BODY(RESULT));
        expect_exit();
        client_close(&c);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("frontend-files");
        TCase *tc = tcase_create("frontend-files");

        tcase_add_checked_fixture(tc, setup_large, teardown);
        tcase_add_test(tc, test_streamed);
        tcase_add_test(tc, test_streamed_and_ended);
        tcase_add_test(tc, test_streamed_and_stalled);
        tcase_add_test(tc, test_streamed_and_waited_for);
        tcase_add_test(tc, test_streamed_and_vanished);
        tcase_add_test(tc, test_fetched);
        tcase_add_test(tc, test_fetched_by_credit);
        tcase_add_loop_test(tc, test_lost, 0, 5);
        tcase_add_test(tc, test_lost_in_a_file);
        tcase_add_test(tc, test_cancelled_and_vanished);
        tcase_add_test(tc, test_kept);
        tcase_add_test(tc, test_kept_in_crumbs);
        tcase_add_loop_test(tc, test_kept_in_turns, 0, 2);
        tcase_add_test(tc, test_kept_and_lost);
        tcase_add_test(tc, test_stop);
        suite_add_tcase(suite, tc);
        return run_suite(suite);
}
