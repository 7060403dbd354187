/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System-call filters: the compiled policy files, run by a small interpreter of classic BPF, give
 * the promised answer for each call; broken files are refused with their line.
 */
#include <check.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "daemon/monitor/filter.h"

#define X32 0x40000000
#define ALLOW SECCOMP_RET_ALLOW
#define KILL SECCOMP_RET_KILL_PROCESS
#define ERRNO(e) (SECCOMP_RET_ERRNO | (e))

static struct sock_filter program[4096];

static void load(const char *name)
{
        struct error error = {};
        char path[1024];
        int fd, r;

        (void) snprintf(path, sizeof(path), "%s/policy/seccomp/%s.seccomp", getenv("srcdir") ?: ".",
                name);
        r = filter_compile(path, &fd, &error);
        ck_assert_msg(r == 0, "%s", error.text);
        ck_assert_int_gt(pread(fd, program, sizeof(program), 0), 0);
        (void) close(fd);
}

static bool jump(uint16_t code, uint32_t a, uint32_t k)
{
        switch (BPF_OP(code)) {
        case BPF_JEQ:
                return a == k;
        case BPF_JGT:
                return a > k;
        case BPF_JGE:
                return a >= k;
        case BPF_JSET:
                return a & k;
        default:
                ck_abort_msg("unknown jump");
        }
}

/* What the kernel would answer. */
static uint32_t run(const struct seccomp_data *data)
{
        uint32_t a = 0;

        for (const struct sock_filter *f = program;; f++) {
                switch (BPF_CLASS(f->code)) {
                case BPF_LD:
                        memcpy(&a, (const char *) data + f->k, sizeof(a));
                        break;
                case BPF_ALU:
                        ck_assert_int_eq(BPF_OP(f->code), BPF_AND);
                        a &= f->k;
                        break;
                case BPF_JMP:
                        if (BPF_OP(f->code) == BPF_JA)
                                f += f->k;
                        else
                                f += jump(f->code, a, f->k) ? f->jt : f->jf;
                        break;
                case BPF_RET:
                        return f->k;
                default:
                        ck_abort_msg("unknown instruction");
                }
        }
}

#define HIGH_BIT (UINT64_C(1) << 40)

