// SPDX-License-Identifier: Apache-2.0
/*
 * Installs a filter that allows everything on top of the sandbox's own, then tries what was refused
 * before: prints "name ERRNO" for each.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void report(const char *name, long result)
{
        printf("%s %s\n", name, result < 0 ? strerrorname_np(errno) : "PASSED");
}

int main(void)
{
        struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
        struct sock_fprog program = { 1, allow };

        report("install", syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program));
        report("unshare", syscall(SYS_unshare, CLONE_NEWUSER));
        report("keyctl", syscall(SYS_keyctl, 0, -3, 1));
        report("io_uring_setup", syscall(SYS_io_uring_setup, 1, 1));
        report("bpf", syscall(SYS_bpf, 0, 1, 64));
        report("new-privileges", prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
        report("securebits", prctl(PR_SET_SECUREBITS, 0, 0, 0, 0));
        report("ambient", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0));
        report("setuid", syscall(SYS_setuid, 0));
        report("setuid-init", syscall(SYS_setuid, 1));
        report("setgid", syscall(SYS_setgid, 0));
        return 0;
}
