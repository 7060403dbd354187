/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may connect: the lists of the policy against a peer, and what the kernel says of one.
 */
#include <check.h>
#include <grp.h>
#include <sys/socket.h>

#include "daemon/frontend/access.h"
#include "tests/unit/fixture-policy.h"

static struct policy policy;
static struct error error;

static void setup(void)
{
        fixture_policy(&policy);
        policy.server.job_uid_base = 0x70000000;
        policy.server.job_uid_size = 0x1000;
}

static void add(struct policy_ids *ids, uint32_t id)
{
        ids->ids[ids->n++] = id;
}

static bool may(uid_t uid, gid_t group, gid_t other)
{
        gid_t groups[] = { group, other };
        struct peer peer = { .uid = uid, .groups = groups, .n_groups = ELEMENTSOF(groups) };
        int r;

        error.text[0] = '\0';
        r = access_check(&policy, &peer, &error);
        ck_assert(r == 0 || r == -EACCES);
        ck_assert_int_eq(r == 0, error.text[0] == '\0');
        return r == 0;
}

START_TEST(test_everybody)
{
        ck_assert(may(0, 0, 0));
        ck_assert(may(1000, 1000, 27));
        ck_assert(may(UINT32_MAX - 1, 5, 5));
}
END_TEST

START_TEST(test_jobs)
{
        ck_assert(may(0x70000000 - 1, 5, 5));
        ck_assert(!may(0x70000000, 5, 5));
        ck_assert_ptr_nonnull(strstr(error.text, "jobs cannot start jobs"));
        ck_assert(!may(0x70000fff, 5, 5));
        ck_assert(may(0x70001000, 5, 5));
        /* Not even when somebody lists them. */
        add(&policy.access.allow_users, 0x70000001);
        ck_assert(!may(0x70000001, 5, 5));
}
END_TEST

START_TEST(test_allowed_users)
{
        add(&policy.access.allow_users, 1000);
        add(&policy.access.allow_users, 1002);
        ck_assert(may(1000, 5, 5));
        ck_assert(may(1002, 5, 5));
        ck_assert(!may(1001, 5, 5));
        ck_assert_ptr_nonnull(strstr(error.text, "user 1001 "));
        ck_assert_ptr_nonnull(strstr(error.text, "AllowUsers="));
        /* A group of that number is no user, and root needs no line. */
        ck_assert(!may(1001, 1000, 1002));
        ck_assert(may(0, 5, 5));
}
END_TEST

START_TEST(test_allowed_groups)
{
        add(&policy.access.allow_groups, 100);
        ck_assert(may(1000, 100, 5));
        ck_assert(may(1000, 5, 100));
        ck_assert(!may(100, 5, 5));
        ck_assert_ptr_nonnull(strstr(error.text, "AllowGroups="));
        ck_assert(may(0, 5, 5));
        /* Either list lets in. */
        add(&policy.access.allow_users, 7);
        ck_assert(may(7, 5, 5));
        ck_assert(may(8, 100, 5));
        ck_assert(!may(8, 5, 5));
}
END_TEST

START_TEST(test_denied_users)
{
        add(&policy.access.deny_users, 1000);
        ck_assert(!may(1000, 5, 5));
        ck_assert_ptr_nonnull(strstr(error.text, "DenyUsers="));
        ck_assert(may(1001, 1000, 1000));
        ck_assert(may(0, 5, 5));
        /* It wins. */
        add(&policy.access.allow_users, 1000);
        add(&policy.access.allow_groups, 100);
        ck_assert(!may(1000, 100, 100));
        add(&policy.access.deny_users, 0);
        ck_assert(!may(0, 100, 100));
}
END_TEST

START_TEST(test_full_lists)
{
        for (uint32_t i = 0; i < POLICY_IDS_MAX; i++)
                add(&policy.access.allow_groups, 1 + i);
        ck_assert(may(1000, 1, 0));
        ck_assert(may(1000, 0, POLICY_IDS_MAX));
        ck_assert(!may(1000, 0, POLICY_IDS_MAX + 1));
}
END_TEST

/* The process that connected is this one. */
START_TEST(test_peer)
{
        _cleanup_(access_peer_done) struct peer peer = {};
        static gid_t groups[65536];
        int pair[2], n = getgroups(ELEMENTSOF(groups), groups);

        ck_assert_int_ge(n, 0);
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        ck_assert_int_eq(access_peer(pair[0], &peer), 0);
        ck_assert_uint_eq(peer.uid, geteuid());
        ck_assert_uint_eq(peer.n_groups, (size_t) n + 1);
        ck_assert_uint_eq(peer.groups[0], getegid());
        ck_assert_mem_eq(peer.groups + 1, groups, (size_t) n * sizeof(gid_t));
        (void) close(pair[0]);
        (void) close(pair[1]);
}
END_TEST

/* More groups than are guessed at first. Only root can have such a process made. */
START_TEST(test_peer_with_many_groups)
{
        _cleanup_(access_peer_done) struct peer peer = {};
        gid_t groups[1000];
        int pair[2];

        for (size_t i = 0; i < ELEMENTSOF(groups); i++)
                groups[i] = 2000 + (gid_t) i;
        if (setgroups(ELEMENTSOF(groups), groups) < 0)
                return;
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        ck_assert_int_eq(access_peer(pair[0], &peer), 0);
        ck_assert_uint_eq(peer.n_groups, ELEMENTSOF(groups) + 1);
        ck_assert_mem_eq(peer.groups + 1, groups, sizeof(groups));
        (void) close(pair[0]);
        (void) close(pair[1]);
}
END_TEST

START_TEST(test_no_peer)
{
        _cleanup_(access_peer_done) struct peer peer = {};
        int ends[2];

        ck_assert_int_eq(pipe(ends), 0);
        ck_assert_int_eq(access_peer(ends[0], &peer), -ENOTSOCK);
        ck_assert_ptr_null(peer.groups);
        (void) close(ends[0]);
        (void) close(ends[1]);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("access");
        TCase *t = tcase_create("access");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, NULL);
        tcase_add_test(t, test_everybody);
        tcase_add_test(t, test_jobs);
        tcase_add_test(t, test_allowed_users);
        tcase_add_test(t, test_allowed_groups);
        tcase_add_test(t, test_denied_users);
        tcase_add_test(t, test_full_lists);
        tcase_add_test(t, test_peer);
        tcase_add_test(t, test_peer_with_many_groups);
        tcase_add_test(t, test_no_peer);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
