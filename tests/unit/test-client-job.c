/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs of the library: what they send, in pieces and within credit, what they are told, how they end.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "tests/unit/fixture-daemon.h"

#define OUT SANDBOXD__V1__OUTPUT__STREAM__STDOUT
#define ERR SANDBOXD__V1__OUTPUT__STREAM__STDERR
#define REGULAR SANDBOXD__V1__FILE_OUT__KIND__REGULAR
#define MORE SANDBOXD__V1__FILE_OUT__KIND__KIND_UNSPECIFIED
#define FOLDER SANDBOXD__V1__FILE_OUT__KIND__FOLDER
#define FAILED SANDBOXD__V1__FILE_OUT__KIND__FAILED

static sandbox_spec *spec;
static sandbox_job *job;
static char story[4096]; /* what the callbacks were told, a word each */
static size_t told_bytes;
static sandbox_result *kept;

static void tell(const char *format, ...) _printf_(1, 2);
static void tell(const char *format, ...)
{
        size_t n = strlen(story);
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(story + n, sizeof(story) - n, format, ap);
        va_end(ap);
}

static void on_queued(sandbox_job *j, unsigned position, void *userdata)
{
        tell("queued:%u ", position);
}

static void on_started(sandbox_job *j, void *userdata)
{
        ck_assert_ptr_eq(userdata, story);
        tell("started:%s ", sandbox_job_get_id(j));
}

static void on_output(sandbox_job *j, enum sandbox_stream stream, const void *data, size_t size,
        void *userdata)
{
        told_bytes += size;
        if (size < 16)
                tell("%d:%.*s ", (int) stream, (int) size, (const char *) data);
}

static void on_file(sandbox_job *j, const sandbox_file_piece *piece, void *userdata)
{
        tell("file:%d:%s:%o:%zu@%zu:%.*s%s%s ", (int) piece->kind, piece->name, piece->mode,
                (size_t) piece->size, (size_t) piece->offset, (int) piece->data_size,
                piece->data ? (const char *) piece->data : "", piece->last ? "." : "",
                piece->error ? piece->error : "");
}

static void on_stdin_ready(sandbox_job *j, void *userdata)
{
        tell("stdin:%zu ", sandbox_job_get_stdin_room(j));
}

static void on_end(sandbox_job *j, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        if (error)
                tell("error:%s:%d:%s ", error->name, error->error, error->field);
        else
                tell("end:%s ", result ? sandbox_status_name(sandbox_result_get_status(result))
                                       : "detached");
        if (result)
                kept = sandbox_result_ref(result);
        job = NULL;
}

static const sandbox_job_handlers handlers = {
        .size = sizeof(handlers),
        .on_queued = on_queued,
        .on_started = on_started,
        .on_output = on_output,
        .on_file = on_file,
        .on_stdin_ready = on_stdin_ready,
        .on_end = on_end,
};

static void setup_with(uint32_t max_frame, uint64_t file_credit)
{
        fake_connect(max_frame, file_credit);
        ck_assert_int_eq(sandbox_spec_new(&spec), 0);
        ck_assert_int_eq(sandbox_spec_add_arg(spec, "true"), 0);
        story[0] = '\0';
        told_bytes = 0;
}

static void setup(void)
{
        setup_with(0, 100000);
}

static void setup_old(void)
{
        setup_with(8192, 0);
}

static void teardown(void)
{
        spec = sandbox_spec_free(spec);
        kept = sandbox_result_unref(kept);
        fake_done();
}

static void start(unsigned flags)
{
        ck_assert_int_eq(sandbox_job_start(client, spec, &handlers, story, flags, &job), 0);
        HEAR(RUN);
        ck_assert_uint_eq(heard->id, FIRST_ID);
}

