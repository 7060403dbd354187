// SPDX-License-Identifier: Apache-2.0
/*
 * Makes system calls that a job must not make, each with pointers that lead nowhere, and prints
 * "name ERRNO" for each. An errno that only the call itself gives (EFAULT, EBADF, EINVAL) shows that
 * the filter let it through.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BAD 1L /* no page is mapped there */
#define NOFD 9999L
#define HIGH (1L << 40)

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

struct call {
        const char *name;
        long number;
        long args[6];
};

static const struct call calls[] = {
        { "unshare-user", SYS_unshare, { CLONE_NEWUSER } },
        { "unshare-pid", SYS_unshare, { CLONE_NEWPID } },
        { "unshare-mnt", SYS_unshare, { CLONE_NEWNS } },
        { "unshare-net", SYS_unshare, { CLONE_NEWNET } },
        { "unshare-ipc", SYS_unshare, { CLONE_NEWIPC } },
        { "unshare-uts", SYS_unshare, { CLONE_NEWUTS } },
        { "unshare-cgroup", SYS_unshare, { CLONE_NEWCGROUP } },
        { "unshare-time", SYS_unshare, { CLONE_NEWTIME } },
        { "unshare-user-high", SYS_unshare, { CLONE_NEWUSER | HIGH } },
        { "clone-user", SYS_clone, { CLONE_NEWUSER | SIGCHLD } },
        { "clone-pid", SYS_clone, { CLONE_NEWPID | SIGCHLD } },
        { "clone-mnt", SYS_clone, { CLONE_NEWNS | SIGCHLD } },
        { "clone-net", SYS_clone, { CLONE_NEWNET | SIGCHLD } },
        { "clone-ipc", SYS_clone, { CLONE_NEWIPC | SIGCHLD } },
        { "clone-uts", SYS_clone, { CLONE_NEWUTS | SIGCHLD } },
        { "clone-cgroup", SYS_clone, { CLONE_NEWCGROUP | SIGCHLD } },
        { "clone-user-high", SYS_clone, { CLONE_NEWUSER | SIGCHLD | HIGH } },
        { "clone3", SYS_clone3, { BAD, 88 } },
        { "setns", SYS_setns, { NOFD, 0 } },
        { "mount", SYS_mount, { BAD, BAD, BAD, 0, BAD } },
        { "umount2", SYS_umount2, { BAD, 0 } },
        { "pivot_root", SYS_pivot_root, { BAD, BAD } },
        { "chroot", SYS_chroot, { BAD } },
        { "fsopen", SYS_fsopen, { BAD, 0 } },
        { "fsconfig", SYS_fsconfig, { NOFD, 0, BAD, BAD, 0 } },
        { "fsmount", SYS_fsmount, { NOFD, 0, 0 } },
        { "fspick", SYS_fspick, { NOFD, BAD, 0 } },
        { "open_tree", SYS_open_tree, { NOFD, BAD, 0 } },
        { "move_mount", SYS_move_mount, { NOFD, BAD, NOFD, BAD, 0 } },
        { "mount_setattr", SYS_mount_setattr, { NOFD, BAD, 0, BAD, 32 } },
        { "open_by_handle_at", SYS_open_by_handle_at, { NOFD, BAD, 0 } },
        { "swapon", SYS_swapon, { BAD, 0 } },
        { "quotactl", SYS_quotactl, { 0, BAD, 0, BAD } },
        { "ustat", SYS_ustat, { 0, BAD } },
        { "fanotify_init", SYS_fanotify_init, { 0, 0 } },
        { "io_uring_setup", SYS_io_uring_setup, { 1, BAD } },
        { "io_uring_enter", SYS_io_uring_enter, { NOFD, 1, 0, 0, BAD, 8 } },
        { "io_uring_register", SYS_io_uring_register, { NOFD, 0, BAD, 1 } },
        { "io_setup", SYS_io_setup, { 1, BAD } },
        { "keyctl", SYS_keyctl, { 0, -3, 1 } },
        { "add_key", SYS_add_key, { BAD, BAD, BAD, 1, -3 } },
        { "request_key", SYS_request_key, { BAD, BAD, BAD, -3 } },
        { "bpf", SYS_bpf, { 0, BAD, 64 } },
        { "perf_event_open", SYS_perf_event_open, { BAD, 0, -1, -1, 0 } },
        { "userfaultfd", SYS_userfaultfd, { 0 } },
        { "memfd_secret", 447, { 0 } },
        { "ptrace-traceme", SYS_ptrace, { 0, 0, 0, 0 } },
        { "ptrace-attach", SYS_ptrace, { 16, 1, 0, 0 } },
        { "ptrace-seize", SYS_ptrace, { 0x4206, 1, 0, 0 } },
        { "process_vm_readv", SYS_process_vm_readv, { 1, BAD, 1, BAD, 1, 0 } },
        { "process_vm_writev", SYS_process_vm_writev, { 1, BAD, 1, BAD, 1, 0 } },
        { "pidfd_getfd", SYS_pidfd_getfd, { NOFD, 0, 0 } },
        { "kcmp", SYS_kcmp, { 1, 1, 0, 0, 0 } },
        { "process_madvise", SYS_process_madvise, { NOFD, BAD, 1, 4, 0 } },
        { "move_pages", SYS_move_pages, { 1, 1, BAD, BAD, BAD, 0 } },
        { "migrate_pages", SYS_migrate_pages, { 1, 1, BAD, BAD } },
        { "ioctl-TIOCSTI", SYS_ioctl, { 0, 0x5412, BAD } },
        { "ioctl-TIOCLINUX", SYS_ioctl, { 0, 0x541c, BAD } },
        { "ioctl-TIOCSETD", SYS_ioctl, { 0, 0x5423, BAD } },
        { "ioctl-TIOCSTI-high", SYS_ioctl, { 0, 0x5412 | HIGH, BAD } },
        { "ioctl-TIOCLINUX-high", SYS_ioctl, { 0, 0x541c | HIGH, BAD } },
        { "ioctl-TIOCSETD-high", SYS_ioctl, { 0, 0x5423 | HIGH, BAD } },
        { "personality-READ_IMPLIES_EXEC", SYS_personality, { 0x400000 } },
        { "personality-READ_IMPLIES_EXEC-high", SYS_personality, { 0x400000 | HIGH } },
        { "personality-with-others", SYS_personality, { 0x440000 } },
        { "init_module", SYS_init_module, { BAD, 1, BAD } },
        { "finit_module", SYS_finit_module, { NOFD, BAD, 0 } },
        { "delete_module", SYS_delete_module, { BAD, 0 } },
        { "kexec_load", SYS_kexec_load, { 0, 1, BAD, 0 } },
        { "reboot", SYS_reboot, { 0xfee1dead, 672274793, 0x89abcdef, BAD } },
        { "syslog", SYS_syslog, { 3, BAD, 16 } },
        { "acct", SYS_acct, { BAD } },
        { "vhangup", SYS_vhangup, { 0 } },
        { "iopl", SYS_iopl, { 3 } },
        { "ioperm", SYS_ioperm, { 0, 1, 1 } },
        { "modify_ldt", SYS_modify_ldt, { 1, BAD, 16 } },
        { "vmsplice", SYS_vmsplice, { NOFD, BAD, 1, 0 } },
        { "settimeofday", SYS_settimeofday, { BAD, BAD } },
        { "clock_settime", SYS_clock_settime, { 0, BAD } },
        { "clock_adjtime", SYS_clock_adjtime, { 0, BAD } },
        { "adjtimex", SYS_adjtimex, { BAD } },
        { "sethostname", SYS_sethostname, { BAD, 1 } },
        { "setdomainname", SYS_setdomainname, { BAD, 1 } },
        { "mknod-char", SYS_mknod, { BAD, 0020666, 0x101 } },
        { "mknod-block", SYS_mknod, { BAD, 0060666, 0x800 } },
        { "mknodat-char", SYS_mknodat, { AT_FDCWD, BAD, 0020666, 0x101 } },
        { "mknodat-char-high", SYS_mknodat, { AT_FDCWD, BAD, 0020666 | HIGH, 0x101 } },
        { "unknown", 5000, { BAD, BAD, BAD, BAD, BAD, BAD } },
};

int main(void)
{
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
                const struct call *c = &calls[i];
                const long *a = c->args;
                long result = syscall(c->number, a[0], a[1], a[2], a[3], a[4], a[5]);
                int error = errno;

                if (result == 0 && c->number == SYS_clone)
                        _exit(0); /* the child of a clone that was let through */
                printf("%s %s\n", c->name, result == -1 ? strerrorname_np(error) : "PASSED");
                fflush(stdout);
        }
        return 0;
}