static const struct {
        const char *filter;
        int call;
        unsigned arg;
        uint64_t value;
        uint32_t answer;
} table[] = {
        { "default", SYS_read, 0, 0, ALLOW },
        { "default", SYS_execve, 0, 0, ALLOW },
        { "default", SYS_clone, 0, CLONE_VM | CLONE_THREAD, ALLOW },
        { "default", SYS_clone, 0, CLONE_NEWUSER, ERRNO(EPERM) },
        { "default", SYS_clone, 0, CLONE_NEWNS | CLONE_NEWPID, ERRNO(EPERM) },
        { "default", SYS_clone, 0, CLONE_NEWCGROUP | HIGH_BIT, ERRNO(EPERM) },
        { "default", SYS_clone3, 0, 0, ERRNO(ENOSYS) },
        { "default", SYS_unshare, 0, 0, ERRNO(EPERM) },
        { "default", SYS_setns, 0, 0, ERRNO(EPERM) },
        { "default", SYS_mount, 0, 0, ERRNO(EPERM) },
        { "default", SYS_ptrace, 0, 0, ERRNO(EPERM) },
        { "default", SYS_bpf, 0, 0, ERRNO(EPERM) },
        { "default", SYS_keyctl, 0, 0, ERRNO(EPERM) },
        { "default", SYS_io_uring_setup, 0, 0, ERRNO(EPERM) },
        { "default", SYS_sync, 0, 0, ERRNO(EPERM) },
        { "default", 9999, 0, 0, ERRNO(ENOSYS) },
        { "default", SYS_ioctl, 1, 0x5401, ALLOW },        /* TCGETS */
        { "default", SYS_ioctl, 1, 0x5412, ERRNO(EPERM) }, /* TIOCSTI */
        { "default", SYS_ioctl, 1, 0x5412 | HIGH_BIT, ERRNO(EPERM) },
        { "default", SYS_ioctl, 1, 0x541c | HIGH_BIT, ERRNO(EPERM) }, /* TIOCLINUX */
        { "default", SYS_ioctl, 1, 0x5423, ERRNO(EPERM) },            /* TIOCSETD */
        { "default", SYS_ioctl, 1, 0xdead, ERRNO(ENOSYS) },
        { "default", SYS_socket, 0, 1, ALLOW },
        { "default", SYS_socket, 0, 2, ALLOW },
        { "default", SYS_socket, 0, 10, ALLOW },
        { "default", SYS_socket, 0, 16, ERRNO(EPERM) }, /* AF_NETLINK */
        { "default", SYS_socket, 0, 40, ERRNO(EPERM) }, /* AF_VSOCK */
        { "default", SYS_mmap, 3, 0x22, ALLOW },
        { "default", SYS_mmap, 3, 0x22 | 0x40000, ERRNO(EPERM) }, /* MAP_HUGETLB */
        { "default", SYS_memfd_create, 1, 4, ERRNO(EPERM) },      /* MFD_HUGETLB */
        { "default", SYS_fcntl, 1, 3, ALLOW },                    /* F_GETFL */
        { "default", SYS_fcntl, 1, 1030, ALLOW },                 /* F_DUPFD_CLOEXEC */
        { "default", SYS_fcntl, 1, 1033, ALLOW },                 /* F_ADD_SEALS */
        { "default", SYS_fcntl, 1, 1031, ERRNO(EPERM) },          /* F_SETPIPE_SZ */
        { "default", SYS_fadvise64, 3, 4, ERRNO(EPERM) },
        { "default", SYS_prctl, 0, 15, ALLOW },        /* PR_SET_NAME */
        { "default", SYS_prctl, 0, 23, ALLOW },        /* PR_CAPBSET_READ */
        { "default", SYS_prctl, 0, 38, ALLOW },        /* PR_SET_NO_NEW_PRIVS */
        { "default", SYS_prctl, 0, 22, ERRNO(EPERM) }, /* PR_SET_SECCOMP */
        { "default", SYS_seccomp, 0, 1, ERRNO(EPERM) },
        { "default", SYS_setsockopt, 1, 6, ALLOW }, /* IPPROTO_TCP */
        { "default", SYS_personality, 0, 0, ALLOW },
        { "default", SYS_personality, 0, 0xffffffff, ALLOW },
        { "default", SYS_personality, 0, 0x400000, ERRNO(EPERM) }, /* READ_IMPLIES_EXEC */
        { "default", SYS_mknod, 1, S_IFIFO | 0600, ALLOW },
        { "default", SYS_mknod, 1, S_IFSOCK | 0600, ALLOW },
        { "default", SYS_mknod, 1, S_IFCHR | 0600, ERRNO(EPERM) },
        { "default", SYS_mknodat, 2, S_IFBLK | 0600, ERRNO(EPERM) },
        { "strict", SYS_read, 0, 0, ALLOW },
        { "strict", SYS_socket, 0, 1, ERRNO(EPERM) },
        { "strict", SYS_socketpair, 0, 1, ALLOW },
        { "strict", SYS_connect, 0, 0, ERRNO(EPERM) },
        { "strict", SYS_unshare, 0, 0, ERRNO(EPERM) },
        { "frontend", SYS_recvmsg, 0, 0, ALLOW },
        { "frontend", SYS_ioctl, 1, 0x541b, ALLOW },        /* FIONREAD */
        { "frontend", SYS_ioctl, 1, 0x5412, ERRNO(EPERM) }, /* TIOCSTI */
        { "frontend", SYS_openat, 0, 0, ERRNO(EPERM) },
        { "frontend", SYS_execve, 0, 0, ERRNO(EPERM) },
        { "frontend", SYS_clone, 0, 0, ERRNO(EPERM) },
        { "frontend", SYS_ptrace, 0, 0, ERRNO(EPERM) },
};

static bool refused(uint32_t answer)
{
        return answer == ERRNO(EPERM) || answer == ERRNO(ENOSYS);
}

START_TEST(test_answers)
{
        struct seccomp_data data = { .nr = table[_i].call, .arch = AUDIT_ARCH_X86_64 };
        uint32_t answer;

        load(table[_i].filter);
        data.args[table[_i].arg] = table[_i].value;
        answer = run(&data);
        /* The frontend's list says nothing of how it refuses. */
        if (streq(table[_i].filter, "frontend") && refused(table[_i].answer))
                ck_assert_uint_ne(answer, ALLOW);
        else
                ck_assert_msg(answer == table[_i].answer, "row %d: 0x%x", _i, answer);
}
END_TEST