static bool bytes_are(ProtobufCBinaryData bytes, const char *text)
{
        return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

START_TEST(test_request)
{
        static const char *const argv[] = { "python", "x", NULL };
        const Sandboxd__V1__Run *run;

        ck_assert_int_eq(sandbox_spec_set_argv(spec, argv), 0);
        ck_assert_int_eq(sandbox_spec_set_runtime(spec, "python"), 0);
        ck_assert_int_eq(sandbox_spec_set_code(spec, "1\0 2", 4), 0);
        ck_assert_int_eq(sandbox_spec_add_env(spec, "A=1"), 0);
        ck_assert_int_eq(sandbox_spec_set_workdir(spec, "/tmp"), 0);
        ck_assert_int_eq(sandbox_spec_set_profile(spec, "strict"), 0);
        ck_assert_int_eq(sandbox_spec_set_label(spec, "l"), 0);
        ck_assert_int_eq(sandbox_spec_set_limit(spec, SANDBOX_LIMIT_MEMORY, 1), 0);
        ck_assert_int_eq(sandbox_spec_set_limit(spec, SANDBOX_LIMIT_MEMORY, 42), 0);
        ck_assert_int_eq(sandbox_spec_set_limit_by_name(spec, "new_limit", 7), 0);
        ck_assert_int_eq(sandbox_spec_add_get(spec, "*.png"), 0);
        sandbox_spec_set_strict_output(spec, 1);
        start(0);
        run = heard->run;
        ck_assert_uint_eq(run->n_argv, 2);
        ck_assert(bytes_are(run->argv[1], "x"));
        ck_assert(bytes_are(run->runtime, "python"));
        ck_assert_uint_eq(run->code.len, 4);
        ck_assert(bytes_are(run->env[0], "A=1"));
        ck_assert(bytes_are(run->workdir, "/tmp"));
        ck_assert(bytes_are(run->profile, "strict"));
        ck_assert(bytes_are(run->label, "l"));
        ck_assert(bytes_are(run->get[0], "*.png"));
        ck_assert_uint_eq(run->n_limits, 2);
        ck_assert_str_eq(run->limits[0]->key, "memory_bytes");
        ck_assert_uint_eq(run->limits[0]->value, 42);
        ck_assert_str_eq(run->limits[1]->key, "new_limit");
        ck_assert(run->strict_output && !run->stdin && !run->detach);
        ck_assert_uint_eq(run->output_credit, SANDBOX_CREDIT_DEFAULT);
        ck_assert_uint_eq(run->stream_sockets, 0);
}
END_TEST

START_TEST(test_spec_errors)
{
        ck_assert_int_eq(sandbox_spec_add_env(spec, "=x"), -EINVAL);
        ck_assert_str_eq(sandbox_spec_get_error(spec)->field, "env");
        ck_assert_int_eq(sandbox_spec_set_limit(spec, (enum sandbox_limit) 99, 1), -EINVAL);
        ck_assert_int_eq(sandbox_spec_set_credit(spec, 0), -EINVAL);
        ck_assert_int_eq(sandbox_spec_set_stream_socket(spec, SANDBOX_FILES, 1), -EINVAL);
        ck_assert_int_eq(sandbox_spec_set_fetch_dir(spec, "/nonexistent"), -ENOENT);
        /* Files that nobody would take. */
        ck_assert_int_eq(sandbox_spec_add_get(spec, "x"), 0);
        ck_assert_int_eq(sandbox_job_start(client, spec, NULL, NULL, 0, NULL), -EINVAL);
        ck_assert_str_eq(sandbox_client_get_error(client)->field, "get");
        ck_assert_int_eq(sandbox_job_start(client, spec, &handlers, NULL, 64, NULL), -EINVAL);
        ck_assert(!hear());
}
END_TEST

static void say_queued(uint64_t id)
{
        Sandboxd__V1__Queued queued = SANDBOXD__V1__QUEUED__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        queued.job_id = (char *) "0123456789abcdef";
        queued.position = 3;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_QUEUED;
        response.queued = &queued;
        say(id, &response);
}

START_TEST(test_story)
{
        sandbox_usage usage;

        start(0);
        say_queued(2);
        say_started(2, 0);
        say_output(2, OUT, "hi", 2);
        say_output(2, ERR, "oops", 4);
        say_result(2, SANDBOXD__V1__STATUS__EXITED, 3);
        settle();
        ck_assert_str_eq(story, "queued:3 started:0123456789abcdef 1:hi 2:oops end:EXITED ");
        /* The result outlives job, connection and client. */
        client = sandbox_client_free(client);
        ck_assert_int_eq(sandbox_result_get_exit_code(kept), 3);
        ck_assert_int_eq(sandbox_result_get_shell_code(kept), 3);
        ck_assert_str_eq(sandbox_result_get_label(kept), "label");
        ck_assert_int_eq(sandbox_result_get_usage(kept, &usage), 1);
        ck_assert_uint_eq(usage.wall_usec, 1234);
        ck_assert_int_eq(sandbox_result_has_return_value(kept), 0);
        ck_assert_ptr_null(sandbox_result_get_failed_file(kept, 0, NULL));
}
END_TEST

START_TEST(test_refused)
{
        start(0);
        say_error(2, SANDBOXD__V1__ERROR_CODE__OVER_LIMIT, "memory_bytes", "too much");
        settle();
        ck_assert_str_eq(story, "error:OVER_LIMIT:-34:memory_bytes ");
}
END_TEST

START_TEST(test_detached)
{
        sandbox_spec_set_detach(spec, 1);
        ck_assert_int_eq(sandbox_spec_add_get(spec, "x"), 0);
        start(0);
        ck_assert(heard->run->detach);
        say_started(2, 0);
        settle();
        ck_assert_str_eq(story, "started:0123456789abcdef end:detached ");
}
END_TEST

/* Callbacks may begin and end what they like; of what was abandoned none is called. */
static void on_end_again(sandbox_job *j, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        if (!error)
                ck_assert_int_eq(sandbox_job_start(client, spec, &handlers, story, 0, &job), 0);
        ck_assert_int_eq(sandbox_run(client, spec, 1, &kept), -EDEADLK);
}

START_TEST(test_from_callbacks)
{
        sandbox_job_handlers again = { .size = sizeof(again), .on_end = on_end_again };

        ck_assert_int_eq(sandbox_job_start(client, spec, &again, NULL, 0, &job), 0);
        HEAR(RUN);
        say_started(2, 0);
        say_result(2, SANDBOXD__V1__STATUS__OK, 0);
        settle();
        HEAR(RUN);
        ck_assert_uint_eq(heard->id, 3);
        sandbox_job_abandon(job);
        HEAR(CANCEL);
        say_started(3, 0);
        say_output(3, OUT, "x", 1);
        say_result(3, SANDBOXD__V1__STATUS__CANCELLED, 0);
        say_result(3, SANDBOXD__V1__STATUS__CANCELLED, 0);
        settle();
        ck_assert_str_eq(story, "");
}
END_TEST

static void on_output_abandon(sandbox_job *j, enum sandbox_stream stream, const void *data,
        size_t size, void *userdata)
{
        tell("abandon ");
        sandbox_job_abandon(j);
}

START_TEST(test_abandoned_within)
{
        sandbox_job_handlers h = handlers;

        h.on_output = on_output_abandon;
        ck_assert_int_eq(sandbox_job_start(client, spec, &h, story, SANDBOX_MANUAL_CREDIT, NULL),
                0);
        say_output(2, OUT, "x", 1);
        say_output(2, OUT, "y", 1);
        say_result(2, SANDBOXD__V1__STATUS__CANCELLED, 0);
        settle();
        ck_assert_str_eq(story, "abandon ");
}
END_TEST

START_TEST(test_lost)
{
        start(0);
        say_started(2, 0);
        settle();
        daemon_fd = safe_close(daemon_fd);
        ck_assert_int_eq(sandbox_client_process(client), -ECONNRESET);
        ck_assert_str_eq(story, "started:0123456789abcdef error:UNREACHABLE:-104: ");
        ck_assert_int_eq(sandbox_job_start(client, spec, &handlers, story, 0, &job), -ENOTCONN);
}
END_TEST

START_TEST(test_disconnect)
{
        start(0);
        sandbox_client_disconnect(client);
        ck_assert_str_eq(story, "error:LOCAL:-125: ");
        ck_assert_int_eq(sandbox_client_process(client), -ENOTCONN);
}
END_TEST

START_TEST(test_nonsense)
{
        static const struct {
                const char *id;
                int error;
        } rows[] = { { "0123456789abcdef0", -EBADMSG }, { "", -EBADMSG } };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                Sandboxd__V1__Started started = SANDBOXD__V1__STARTED__INIT;
                Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

                if (i > 0) {
                        fake_done();
                        sandbox_spec_free(spec);
                        setup();
                }
                start(0);
                started.job_id = (char *) rows[i].id;
                response.body_case = SANDBOXD__V1__RESPONSE__BODY_STARTED;
                response.started = &started;
                say(2, &response);
                ck_assert_int_eq(sandbox_client_process(client), rows[i].error);
        }
        fake_done();
        sandbox_spec_free(spec);
        setup();
        start(0);
        say_started(2, 0);
        say_started(2, 0);
        ck_assert_int_eq(sandbox_client_process(client), -EPROTO);
}
END_TEST

static void fill(const char *path, size_t size)
{
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        char *data = calloc(1, size);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(io_write_full(fd, data, size), 0);
        (void) close(fd);
        free(data);
}

static void path_of(char path[static 256], const char *name)
{
        (void) snprintf(path, 256, "%s/%s", fake_dir, name);
}

/* Takes all the FileData there is: how many bytes. */
static uint64_t hear_files(uint32_t file)
{
        uint64_t bytes = 0;

        while (hear()) {
                ck_assert_int_eq(heard->body_case, SANDBOXD__V1__REQUEST__BODY_FILE_DATA);
                ck_assert_uint_eq(heard->file_data->file, file);
                bytes += heard->file_data->data.len;
        }
        return bytes;
}

static void say_file_credit(uint64_t id, uint64_t bytes)
{
        Sandboxd__V1__FileCredit credit = SANDBOXD__V1__FILE_CREDIT__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        credit.bytes = bytes;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_FILE_CREDIT;
        response.file_credit = &credit;
        say(id, &response);
}

