/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations of the policy: what a load refuses beside the policy files themselves, the way from
 * one process to another, and which of them there are at a time. The template takes privilege and is
 * left to the integration tests.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "daemon/wire/channel.h"
#include "tests/unit/fixture-generation.h"
#include "tests/unit/fixture-policy.h"

static struct policy policy;
static struct generations generations;
static struct error error;
static char folder[64], installed[1024];
static struct policy_paths paths;
static size_t n_open;

static size_t count_fds(void)
{
        DIR *d = opendir("/proc/self/fd");
        size_t n = 0;

        ck_assert_ptr_nonnull(d);
        while (readdir(d))
                n++;
        (void) closedir(d);
        return n;
}

static void setup(void)
{
        fixture_policy(&policy);
        generations = (struct generations) {};
        error = (struct error) {};
        (void) snprintf(folder, sizeof(folder), "/tmp/test-generation-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
        (void) snprintf(installed, sizeof(installed), "%s/policy", getenv("srcdir") ?: ".");
        paths = (struct policy_paths) { .dirs = { installed, folder } };
        n_open = count_fds();
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static void teardown(void)
{
        generations_done(&generations);
        ck_assert_uint_eq(generations.n_alive, 0);
        ck_assert_uint_eq(count_fds(), n_open);
        (void) nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *name, const char *text)
{
        char path[256];
        FILE *f;

        (void) snprintf(path, sizeof(path), "%s/%s", folder, name);
        for (char *p = path + strlen(folder) + 1; (p = strchr(p, '/')); p++) {
                *p = '\0';
                ck_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
                *p = '/';
        }
        f = fopen(path, "we");
        ck_assert_ptr_nonnull(f);
        ck_assert_int_ge(fputs(text, f), 0);
        ck_assert_int_eq(fclose(f), 0);
}

/* --- loading */

static ino_t inode(int fd)
{
        struct stat st;

        ck_assert_int_eq(fstat(fd, &st), 0);
        return st.st_ino;
}

static void load(struct generation_draft *ret)
{
        ck_assert_msg(generation_load(&paths, ret, &error) == 0, "%s", error.text);
}

/* Loading fails with both words in the sentence; teardown() sees that no fd is left. */
static void refused(const char *word, const char *other)
{
        struct generation_draft d;

        ck_assert_msg(generation_load(&paths, &d, &error) < 0, "it was loaded: expected %s", word);
        ck_assert_msg(strstr(error.text, word) && strstr(error.text, other), "no '%s', '%s' in: %s",
                word, other, error.text);
}

START_TEST(test_load)
{
        struct generation_draft d;

        load(&d);
        ck_assert_uint_eq(d.policy->n_profiles, 2);
        for (uint32_t i = 0; i < d.policy->n_profiles; i++)
                ck_assert(io_memfd_is_sealed(d.filter_fds[i]));
        ck_assert(inode(d.filter_fds[0]) != inode(d.filter_fds[1]));
        ck_assert_int_lt(d.filter_fds[2], 0);
        generation_draft_done(&d);
}
END_TEST

/* One file, compiled once. */
START_TEST(test_shared_filter)
{
        struct generation_draft d;

        put("profiles/strict.profile.d/a.conf", "[Profile]\nSystemCallFilter=default\n");
        load(&d);
        ck_assert_int_ne(d.filter_fds[0], d.filter_fds[1]);
        ck_assert_uint_eq(inode(d.filter_fds[0]), inode(d.filter_fds[1]));
        generation_draft_done(&d);
}
END_TEST

/* The later folder's file counts, and is the one that a sentence names. */
START_TEST(test_broken_filter)
{
        put("seccomp/strict.seccomp", "[allow]\nread\nno_such_call\n");
        refused("profiles/strict.profile: SystemCallFilter=strict", "strict.seccomp");
        ck_assert_ptr_nonnull(strstr(error.text, folder));
}
END_TEST

START_TEST(test_missing_filter)
{
        put("profiles/strict.profile.d/a.conf", "[Profile]\nSystemCallFilter=none\n");
        refused("SystemCallFilter=none", "none.seccomp");
}
END_TEST

START_TEST(test_missing_launcher)
{
        struct generation_draft d;

        put("runtimes/python.runtime.d/a.conf", "[Runtime]\nLauncher=nowhere.py\n");
        refused("runtimes/python.runtime: Launcher=nowhere.py", folder);
        put("launchers/nowhere.py", "");
        load(&d);
        generation_draft_done(&d);
}
END_TEST

START_TEST(test_open_files)
{
        struct rlimit kept, low;

        ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &kept), 0);
        low = (struct rlimit) { 1000, kept.rlim_max };
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
        refused("MaxJobs=1024", "ulimit -n");
        ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &kept), 0);
}
END_TEST

