/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the library has for the bus service: acting for another user, and the watch of all jobs.
 */
#include <stdarg.h>

#include "tests/unit/fixture-daemon.h"

#define KIND(name) SANDBOXD__V1__JOB_EVENT__KIND__##name
#define JOB_ID "0123456789abcdef"

static char story[1024];
static sandbox_request *running;
static sandbox_job_info *kept;

static void setup(void)
{
        fake_listen();
        story[0] = '\0';
        running = NULL;
}

/* To a daemon that knows of both, or to one that is old. */
static int meet(bool old)
{
        int r;

        ck_assert_int_eq(sandbox_client_connect_async(client, fake_path, NULL, NULL), 0);
        daemon_fd = accept(listen_fd, NULL, NULL);
        ck_assert_int_ge(daemon_fd, 0);
        say_hello(SANDBOX_PROTOCOL, 0, old ? 0 : 100000);
        while ((r = sandbox_client_process(client)) > 0)
                ;
        HEAR(HELLO);
        return r;
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

static void on_event(sandbox_client *c, const sandbox_error *error, int kind, sandbox_job_info *job,
        sandbox_host *host, void *userdata)
{
        const char *stop = userdata;

        if (error)
                tell("error:%d", error->error);
        else
                tell("%d", kind);
        if (job)
                tell(":%s:%s:%s", sandbox_job_info_get_id(job),
                        sandbox_job_state_name(sandbox_job_info_get_state(job)),
                        sandbox_job_info_get_result(job) ? "result" : "");
        if (host)
                tell(":%d", sandbox_host_get_draining(host));
        tell(" ");
        if (job && kind == SANDBOX_JOB_EVENT_CHANGED)
                kept = sandbox_job_info_ref(job);
        if (stop && kind == SANDBOX_JOB_EVENT_REMOVED)
                sandbox_request_abandon(running);
}

static void say_event(uint64_t id, Sandboxd__V1__JobEvent__Kind kind, bool with_job, bool with_host)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__JobEvent event = SANDBOXD__V1__JOB_EVENT__INIT;
        Sandboxd__V1__Result result = SANDBOXD__V1__RESULT__INIT;
        Sandboxd__V1__Host host = SANDBOXD__V1__HOST__INIT;
        Sandboxd__V1__Job job = SANDBOXD__V1__JOB__INIT;

        job.job_id = (char *) JOB_ID;
        job.state = kind == KIND(ADDED) ? SANDBOXD__V1__JOB_STATE__RUNNING
                                        : SANDBOXD__V1__JOB_STATE__FINISHED;
        if (kind == KIND(CHANGED))
                job.result = &result;
        host.draining = true;
        event.kind = kind;
        event.job = with_job ? &job : NULL;
        event.host = with_host ? &host : NULL;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_JOB_EVENT;
        response.job_event = &event;
        say(id, &response);
}

static void watch(void *userdata)
{
        ck_assert_int_eq(sandbox_watch_jobs_async(client, on_event, userdata, &running), 0);
        HEAR(WATCH_JOBS);
        ck_assert_uint_eq(heard->id, FIRST_ID);
}

START_TEST(test_events)
{
        ck_assert_int_eq(meet(false), 0);
        watch(NULL);
        say_event(FIRST_ID, KIND(ADDED), true, false);
        say_event(FIRST_ID, KIND(HOST), false, true);
        say_event(FIRST_ID, KIND(CURRENT), false, false);
        say_event(FIRST_ID, KIND(CHANGED), true, false);
        say_event(FIRST_ID, KIND(REMOVED), true, false);
        /* Of a daemon that knows more. */
        say_event(FIRST_ID, (Sandboxd__V1__JobEvent__Kind) 9, false, false);
        settle();
        ck_assert_str_eq(story, "1:" JOB_ID ":running: 5:1 4 2:" JOB_ID ":finished:result 3:" JOB_ID
                                ":finished: 9 ");
        /* One that was kept is whole when all others are gone. */
        ck_assert_str_eq(sandbox_job_info_get_id(kept), JOB_ID);
        ck_assert_ptr_nonnull(sandbox_job_info_get_result(kept));
        kept = sandbox_job_info_unref(kept);
        say_error(FIRST_ID, SANDBOXD__V1__ERROR_CODE__BUSY, "", "too far behind");
        story[0] = '\0';
        settle();
        ck_assert_msg(strstr(story, "error:-16 "), "%s", story);
}
END_TEST

