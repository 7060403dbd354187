/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket: children of the test ask, and the test is the daemon that answers. Who asked is told
 * of the reload that began after that, and nobody waits for ever.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/io.h"
#include "daemon/monitor/control.h"

#define PATIENCE_USEC (20 * USEC_PER_SEC)
#define MANY (2 * CONTROL_WAITERS_MAX + 3)

static char dir[] = "/tmp/test-control-XXXXXX";
static char path[64];
static sd_event *event;
static struct control control;
static unsigned n_asked;
static size_t fds_before;

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

static void on_asked(void *userdata)
{
        ck_assert_ptr_eq(userdata, &control);
        n_asked++;
}

static void open_control(void)
{
        struct error error = {};

        ck_assert_msg(control_open(&control, event, path, on_asked, &control, &error) == 0, "%s",
                error.text);
}

static void setup(void)
{
        fds_before = count_fds();
        memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
        ck_assert_ptr_nonnull(mkdtemp(dir));
        (void) snprintf(path, sizeof(path), "%s/" CONTROL_NAME, dir);
        n_asked = 0;
        ck_assert_int_ge(sd_event_new(&event), 0);
        open_control();
}

static void teardown(void)
{
        control_close(&control);
        event = sd_event_unref(event);
        (void) unlink(path);
        ck_assert_int_eq(rmdir(dir), 0);
        ck_assert_uint_eq(count_fds(), fds_before);
        ck_assert_int_lt(waitpid(-1, NULL, WNOHANG), 0);
}

static void run_until_asked(unsigned n)
{
        uint64_t end = io_now_usec() + PATIENCE_USEC;

        while (n_asked < n) {
                ck_assert_uint_lt(io_now_usec(), end);
                ck_assert_int_ge(sd_event_run(event, USEC_PER_SEC), 0);
        }
}

/* One who asks, in a process of its own; what it was told comes from the fd. */
struct client {
        pid_t pid;
        int fd;
};

static struct client ask(uint64_t timeout_usec)
{
        struct client c;
        int ends[2];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        c.pid = fork();
        ck_assert_int_ge(c.pid, 0);
        if (c.pid == 0) {
                struct error error = {};
                int r;

                /* Which would listen for as long as somebody has it. */
                (void) safe_close(control.fd);
                r = control_reload(dir, timeout_usec, &error);
                (void) !write(ends[1], error.text, strlen(error.text));
                _exit(r == 0 ? 0 : -r);
        }
        (void) close(ends[1]);
        c.fd = ends[0];
        return c;
}

