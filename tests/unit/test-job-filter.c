/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What init reads from a profile's filter: which calls it allows whatever their arguments are.
 */
#include <check.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "common/io.h"
#include "daemon/init/init.h"
#include "daemon/monitor/filter.h"

static struct init init;

static void load_file(const char *path)
{
        struct error error = {};
        ssize_t n;
        int fd, r;

        r = filter_compile(path, &fd, &error);
        ck_assert_msg(r == 0, "%s", error.text);
        n = pread(fd, init.filter, sizeof(init.filter), 0);
        ck_assert_int_gt(n, 0);
        init.filter_size = (unsigned short) ((size_t) n / sizeof(init.filter[0]));
        (void) close(fd);
}

static void load_text(const char *text)
{
        char path[] = "/tmp/sandboxd-test-XXXXXX";
        int fd = mkstemp(path);

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(io_write_full(fd, text, strlen(text)), 0);
        (void) close(fd);
        load_file(path);
        (void) unlink(path);
}

static bool allows(long call)
{
        return job_filter_allows(init.filter, init.filter_size, call);
}

START_TEST(test_policy)
{
        static const char *const names[] = { "default", "strict" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[1024];

                (void) snprintf(path, sizeof(path), "%s/policy/seccomp/%s.seccomp",
                        getenv("srcdir") ?: ".", names[i]);
                load_file(path);
                ck_assert(job_filter_lets_wait(&init));
                ck_assert(allows(SYS_read));
                ck_assert(allows(SYS_execve));
                ck_assert(!allows(SYS_mount));  /* is not in it, or denied */
                ck_assert(!allows(SYS_ioctl));  /* the arguments have a say */
                ck_assert(!allows(SYS_clone3)); /* ENOSYS */
        }
}
END_TEST

START_TEST(test_each_kind_of_line)
{
        load_text(
                "[allow]\nread\nrecvmsg\nioctl arg1 in 1 2\nfcntl arg1 without 4\n[deny]\nmount\n");
        ck_assert(allows(SYS_read));
        ck_assert(allows(SYS_recvmsg));
        ck_assert(!allows(SYS_ioctl));
        ck_assert(!allows(SYS_fcntl));
        ck_assert(!allows(SYS_mount));
        ck_assert(!allows(SYS_write));
        ck_assert(!job_filter_lets_wait(&init));
}
END_TEST

/* Of all that it takes to wait, each is needed. */
START_TEST(test_what_waiting_takes)
{
        static const char *const calls[] = {
                "recvmsg",
                "sendmsg",
                "close_range",
                "openat",
                "dup3",
                "prlimit64",
                "pwrite64",
                "ftruncate",
#ifdef SYS_open
                "open",
#endif
#ifdef SYS_dup2
                "dup2",
#endif
        };

        for (size_t missing = 0; missing <= ELEMENTSOF(calls); missing++) {
                char text[256] = "[allow]\n";

                for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                        if (i != missing)
                                (void) snprintf(text + strlen(text), sizeof(text) - strlen(text),
                                        "%s\n", calls[i]);
                load_text(text);
                ck_assert_int_eq(job_filter_lets_wait(&init), missing == ELEMENTSOF(calls));
        }
}
END_TEST

/* What it does not know it takes for a no: none of these is followed to the end. */
START_TEST(test_other_programs)
{
        static const struct sock_filter arithmetic[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        static const struct sock_filter arguments[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
                BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        static const struct sock_filter beyond[] = {
                BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX - 1),
        };

        ck_assert(!job_filter_allows(arithmetic, ELEMENTSOF(arithmetic), SYS_read));
        ck_assert(!job_filter_allows(arguments, ELEMENTSOF(arguments), SYS_read));
        ck_assert(!job_filter_allows(beyond, ELEMENTSOF(beyond), SYS_read));
        ck_assert(!job_filter_allows(NULL, 0, SYS_read));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("job-filter");
        TCase *tc = tcase_create("job-filter");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_policy);
        tcase_add_test(tc, test_each_kind_of_line);
        tcase_add_test(tc, test_what_waiting_takes);
        tcase_add_test(tc, test_other_programs);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
