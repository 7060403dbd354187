/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How jobs are shown: the table of `ps`, the page of `show`, and JSON.
 */
#include <check.h>

#include "client/ctl/job-report.h"
#include "client/ctl/progress.h"
#include "client/lib/object.h"

#define NOW (UINT64_C(1700000000) * USEC_PER_SEC)

static sandbox_job_list *list;

static char *text(const char *s)
{
        char *copy = strdup(s);

        ck_assert_ptr_nonnull(copy);
        return copy;
}

static void set_bytes(ProtobufCBinaryData *field, const char *s)
{
        field->data = (uint8_t *) text(s);
        field->len = strlen(s);
}

static Sandboxd__V1__Job *new_job(const char *id, Sandboxd__V1__JobState state)
{
        Sandboxd__V1__Job *job = malloc(sizeof(*job));

        ck_assert_ptr_nonnull(job);
        sandboxd__v1__job__init(job);
        job->job_id = text(id);
        job->state = state;
        job->runtime = text("python");
        job->profile = text("default");
        job->created_at_usec = NOW - 100 * USEC_PER_SEC;
        return job;
}

/* One that waits. */
static Sandboxd__V1__Job *queued_job(void)
{
        Sandboxd__V1__Job *job = new_job("00000000000000a1", SANDBOXD__V1__JOB_STATE__QUEUED);

        set_bytes(&job->label, "evil\033[31m\nlabel\xff");
        return job;
}

static Sandboxd__V1__Usage *new_usage(void)
{
        Sandboxd__V1__Usage *usage = malloc(sizeof(*usage));

        ck_assert_ptr_nonnull(usage);
        sandboxd__v1__usage__init(usage);
        usage->wall_usec = 75 * USEC_PER_SEC;
        usage->cpu_user_usec = 60 * USEC_PER_SEC;
        usage->cpu_system_usec = 1500 * USEC_PER_MSEC;
        usage->memory_peak_bytes = 50 * MIB;
        usage->pids_peak = 3;
        return usage;
}

static void add_limit(Sandboxd__V1__Job *job, const char *name, uint64_t value)
{
        Sandboxd__V1__Job__LimitsEntry *entry = malloc(sizeof(*entry));

        ck_assert_ptr_nonnull(entry);
        sandboxd__v1__job__limits_entry__init(entry);
        entry->key = text(name);
        entry->value = value;
        job->limits = reallocarray(job->limits, job->n_limits + 1, sizeof(*job->limits));
        job->limits[job->n_limits++] = entry;
}

static Sandboxd__V1__Job *running_job(void)
{
        Sandboxd__V1__Job *job = new_job("00000000000000b2", SANDBOXD__V1__JOB_STATE__RUNNING);

        job->owner_uid = 4294960000;
        job->started_at_usec = NOW - 75 * USEC_PER_SEC;
        job->detached = true;
        job->stdout_bytes = 2048;
        job->sandbox_id = text("8000000000000abc");
        job->usage = new_usage();
        add_limit(job, "memory_bytes", 256 * MIB);
        add_limit(job, "moons", 7);
        return job;
}

static Sandboxd__V1__Job *finished_job(void)
{
        Sandboxd__V1__Job *job = new_job("00000000000000c3", SANDBOXD__V1__JOB_STATE__FINISHED);
        Sandboxd__V1__Result *result = malloc(sizeof(*result));
        Sandboxd__V1__ReturnValue *value = malloc(sizeof(*value));

        ck_assert(result && value);
        sandboxd__v1__result__init(result);
        sandboxd__v1__return_value__init(value);
        job->started_at_usec = NOW - 90 * USEC_PER_SEC;
        job->ended_at_usec = NOW - 88 * USEC_PER_SEC;
        result->job_id = text(job->job_id);
        result->status = SANDBOXD__V1__STATUS__EXITED;
        result->exit_code = 3;
        result->message = text("the program exited with code 3");
        result->runtime = text("python");
        result->profile = text("default");
        result->files = 2;
        set_bytes(&value->text, "{'n': 2**70}\033");
        set_bytes(&value->json, "{\"n\": 1180591620717411303424}");
        result->return_value = value;
        result->usage = new_usage();
        job->result = result;
        return job;
}

static Sandboxd__V1__Response *response_of(Sandboxd__V1__Job **jobs, size_t n)
{
        Sandboxd__V1__Response *response = malloc(sizeof(*response));
        Sandboxd__V1__JobList *body = malloc(sizeof(*body));

        ck_assert(response && body);
        sandboxd__v1__response__init(response);
        sandboxd__v1__job_list__init(body);
        body->jobs = calloc(n, sizeof(*body->jobs));
        ck_assert_ptr_nonnull(body->jobs);
        memcpy(body->jobs, jobs, n * sizeof(*body->jobs));
        body->n_jobs = n;
        response->body_case = SANDBOXD__V1__RESPONSE__BODY_JOBS;
        response->jobs = body;
        return response;
}

