/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of the library that are no jobs: their answers in one piece or in many, blocking and not,
 * and what ends them early.
 */
#include <fcntl.h>
#include <stdarg.h>

#include "tests/unit/fixture-daemon.h"

#define OUT SANDBOXD__V1__OUTPUT__STREAM__STDOUT
#define REGULAR SANDBOXD__V1__FILE_OUT__KIND__REGULAR
#define JOB_ID "0123456789abcdef"

static char story[1024];
static int stop_with; /* what on_output and on_file return */
static sandbox_request *running;

static void setup(void)
{
        fake_connect(0, 100000);
        story[0] = '\0';
        stop_with = 0;
}

static void tell(const char *format, ...) _printf_(1, 2);
static void tell(const char *format, ...)
{
        size_t n = strlen(story);
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(story + n, sizeof(story) - n, format, ap);
        va_end(ap);
}

/* A job whose label is its number; finished when even. */
static void fill_job(Sandboxd__V1__Job *job, Sandboxd__V1__Result *result, unsigned number,
        char label[static 16])
{
        (void) snprintf(label, 16, "%u", number);
        sandboxd__v1__job__init(job);
        sandboxd__v1__result__init(result);
        job->job_id = (char *) JOB_ID;
        job->owner_uid = 1000 + number;
        job->label = (ProtobufCBinaryData) { strlen(label), (uint8_t *) label };
        job->state =
                number % 2 ? SANDBOXD__V1__JOB_STATE__RUNNING : SANDBOXD__V1__JOB_STATE__FINISHED;
        if (number % 2 == 0) {
                result->status = SANDBOXD__V1__STATUS__TIMEOUT;
                result->label = job->label;
                job->result = result;
        }
}

static void say_jobs(uint64_t id, unsigned first, unsigned n, bool more)
{
        Sandboxd__V1__JobList list = SANDBOXD__V1__JOB_LIST__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__Result results[4];
        Sandboxd__V1__Job jobs[4], *pointers[4];
        char labels[4][16];

        for (unsigned i = 0; i < n; i++) {
                fill_job(&jobs[i], &results[i], first + i, labels[i]);
                pointers[i] = &jobs[i];
        }
        list.jobs = pointers;
        list.n_jobs = n;
        list.more = more;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_JOBS;
        response.jobs = &list;
        say(id, &response);
}

static void say_job(uint64_t id, unsigned number)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__Job__LimitsEntry entry = SANDBOXD__V1__JOB__LIMITS_ENTRY__INIT;
        Sandboxd__V1__Job__LimitsEntry *limits[] = { &entry };
        Sandboxd__V1__Usage usage = SANDBOXD__V1__USAGE__INIT;
        Sandboxd__V1__Result result;
        Sandboxd__V1__Job job;
        char label[16];

        fill_job(&job, &result, number, label);
        entry.key = (char *) "pids";
        entry.value = 64;
        job.limits = limits;
        job.n_limits = 1;
        job.sandbox_id = (char *) "8000000000000abc";
        usage.pids_peak = 3;
        job.usage = &usage;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_JOB;
        response.job = &job;
        say(id, &response);
}

static void say_output_end(uint64_t id)
{
        Sandboxd__V1__OutputEnd end = SANDBOXD__V1__OUTPUT_END__INIT;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;

        end.stdout_bytes = 10;
        end.stdout_kept = 7;
        end.running = true;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_OUTPUT_END;
        response.output_end = &end;
        say(id, &response);
}

/* What comes for others does not put off the end of the waiting: it is seen before all of that is taken,
 * and so before the answer behind it. */
START_TEST(test_timeout_among_others)
{
        sandbox_host *host = NULL;

        for (unsigned i = 0; i < 200; i++)
                say_host(77, i);
        say_host(FIRST_ID, 2);
        sandbox_client_set_timeout(client, 0);
        ck_assert_int_eq(sandbox_get_host(client, &host), -ETIMEDOUT);
        ck_assert_ptr_null(host);
}
END_TEST