static bool has_ended(const struct client *c)
{
        siginfo_t info = {};

        ck_assert_int_eq(waitid(P_PID, (id_t) c->pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
        return info.si_pid != 0;
}

/* Its end, which must come: 0, or the errno and the sentence. */
static int end_of(const struct client *c, char text[static ERROR_TEXT_MAX])
{
        ssize_t n = io_read_full(c->fd, text, ERROR_TEXT_MAX - 1);
        int status;

        ck_assert_int_ge(n, 0);
        text[n] = '\0';
        (void) close(c->fd);
        ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
        ck_assert(WIFEXITED(status));
        return WEXITSTATUS(status);
}

START_TEST(test_done)
{
        struct client c = ask(PATIENCE_USEC);
        char text[ERROR_TEXT_MAX];

        run_until_asked(1);
        control_begun(&control);
        ck_assert(!has_ended(&c));
        control_ended(&control, true, "");
        ck_assert_int_eq(end_of(&c, text), 0);
        ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(test_failed)
{
        struct client c = ask(PATIENCE_USEC);
        char sentence[2 * ERROR_TEXT_MAX], text[ERROR_TEXT_MAX];

        run_until_asked(1);
        control_begun(&control);
        control_ended(&control, false, "line 3 is wrong");
        ck_assert_int_eq(end_of(&c, text), EINVAL);
        ck_assert_str_eq(text, "not reloaded, the policy stays as it was: line 3 is wrong");

        /* As much as fits. */
        memset(sentence, 'x', sizeof(sentence) - 1);
        sentence[sizeof(sentence) - 1] = '\0';
        c = ask(PATIENCE_USEC);
        run_until_asked(2);
        control_begun(&control);
        control_ended(&control, false, sentence);
        ck_assert_int_eq(end_of(&c, text), EINVAL);
        ck_assert_uint_gt(strlen(text), ERROR_TEXT_MAX - 8);
}
END_TEST

/* The one that is under way may have read the files before they were changed. */
START_TEST(test_asked_in_the_middle)
{
        char text[ERROR_TEXT_MAX];
        struct client first, second;

        first = ask(PATIENCE_USEC);
        run_until_asked(1);
        control_begun(&control);
        second = ask(PATIENCE_USEC);
        run_until_asked(2);
        control_ended(&control, false, "of the first");
        ck_assert_int_eq(end_of(&first, text), EINVAL);
        ck_assert(!has_ended(&second));
        ck_assert_uint_eq(control.n_waiters, 1);
        control_begun(&control);
        control_ended(&control, true, "");
        ck_assert_int_eq(end_of(&second, text), 0);
}
END_TEST

/* More than are taken at one time wait for their turn. */
START_TEST(test_many)
{
        struct client clients[MANY];
        char text[ERROR_TEXT_MAX];

        for (unsigned i = 0; i < MANY; i++)
                clients[i] = ask(PATIENCE_USEC);
        for (unsigned done = 0; done < MANY; done = n_asked) {
                run_until_asked(MIN(done + CONTROL_WAITERS_MAX, (unsigned) MANY));
                /* Whoever else could be taken would be now. */
                ck_assert_int_ge(sd_event_run(event, 50 * USEC_PER_MSEC), 0);
                ck_assert_uint_le(control.n_waiters, CONTROL_WAITERS_MAX);
                control_begun(&control);
                control_ended(&control, true, "");
        }
        for (unsigned i = 0; i < MANY; i++)
                ck_assert_int_eq(end_of(&clients[i], text), 0);
}
END_TEST

START_TEST(test_client_goes_away)
{
        struct client c = ask(PATIENCE_USEC), other;
        char text[ERROR_TEXT_MAX];
        int status;

        run_until_asked(1);
        ck_assert_int_eq(kill(c.pid, SIGKILL), 0);
        ck_assert_int_eq(waitpid(c.pid, &status, 0), c.pid);
        (void) close(c.fd);
        other = ask(PATIENCE_USEC);
        run_until_asked(2);
        control_begun(&control);
        control_ended(&control, true, "");
        ck_assert_int_eq(end_of(&other, text), 0);
}
END_TEST

START_TEST(test_daemon_stops)
{
        struct client c = ask(PATIENCE_USEC);
        char text[ERROR_TEXT_MAX];

        run_until_asked(1);
        control_close(&control);
        ck_assert_int_eq(end_of(&c, text), ECONNRESET);
        ck_assert_ptr_nonnull(strstr(text, "stopped before"));
        /* What is left of one that died is no obstacle to the next. */
        c = ask(PATIENCE_USEC);
        ck_assert_int_eq(end_of(&c, text), ECONNREFUSED);
        ck_assert_ptr_nonnull(strstr(text, "no sandboxd runs in /tmp/test-control-"));
        open_control();
        c = ask(PATIENCE_USEC);
        run_until_asked(2);
        control_begun(&control);
        control_ended(&control, true, "");
        ck_assert_int_eq(end_of(&c, text), 0);
}
END_TEST

/* The same in its last moment. */
START_TEST(test_daemon_stops_before_it_looks)
{
        struct client c = ask(PATIENCE_USEC);
        struct pollfd p = { .fd = control.fd, .events = POLLIN };
        char text[ERROR_TEXT_MAX];

        ck_assert_int_eq(poll(&p, 1, (int) (PATIENCE_USEC / USEC_PER_MSEC)), 1);
        control_close(&control);
        ck_assert_int_eq(end_of(&c, text), ECONNRESET);
        ck_assert_ptr_nonnull(strstr(text, "stopped before"));
}
END_TEST

/* A daemon that hangs does neither take it nor answer. */
START_TEST(test_no_answer)
{
        struct client c = ask(50 * USEC_PER_MSEC);
        char text[ERROR_TEXT_MAX];

        ck_assert_int_eq(end_of(&c, text), ETIMEDOUT);
        ck_assert_ptr_nonnull(strstr(text, "in time"));
}
END_TEST

START_TEST(test_nobody_there)
{
        char text[ERROR_TEXT_MAX];
        struct client c;

        control_close(&control);
        ck_assert_int_eq(unlink(path), 0);
        c = ask(PATIENCE_USEC);
        ck_assert_int_eq(end_of(&c, text), ENOENT);
        ck_assert_ptr_nonnull(strstr(text, "no sandboxd runs in"));
}
END_TEST

START_TEST(test_mode)
{
        struct stat st;

        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert(S_ISSOCK(st.st_mode));
        ck_assert_uint_eq(st.st_mode & 07777 & ~0600u, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("control");
        TCase *tc = tcase_create("control");
        SRunner *runner;
        int failed;

        (void) signal(SIGPIPE, SIG_IGN);
        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_done);
        tcase_add_test(tc, test_failed);
        tcase_add_test(tc, test_asked_in_the_middle);
        tcase_add_test(tc, test_many);
        tcase_add_test(tc, test_client_goes_away);
        tcase_add_test(tc, test_daemon_stops);
        tcase_add_test(tc, test_daemon_stops_before_it_looks);
        tcase_add_test(tc, test_no_answer);
        tcase_add_test(tc, test_nobody_there);
        tcase_add_test(tc, test_mode);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
