/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sandboxctl says when nobody answers, on hosts that are folders with the files that matter.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/ctl/reach.h"

static char root[64];
static int root_fd = -EBADF;
static struct error error;

static const char *const folders[] = { "etc", "etc/systemd", "etc/systemd/system",
        "etc/systemd/system/sockets.target.wants", "run", "run/systemd", "run/systemd/system" };
static const char enabled[] = "etc/systemd/system/sockets.target.wants/sandboxd.socket";

static void setup(void)
{
        (void) snprintf(root, sizeof(root), "%s", "/tmp/test-ctl-reach-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(root));
        root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(root_fd, 0);
        for (size_t i = 0; i < ELEMENTSOF(folders) - 1; i++)
                ck_assert_int_eq(mkdirat(root_fd, folders[i], 0755), 0);
}

static void teardown(void)
{
        (void) unlinkat(root_fd, enabled, 0);
        for (size_t i = ELEMENTSOF(folders); i-- > 0;)
                (void) unlinkat(root_fd, folders[i], AT_REMOVEDIR);
        root_fd = safe_close(root_fd);
        ck_assert_int_eq(rmdir(root), 0);
}

static void boot_systemd(void)
{
        ck_assert_int_eq(mkdirat(root_fd, "run/systemd/system", 0755), 0);
}

/* The sentence has all of it, and what doctor advises is the command in it. */
static void expect(const char *path, int code, const char *command)
{
        char buf[REACH_COMMAND_MAX], quoted[REACH_COMMAND_MAX + 2];

        ck_assert_int_eq(reach_explain(root_fd, path, code, &error), code);
        ck_assert_ptr_nonnull(strstr(error.text, path));
        (void) snprintf(quoted, sizeof(quoted), "'%s'", command);
        ck_assert_msg(strstr(error.text, quoted), "no %s in: %s", quoted, error.text);
        ck_assert_str_eq(reach_command(root_fd, path, buf), command);
}

static void expect_words(int code, const char *words)
{
        ck_assert_int_eq(reach_explain(root_fd, REACH_SOCKET, code, &error), code);
        ck_assert_msg(strstr(error.text, words), "no '%s' in: %s", words, error.text);
}

START_TEST(test_without_systemd)
{
        expect(REACH_SOCKET, -ENOENT, "sudo sandboxd --standalone");
        expect(REACH_SOCKET, -ECONNREFUSED, "sudo sandboxd --standalone");
}
END_TEST

START_TEST(test_with_systemd)
{
        boot_systemd();
        /* Whether its file was removed or it was never there cannot be seen from here. */
        expect(REACH_SOCKET, -ENOENT, "sudo systemctl enable --now sandboxd.socket");
        /* The file is there: nobody listens. */
        expect(REACH_SOCKET, -ECONNREFUSED, "sudo systemctl enable --now sandboxd.socket");
}
END_TEST

/* Also where the file of an active socket unit was removed and no daemon runs. */
START_TEST(test_enabled)
{
        boot_systemd();
        /* To a file of the host, which is not below this root. */
        ck_assert_int_eq(symlinkat("/lib/systemd/system/none.socket", root_fd, enabled), 0);
        expect(REACH_SOCKET, -ENOENT, "sudo systemctl restart sandboxd.socket");
        ck_assert_ptr_null(strstr(error.text, "enable"));
        expect(REACH_SOCKET, -ECONNREFUSED, "sudo systemctl restart sandboxd.socket");
}
END_TEST

START_TEST(test_another_socket)
{
        boot_systemd();
        expect("/tmp/x.sock", -ENOENT, "sudo sandboxd --standalone --socket /tmp/x.sock");
        ck_assert_ptr_nonnull(strstr(error.text, "SANDBOXD_SOCKET"));
}
END_TEST

START_TEST(test_other_reasons)
{
        expect_words(-EACCES, "ask its administrator");
        ck_assert_ptr_null(strstr(error.text, "SocketMode="));
        boot_systemd();
        expect_words(-EACCES, "SocketMode=");
        expect_words(-ENOTSOCK, "not the socket of sandboxd");
        expect_words(-EPROTOTYPE, "not the socket of sandboxd");
        expect_words(-ENAMETOOLONG, "107");
        expect_words(-EMFILE, strerror(EMFILE));
        /* Without a root directory to look at there is a sentence all the same. */
        ck_assert_int_eq(reach_explain(-EBADF, REACH_SOCKET, -ENOENT, &error), -ENOENT);
        ck_assert_ptr_nonnull(strstr(error.text, REACH_SOCKET));
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ctl-reach");
        TCase *t = tcase_create("ctl-reach");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_without_systemd);
        tcase_add_test(t, test_with_systemd);
        tcase_add_test(t, test_enabled);
        tcase_add_test(t, test_another_socket);
        tcase_add_test(t, test_other_reasons);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