/* Responses to others come between, and several in one read. */
START_TEST(test_own_response)
{
        sandbox_host *host;

        say_host(77, 1);
        say_host(2, 2);
        say_host(3, 3);
        ck_assert_int_eq(sandbox_get_host(client, &host), 0);
        ck_assert_int_eq(sandbox_host_get_pid(host), 2);
        ck_assert_ptr_null(sandbox_host_get_missing(host, 0));
        sandbox_host_unref(host);
        HEAR(GET_HOST);
        /* The other one came too early: nobody waited for it then. */
        say_host(3, 4);
        ck_assert_int_eq(sandbox_get_host(client, &host), 0);
        ck_assert_int_eq(sandbox_host_get_pid(host), 4);
        sandbox_host_unref(host);
}
END_TEST

START_TEST(test_wrong_response)
{
        sandbox_host *host;

        say_done(2);
        ck_assert_int_eq(sandbox_get_host(client, &host), -EPROTO);
        ck_assert_int_eq(sandbox_client_get_error(client)->code, SANDBOX_ERROR_UNREACHABLE);
}
END_TEST

START_TEST(test_no_answer)
{
        sandbox_host *host;

        sandbox_client_set_timeout(client, USEC_PER_MSEC);
        ck_assert_int_eq(sandbox_get_host(client, &host), -ETIMEDOUT);
        /* It comes late, and to nobody. */
        say_host(2, 1);
        settle();
        sandbox_client_set_timeout(client, TIMEOUT_USEC);
        say_host(3, 9);
        ck_assert_int_eq(sandbox_get_host(client, &host), 0);
        ck_assert_int_eq(sandbox_host_get_pid(host), 9);
        sandbox_host_unref(host);
}
END_TEST

