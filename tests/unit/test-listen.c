/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sockets that the monitor is passed or makes. What was passed is looked at in a child process,
 * in which the fds from 3 on can be what the test wants them to be.
 */
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#include "daemon/monitor/listen.h"
#include "tests/unit/fixture-policy.h"

static char folder[64], path[96];
static struct listen_table table;
static struct policy policy;
static struct error error;

static void setup(void)
{
        (void) snprintf(folder, sizeof(folder), "%s", "/tmp/test-listen-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
        (void) snprintf(path, sizeof(path), "%s/sock", folder);
        table = (struct listen_table) {};
        fixture_policy(&policy);
        policy.server.idle_exit_usec = 7;
}

static void teardown(void)
{
        listen_close(&table);
        (void) unlink(path);
        ck_assert_int_eq(rmdir(folder), 0);
}

/* --- what is passed. Check writes to an fd of its own with each of its assertions, and that may be
 * one of those taken: in the child it is ASSERT. */

static int abstract_socket(int type, bool listening)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, type, 0);

        /* No name given: the kernel chooses a free abstract one. */
        ASSERT(bind(fd, (struct sockaddr *) &address, sizeof(sa_family_t)) == 0);
        if (listening)
                ASSERT(listen(fd, 8) == 0);
        return fd;
}

static int good(void)
{
        return abstract_socket(SOCK_STREAM, true);
}

static int not_listening(void)
{
        return abstract_socket(SOCK_STREAM, false);
}

static int datagrams(void)
{
        return abstract_socket(SOCK_DGRAM, false);
}

static int packets(void)
{
        return abstract_socket(SOCK_SEQPACKET, true);
}

static int internet(void)
{
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        ASSERT(listen(fd, 8) == 0);
        return fd;
}

static int connection(void)
{
        int pair[2];

        ASSERT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
        return pair[0];
}

static int file(void)
{
        return open("/dev/null", O_RDWR);
}

struct passed {
        int (*make[POLICY_LISTENERS_MAX + 1])(void);
        const char *names; /* NULL: not said */
        const char *error; /* a part of the sentence; NULL for none */
        const char *profiles[2];
};

static void check_taken(const struct passed *p, size_t n)
{
        ASSERT(table.n == n);
        ASSERT(table.passed);
        ASSERT(!getenv("LISTEN_FDS"));
        for (uint32_t i = 0; i < table.n; i++) {
                const struct listen_socket *s = &table.sockets[i];

                ASSERT(s->fd == SD_LISTEN_FDS_START + (int) i);
                ASSERT(fcntl(s->fd, F_GETFD) == FD_CLOEXEC);
                ASSERT(s->path[0] == '@');
                if (i < ELEMENTSOF(p->profiles))
                        ASSERT(streq(s->profile, p->profiles[i]));
        }
        /* There is nothing to make of one's own. */
        ASSERT(listen_open(&table, &error) == 0);
        ASSERT(table.n == n);
}

static void take(const struct passed *p)
{
        int fds[POLICY_LISTENERS_MAX + 1];
        size_t n = 0;
        char text[32];
        int r;

        for (; n < ELEMENTSOF(fds) && p->make[n]; n++) {
                int fd = p->make[n]();

                fds[n] = fcntl(fd, F_DUPFD, 100);
        }
        for (size_t i = 0; i < n; i++)
                ASSERT(dup2(fds[i], SD_LISTEN_FDS_START + (int) i) >= 0);
        (void) snprintf(text, sizeof(text), "%zu", n);
        (void) setenv("LISTEN_FDS", text, 1);
        (void) snprintf(text, sizeof(text), "%d", (int) getpid());
        (void) setenv("LISTEN_PID", text, 1);
        if (p->names)
                (void) setenv("LISTEN_FDNAMES", p->names, 1);
        r = listen_take(&table, &error);
        if (p->error)
                ASSERT(r < 0 && strstr(error.text, p->error));
        else {
                ASSERT(r == 0);
                check_taken(p, n);
        }
}

/* Runs take() where nobody minds what becomes of fds: this child, of which Check hears no more than
 * how it ends. */
static void try_take(const struct passed *p)
{
        int status = 0;
        pid_t pid;

        (void) fflush(NULL);
        pid = fork();
        ck_assert_int_ge(pid, 0);
        if (pid == 0) {
                take(p);
                _exit(0);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x with %s", status,
                p->names ? p->names : "no names");
}