START_TEST(test_broken_policy)
{
        put("profiles/strict.profile.d/a.conf", "[Limits]\nMemory=much\n");
        refused("a.conf:2: Memory=much", "Memory");
}
END_TEST

/* --- from one process to another */

static void new_channel(int pair[static 2])
{
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                                 pair),
                0);
}

/* Sends one as the child of a reload does, and receives it. */
static struct generation *pass_on(void)
{
        struct generation *sent = fixture_generation(&policy), *g = NULL;
        int pair[2];

        new_channel(pair);
        ck_assert_int_eq(generation_send(pair[0], sent, NULL), 0);
        (void) generation_unref(sent);
        ck_assert_msg(generation_receive(pair[1], &g, &error) == 0, "%s", error.text);
        io_close_all(pair, 2);
        return g;
}

START_TEST(test_send)
{
        struct generation *g = pass_on();

        ck_assert_int_eq(memcmp(g->policy, &policy, sizeof(policy)), 0);
        ck_assert_ptr_ne(g->policy, &policy);
        ck_assert_uint_eq(g->allow_missing, CGROUP_CPU);
        ck_assert_uint_eq(g->template.n_cpus, 2);
        ck_assert(io_memfd_is_sealed(g->template.mntns_fd) && io_memfd_is_sealed(g->policy_fd));
        for (uint32_t i = 0; i < POLICY_PROFILES_MAX; i++)
                ck_assert(io_memfd_is_sealed(g->filter_fds[i]) == (i < policy.n_profiles));
        ck_assert_uint_eq(g->number, 0);
        (void) generation_unref(g);
}
END_TEST

/* The largest policy there can be fits a message. */
START_TEST(test_send_most)
{
        policy.n_profiles = POLICY_PROFILES_MAX;
        (void) generation_unref(pass_on());
}
END_TEST

static void expect_not_received(int socket, const char *word)
{
        struct generation *g = NULL;

        error = (struct error) {};
        ck_assert_int_lt(generation_receive(socket, &g, &error), 0);
        ck_assert_ptr_null(g);
        ck_assert_msg(strstr(error.text, word), "no '%s' in: %s", word, error.text);
}

START_TEST(test_receive_errors)
{
        const struct error sentence = { "policy.conf:3: that is wrong" };
        static const char nothing[2 * sizeof(error)];
        int pair[2], fds[2];

        new_channel(pair);
        expect_not_received(pair[1], "died");
        ck_assert_int_eq(generation_send(pair[0], NULL, &sentence), 0);
        expect_not_received(pair[1], sentence.text);
        /* Whatever else comes, with fds or without. */
        fds[0] = fds[1] = pair[0];
        ck_assert_int_eq(io_send_message(pair[0], "x", 1, fds, 2), 0);
        expect_not_received(pair[1], "cannot be taken");
        ck_assert_int_eq(io_send_message(pair[0], nothing, sizeof(nothing), fds, 2), 0);
        expect_not_received(pair[1], "cannot be taken");
        pair[0] = safe_close(pair[0]);
        expect_not_received(pair[1], "died");
        io_close_all(pair, 2);
}
END_TEST

/* --- which there are */

static struct generation *add(void)
{
        struct generation *g = fixture_generation(&policy);

        generations_add(&generations, g);
        return g;
}

START_TEST(test_current)
{
        struct generation *first = add(), *second;

        ck_assert_uint_eq(first->number, 1);
        ck_assert_ptr_eq(generations_current(&generations), first);
        second = add();
        ck_assert_uint_eq(second->number, 2);
        ck_assert_ptr_eq(generations_current(&generations), second);
        ck_assert_ptr_eq(generations_find(&generations, 1), first);
        ck_assert_ptr_eq(generations_find(&generations, 2), second);
        ck_assert_ptr_null(generations_find(&generations, 0));
        ck_assert_ptr_null(generations_find(&generations, 3));
}
END_TEST

START_TEST(test_retire)
{
        for (unsigned i = 0; i < 4; i++)
                (void) add();
        ck_assert_int_eq(generations_retire(&generations, 2), 0);
        ck_assert_uint_eq(generations.n_alive, 3);
        ck_assert_ptr_null(generations_find(&generations, 2));
        ck_assert_uint_eq(generations_find(&generations, 1)->number, 1);
        ck_assert_uint_eq(generations_find(&generations, 3)->number, 3);
        ck_assert_uint_eq(generations_current(&generations)->number, 4);
        /* Said twice, of the current one, of none. */
        ck_assert_int_lt(generations_retire(&generations, 2), 0);
        ck_assert_int_lt(generations_retire(&generations, 4), 0);
        ck_assert_int_lt(generations_retire(&generations, 5), 0);
        ck_assert_int_lt(generations_retire(&generations, 0), 0);
        ck_assert_int_lt(generations_retire(&generations, UINT32_MAX), 0);
        ck_assert_uint_eq(generations.n_alive, 3);
        generations_retire_all_but_current(&generations);
        ck_assert_uint_eq(generations.n_alive, 1);
        ck_assert_uint_eq(generations_current(&generations)->number, 4);
        generations_retire_all_but_current(&generations);
        ck_assert_uint_eq(generations.n_alive, 1);
}
END_TEST