START_TEST(test_abandoned)
{
        ck_assert_int_eq(meet(false), 0);
        watch(NULL);
        sandbox_request_abandon(running);
        HEAR(FORGET);
        ck_assert_uint_eq(heard->id, FIRST_ID);
        say_event(FIRST_ID, KIND(ADDED), true, false);
        settle();
        ck_assert_str_eq(story, "");
}
END_TEST

START_TEST(test_abandoned_from_its_handler)
{
        ck_assert_int_eq(meet(false), 0);
        watch((void *) "stop");
        say_event(FIRST_ID, KIND(REMOVED), true, false);
        say_event(FIRST_ID, KIND(ADDED), true, false);
        settle();
        HEAR(FORGET);
        ck_assert_str_eq(story, "3:" JOB_ID ":finished: ");
}
END_TEST

START_TEST(test_nonsense)
{
        static const struct {
                Sandboxd__V1__JobEvent__Kind kind;
                bool job;
                bool host;
        } events[] = { { KIND(ADDED), false, false }, { KIND(CHANGED), false, true },
                { KIND(REMOVED), true, true }, { KIND(HOST), false, false },
                { KIND(HOST), true, true } };

        ck_assert_int_eq(meet(false), 0);
        watch(NULL);
        say_event(FIRST_ID, events[_i].kind, events[_i].job, events[_i].host);
        ck_assert_int_eq(sandbox_client_process(client), -EBADMSG);
        ck_assert_str_eq(story, "error:-74 ");
}
END_TEST

START_TEST(test_another_answer)
{
        ck_assert_int_eq(meet(false), 0);
        watch(NULL);
        say_done(FIRST_ID);
        ck_assert_int_eq(sandbox_client_process(client), -EPROTO);
}
END_TEST

START_TEST(test_watch_of_an_old_daemon)
{
        ck_assert_int_eq(meet(true), 0);
        ck_assert_int_eq(sandbox_watch_jobs_async(client, on_event, NULL, NULL), -EOPNOTSUPP);
        ck_assert_ptr_nonnull(strstr(sandbox_client_get_error(client)->message, "'watch-jobs'"));
}
END_TEST

START_TEST(test_on_behalf)
{
        gid_t gids[] = { 100, 27 };

        ck_assert_int_eq(sandbox_client_set_on_behalf_of(client, 5, gids, 1), 0);
        ck_assert_int_eq(sandbox_client_set_on_behalf_of(client, 1000, gids, 2), 0);
        gids[0] = 0;
        ck_assert_int_eq(meet(false), 0);
        ck_assert_ptr_nonnull(heard->hello->on_behalf_of);
        ck_assert_uint_eq(heard->hello->on_behalf_of->uid, 1000);
        ck_assert_uint_eq(heard->hello->on_behalf_of->n_gids, 2);
        ck_assert_uint_eq(heard->hello->on_behalf_of->gids[0], 100);
        ck_assert_uint_eq(heard->hello->on_behalf_of->gids[1], 27);
}
END_TEST

START_TEST(test_for_itself)
{
        ck_assert_int_eq(meet(false), 0);
        ck_assert_ptr_null(heard->hello->on_behalf_of);
}
END_TEST

/* It would take every request for the service's own. */
START_TEST(test_on_behalf_at_an_old_daemon)
{
        ck_assert_int_eq(sandbox_client_set_on_behalf_of(client, 0, NULL, 0), 0);
        ck_assert_int_eq(meet(true), -EOPNOTSUPP);
        ck_assert_ptr_nonnull(strstr(sandbox_client_get_error(client)->message, "'on-behalf'"));
        ck_assert_int_eq(sandbox_get_host_async(client, NULL, NULL, NULL), -ENOTCONN);
        ck_assert_ptr_nonnull(heard->hello->on_behalf_of);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("client-watch");
        TCase *t = tcase_create("client-watch");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, fake_done);
        tcase_add_test(t, test_events);
        tcase_add_test(t, test_abandoned);
        tcase_add_test(t, test_abandoned_from_its_handler);
        tcase_add_loop_test(t, test_nonsense, 0, 5);
        tcase_add_test(t, test_another_answer);
        tcase_add_test(t, test_watch_of_an_old_daemon);
        tcase_add_test(t, test_on_behalf);
        tcase_add_test(t, test_for_itself);
        tcase_add_test(t, test_on_behalf_at_an_old_daemon);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