/* Small ones go along, others in pieces as credit comes, and no byte without. */
START_TEST(test_files)
{
        uint64_t sent, size;
        char path[256];

        path_of(path, "big");
        fill(path, 200000);
        ck_assert_int_eq(sandbox_spec_add_file_data(spec, "small", 0755, "abc", 3), 0);
        ck_assert_int_eq(sandbox_spec_add_file_path(spec, "big", 0, path), 0);
        start(0);
        ck_assert_uint_eq(heard->run->n_files, 2);
        ck_assert(bytes_are(heard->run->files[0]->data, "abc"));
        ck_assert_uint_eq(heard->run->files[0]->mode, 0755);
        ck_assert_uint_eq(heard->run->files[1]->size, 200000);
        ck_assert_uint_eq(heard->run->files[1]->mode, 0640);
        ck_assert_uint_eq(heard->run->files[1]->data.len, 0);
        ck_assert(sandbox_client_get_events(client) & POLLOUT);
        settle();
        ck_assert_uint_eq(hear_files(1), 100000);
        ck_assert_int_eq(sandbox_client_get_events(client), POLLIN);
        sandbox_job_get_upload(job, &sent, &size);
        ck_assert_uint_eq(sent, 100003);
        ck_assert_uint_eq(size, 200003);
        say_file_credit(2, 1);
        settle();
        ck_assert_uint_eq(hear_files(1), 1);
        say_file_credit(2, 1 << 20);
        settle();
        ck_assert_uint_eq(hear_files(1), 99999);
        ck_assert(!hear());
        ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* One with so many bytes is queued while they are on their way: that they were sent says nothing. */
static const struct {
        size_t size;
        size_t more;
        bool detach;
        int may_be_left;
} uploads[] = {
        { 1000, 0, true, 1 },
        { 200000, 0, true, 1 },
        { 200000, 0, false, 0 },
        { 200000, 900000, true, 0 },
};

START_TEST(test_leaving)
{
        size_t size = uploads[_i].size, more = uploads[_i].more;
        char *data = calloc(1, size + more);
        size_t bytes = 0;

        ck_assert_int_eq(sandbox_spec_add_file_data(spec, "x", 0, data, size), 0);
        if (more > 0)
                ck_assert_int_eq(sandbox_spec_add_file_data(spec, "y", 0, data, more), 0);
        sandbox_spec_set_detach(spec, uploads[_i].detach);
        start(0);
        ck_assert_int_eq(sandbox_job_may_be_left(job), 0);
        if (size > 1000) {
                settle();
                say_queued(2);
                settle();
                /* With bytes to be sent for which there is no credit. */
                ck_assert_int_eq(sandbox_job_may_be_left(job), 0);
                say_file_credit(2, 1 << 20);
                while (bytes < size + more) {
                        settle();
                        ck_assert(hear());
                        ck_assert_int_eq(heard->body_case, SANDBOXD__V1__REQUEST__BODY_FILE_DATA);
                        bytes += heard->file_data->data.len;
                }
        } else {
                say_queued(2);
                settle();
        }
        ck_assert_int_eq(sandbox_job_may_be_left(job), uploads[_i].may_be_left);
        if (!uploads[_i].detach)
                sandbox_job_abandon(job);
        else
                say_started(2, 0);
        settle();
        free(data);
}
END_TEST

static void on_end_by_error(sandbox_job *ended, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        int *may_be_left = userdata;

        ck_assert_ptr_nonnull(error);
        *may_be_left = sandbox_job_may_be_left(ended);
}

static void on_end_of_a_detached(sandbox_job *ended, const sandbox_error *error,
        sandbox_result *result, void *userdata)
{
        int *may_be_left = userdata;

        ck_assert_ptr_null(error);
        *may_be_left = sandbox_job_may_be_left(ended);
}

/* It has started when it is told to end: the daemon knows it no more as one of this connection's. */
START_TEST(test_leaving_what_was_cancelled_too_late)
{
        sandbox_job_handlers h = { .size = sizeof(h), .on_end = on_end_of_a_detached };
        int may_be_left = -1;

        sandbox_spec_set_detach(spec, 1);
        ck_assert_int_eq(sandbox_job_start(client, spec, &h, &may_be_left, 0, &job), 0);
        HEAR(RUN);
        ck_assert_int_eq(sandbox_job_cancel(job), 0);
        say_started(2, 0);
        settle();
        ck_assert_int_eq(may_be_left, 1);
}
END_TEST

/* One that will not go on, whoever stays. */
START_TEST(test_leaving_what_does_not_go_on)
{
        sandbox_job_handlers h = { .size = sizeof(h), .on_end = on_end_by_error };
        int may_be_left = -1;

        sandbox_spec_set_detach(spec, 1);
        ck_assert_int_eq(sandbox_job_start(client, spec, &h, &may_be_left, 0, &job), 0);
        HEAR(RUN);
        say_queued(2);
        settle();
        ck_assert_int_eq(sandbox_job_may_be_left(job), 1);
        if (_i == 0) {
                ck_assert_int_eq(sandbox_job_cancel(job), 0);
                ck_assert_int_eq(sandbox_job_may_be_left(job), 0);
        } else {
                say_error(2, SANDBOXD__V1__ERROR_CODE__BUSY, "", "no");
                settle();
                ck_assert_int_eq(may_be_left, 0);
        }
}
END_TEST

/* A daemon that keeps no credit gets all, in pieces that it takes. */
START_TEST(test_files_of_old)
{
        uint64_t bytes = 0;
        char *data = calloc(1, 500000);

        ck_assert_int_eq(sandbox_spec_add_file_data(spec, "x", 0, data, 500000), 0);
        start(0);
        while (bytes < 500000) {
                settle();
                ck_assert(hear());
                ck_assert_int_eq(heard->body_case, SANDBOXD__V1__REQUEST__BODY_FILE_DATA);
                ck_assert_uint_le(heard->file_data->data.len, 8192);
                bytes += heard->file_data->data.len;
        }
        ck_assert_uint_eq(bytes, 500000);
        settle();
        ck_assert(!hear());
        free(data);
}
END_TEST

/* Two jobs upload at once: each has its turn. */
START_TEST(test_files_in_turn)
{
        char *data = calloc(1, 150000);
        uint64_t bytes[2] = {};

        ck_assert_int_eq(sandbox_spec_add_file_data(spec, "x", 0, data, 150000), 0);
        start(0);
        ck_assert_int_eq(sandbox_job_start(client, spec, &handlers, story, 0, NULL), 0);
        HEAR(RUN);
        settle();
        while (hear()) {
                bytes[heard->id - FIRST_ID] += heard->file_data->data.len;
                ck_assert_uint_le(bytes[0], bytes[1] + 65536);
                ck_assert_uint_le(bytes[1], bytes[0] + 65536);
        }
        ck_assert_uint_eq(bytes[0], 100000);
        ck_assert_uint_eq(bytes[1], 100000);
        free(data);
}
END_TEST

START_TEST(test_file_that_shrinks)
{
        char path[256];

        path_of(path, "big");
        fill(path, 90000);
        ck_assert_int_eq(sandbox_spec_add_file_path(spec, "big", 0, path), 0);
        start(0);
        ck_assert_int_eq(truncate(path, 10), 0);
        settle();
        ck_assert_uint_eq(heard->run->files[0]->size, 90000);
        ck_assert(strstr(story, "error:LOCAL:-116:files "));
        HEAR(FILE_DATA);
        HEAR(CANCEL);
        say_error(2, SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT, "", "cancelled");
        settle();
        ck_assert_ptr_null(strstr(story, "INVALID"));
        ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(test_file_that_is_replaced)
{
        char path[256], other[256];

        path_of(path, "big");
        path_of(other, "other");
        fill(path, 90000);
        fill(other, 90000);
        ck_assert_int_eq(sandbox_spec_add_file_path(spec, "big", 0, path), 0);
        start(0);
        ck_assert_int_eq(rename(other, path), 0);
        settle();
        ck_assert_str_eq(story, "error:LOCAL:-116:files ");
        ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(test_file_fd)
{
        int fd = io_memfd_new("test");
        char byte;

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, "0123456789", 10), 10);
        ck_assert_int_eq(sandbox_spec_add_file_fd(spec, "f", 0600, fd), 0);
        ck_assert_int_eq(sandbox_spec_add_file_fd(spec, "f", 0600, listen_fd), -EINVAL);
        ck_assert_int_eq(sandbox_spec_add_file_fd(spec, "f", 0600, -EBADF), -EBADF);
        ck_assert_int_eq(lseek(fd, 4, SEEK_SET), 4);
        start(0);
        ck_assert(bytes_are(heard->run->files[0]->data, "0123456789"));
        /* Its offset stays where it was. */
        ck_assert_int_eq(read(fd, &byte, 1), 1);
        ck_assert_int_eq(byte, '4');
        (void) close(fd);
}
END_TEST

START_TEST(test_tree)
{
        char path[256], deep[256], tree[256];

        path_of(tree, "tree");
        ck_assert_int_eq(mkdir(tree, 0755), 0);
        ck_assert_int_eq(sandbox_spec_add_tree(spec, "t", tree), -EINVAL);
        path_of(path, "tree/b");
        path_of(deep, "tree/b/file");
        ck_assert_int_eq(mkdir(path, 0755), 0);
        fill(deep, 3);
        ck_assert_int_eq(chmod(deep, 0750), 0);
        path_of(path, "tree/a");
        ck_assert_int_eq(symlink("b/file", path), 0);
        ck_assert_int_eq(sandbox_spec_add_tree(spec, "t", tree), 0);
        ck_assert_int_eq(sandbox_spec_add_tree(spec, "", tree), 0);
        ck_assert_int_eq(sandbox_spec_add_tree(spec, "one", deep), 0);
        ck_assert_int_eq(sandbox_spec_add_tree(spec, "none", "/nonexistent"), -ENOENT);
        start(0);
        ck_assert_uint_eq(heard->run->n_files, 5);
        ck_assert(bytes_are(heard->run->files[0]->name, "t/a"));
        ck_assert(bytes_are(heard->run->files[1]->name, "t/b/file"));
        ck_assert_uint_eq(heard->run->files[1]->mode, 0750);
        ck_assert(bytes_are(heard->run->files[2]->name, "a"));
        ck_assert(bytes_are(heard->run->files[4]->name, "one"));
        /* A link to a folder, and what is no file: nothing of the tree is taken then. */
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(symlink("b", path), 0);
        ck_assert_int_eq(sandbox_spec_add_tree(spec, "t", tree), -EINVAL);
        ck_assert_ptr_nonnull(strstr(sandbox_spec_get_error(spec)->message, path));
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        ck_assert_int_eq(sandbox_spec_add_tree(spec, "t", tree), -EINVAL);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(symlink("b/file", path), 0);
        ck_assert_int_eq(sandbox_job_start(client, spec, NULL, NULL, 0, NULL), 0);
        HEAR(RUN);
        ck_assert_uint_eq(heard->run->n_files, 5);
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(unlink(deep), 0);
        path_of(path, "tree/b");
        ck_assert_int_eq(rmdir(path), 0);
        ck_assert_int_eq(rmdir(tree), 0);
}
END_TEST

START_TEST(test_request_too_large)
{
        static char code[8192];

        ck_assert_int_eq(sandbox_spec_set_code(spec, code, sizeof(code)), 0);
        ck_assert_int_eq(sandbox_job_start(client, spec, &handlers, story, 0, &job), -EMSGSIZE);
        ck_assert_ptr_nonnull(strstr(sandbox_client_get_error(client)->message, "MaxFrameSize="));
        ck_assert_uint_eq(sandbox_client_get_queued(client), 0);
        ck_assert_int_eq(sandbox_spec_set_code(spec, code, 8000), 0);
        ck_assert_int_eq(sandbox_job_start(client, spec, &handlers, story, 0, &job), 0);
        HEAR(RUN);
        ck_assert_str_eq(story, "");
}
END_TEST

static void say_stdin_credit(uint64_t bytes, bool closed)
{
        Sandboxd__V1__StdinCredit credit = SANDBOXD__V1__STDIN_CREDIT__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        credit.bytes = bytes;
        credit.closed = closed;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_STDIN_CREDIT;
        response.stdin_credit = &credit;
        say(2, &response);
}

START_TEST(test_stdin_stream)
{
        sandbox_spec_set_stdin_stream(spec, 1);
        start(0);
        ck_assert(heard->run->stdin);
        ck_assert_int_eq(sandbox_job_send_stdin(job, "x", 1), 0);
        say_started(2, 4);
        settle();
        ck_assert_str_eq(story, "started:0123456789abcdef stdin:4 ");
        ck_assert_int_eq(sandbox_job_send_stdin(job, "abcdef", 6), 4);
        HEAR(STDIN_DATA);
        ck_assert(bytes_are(heard->stdin_data->data, "abcd"));
        ck_assert_int_eq(sandbox_job_send_stdin(job, "ef", 2), 0);
        settle();
        ck_assert(!hear());
        say_stdin_credit(10, false);
        settle();
        ck_assert_ptr_nonnull(strstr(story, "stdin:10 "));
        ck_assert_int_eq(sandbox_job_send_stdin(job, "ef", 2), 2);
        HEAR(STDIN_DATA);
        ck_assert(!heard->stdin_data->eof);
        ck_assert_int_eq(sandbox_job_close_stdin(job), 0);
        ck_assert_int_eq(sandbox_job_close_stdin(job), 0);
        HEAR(STDIN_DATA);
        ck_assert(heard->stdin_data->eof);
        ck_assert(!hear());
        ck_assert_int_eq(sandbox_job_send_stdin(job, "g", 1), -EPIPE);
}
END_TEST

START_TEST(test_stdin_closed)
{
        sandbox_spec_set_stdin_stream(spec, 1);
        start(0);
        say_started(2, 4);
        settle();
        say_stdin_credit(0, true);
        settle();
        ck_assert_str_eq(story, "started:0123456789abcdef stdin:4 stdin:0 ");
        ck_assert_int_eq(sandbox_job_send_stdin(job, "x", 1), -EPIPE);
        ck_assert_int_eq(sandbox_job_close_stdin(job), 0);
        ck_assert(!hear());
}
END_TEST

/* The end that was asked for before the job started comes when it has. */
START_TEST(test_stdin_ends_early)
{
        sandbox_spec_set_stdin_stream(spec, 1);
        start(0);
        ck_assert_int_eq(sandbox_job_close_stdin(job), 0);
        ck_assert(!hear());
        say_started(2, 4);
        settle();
        HEAR(STDIN_DATA);
        ck_assert(heard->stdin_data->eof && heard->stdin_data->data.len == 0);
        ck_assert(!hear());
}
END_TEST

START_TEST(test_stdin_data)
{
        ck_assert_int_eq(sandbox_spec_set_stdin_data(spec, "abcdef", 6), 0);
        start(0);
        say_started(2, 4);
        settle();
        HEAR(STDIN_DATA);
        ck_assert(bytes_are(heard->stdin_data->data, "abcd"));
        ck_assert(!heard->stdin_data->eof);
        say_stdin_credit(4, false);
        settle();
        HEAR(STDIN_DATA);
        ck_assert(bytes_are(heard->stdin_data->data, "ef"));
        ck_assert(heard->stdin_data->eof);
        ck_assert_int_eq(sandbox_job_send_stdin(job, "x", 1), -EINVAL);
}
END_TEST

/* A job that starts before its files are there, and while no more of them can be sent. */
START_TEST(test_started_too_early)
{
        char path[256];

        path_of(path, "big");
        fill(path, 200000);
        ck_assert_int_eq(sandbox_spec_add_file_path(spec, "big", 0, path), 0);
        ck_assert_int_eq(sandbox_spec_set_stdin_data(spec, "abcdef", 6), 0);
        start(0);
        settle();
        ck_assert_uint_eq(hear_files(0), 100000);
        say_started(2, 4);
        ck_assert_int_eq(sandbox_client_process(client), -EPROTO);
        ck_assert(!hear());
        ck_assert_str_eq(story, "error:UNREACHABLE:-71: ");
        ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* The credit that the client has given back for a stream. */
static uint64_t hear_credit(Sandboxd__V1__OutputCredit__Of of)
{
        uint64_t bytes = 0;

        while (hear()) {
                ck_assert_int_eq(heard->body_case, SANDBOXD__V1__REQUEST__BODY_OUTPUT_CREDIT);
                ck_assert_int_eq(heard->output_credit->of, of);
                ck_assert_uint_eq(heard->id, FIRST_ID);
                bytes += heard->output_credit->bytes;
        }
        return bytes;
}

START_TEST(test_credit)
{
        ck_assert_int_eq(sandbox_spec_set_credit(spec, 8), 0);
        start(0);
        ck_assert_uint_eq(heard->run->output_credit, 8);
        ck_assert_int_eq(sandbox_job_consume(job, SANDBOX_STDOUT, 0), -EINVAL);
        say_output(2, OUT, "abc", 3);
        settle();
        ck_assert_uint_eq(hear_credit(SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT), 0);
        say_output(2, OUT, "d", 1);
        settle();
        ck_assert_uint_eq(hear_credit(SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT), 4);
        say_output(2, ERR, "12345678", 8);
        settle();
        ck_assert_uint_eq(hear_credit(SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDERR), 8);
}
END_TEST

START_TEST(test_manual_credit)
{
        ck_assert_int_eq(sandbox_spec_set_credit(spec, 8), 0);
        start(SANDBOX_MANUAL_CREDIT);
        say_output(2, OUT, "12345678", 8);
        settle();
        ck_assert(!hear());
        ck_assert_int_eq(sandbox_job_consume(job, SANDBOX_STDOUT, 9), -EINVAL);
        ck_assert_int_eq(sandbox_job_consume(job, SANDBOX_STDERR, 1), -EINVAL);
        ck_assert_int_eq(sandbox_job_consume(job, SANDBOX_STDIN, 0), -EINVAL);
        ck_assert_int_eq(sandbox_job_consume(job, SANDBOX_STDOUT, 5), 0);
        ck_assert_uint_eq(hear_credit(SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT), 5);
        /* Abandoned, it takes what comes: a job without credit would never end. */
        sandbox_job_abandon(job);
        HEAR(CANCEL);
        say_output(2, OUT, "12345678", 8);
        settle();
        ck_assert_uint_eq(hear_credit(SANDBOXD__V1__OUTPUT_CREDIT__OF__OF_STDOUT), 11);
}
END_TEST

/* A daemon without credit is read no further until what it sent is consumed. */
START_TEST(test_no_credit)
{
        ck_assert_int_eq(sandbox_spec_set_credit(spec, 8), 0);
        start(SANDBOX_MANUAL_CREDIT);
        ck_assert_uint_eq(heard->run->output_credit, 0);
        for (int i = 0; i < 10; i++)
                say_output(2, OUT, "12345", 5);
        settle();
        ck_assert_uint_eq(told_bytes, 10);
        ck_assert_int_eq(sandbox_client_get_events(client), 0);
        ck_assert_int_eq(sandbox_job_consume(job, SANDBOX_STDOUT, 5), 0);
        ck_assert_int_eq(sandbox_client_get_events(client), POLLIN);
        /* What was read from the socket already does not show there. */
        ck_assert_uint_eq(sandbox_client_get_timeout(client), 0);
        settle();
        ck_assert_uint_eq(told_bytes, 15);
        ck_assert_int_eq(sandbox_job_consume(job, SANDBOX_STDOUT, 10), 0);
        settle();
        ck_assert_uint_eq(told_bytes, 25);
        ck_assert(!hear());
        sandbox_job_abandon(job);
        settle();
        ck_assert_int_eq(sandbox_client_get_events(client), POLLIN);
}
END_TEST

/* A connection that ends while nothing is read of it: there is nothing to do until what came is
 * consumed. Then the rest comes, and the end. */
START_TEST(test_hung_up_without_credit)
{
        ck_assert_int_eq(sandbox_spec_set_credit(spec, 8), 0);
        start(SANDBOX_MANUAL_CREDIT);
        for (int i = 0; i < 4; i++)
                say_output(2, OUT, "12345", 5);
        daemon_fd = safe_close(daemon_fd);
        settle();
        ck_assert_uint_eq(told_bytes, 10);
        ck_assert_int_eq(sandbox_client_get_events(client), 0);
        for (int i = 0; i < 3; i++) {
                ck_assert_int_eq(sandbox_client_wait(client, USEC_PER_MSEC), 0);
                ck_assert_int_eq(sandbox_client_process(client), 0);
        }
        ck_assert_int_eq(sandbox_job_consume(job, SANDBOX_STDOUT, 10), 0);
        ck_assert_int_eq(sandbox_client_wait(client, SANDBOX_FOREVER), 1);
        ck_assert_int_gt(sandbox_client_process(client), 0);
        ck_assert_uint_eq(told_bytes, 20);
        ck_assert_int_eq(sandbox_client_wait(client, USEC_PER_MSEC), 0);
        ck_assert_int_eq(sandbox_job_consume(job, SANDBOX_STDOUT, 10), 0);
        ck_assert_int_eq(sandbox_client_wait(client, SANDBOX_FOREVER), 1);
        ck_assert_int_eq(sandbox_client_process(client), -ECONNRESET);
        ck_assert_ptr_nonnull(strstr(story, "error:UNREACHABLE"));
}
END_TEST

/* Sockets that come with what the daemon says next; its own ends are in far. */
static void add_sockets(int *far, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                int ends[2];

                ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                                         ends),
                        0);
                far[i] = ends[0];
                said_fds[n_said_fds++] = ends[1];
        }
}