/* Calls that are told apart by two arguments. */
static const struct {
        int call;
        uint64_t args[3];
        uint32_t answer;
} pairs[] = {
        { SYS_socket, { 2, 1, 0 }, ALLOW }, { SYS_socket, { 2, 1, 6 }, ALLOW },
        { SYS_socket, { 10, 2, 17 }, ALLOW },
        { SYS_socket, { 2, 1, 132 }, ERRNO(ENOSYS) },   /* SCTP */
        { SYS_socket, { 2, 1, 262 }, ERRNO(ENOSYS) },   /* MPTCP */
        { SYS_setsockopt, { 3, 1, 2 }, ALLOW },         /* SO_REUSEADDR */
        { SYS_setsockopt, { 3, 1, 26 }, ERRNO(EPERM) }, /* SO_ATTACH_FILTER */
        { SYS_setsockopt, { 3, 1, 51 }, ERRNO(EPERM) },
        { SYS_setsockopt, { 3, 41, 26 }, ALLOW }, /* IPV6_V6ONLY */
};

START_TEST(test_pairs)
{
        struct seccomp_data data = { .nr = pairs[_i].call, .arch = AUDIT_ARCH_X86_64 };
        uint32_t answer;

        load("default");
        for (size_t i = 0; i < ELEMENTSOF(pairs[_i].args); i++)
                data.args[i] = pairs[_i].args[i];
        answer = run(&data);
        ck_assert_msg(answer == pairs[_i].answer, "row %d: 0x%x", _i, answer);
}
END_TEST

START_TEST(test_foreign_abis_are_killed)
{
        static const char *const names[] = { "default", "strict", "frontend" };
        struct seccomp_data i386 = { .nr = 20, .arch = AUDIT_ARCH_I386 };
        struct seccomp_data x32 = { .nr = X32 | 39, .arch = AUDIT_ARCH_X86_64 };

        load(names[_i]);
        ck_assert_uint_eq(run(&i386), KILL);
        ck_assert_uint_eq(run(&x32), KILL);
}
END_TEST

static const struct {
        const char *text;
        const char *said;
} broken[] = {
        { "read\n", ":1: 'read' stands before [allow]" },
        { "[allow]\nreed\n", ":2: 'reed' is no system call" },
        { "[alow]\n", ":1: '[alow]' is neither" },
        { "[allow]\nioctl arg9 in 1\n", ":2: 'arg9' is not arg0" },
        { "[allow]\nioctl arg1 like 1\n", ":2: 'like' is not one of" },
        { "[allow]\nioctl arg1 in\n", ":2: 'in' needs a value" },
        { "[allow]\nioctl arg1 with 1 and arg2 in 1\n", ":2: 'and' may join" },
        { "[allow]\nioctl arg1 in 1/x\n", ":2: 'x' is not a mask" },
        { "[allow]\nioctl arg1 in 0x1ffffffff\n", ":2: '0x1ffffffff' is not a number" },
};

START_TEST(test_broken_files)
{
        char path[] = "/tmp/test-filter-XXXXXX";
        struct error error = {};
        int fd = mkstemp(path), filter;

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(write(fd, broken[_i].text, strlen(broken[_i].text)),
                (int) strlen(broken[_i].text));
        ck_assert_int_lt(filter_compile(path, &filter, &error), 0);
        ck_assert_msg(strstr(error.text, broken[_i].said) != NULL, "%s", error.text);
        ck_assert_ptr_nonnull(strstr(error.text, path));
        (void) close(fd);
        (void) unlink(path);
}
END_TEST

START_TEST(test_unknown_but_optional)
{
        char path[] = "/tmp/test-filter-XXXXXX";
        static const char text[] = "# text\n[allow]\n  ?no_such_call_yet  # why\nread\n";
        struct error error = {};
        int fd = mkstemp(path), filter = -EBADF;

        ck_assert_int_ge(fd, 0);
        ck_assert_int_gt(write(fd, text, strlen(text)), 0);
        ck_assert_int_eq(filter_compile(path, &filter, &error), 0);
        (void) close(filter);
        (void) close(fd);
        (void) unlink(path);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("filter");
        TCase *tc = tcase_create("filter");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_loop_test(tc, test_answers, 0, ELEMENTSOF(table));
        tcase_add_loop_test(tc, test_pairs, 0, ELEMENTSOF(pairs));
        tcase_add_loop_test(tc, test_foreign_abis_are_killed, 0, 3);
        tcase_add_loop_test(tc, test_broken_files, 0, ELEMENTSOF(broken));
        tcase_add_test(tc, test_unknown_but_optional);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
