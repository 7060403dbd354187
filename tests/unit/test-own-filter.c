/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init's own system-call filter: what is not in it fails, and how.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "daemon/init/init.h"

#define CALLS_MAX 1024 /* more than any kernel has */
#define WRONG (-1L)    /* no call takes this for all of its arguments, but those that take none */

/* All that init may call, whatever the arguments are. */
static const long allowed[] = {
        SYS_read,
        SYS_write,
        SYS_pread64,
        SYS_close,
        SYS_fcntl,
        SYS_fstat,
        SYS_newfstatat,
        SYS_getdents64,
        SYS_waitid,
        SYS_kill,
        SYS_ppoll,
#ifdef SYS_poll
        SYS_poll,
#endif
        SYS_sendmsg,
        SYS_recvmsg,
        SYS_clock_gettime,
        SYS_restart_syscall,
        SYS_exit_group,
        SYS_brk,
        SYS_munmap,
        SYS_mremap,
        SYS_madvise,
        SYS_getrandom,
        SYS_sysinfo,
};

/* Those that some arguments are refused of. */
static const long bounded[] = {
        SYS_openat,
#ifdef SYS_open
        SYS_open,
#endif
        SYS_mmap,
        SYS_mprotect,
};

static bool is_among(long call, const long *list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (list[i] == call)
                        return true;
        return false;
}

/* Not in the list. Two of x86-64 are for the code that uprobes put into a program, and no filter is asked about them:
 * uretprobe and uprobe. From elsewhere they end in SIGILL. */
static bool is_filtered(long call)
{
#ifdef __x86_64__
        if (call == 335 || call == 336)
                return false;
#endif
        return !is_among(call, allowed, ELEMENTSOF(allowed));
}

static int expected(long call)
{
        return is_among(call, bounded, ELEMENTSOF(bounded)) ? EPERM : ENOSYS;
}

static void confine(void)
{
        ck_assert_int_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        ck_assert_int_eq(own_filter_load(), 0);
}

/* The errno of a call under the filter, 0 if it succeeded. */
static int attempt(long call, long a, long b, long c, long d)
{
        return syscall(call, a, b, c, d, WRONG, 0L) == -1 ? errno : 0;
}

/* Nothing that this process has to do at its end, nor what a sanitizer does before a call that does not return:
 * the filter allows no more than this. */
static void leave(int status)
{
        (void) syscall(SYS_exit_group, status);
}

static int status_of(pid_t pid)
{
        int status;

        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        return status;
}

START_TEST(test_every_call)
{
        int *errors = mmap(NULL, CALLS_MAX * sizeof(int), PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        pid_t pid = fork();

        if (pid == 0) {
                confine();
                for (long call = 0; call < CALLS_MAX; call++)
                        if (is_filtered(call))
                                errors[call] = attempt(call, WRONG, WRONG, WRONG, WRONG);
                leave(0);
        }
        ck_assert_int_eq(status_of(pid), 0);
        for (long call = 0; call < CALLS_MAX; call++)
                if (is_filtered(call))
                        ck_assert_msg(errors[call] == expected(call), "call %ld: errno %d", call,
                                errors[call]);
        (void) munmap(errors, CALLS_MAX * sizeof(int));
}
END_TEST

/* They get to the kernel, which finds their arguments wrong, if any. */
START_TEST(test_allowed_calls)
{
        pid_t pid = fork();

        if (pid == 0) {
                confine();
                for (size_t i = 0; i < ELEMENTSOF(allowed); i++)
                        if (allowed[i] != SYS_exit_group &&
                                attempt(allowed[i], WRONG, WRONG, WRONG, WRONG) == ENOSYS)
                                leave((int) i + 1);
                leave(0);
        }
        ck_assert_int_eq(status_of(pid), 0);
}
END_TEST

/* A file is opened for reading, and memory is never code. */
START_TEST(test_arguments)
{
        static const struct {
                long call;
                long arguments[4];
                int error;
        } table[] = {
                { SYS_openat, { AT_FDCWD, (long) "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC }, 0 },
                { SYS_openat, { AT_FDCWD, (long) "/", O_PATH | O_NOFOLLOW }, 0 },
                { SYS_openat, { AT_FDCWD, (long) "/dev/null", O_NONBLOCK | O_NOCTTY }, 0 },
                { SYS_openat, { AT_FDCWD, (long) "/dev/null", O_WRONLY }, EPERM },
                { SYS_openat, { AT_FDCWD, (long) "/dev/null", O_RDWR }, EPERM },
                { SYS_openat, { AT_FDCWD, (long) "/dev/null", O_CREAT }, EPERM },
                { SYS_openat, { AT_FDCWD, (long) "/dev/null", O_TRUNC }, EPERM },
                { SYS_openat, { AT_FDCWD, (long) "/tmp", O_TMPFILE | O_RDWR, 0600 }, EPERM },
#ifdef SYS_open
                { SYS_open, { (long) "/dev/null", O_RDONLY }, 0 },
                { SYS_open, { (long) "/dev/null", O_RDWR }, EPERM },
                { SYS_open, { (long) "/dev/null", O_CREAT }, EPERM },
#endif
                { SYS_mmap, { 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS }, 0 },
                { SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS },
                        EPERM },
                { SYS_mprotect, { 0, 0, PROT_READ | PROT_WRITE }, 0 },
                { SYS_mprotect, { 0, 0, PROT_EXEC }, EPERM },
        };
        pid_t pid = fork();

        if (pid == 0) {
                confine();
                for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                        const long *a = table[i].arguments;

                        if (attempt(table[i].call, a[0], a[1], a[2], a[3]) != table[i].error)
                                leave((int) i + 1);
                }
                leave(0);
        }
        ck_assert_int_eq(status_of(pid), 0);
}
END_TEST

#ifdef __x86_64__

static void call_x32(void)
{
        (void) syscall(0x40000000L | SYS_getpid);
}

static void call_int80(void)
{
        long result = 20; /* getpid */

        __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
}

/* Which numbers mean what is another matter there. Some kernels take no int 0x80 from anybody. */
START_TEST(test_foreign_abis)
{
        static void (*const calls[])(void) = { call_x32, call_int80 };

        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                pid_t pid = fork();
                int status;

                if (pid == 0) {
                        confine();
                        calls[i]();
                        leave(0);
                }
                status = status_of(pid);
                ck_assert(WIFSIGNALED(status));
                ck_assert(WTERMSIG(status) == SIGSYS || (i == 1 && WTERMSIG(status) == SIGSEGV));
        }
}
END_TEST

#endif

int main(void)
{
        Suite *suite = suite_create("own-filter");
        TCase *tc = tcase_create("own-filter");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_every_call);
        tcase_add_test(tc, test_allowed_calls);
        tcase_add_test(tc, test_arguments);
#ifdef __x86_64__
        tcase_add_test(tc, test_foreign_abis);
#endif
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