/* Whether the other end is closed. */
static bool is_hung_up(int fd)
{
        struct pollfd p = { .fd = fd };

        return poll(&p, 1, 0) == 1 && p.revents & POLLHUP;
}

static void want_sockets(unsigned streams)
{
        for (int s = SANDBOX_STDIN; s <= SANDBOX_STDERR; s++)
                ck_assert_int_eq(sandbox_spec_set_stream_socket(spec, (enum sandbox_stream) s,
                                         (int) (streams >> s & 1)),
                        0);
}

START_TEST(test_sockets)
{
        int far[2], in, err;

        want_sockets(5);
        start(0);
        ck_assert_uint_eq(heard->run->stream_sockets, 5);
        ck_assert_int_eq(sandbox_job_take_fd(job, SANDBOX_STDIN), -EAGAIN);
        ck_assert_int_eq(sandbox_job_take_fd(job, SANDBOX_STDOUT), -ENOENT);
        ck_assert_int_eq(sandbox_job_take_fd(job, SANDBOX_FILES), -ENOENT);
        add_sockets(far, 2);
        say_started(2, 0);
        settle();
        in = sandbox_job_take_fd(job, SANDBOX_STDIN);
        err = sandbox_job_take_fd(job, SANDBOX_STDERR);
        ck_assert(in >= 0 && err >= 0);
        ck_assert_int_eq(sandbox_job_take_fd(job, SANDBOX_STDERR), -ENOENT);
        ck_assert(fcntl(in, F_GETFD) & FD_CLOEXEC);
        ck_assert_int_eq(write(in, "a", 1), 1);
        ck_assert_int_eq(write(far[1], "bc", 2), 2);
        ck_assert_int_eq(read(far[0], story, 8), 1);
        ck_assert_int_eq(read(err, story, 8), 2);
        story[0] = '\0';
        say_result(2, SANDBOXD__V1__STATUS__OK, 0);
        settle();
        ck_assert_str_eq(story, "end:OK ");
        /* They are ours. */
        ck_assert(!is_hung_up(far[0]));
        (void) close(in);
        (void) close(err);
        ck_assert(is_hung_up(far[0]) && is_hung_up(far[1]));
        io_close_all(far, 2);
        ck_assert_int_eq(sandbox_run(client, spec, 1, &kept), -EINVAL);
}
END_TEST

