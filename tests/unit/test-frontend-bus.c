/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus service at the frontend: who may act for others and for whom, whose everything is then, and what
 * it may in its own name.
 */
#include "tests/unit/fixture-jobs.h"

#define BUS 12345
#define ALICE 2000
#define BOB 2001
#define WHEEL 50

static struct client c, bus;

static void setup_bus(void)
{
        setup_jobs();
        policy.bus = (struct policy_bus) { .has_user = true, .user = BUS };
        policy.server.job_uid_base = 0x70000000;
        policy.server.job_uid_size = 0x1000;
        restart();
}

/* As that peer, for that user, who has these groups. */
static void say_hello(struct client *client, uid_t peer, uint32_t uid, uint32_t *gids,
        size_t n_gids)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__Hello hello = SANDBOXD__V1__HELLO__INIT;
        Sandboxd__V1__OnBehalfOf behalf = SANDBOXD__V1__ON_BEHALF_OF__INIT;

        ck_assert_int_eq(seteuid(peer), 0);
        client_open(client);
        ck_assert_int_eq(seteuid(0), 0);
        behalf.uid = uid;
        behalf.gids = gids;
        behalf.n_gids = n_gids;
        hello.protocol = 1;
        hello.on_behalf_of = &behalf;
        request.id = 1;
        request.body_case = REQUEST(HELLO);
        request.hello = &hello;
        client_send(client, &request);
}

static void act_for(struct client *client, uint32_t uid)
{
        say_hello(client, BUS, uid, NULL, 0);
        client_expect(client, 1, BODY(HELLO));
}

static void expect_refusal(struct client *client, Sandboxd__V1__ErrorCode code, const char *part)
{
        client_expect_error(client, 0, code, part);
        client_expect_end(client);
        client_close(client);
}

START_TEST(test_nobody_else)
{
        const uid_t peers[] = { 0, ALICE, BOB };

        for (size_t i = 0; i < ELEMENTSOF(peers); i++) {
                say_hello(&c, peers[i], ALICE, NULL, 0);
                expect_refusal(&c, ERROR_CODE(DENIED), "may not act for others");
        }
        /* Not even that user, where the policy names none. */
        policy.bus.has_user = false;
        restart();
        say_hello(&c, BUS, ALICE, NULL, 0);
        expect_refusal(&c, ERROR_CODE(DENIED), "may not act for others");
}
END_TEST

START_TEST(test_the_job_is_the_others)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        char id[ID_SIZE];
        struct client alice, bob;
        struct start s;

        client_hello(&c);
        client_hello_as(&alice, ALICE);
        act_for(&bus, ALICE);
        act_for(&bob, BOB);
        run.detach = true;
        begin_job(&bus, 2, &run, &s, id);
        ck_assert_uint_eq(s.message.owner, ALICE);
        ask_list(&alice, 2, false);
        ck_assert_uint_eq(client_expect(&alice, 2, BODY(JOBS))->jobs->n_jobs, 1);
        ck_assert_uint_eq(alice.last->jobs->jobs[0]->owner_uid, ALICE);
        ask(&bob, 2, REQUEST(CANCEL_JOB), id);
        client_expect_error(&bob, 2, ERROR_CODE(NO_SUCH_JOB), "no job has this id");
        order(&bus, 3, REQUEST(DRAIN));
        client_expect_error(&bus, 3, ERROR_CODE(DENIED), "only root");
        ask(&alice, 3, REQUEST(CANCEL_JOB), id);
        client_expect(&alice, 3, BODY(DONE));
        monitor_expect_kill(&s, JOB_STATUS_CANCELLED);
        monitor_end(&s, JOB_STATUS_CANCELLED);
        client_close(&alice);
        client_close(&bob);
        client_close(&bus);
        client_close(&c);
}
END_TEST

START_TEST(test_one_quota_by_both_doors)
{
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        struct start starts[2];
        struct client alice;
        char id[ID_SIZE];

        policy.server.max_jobs_per_user = 2;
        policy.server.max_queued_per_user = 0;
        restart();
        client_hello_as(&alice, ALICE);
        act_for(&bus, ALICE);
        begin_attached(&alice, 2, &starts[0], id);
        begin_attached(&bus, 2, &starts[1], id);
        client_run(&bus, 3, &run);
        client_expect_error(&bus, 3, ERROR_CODE(BUSY), "MaxJobsPerUser=");
        client_run(&alice, 3, &run);
        client_expect_error(&alice, 3, ERROR_CODE(BUSY), "MaxJobsPerUser=");
        expect_end(&alice, 2, &starts[0]);
        expect_end(&bus, 2, &starts[1]);
        client_close(&alice);
        client_close(&bus);
}
END_TEST

START_TEST(test_for_root)
{
        act_for(&bus, 0);
        order(&bus, 2, REQUEST(DRAIN));
        client_expect(&bus, 2, BODY(DONE));
        client_close(&bus);
}
END_TEST