static void setup(void)
{
        Sandboxd__V1__Job *jobs[] = { queued_job(), running_job(), finished_job() };
        struct received received = { .memory = 1 };

        (void) setenv("TZ", "UTC", true);
        list = job_list_new();
        ck_assert_ptr_nonnull(list);
        received.response = response_of(jobs, ELEMENTSOF(jobs));
        ck_assert_int_eq(object_add(&list->object, received), 0);
        ck_assert_int_eq(job_list_close(list), 0);
}

static void teardown(void)
{
        sandbox_job_list_unref(list);
}

static const char *text_of(const json_t *object, const char *key)
{
        return json_string_value(json_object_get(object, key));
}

/* What a function prints; to be freed. */
#define PRINTED(f, call)                                                                           \
        ({                                                                                         \
                char *_text = NULL;                                                                \
                size_t _size = 0;                                                                  \
                FILE *f = open_memstream(&_text, &_size);                                          \
                call;                                                                              \
                ck_assert_int_eq(fclose(f), 0);                                                    \
                _text;                                                                             \
        })

START_TEST(test_table)
{
        char *shown = PRINTED(f, job_report_table(list, false, NOW, f, false));

        ck_assert_str_eq(shown,
                "ID                STATE     RUNTIME  PROFILE  AGE    TIME        STATUS    LABEL\n"
                "00000000000000a1  queued    python   default  100 s  -           -         "
                "evil\\x1b[31m\\x0alabel\\xff\n"
                "00000000000000b2  running   python   default  100 s  1 min 15 s  -         -\n"
                "00000000000000c3  finished  python   default  100 s  1 min 15 s  EXITED 3  -\n");
        free(shown);
}
END_TEST

START_TEST(test_table_of_root)
{
        char *shown = PRINTED(f, job_report_table(list, true, NOW, f, false));

        ck_assert_msg(strstr(shown, "  USER        AGE"), "%s", shown);
        ck_assert_msg(strstr(shown, "  root  "), "%s", shown);
        ck_assert_msg(strstr(shown, "  4294960000  "), "%s", shown);
        free(shown);
}
END_TEST

START_TEST(test_page)
{
        char *waits =
                PRINTED(f, job_report_page(sandbox_job_list_get(list, 0), true, NOW, f, false));
        char *runs =
                PRINTED(f, job_report_page(sandbox_job_list_get(list, 1), true, NOW, f, false));
        char *ended =
                PRINTED(f, job_report_page(sandbox_job_list_get(list, 2), true, NOW, f, false));

        ck_assert_str_eq(waits, "job           00000000000000a1\n"
                                "state         queued\n"
                                "user          root (0)\n"
                                "runtime       python\n"
                                "profile       default\n"
                                "label         evil\\x1b[31m\\x0alabel\\xff\n"
                                "detached      no\n"
                                "created       2023-11-14 22:11:40 UTC (100 s ago)\n"
                                "written       0 bytes to stdout, 0 bytes to stderr\n");
        ck_assert_str_eq(runs, "job           00000000000000b2\n"
                               "state         running\n"
                               "user          4294960000\n"
                               "runtime       python\n"
                               "profile       default\n"
                               "detached      yes\n"
                               "scope         sandbox-8000000000000abc.scope\n"
                               "created       2023-11-14 22:11:40 UTC (100 s ago)\n"
                               "started       2023-11-14 22:12:05 UTC (75 s ago)\n"
                               "wall time     1 min 15 s\n"
                               "CPU time      1 min 0 s user, 1.5 s system\n"
                               "memory        50M\n"
                               "pids          3\n"
                               "written       2K to stdout, 0 bytes to stderr\n"
                               "limits        --memory 256M\n"
                               "              moons 7\n");
        ck_assert_str_eq(ended, "job           00000000000000c3\n"
                                "state         finished\n"
                                "user          root (0)\n"
                                "runtime       python\n"
                                "profile       default\n"
                                "detached      no\n"
                                "created       2023-11-14 22:11:40 UTC (100 s ago)\n"
                                "started       2023-11-14 22:11:50 UTC (90 s ago)\n"
                                "ended         2023-11-14 22:11:52 UTC (88 s ago)\n"
                                "status        EXITED with code 3\n"
                                "return value  {'n': 2**70}\\x1b\n"
                                "wall time     1 min 15 s\n"
                                "CPU time      1 min 0 s user, 1.5 s system\n"
                                "peak memory   50M\n"
                                "peak pids     3\n"
                                "message       the program exited with code 3\n"
                                "files         2 fetched\n"
                                "written       0 bytes to stdout, 0 bytes to stderr\n");
        free(waits);
        free(runs);
        free(ended);
}
END_TEST

START_TEST(test_page_without_scopes)
{
        char *shown =
                PRINTED(f, job_report_page(sandbox_job_list_get(list, 1), false, NOW, f, false));

        ck_assert_msg(strstr(shown, "\nsandbox       8000000000000abc\n"), "%s", shown);
        ck_assert_msg(!strstr(shown, "scope"), "%s", shown);
        free(shown);
}
END_TEST