/* The result alone says that there were no places for them. It is no good, if something was to be had. */
static const struct {
        unsigned wanted;
        Sandboxd__V1__Status status;
        const char *story;
} lost_sockets[] = {
        { 7, SANDBOXD__V1__STATUS__OK, "error:BUSY:-16:stream_sockets " },
        { 1, SANDBOXD__V1__STATUS__EXITED, "error:BUSY:-16:stream_sockets " },
        { 7, SANDBOXD__V1__STATUS__CANCELLED, "end:CANCELLED " },
        { 7, SANDBOXD__V1__STATUS__SETUP_ERROR, "end:SETUP_ERROR " },
        { 0, SANDBOXD__V1__STATUS__OK, "end:OK " },
};

START_TEST(test_sockets_lost)
{
        want_sockets(lost_sockets[_i].wanted);
        start(0);
        say_result(2, lost_sockets[_i].status, 0);
        settle();
        ck_assert_str_eq(story, lost_sockets[_i].story);
}
END_TEST

/* Each job has its own, also when all that is said comes at once, and one waits for none. */
START_TEST(test_sockets_of_many)
{
        sandbox_job *jobs[4];
        int far[4] = { -EBADF, -EBADF, -EBADF, -EBADF };

        for (unsigned i = 0; i < 4; i++) {
                want_sockets(i % 2 ? 2 : 0);
                ck_assert_int_eq(sandbox_job_start(client, spec, NULL, NULL, 0, &jobs[i]), 0);
        }
        for (unsigned i = 0; i < 4; i++) {
                if (i % 2)
                        add_sockets(&far[i], 1);
                say_started(FIRST_ID + i, 0);
                say_output(FIRST_ID + i, ERR, "x", 1);
        }
        settle();
        for (unsigned i = 0; i < 4; i++) {
                int fd = sandbox_job_take_fd(jobs[i], SANDBOX_STDOUT);

                ck_assert(i % 2 ? fd >= 0 : fd == -ENOENT);
                if (fd < 0)
                        continue;
                ck_assert_int_eq(write(far[i], "0123", i), (ssize_t) i);
                ck_assert_int_eq(read(fd, story, 8), (ssize_t) i);
                (void) close(fd);
                (void) close(far[i]);
        }
        story[0] = '\0';
}
END_TEST