/* What a sandbox holds is there although no START may name it, and counts. */
START_TEST(test_held)
{
        struct generation *held = generation_ref(add());

        (void) add();
        ck_assert_int_eq(generations_retire(&generations, 1), 0);
        ck_assert_ptr_null(generations_find(&generations, 1));
        ck_assert_uint_eq(generations.n_alive, 2);
        ck_assert_uint_eq(held->policy->n_profiles, policy.n_profiles);
        ck_assert_ptr_null(generation_unref(held));
        ck_assert_uint_eq(generations.n_alive, 1);
}
END_TEST

START_TEST(test_room)
{
        struct generation *held = generation_ref(add());

        for (unsigned i = 1; i < GENERATIONS_MAX; i++)
                (void) add();
        ck_assert_uint_eq(generations.n_alive, GENERATIONS_MAX);
        ck_assert(!generations_was_retired(&generations, 1));
        /* The oldest makes room, though a sandbox still holds it. */
        (void) add();
        ck_assert(generations_was_retired(&generations, 1));
        ck_assert(!generations_was_retired(&generations, 2));
        ck_assert_uint_eq(generations.n, GENERATIONS_MAX);
        ck_assert_uint_eq(generations.n_alive, GENERATIONS_MAX + 1);
        (void) add();
        ck_assert_uint_eq(generations.n_alive, GENERATIONS_MAX + 1);
        generations_retire_all_but_current(&generations);
        ck_assert_uint_eq(generations.n_alive, 2);
        ck_assert_uint_eq(generations_current(&generations)->number, GENERATIONS_MAX + 2);
        (void) generation_unref(held);
        ck_assert_uint_eq(generations.n_alive, 1);
}
END_TEST

START_TEST(test_no_room)
{
        struct generation *held[GENERATIONS_ALIVE_MAX];

        for (size_t i = 0; i < ELEMENTSOF(held); i++) {
                ck_assert(generations_have_room(&generations));
                held[i] = generation_ref(add());
        }
        ck_assert(!generations_have_room(&generations));
        (void) generation_unref(held[0]);
        ck_assert(generations_have_room(&generations));
        for (size_t i = 1; i < ELEMENTSOF(held); i++)
                (void) generation_unref(held[i]);
}
END_TEST

/* Nobody said that they are of no use any more. */
START_TEST(test_overdue)
{
        struct generation *first = add(), *second;

        ck_assert_uint_eq(generations_retire_overdue(&generations, UINT64_MAX), 0);
        ck_assert_uint_eq(first->replaced_usec, 0);
        second = add();
        ck_assert_uint_gt(first->replaced_usec, 0);
        (void) add();
        first->replaced_usec = 1000;
        second->replaced_usec = 2000;
        ck_assert_uint_eq(generations_retire_overdue(&generations, 999 + CHANNEL_RETIRE_USEC),
                1000 + CHANNEL_RETIRE_USEC);
        ck_assert_uint_eq(generations.n, 3);
        ck_assert_uint_eq(generations_retire_overdue(&generations, 1000 + CHANNEL_RETIRE_USEC),
                2000 + CHANNEL_RETIRE_USEC);
        ck_assert(generations_was_retired(&generations, 1));
        ck_assert(!generations_was_retired(&generations, 2));
        ck_assert_uint_eq(generations_retire_overdue(&generations, 3000 + CHANNEL_RETIRE_USEC), 0);
        ck_assert_uint_eq(generations_current(&generations)->number, 3);
        ck_assert(!generations_was_retired(&generations, 0));
        ck_assert(!generations_was_retired(&generations, 3));
        ck_assert(!generations_was_retired(&generations, 4));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("generation");
        TCase *tc = tcase_create("generation");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_load);
        tcase_add_test(tc, test_shared_filter);
        tcase_add_test(tc, test_broken_filter);
        tcase_add_test(tc, test_missing_filter);
        tcase_add_test(tc, test_missing_launcher);
        tcase_add_test(tc, test_open_files);
        tcase_add_test(tc, test_broken_policy);
        tcase_add_test(tc, test_send);
        tcase_add_test(tc, test_send_most);
        tcase_add_test(tc, test_receive_errors);
        tcase_add_test(tc, test_current);
        tcase_add_test(tc, test_retire);
        tcase_add_test(tc, test_held);
        tcase_add_test(tc, test_room);
        tcase_add_test(tc, test_no_room);
        tcase_add_test(tc, test_overdue);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