START_TEST(test_errors)
{
        static const struct {
                Sandboxd__V1__ErrorCode code;
                int error;
                const char *name;
        } rows[] = {
                { SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT, -EINVAL, "INVALID_ARGUMENT" },
                { SANDBOXD__V1__ERROR_CODE__OVER_LIMIT, -ERANGE, "OVER_LIMIT" },
                { SANDBOXD__V1__ERROR_CODE__UNKNOWN_RUNTIME, -ENOENT, "UNKNOWN_RUNTIME" },
                { SANDBOXD__V1__ERROR_CODE__UNKNOWN_PROFILE, -ENOENT, "UNKNOWN_PROFILE" },
                { SANDBOXD__V1__ERROR_CODE__UNAVAILABLE, -ENOPKG, "UNAVAILABLE" },
                { SANDBOXD__V1__ERROR_CODE__BUSY, -EBUSY, "BUSY" },
                { SANDBOXD__V1__ERROR_CODE__DENIED, -EACCES, "DENIED" },
                { SANDBOXD__V1__ERROR_CODE__INTERNAL, -EREMOTEIO, "INTERNAL" },
                { SANDBOXD__V1__ERROR_CODE__DRAINING, -ESHUTDOWN, "DRAINING" },
                { SANDBOXD__V1__ERROR_CODE__NO_SUCH_JOB, -ESRCH, "NO_SUCH_JOB" },
                { SANDBOXD__V1__ERROR_CODE__NOT_RUNNING, -ECHILD, "NOT_RUNNING" },
                { (Sandboxd__V1__ErrorCode) 99, -EREMOTEIO, "ERROR_UNSPECIFIED" },
                { (Sandboxd__V1__ErrorCode) -5, -EREMOTEIO, "ERROR_UNSPECIFIED" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                const sandbox_error *error = sandbox_client_get_error(client);

                say_error(FIRST_ID + i, rows[i].code, "field", "a sentence");
                ck_assert_int_eq(sandbox_signal_job(client, JOB_ID, 15), rows[i].error);
                ck_assert_str_eq(error->name, rows[i].name);
                ck_assert_int_eq(error->error, rows[i].error);
                ck_assert_str_eq(error->field, "field");
                ck_assert_str_eq(error->message, "a sentence");
        }
}
END_TEST

START_TEST(test_jobs)
{
        sandbox_job_list *list;
        sandbox_job_info *info;
        sandbox_result *result;

        say_jobs(2, 0, 3, true);
        say_jobs(2, 3, 1, true);
        say_jobs(2, 4, 0, false);
        ck_assert_int_eq(sandbox_list_jobs(client, 1, &list), 0);
        HEAR(LIST_JOBS);
        ck_assert(heard->list_jobs->all);
        for (unsigned i = 0; i < 4; i++) {
                char label[16];

                (void) snprintf(label, sizeof(label), "%u", i);
                info = sandbox_job_list_get(list, i);
                ck_assert_str_eq(sandbox_job_info_get_label(info), label);
                ck_assert_uint_eq(sandbox_job_info_get_owner(info), 1000 + i);
                ck_assert_int_eq(!sandbox_job_info_get_result(info), i % 2);
                ck_assert_str_eq(sandbox_job_info_get_sandbox_id(info), "");
        }
        ck_assert_ptr_null(sandbox_job_list_get(list, 4));
        /* A part outlives the list when it is kept. */
        result = sandbox_result_ref(sandbox_job_info_get_result(sandbox_job_list_get(list, 2)));
        sandbox_job_list_unref(list);
        client = sandbox_client_free(client);
        ck_assert_int_eq(sandbox_result_get_status(result), SANDBOX_STATUS_TIMEOUT);
        ck_assert_str_eq(sandbox_result_get_label(result), "2");
        sandbox_result_unref(result);
}
END_TEST

START_TEST(test_job)
{
        sandbox_job_info *info;
        sandbox_usage usage;
        uint64_t value;

        say_job(2, 1);
        ck_assert_int_eq(sandbox_get_job(client, JOB_ID, &info), 0);
        HEAR(GET_JOB);
        ck_assert_mem_eq(heard->get_job->job_id.data, JOB_ID, 16);
        ck_assert_int_eq(sandbox_job_info_get_state(info), SANDBOX_JOB_RUNNING);
        ck_assert_str_eq(sandbox_job_state_name(SANDBOX_JOB_RUNNING), "running");
        ck_assert_str_eq(sandbox_job_state_name(77), "unknown");
        ck_assert_str_eq(sandbox_job_info_get_limit(info, 0, &value), "pids");
        ck_assert_uint_eq(value, 64);
        ck_assert_ptr_null(sandbox_job_info_get_limit(info, 1, &value));
        ck_assert_int_eq(sandbox_job_info_get_usage(info, &usage), 1);
        ck_assert_uint_eq(usage.pids_peak, 3);
        ck_assert_str_eq(sandbox_job_info_get_sandbox_id(info), "8000000000000abc");
        sandbox_job_info_unref(info);
}
END_TEST

START_TEST(test_wait)
{
        sandbox_result *result;

        ck_assert_int_eq(sandbox_wait_job(client, JOB_ID, 0, &result), -ETIMEDOUT);
        HEAR(WAIT_JOB);
        HEAR(FORGET);
        ck_assert_uint_eq(heard->id, 2);
        say_result(3, SANDBOXD__V1__STATUS__SIGNALED, 0);
        ck_assert_int_eq(sandbox_wait_job(client, JOB_ID, SANDBOX_FOREVER, &result), 0);
        ck_assert_int_eq(sandbox_result_get_status(result), SANDBOX_STATUS_SIGNALED);
        sandbox_result_unref(result);
}
END_TEST

START_TEST(test_done)
{
        for (uint64_t id = FIRST_ID; id < FIRST_ID + 5; id++)
                say_done(id);
        /* Answers are there before they are asked for: each is heard on its own. */
        settle();
        say_done(2);
        ck_assert_int_eq(sandbox_cancel_job(client, JOB_ID), 0);
        HEAR(CANCEL_JOB);
        say_done(3);
        ck_assert_int_eq(sandbox_signal_job(client, JOB_ID, 9), 0);
        HEAR(SIGNAL_JOB);
        ck_assert_uint_eq(heard->signal_job->signal, 9);
        say_done(4);
        ck_assert_int_eq(sandbox_drain(client), 0);
        HEAR(DRAIN);
        say_done(5);
        ck_assert_int_eq(sandbox_resume(client), 0);
        HEAR(RESUME);
        say_done(6);
        ck_assert_int_eq(sandbox_stop_all(client), 0);
        HEAR(STOP_ALL);
}
END_TEST

static int on_output(sandbox_request *q, enum sandbox_stream stream, const void *data, size_t size,
        void *userdata)
{
        tell("%d:%.*s ", (int) stream, (int) size, (const char *) data);
        return stop_with;
}

static void on_output_end(sandbox_client *c, const sandbox_error *error,
        const sandbox_output_end *end, void *userdata)
{
        if (error)
                tell("error:%d ", error->error);
        else
                tell("end:%d ", (int) end->stdout_kept);
}

START_TEST(test_read_output)
{
        sandbox_output_end end;

        say_output(2, OUT, "ab", 2);
        say_output(2, SANDBOXD__V1__OUTPUT__STREAM__STDERR, "c", 1);
        say_output_end(2);
        ck_assert_int_eq(sandbox_read_output(client, JOB_ID, SANDBOX_BOTH, 5, SANDBOX_FOLLOW,
                                 on_output, NULL, &end),
                0);
        ck_assert_str_eq(story, "1:ab 2:c ");
        ck_assert_uint_eq(end.stdout_bytes, 10);
        ck_assert_uint_eq(end.stdout_kept, 7);
        ck_assert_int_eq(end.running, 1);
        HEAR(READ_OUTPUT);
        ck_assert(heard->read_output->follow);
        ck_assert_uint_eq(heard->read_output->offset, 5);
        ck_assert_int_eq(heard->read_output->stream, 0);
        ck_assert_uint_eq(heard->read_output->output_credit, SANDBOX_CREDIT_DEFAULT);
        ck_assert_int_eq(sandbox_read_output(client, JOB_ID, SANDBOX_FILES, 0, 0, on_output, NULL,
                                 NULL),
                -EINVAL);
        ck_assert_int_eq(sandbox_read_output(client, JOB_ID, SANDBOX_STDOUT, 0, 0, NULL, NULL,
                                 NULL),
                -EINVAL);
}
END_TEST

/* A handler that wants no more ends the request; what is on its way goes nowhere. */
START_TEST(test_read_output_stopped)
{
        stop_with = -EPIPE;
        say_output(2, OUT, "ab", 2);
        say_output(2, OUT, "cd", 2);
        ck_assert_int_eq(sandbox_read_output(client, JOB_ID, SANDBOX_STDOUT, 0, SANDBOX_FOLLOW,
                                 on_output, NULL, NULL),
                -EPIPE);
        ck_assert_str_eq(story, "1:ab ");
        HEAR(READ_OUTPUT);
        ck_assert_int_eq(heard->read_output->stream, OUT);
        settle();
        HEAR(FORGET);
        ck_assert_str_eq(story, "1:ab ");
}
END_TEST

START_TEST(test_read_output_async)
{
        ck_assert_int_eq(sandbox_read_output_async(client, JOB_ID, SANDBOX_STDERR, 0,
                                 SANDBOX_MANUAL_CREDIT, on_output, on_output_end, NULL, &running),
                0);
        HEAR(READ_OUTPUT);
        say_output(2, OUT, "abc", 3);
        settle();
        ck_assert_int_eq(sandbox_request_consume(running, SANDBOX_STDOUT, 4), -EINVAL);
        ck_assert_int_eq(sandbox_request_consume(running, SANDBOX_STDOUT, 3), 0);
        say_output_end(2);
        settle();
        ck_assert_str_eq(story, "1:abc end:7 ");
}
END_TEST

static int on_output_abandon(sandbox_request *q, enum sandbox_stream stream, const void *data,
        size_t size, void *userdata)
{
        tell("abandon ");
        sandbox_request_abandon(q);
        return 0;
}

START_TEST(test_abandoned)
{
        ck_assert_int_eq(sandbox_read_output_async(client, JOB_ID, SANDBOX_BOTH, 0, 0, on_output,
                                 on_output_end, NULL, &running),
                0);
        HEAR(READ_OUTPUT);
        sandbox_request_abandon(running);
        HEAR(FORGET);
        say_output(2, OUT, "abc", 3);
        say_output_end(2);
        settle();
        ck_assert_str_eq(story, "");
        ck_assert_int_eq(sandbox_read_output_async(client, JOB_ID, SANDBOX_BOTH, 0, 0,
                                 on_output_abandon, on_output_end, NULL, NULL),
                0);
        HEAR(READ_OUTPUT);
        say_output(3, OUT, "abc", 3);
        say_output(3, OUT, "def", 3);
        settle();
        HEAR(FORGET);
        ck_assert_str_eq(story, "abandon ");
}
END_TEST

static int on_file(sandbox_request *q, const sandbox_file_piece *piece, void *userdata)
{
        tell("%s:%.*s%s ", piece->name, (int) piece->data_size, (const char *) piece->data,
                piece->last ? "." : "");
        return stop_with;
}

START_TEST(test_get_files)
{
        static const char *const names[] = { "a*", "b", NULL };

        say_file(2, REGULAR, "ab", 3, "x");
        say_file(2, SANDBOXD__V1__FILE_OUT__KIND__KIND_UNSPECIFIED, NULL, 0, "yz");
        say_done(2);
        ck_assert_int_eq(sandbox_get_files(client, JOB_ID, names, on_file, NULL), 0);
        ck_assert_str_eq(story, "ab:x ab:yz. ");
        HEAR(GET_FILES);
        ck_assert_uint_eq(heard->get_files->n_names, 2);
        ck_assert_mem_eq(heard->get_files->names[0].data, "a*", 2);
        say_file(3, REGULAR, "ab", 3, "x");
        say_done(3);
        ck_assert_int_eq(sandbox_get_files(client, JOB_ID, NULL, on_file, NULL), -EBADMSG);
}
END_TEST

START_TEST(test_fetch_to_dir)
{
        sandbox_fetch *fetch;
        char path[128];

        say_file(2, REGULAR, "made", 2, "hi");
        say_file(2, REGULAR, "/made", 2, "hi");
        say_done(2);
        ck_assert_int_eq(sandbox_fetch_to_dir(client, JOB_ID, NULL, -EBADF, &fetch), -EBADF);
        (void) snprintf(path, sizeof(path), "%s/made", fake_dir);
        ck_assert_int_eq(chdir(fake_dir), 0);
        ck_assert_int_eq(sandbox_fetch_to_dir(client, JOB_ID, NULL, AT_FDCWD, &fetch), 0);
        ck_assert_uint_eq(sandbox_fetch_get_files(fetch), 1);
        ck_assert_str_eq(sandbox_fetch_get_failed(fetch, 0, NULL), "/made");
        sandbox_fetch_free(fetch);
        ck_assert_int_eq(unlink(path), 0);
}
END_TEST

static void on_host(sandbox_client *c, const sandbox_error *error, sandbox_host *host,
        void *userdata)
{
        if (error)
                tell("error:%d ", error->error);
        else
                tell("host:%d ", (int) sandbox_host_get_pid(host));
        /* The other one, while this one is told. */
        if (running)
                sandbox_request_abandon(TAKE_PTR(running));
}

static void on_done(sandbox_client *c, const sandbox_error *error, void *userdata)
{
        tell("done:%d ", error ? error->error : 0);
}

START_TEST(test_async)
{
        ck_assert_int_eq(sandbox_get_host_async(client, on_host, NULL, NULL), 0);
        ck_assert_int_eq(sandbox_drain_async(client, on_done, NULL, NULL), 0);
        ck_assert_int_eq(sandbox_resume_async(client, NULL, NULL, NULL), 0);
        say_done(4);
        say_done(3);
        say_host(2, 5);
        settle();
        ck_assert_str_eq(story, "done:0 host:5 ");
}
END_TEST

START_TEST(test_lost)
{
        ck_assert_int_eq(sandbox_get_host_async(client, on_host, NULL, NULL), 0);
        ck_assert_int_eq(sandbox_wait_job_async(client, JOB_ID, NULL, NULL, &running), 0);
        ck_assert_int_eq(sandbox_drain_async(client, on_done, NULL, NULL), 0);
        daemon_fd = safe_close(daemon_fd);
        ck_assert_int_eq(sandbox_client_process(client), -ECONNRESET);
        ck_assert_ptr_nonnull(strstr(story, "error:-104 "));
        ck_assert_ptr_nonnull(strstr(story, "done:-104 "));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("client-request");
        TCase *t = tcase_create("client-request");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, fake_done);
        tcase_add_test(t, test_own_response);
        tcase_add_test(t, test_timeout_among_others);
        tcase_add_test(t, test_wrong_response);
        tcase_add_test(t, test_no_answer);
        tcase_add_test(t, test_errors);
        tcase_add_test(t, test_jobs);
        tcase_add_test(t, test_job);
        tcase_add_test(t, test_wait);
        tcase_add_test(t, test_done);
        tcase_add_test(t, test_read_output);
        tcase_add_test(t, test_read_output_stopped);
        tcase_add_test(t, test_read_output_async);
        tcase_add_test(t, test_abandoned);
        tcase_add_test(t, test_get_files);
        tcase_add_test(t, test_fetch_to_dir);
        tcase_add_test(t, test_async);
        tcase_add_test(t, test_lost);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