static const struct {
        unsigned wanted;
        size_t come;
        bool for_other; /* they come with what has none */
} wrong_sockets[] = {
        { 7, 0, false },
        { 7, 2, false },
        { 3, 3, false },
        { 0, 1, false },
        { 1, 4, false },
        { 1, 8, false },
        { 1, 1, true },
};

/* What a daemon does not do: all are closed, and the connection is lost. */
START_TEST(test_sockets_wrong)
{
        size_t come = wrong_sockets[_i].come;
        int far[8];

        want_sockets(wrong_sockets[_i].wanted);
        start(0);
        add_sockets(far, come);
        if (wrong_sockets[_i].for_other)
                say_host(99, 1);
        say_started(2, 0);
        while (sandbox_client_process(client) > 0)
                ;
        ck_assert_int_lt(sandbox_client_process(client), 0);
        ck_assert_ptr_nonnull(strstr(story, "error:"));
        for (size_t i = 0; i < come; i++)
                ck_assert(is_hung_up(far[i]));
        io_close_all(far, come);
}
END_TEST

/* Nobody takes them: the caller does not, or has abandoned the job. */
START_TEST(test_sockets_not_taken)
{
        int far[6];

        want_sockets(7);
        start(0);
        add_sockets(far, 3);
        say_started(2, 0);
        settle();
        ck_assert(!is_hung_up(far[0]));
        say_result(2, SANDBOXD__V1__STATUS__OK, 0);
        settle();
        for (size_t i = 0; i < 3; i++)
                ck_assert(is_hung_up(far[i]));
        ck_assert_int_eq(sandbox_job_start(client, spec, &handlers, story, 0, &job), 0);
        sandbox_job_abandon(job);
        add_sockets(far + 3, 3);
        say_started(3, 0);
        settle();
        for (size_t i = 3; i < 6; i++)
                ck_assert(is_hung_up(far[i]));
        io_close_all(far, 6);
}
END_TEST