START_TEST(test_passed)
{
        static const struct passed cases[] = {
                { { good }, NULL, NULL, { "default" } },
                { { good }, "sandboxd.socket", NULL, { "default" } },
                { { good }, "sandboxd", NULL, { "default" } },
                { { good }, "unknown", NULL, { "default" } },
                { { good }, "", NULL, { "default" } },
                { { good }, "open", NULL, { "open" } },
                { { good, good }, "sandboxd.socket:open", NULL, { "default", "open" } },
                { { good, good }, "open:any-name-that-is-longer-than-a-profile.socket", NULL,
                        { "open", "default" } },
                /* Not a unit's name: a profile may not be called so, which is found out later. */
                { { good }, ".socket", NULL, { ".socket" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                try_take(&cases[i]);
}
END_TEST

START_TEST(test_passed_wrongly)
{
        static const struct passed cases[] = {
                { { not_listening }, "a", "fd 3, which was passed as 'a', is no AF_UNIX" },
                { { good, datagrams }, "a:b", "fd 4, which was passed as 'b'" },
                { { packets }, "a", "fd 3" },
                { { internet }, "a", "fd 3" },
                { { connection }, "a", "Accept=no" },
                { { file }, "stored", "fd 3, which was passed as 'stored'" },
                { { good }, "a-name-that-is-longer-than-that-of-a-profile-may-be",
                        "FileDescriptorName=a-name" },
                { { good, good, good, good, good, good, good, good, good, good, good, good, good,
                          good, good, good, good },
                        NULL, "at most 16" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                try_take(&cases[i]);
}
END_TEST

START_TEST(test_as_many_as_may_be)
{
        static const struct passed full = { { good, good, good, good, good, good, good, good, good,
                                                    good, good, good, good, good, good, good },
                NULL, NULL, { "default", "default" } };

        try_take(&full);
}
END_TEST

START_TEST(test_nothing_passed)
{
        ck_assert_int_eq(listen_take(&table, &error), 0);
        ck_assert_uint_eq(table.n, 0);
        ck_assert(!table.passed);
        /* For another process: not ours to take. */
        (void) setenv("LISTEN_FDS", "1", 1);
        (void) setenv("LISTEN_PID", "1", 1);
        ck_assert_int_eq(listen_take(&table, &error), 0);
        ck_assert(!table.passed);
}
END_TEST

START_TEST(test_garbled_environment)
{
        char text[32];

        (void) snprintf(text, sizeof(text), "%d", (int) getpid());
        (void) setenv("LISTEN_PID", text, 1);
        (void) setenv("LISTEN_FDS", "many", 1);
        ck_assert_int_lt(listen_take(&table, &error), 0);
        ck_assert_ptr_nonnull(strstr(error.text, "LISTEN_FDS"));
}
END_TEST

/* --- one of our own */

START_TEST(test_own)
{
        ck_assert_int_eq(listen_plan(&table, path, &error), 0);
        ck_assert_uint_eq(table.n, 1);
        ck_assert_int_lt(table.sockets[0].fd, 0);
        ck_assert_int_ne(access(path, F_OK), 0);
        ck_assert_msg(listen_open(&table, &error) == 0, "%s", error.text);
        ck_assert_int_gt(sd_is_socket_unix(table.sockets[0].fd, SOCK_STREAM, 1, path, 0), 0);
        ck_assert(!table.passed);
        listen_close(&table);
        ck_assert_int_ne(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_own_that_cannot_be)
{
        char far[120], deep[128];

        memset(far, 'x', sizeof(far));
        far[sizeof(far) - 1] = '\0';
        ck_assert_int_eq(listen_plan(&table, far, &error), -ENAMETOOLONG);
        (void) snprintf(deep, sizeof(deep), "%s/none/sock", folder);
        ck_assert_int_eq(listen_plan(&table, deep, &error), 0);
        ck_assert_int_lt(listen_open(&table, &error), 0);
        ck_assert_ptr_nonnull(strstr(error.text, deep));
}
END_TEST

/* Nothing is removed that was not made here. */
START_TEST(test_passed_keeps_its_name)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        ck_assert_int_eq(bind(fd, (struct sockaddr *) &address, sizeof(address)), 0);
        table = (struct listen_table) { .n = 1, .passed = true, .sockets[0].fd = fd };
        (void) snprintf(table.sockets[0].path, sizeof(table.sockets[0].path), "%s", path);
        listen_close(&table);
        ck_assert_int_eq(access(path, F_OK), 0);
        ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
}
END_TEST

/* --- what the frontend is told */

static void describe_two(const char *first, const char *second)
{
        table = (struct listen_table) { .n = 2, .passed = true };
        for (uint32_t i = 0; i < table.n; i++) {
                struct listen_socket *s = &table.sockets[i];

                s->fd = -EBADF;
                (void) str_copy(s->path, sizeof(s->path), "/run/x.sock");
                (void) str_copy(s->profile, sizeof(s->profile), i ? second : first);
        }
}

START_TEST(test_describe)
{
        describe_two("open", "default");
        ck_assert_int_eq(listen_describe(&table, &policy, &error), 0);
        ck_assert_uint_eq(policy.n_listeners, 2);
        ck_assert_str_eq(policy.profiles[policy.listener_profiles[0]].name, "open");
        ck_assert_str_eq(policy.profiles[policy.listener_profiles[1]].name, "default");
        ck_assert_uint_eq(policy.server.idle_exit_usec, 7);
}
END_TEST

START_TEST(test_describe_own)
{
        ck_assert_int_eq(listen_plan(&table, path, &error), 0);
        ck_assert_int_eq(listen_describe(&table, &policy, &error), 0);
        ck_assert_uint_eq(policy.n_listeners, 1);
        ck_assert_str_eq(policy.profiles[policy.listener_profiles[0]].name, "default");
        /* Nobody would start it again. */
        ck_assert_uint_eq(policy.server.idle_exit_usec, 0);
}
END_TEST

START_TEST(test_describe_no_such_profile)
{
        describe_two("open", "opne");
        ck_assert_int_eq(listen_describe(&table, &policy, &error), -ENOENT);
        ck_assert_ptr_nonnull(strstr(error.text, "FileDescriptorName=opne"));
        ck_assert_ptr_nonnull(strstr(error.text, "/run/x.sock"));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("listen");
        TCase *t = tcase_create("listen");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_passed);
        tcase_add_test(t, test_passed_wrongly);
        tcase_add_test(t, test_as_many_as_may_be);
        tcase_add_test(t, test_nothing_passed);
        tcase_add_test(t, test_garbled_environment);
        tcase_add_test(t, test_own);
        tcase_add_test(t, test_own_that_cannot_be);
        tcase_add_test(t, test_passed_keeps_its_name);
        tcase_add_test(t, test_describe);
        tcase_add_test(t, test_describe_own);
        tcase_add_test(t, test_describe_no_such_profile);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