START_TEST(test_access)
{
        uint32_t groups[] = { 7, WHEEL };

        policy.access.deny_users = (struct policy_ids) { 1, { BOB } };
        policy.access.allow_groups = (struct policy_ids) { 1, { WHEEL } };
        restart();
        say_hello(&bus, BUS, ALICE, groups, 2);
        client_expect(&bus, 1, BODY(HELLO));
        client_close(&bus);
        say_hello(&bus, BUS, ALICE, groups, 1);
        expect_refusal(&bus, ERROR_CODE(DENIED), "AllowGroups=");
        say_hello(&bus, BUS, BOB, groups, 2);
        expect_refusal(&bus, ERROR_CODE(DENIED), "DenyUsers=");
        say_hello(&bus, BUS, 0x70000001, groups, 2);
        expect_refusal(&bus, ERROR_CODE(DENIED), "jobs cannot start jobs");
        say_hello(&bus, BUS, UINT32_MAX, groups, 2);
        expect_refusal(&bus, ERROR_CODE(BAD_REQUEST), "no user");
        /* It may connect though nobody allows it; in its own name as little as others. */
        client_hello_as(&bus, BUS);
        client_close(&bus);
        say_hello(&bus, BUS, BUS, NULL, 0);
        expect_refusal(&bus, ERROR_CODE(DENIED), "AllowGroups=");
        policy.access.deny_users.ids[0] = BUS;
        restart();
        ck_assert_int_eq(seteuid(BUS), 0);
        client_open(&bus);
        ck_assert_int_eq(seteuid(0), 0);
        expect_refusal(&bus, ERROR_CODE(DENIED), "DenyUsers=");
}
END_TEST

START_TEST(test_connections_are_counted_apart)
{
        struct client of_alice[4], more[4], own[5];

        policy.server.max_connections = 16;
        restart();
        for (size_t i = 0; i < 4; i++)
                client_hello_as(&of_alice[i], ALICE);
        ck_assert_int_eq(seteuid(ALICE), 0);
        client_open(&c);
        ck_assert_int_eq(seteuid(0), 0);
        expect_refusal(&c, ERROR_CODE(BUSY), "MaxConnectionsPerUser=");
        for (size_t i = 0; i < 4; i++)
                act_for(&more[i], ALICE);
        say_hello(&bus, BUS, ALICE, NULL, 0);
        expect_refusal(&bus, ERROR_CODE(BUSY), "act for user 2000");
        /* More than MaxConnectionsPerUser= of the bus service itself, and others of Bob's. */
        client_close(&more[3]);
        client_close(&more[2]);
        act_for(&more[2], BOB);
        for (size_t i = 0; i < 5; i++)
                client_hello_as(&own[i], BUS);
        for (size_t i = 0; i < 5; i++)
                client_close(&own[i]);
        for (size_t i = 0; i < 3; i++)
                client_close(&more[i]);
        for (size_t i = 0; i < 4; i++)
                client_close(&of_alice[i]);
}
END_TEST

START_TEST(test_in_its_own_name)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__WatchJobs body = SANDBOXD__V1__WATCH_JOBS__INIT;
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        const Sandboxd__V1__JobEvent *e;
        struct client alice;
        struct start s;
        char id[ID_SIZE];

        client_hello_as(&bus, BUS);
        client_hello_as(&alice, ALICE);
        begin_detached(&alice, 2, &s, id);
        client_run(&bus, 2, &run);
        client_expect_error(&bus, 2, ERROR_CODE(DENIED), "for whom it acts");
        ask_list(&bus, 3, true);
        client_expect_error(&bus, 3, ERROR_CODE(DENIED), "for whom it acts");
        ask(&bus, 4, REQUEST(GET_JOB), id);
        client_expect_error(&bus, 4, ERROR_CODE(DENIED), "for whom it acts");
        order(&bus, 5, REQUEST(STOP_ALL));
        client_expect_error(&bus, 5, ERROR_CODE(DENIED), "for whom it acts");
        client_simple(&bus, 6, REQUEST(LIST_RUNTIMES));
        client_expect(&bus, 6, BODY(RUNTIMES));
        client_simple(&bus, 7, REQUEST(LIST_PROFILES));
        client_expect(&bus, 7, BODY(PROFILES));
        ck_assert_uint_eq(get_host(&bus)->running_jobs, 1);
        /* It watches everybody's. */
        request.id = 8;
        request.body_case = REQUEST(WATCH_JOBS);
        request.watch_jobs = &body;
        client_send(&bus, &request);
        e = client_expect(&bus, 8, BODY(JOB_EVENT))->job_event;
        ck_assert_str_eq(e->job->job_id, id);
        ck_assert_uint_eq(e->job->owner_uid, ALICE);
        client_expect(&bus, 8, BODY(JOB_EVENT));
        client_expect(&bus, 8, BODY(JOB_EVENT));
        order(&bus, 8, REQUEST(FORGET));
        client_wait(&bus);
        monitor_end(&s, JOB_STATUS_OK);
        ask(&alice, 3, REQUEST(WAIT_JOB), id);
        client_expect(&alice, 3, BODY(RESULT));
        client_wait(&bus);
        client_close(&alice);
        client_close(&bus);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("frontend-bus");
        TCase *tc = tcase_create("frontend-bus");

        tcase_add_checked_fixture(tc, setup_bus, teardown);
        tcase_set_timeout(tc, 30);
        tcase_add_test(tc, test_nobody_else);
        tcase_add_test(tc, test_the_job_is_the_others);
        tcase_add_test(tc, test_one_quota_by_both_doors);
        tcase_add_test(tc, test_for_root);
        tcase_add_test(tc, test_access);
        tcase_add_test(tc, test_connections_are_counted_apart);
        tcase_add_test(tc, test_in_its_own_name);
        suite_add_tcase(suite, tc);
        return run_suite(suite);
}