START_TEST(test_json_of_a_running_job)
{
        static const char *const names[] = { "job_id", "state", "owner_uid", "runtime", "profile",
                "label", "detached", "created_at_usec", "started_at_usec", "ended_at_usec",
                "stdout_bytes", "stderr_bytes", "sandbox_id", "usage", "limits", "result" };
        json_auto_t *object = job_report_json(sandbox_job_list_get(list, 1), true);
        json_t *usage = json_object_get(object, "usage");

        ck_assert_uint_eq(json_object_size(object), ELEMENTSOF(names));
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                ck_assert_msg(json_object_get(object, names[i]), "%s", names[i]);
        ck_assert_str_eq(text_of(object, "state"), "running");
        ck_assert_str_eq(text_of(object, "sandbox_id"), "8000000000000abc");
        ck_assert(json_is_null(json_object_get(object, "result")));
        ck_assert_int_eq(json_integer_value(json_object_get(usage, "pids")), 3);
        ck_assert_int_eq(json_integer_value(json_object_get(usage, "memory_bytes")), 50 * MIB);
        ck_assert_ptr_null(json_object_get(usage, "pids_peak"));
        ck_assert_ptr_null(json_object_get(usage, "memory_peak_bytes"));
        ck_assert_int_eq(json_integer_value(
                                 json_object_get(json_object_get(object, "limits"), "moons")),
                7);
        ck_assert_int_eq(json_integer_value(json_object_get(object, "owner_uid")), 4294960000);
}
END_TEST

START_TEST(test_json_of_a_list)
{
        json_auto_t *waits = job_report_json(sandbox_job_list_get(list, 0), false);
        json_auto_t *ended = job_report_json(sandbox_job_list_get(list, 2), false);
        json_t *result = json_object_get(ended, "result");

        ck_assert_ptr_null(json_object_get(waits, "label"));
        ck_assert_ptr_nonnull(text_of(waits, "label_base64"));
        ck_assert_str_eq(text_of(waits, "sandbox_id"), "");
        ck_assert_ptr_null(json_object_get(waits, "usage"));
        ck_assert_ptr_null(json_object_get(waits, "limits"));
        ck_assert(json_is_null(json_object_get(waits, "result")));
        ck_assert_str_eq(text_of(result, "status"), "EXITED");
        ck_assert_int_eq(json_integer_value(json_object_get(result, "files")), 2);
        /* The list does not have it: null would say that there is none. */
        ck_assert_ptr_null(json_object_get(result, "return_value"));
        ck_assert_ptr_null(json_object_get(result, "stdout"));
}
END_TEST

/* The value comes as the job wrote it, in the object inside the object. */
START_TEST(test_json_of_a_finished_job)
{
        char *shown = PRINTED(f, job_report_show_json(sandbox_job_list_get(list, 2), f));
        json_auto_t *object = json_loads(shown, JSON_DECODE_INT_AS_REAL, NULL);
        json_t *result = json_object_get(object, "result");

        ck_assert_msg(strstr(shown, "\"json\":{\"n\":1180591620717411303424}"), "%s", shown);
        ck_assert_str_eq(text_of(json_object_get(result, "return_value"), "text"),
                "{'n': 2**70}\033");
        ck_assert_ptr_null(json_object_get(result, "stdout"));
        ck_assert(json_is_null(json_object_get(object, "usage")));
        free(shown);
}
END_TEST

START_TEST(test_age)
{
        static const struct {
                uint64_t seconds;
                const char *shown;
        } rows[] = { { 0, "0 s" }, { 59, "59 s" }, { 119, "119 s" }, { 120, "2 min" },
                { 7199, "119 min" }, { 7200, "2 h" }, { 172799, "47 h" }, { 172800, "2 days" },
                { 864000, "10 days" } };
        char buf[HUMAN_MAX];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++)
                ck_assert_str_eq(human_age(buf, rows[i].seconds * USEC_PER_SEC), rows[i].shown);
}
END_TEST

START_TEST(test_progress_text)
{
        char buf[PROGRESS_TEXT_MAX];

        ck_assert_str_eq(progress_upload_text(buf, 256 * MIB, GIB, 7 * USEC_PER_SEC),
                "sending files 0:07: 256M of 1G (25%)");
        ck_assert_str_eq(progress_job_text(buf, sandbox_job_list_get(list, 0), 3661 * USEC_PER_SEC),
                "waiting for other jobs to end 1:01:01");
        /* The job's own time counts, not how long it was watched. */
        ck_assert_str_eq(progress_job_text(buf, sandbox_job_list_get(list, 1), 3 * USEC_PER_SEC),
                "running 1:15: CPU 1 min 1 s, memory 50M");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ctl-job-report");
        TCase *t = tcase_create("ctl-job-report");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_table);
        tcase_add_test(t, test_table_of_root);
        tcase_add_test(t, test_page);
        tcase_add_test(t, test_page_without_scopes);
        tcase_add_test(t, test_json_of_a_running_job);
        tcase_add_test(t, test_json_of_a_list);
        tcase_add_test(t, test_json_of_a_finished_job);
        tcase_add_test(t, test_age);
        tcase_add_test(t, test_progress_text);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