static rlim_t lowest_free(void)
{
        int fd = dup(0);

        ck_assert_int_ge(fd, 0);
        (void) close(fd);
        return (rlim_t) fd;
}

/* This process can have no more files open: the job is over, and the connection is not. */
START_TEST(test_sockets_no_room)
{
        struct rlimit old, few;
        int far[3];

        want_sockets(7);
        start(0);
        add_sockets(far, 3);
        say_started(2, 0);
        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
        few = old;
        few.rlim_cur = lowest_free() + 1; /* room for one */
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
        while (sandbox_client_process(client) > 0)
                ;
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
        settle();
        ck_assert_str_eq(story, "error:LOCAL:-24:stream_sockets ");
        for (size_t i = 0; i < 3; i++)
                ck_assert(is_hung_up(far[i]));
        HEAR(CANCEL);
        io_close_all(far, 3);
}
END_TEST

START_TEST(test_fetched_files)
{
        ck_assert_int_eq(sandbox_spec_add_get(spec, "*"), 0);
        start(0);
        say_started(2, 0);
        settle();
        story[0] = '\0';
        say_file(2, FOLDER, "d", 0, NULL);
        say_file(2, REGULAR, "d/a", 5, "ab");
        say_file(2, MORE, NULL, 0, "cde");
        say_file(2, REGULAR, "empty", 0, NULL);
        say_file(2, REGULAR, "cut", 9, NULL);
        say_file(2, MORE, NULL, 0, "x");
        say_file(2, FAILED, "cut", 0, "it shrank");
        say_file(2, FAILED, "*.png", 0, "there is none");
        say_result(2, SANDBOXD__V1__STATUS__OK, 0);
        settle();
        ck_assert_str_eq(story,
                "file:2:d:640:0@0:. "
                "file:1:d/a:640:5@0:ab file:1:d/a:640:5@2:cde. "
                "file:1:empty:640:0@0:. "
                "file:1:cut:640:9@0: file:1:cut:640:9@0:x file:3:cut:0:0@0:.it shrank "
                "file:3:*.png:0:0@0:.there is none end:OK ");
}
END_TEST

START_TEST(test_fetched_nonsense)
{
        static const struct {
                Sandboxd__V1__FileOut__Kind kind[2];
                const char *name[2];
                const char *data;
        } rows[] = {
                { { MORE }, { NULL }, "x" },                  /* of nothing */
                { { REGULAR, MORE }, { "a", NULL }, "four" }, /* too much */
                { { REGULAR, REGULAR }, { "a", "b" }, NULL }, /* not whole */
                { { REGULAR, FAILED }, { "a", "b" }, NULL },  /* another's */
                { { REGULAR }, { "" }, NULL },                /* no name */
                { { (Sandboxd__V1__FileOut__Kind) 9 }, { "a" }, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                if (i > 0) {
                        fake_done();
                        sandbox_spec_free(spec);
                        setup();
                }
                start(0);
                say_file(2, rows[i].kind[0], rows[i].name[0], 3,
                        rows[i].kind[1] ? NULL : rows[i].data);
                if (rows[i].name[1] || rows[i].data)
                        say_file(2, rows[i].kind[1], rows[i].name[1], 3, rows[i].data);
                ck_assert_msg(sandbox_client_process(client) == -EBADMSG, "row %zu", i);
        }
}
END_TEST

/* What uses no credit has an end all the same, of whatever kind it is. */
START_TEST(test_fetched_without_end)
{
        static const Sandboxd__V1__FileOut__Kind without_data[] = { REGULAR, FOLDER, FAILED };
        int r = 0;
        size_t n;

        start(0);
        for (n = 0; r >= 0 && n < 20000; n++) {
                say_file(2, without_data[n % 3], "a", 0, NULL);
                r = sandbox_client_process(client);
                story[0] = '\0';
        }
        ck_assert_int_eq(r, -EPROTO);
        /* As many as the daemon may send: each file twice, and what was asked for as often. */
        ck_assert_uint_gt(n, 2 * 4096 + 4 * 256);
}
END_TEST

START_TEST(test_fetched_long_error)
{
        char *text = calloc(1, 5000);

        ck_assert_ptr_nonnull(text);
        memset(text, 'x', 4095);
        start(0);
        say_file(2, FAILED, "a", 0, text);
        ck_assert_int_eq(sandbox_client_process(client), 1);
        text[4095] = 'x';
        say_file(2, FAILED, "b", 0, text);
        ck_assert_int_eq(sandbox_client_process(client), -EBADMSG);
        free(text);
}
END_TEST

/* A file that is not whole when the job's result comes. */
START_TEST(test_fetched_half)
{
        start(0);
        say_file(2, REGULAR, "a", 5, "ab");
        say_result(2, SANDBOXD__V1__STATUS__OK, 0);
        ck_assert_int_eq(sandbox_client_process(client), -EBADMSG);
}
END_TEST

START_TEST(test_blocking_run)
{
        static const char blob[] = "a\0b";
        sandbox_result *result;
        size_t size;

        say_started(2, 0);
        say_output(2, OUT, blob, 3);
        say_output(2, OUT, "cd", 2);
        say_result(2, SANDBOXD__V1__STATUS__OK, 0);
        ck_assert_int_eq(sandbox_run(client, spec, TIMEOUT_USEC, &result), 0);
        ck_assert_mem_eq(sandbox_result_get_stdout(result, &size), "a\0bcd", 6);
        ck_assert_uint_eq(size, 5);
        ck_assert_str_eq(sandbox_result_get_stderr(result, &size), "");
        ck_assert_uint_eq(size, 0);
        sandbox_result_unref(result);
        say_error(3, SANDBOXD__V1__ERROR_CODE__UNKNOWN_RUNTIME, "runtime", "no such");
        ck_assert_int_eq(sandbox_run(client, spec, TIMEOUT_USEC, &result), -ENOENT);
        ck_assert_str_eq(sandbox_client_get_error(client)->name, "UNKNOWN_RUNTIME");
        sandbox_spec_set_stdin_stream(spec, 1);
        ck_assert_int_eq(sandbox_run(client, spec, TIMEOUT_USEC, &result), -EINVAL);
}
END_TEST

START_TEST(test_blocking_timeout)
{
        sandbox_result *result;

        ck_assert_int_eq(sandbox_run(client, spec, 0, &result), -ETIMEDOUT);
        HEAR(RUN);
        HEAR(CANCEL);
        ck_assert_uint_eq(heard->id, 2);
        say_result(2, SANDBOXD__V1__STATUS__CANCELLED, 0);
        say_host(3, 1);
        settle();
}
END_TEST

START_TEST(test_blocking_detached)
{
        char id[SANDBOX_JOB_ID_SIZE];

        say_started(2, 0);
        ck_assert_int_eq(sandbox_run_detached(client, spec, TIMEOUT_USEC, id), 0);
        ck_assert_str_eq(id, "0123456789abcdef");
        HEAR(RUN);
        ck_assert(heard->run->detach);
        /* One that waits is as good as one that runs, and is left alone. */
        say_queued(3);
        id[0] = '\0';
        ck_assert_int_eq(sandbox_run_detached(client, spec, TIMEOUT_USEC, id), 0);
        ck_assert_str_eq(id, "0123456789abcdef");
        HEAR(RUN);
        say_started(3, 0);
        settle();
        ck_assert(!hear());
        daemon_fd = safe_close(daemon_fd);
        ck_assert_int_eq(sandbox_run_detached(client, spec, TIMEOUT_USEC, id), -ECONNRESET);
}
END_TEST

START_TEST(test_blocking_fetch)
{
        const char *reason;
        sandbox_result *result;
        char path[256], text[8] = "";
        int fd;

        ck_assert_int_eq(sandbox_spec_add_get(spec, "*"), 0);
        ck_assert_int_eq(sandbox_spec_set_fetch_dir(spec, fake_dir), 0);
        say_started(2, 0);
        say_file(2, REGULAR, "made", 2, "hi");
        say_file(2, REGULAR, "../out", 2, "no");
        say_file(2, FAILED, "fifo", 0, "it is no file");
        say_result(2, SANDBOXD__V1__STATUS__OK, 0);
        ck_assert_int_eq(sandbox_run(client, spec, TIMEOUT_USEC, &result), 0);
        ck_assert_str_eq(sandbox_result_get_failed_file(result, 0, NULL), "../out");
        ck_assert_str_eq(sandbox_result_get_failed_file(result, 1, &reason), "fifo");
        ck_assert_str_eq(reason, "it is no file");
        ck_assert_ptr_null(sandbox_result_get_failed_file(result, 2, NULL));
        sandbox_result_unref(result);
        path_of(path, "made");
        fd = open(path, O_RDONLY | O_CLOEXEC);
        ck_assert_int_eq(read(fd, text, sizeof(text)), 2);
        ck_assert_str_eq(text, "hi");
        (void) close(fd);
        ck_assert_int_eq(unlink(path), 0);
}
END_TEST

/* What an old daemon would ignore, or close the connection over, is not sent to it. */
START_TEST(test_features)
{
        sandbox_job_list *list;
        char id[SANDBOX_JOB_ID_SIZE];

        ck_assert_int_eq(sandbox_list_jobs(client, 0, &list), -EOPNOTSUPP);
        ck_assert_ptr_nonnull(strstr(sandbox_client_get_error(client)->message, "'jobs'"));
        ck_assert_int_eq(sandbox_drain(client), -EOPNOTSUPP);
        ck_assert_int_eq(sandbox_fetch_to_dir(client, "x", NULL, AT_FDCWD, NULL), -EOPNOTSUPP);
        ck_assert_int_eq(sandbox_run_detached(client, spec, TIMEOUT_USEC, id), -EOPNOTSUPP);
        ck_assert_int_eq(sandbox_spec_set_stream_socket(spec, SANDBOX_STDOUT, 1), 0);
        ck_assert_int_eq(sandbox_job_start(client, spec, &handlers, NULL, 0, NULL), -EOPNOTSUPP);
        ck_assert_int_eq(sandbox_spec_set_stream_socket(spec, SANDBOX_STDOUT, 0), 0);
        ck_assert_int_eq(sandbox_spec_add_get(spec, "x"), 0);
        ck_assert_int_eq(sandbox_job_start(client, spec, &handlers, NULL, 0, NULL), -EOPNOTSUPP);
        ck_assert(!hear());
}
END_TEST

static int n_ended;

static void count_end(sandbox_job *j, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        n_ended++;
}

/* Many on one connection, answered in any order. */
START_TEST(test_many)
{
        enum {
                N = 1000,
        };
        sandbox_job_handlers h = { .size = sizeof(h), .on_end = count_end };

        n_ended = 0;
        for (int i = 0; i < N; i++) {
                ck_assert_int_eq(sandbox_job_start(client, spec, &h, NULL, 0, NULL), 0);
                while (hear())
                        ;
        }
        for (int i = 0; i < N; i++) {
                /* 7 and 1000 have no divisor in common. */
                say_result(FIRST_ID + (uint64_t) (i * 7 % N), SANDBOXD__V1__STATUS__OK, 0);
                settle();
        }
        ck_assert_int_eq(n_ended, N);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("client-job");
        TCase *t = tcase_create("client-job"), *old = tcase_create("client-job-old");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_request);
        tcase_add_test(t, test_spec_errors);
        tcase_add_test(t, test_story);
        tcase_add_test(t, test_refused);
        tcase_add_test(t, test_detached);
        tcase_add_test(t, test_from_callbacks);
        tcase_add_test(t, test_abandoned_within);
        tcase_add_test(t, test_lost);
        tcase_add_test(t, test_disconnect);
        tcase_add_test(t, test_nonsense);
        tcase_add_test(t, test_files);
        tcase_add_test(t, test_files_in_turn);
        tcase_add_test(t, test_file_that_shrinks);
        tcase_add_test(t, test_file_that_is_replaced);
        tcase_add_test(t, test_file_fd);
        tcase_add_test(t, test_tree);
        tcase_add_test(t, test_stdin_stream);
        tcase_add_test(t, test_stdin_closed);
        tcase_add_test(t, test_stdin_ends_early);
        tcase_add_test(t, test_stdin_data);
        tcase_add_test(t, test_started_too_early);
        tcase_add_test(t, test_credit);
        tcase_add_test(t, test_manual_credit);
        tcase_add_loop_test(t, test_leaving, 0, (int) ELEMENTSOF(uploads));
        tcase_add_loop_test(t, test_leaving_what_does_not_go_on, 0, 2);
        tcase_add_test(t, test_leaving_what_was_cancelled_too_late);
        tcase_add_test(t, test_sockets);
        tcase_add_loop_test(t, test_sockets_lost, 0, (int) ELEMENTSOF(lost_sockets));
        tcase_add_test(t, test_sockets_of_many);
        tcase_add_loop_test(t, test_sockets_wrong, 0, (int) ELEMENTSOF(wrong_sockets));
        tcase_add_test(t, test_sockets_not_taken);
        tcase_add_test(t, test_sockets_no_room);
        tcase_add_test(t, test_fetched_files);
        tcase_add_test(t, test_fetched_nonsense);
        tcase_add_test(t, test_fetched_without_end);
        tcase_add_test(t, test_fetched_long_error);
        tcase_add_test(t, test_fetched_half);
        tcase_add_test(t, test_blocking_run);
        tcase_add_test(t, test_blocking_timeout);
        tcase_add_test(t, test_blocking_detached);
        tcase_add_test(t, test_blocking_fetch);
        tcase_add_test(t, test_many);
        suite_add_tcase(s, t);
        tcase_add_checked_fixture(old, setup_old, teardown);
        tcase_add_test(old, test_files_of_old);
        tcase_add_test(old, test_request_too_large);
        tcase_add_test(old, test_no_credit);
        tcase_add_test(old, test_hung_up_without_credit);
        tcase_add_test(old, test_features);
        suite_add_tcase(s, old);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
