/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init's own system-call filter: what it takes to reap, to heed the monitor, and to hand files over, and
 * nothing else. It needs nothing of the profile's, and allows less than any that programs run under. Loaded by
 * init as the last thing that it gives up; owns nothing.
 */
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "daemon/init/init.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 1), RETURN(SECCOMP_RET_ALLOW)
/* None of these bits may be in that argument. All that are asked for are in its lower half, which comes
 * first on every architecture of INIT_ARCHITECTURE. */
#define ALLOW_WITHOUT(call, argument, bits)                                                        \
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (call), 0, 4), LOAD(args[argument]),                   \
                BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, (bits), 1, 0), RETURN(SECCOMP_RET_ALLOW),     \
                RETURN(SECCOMP_RET_ERRNO | EPERM)

/* Nothing is opened that could be written to, or made by that. */
#define WRITES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

#ifdef __x86_64__
#define X32_BIT 0x40000000U /* __X32_SYSCALL_BIT, which is not unsigned everywhere */
#endif

/* In the order of how often they are called. What libc calls by another name, or on its own, is here too,
 * for glibc and musl.
 *
 * An argument first, for nothing: the kernel tries a filter with every number when it loads it, so that it need
 * not run it for those that are always allowed, and gives up where it depends on more than the number. That
 * takes as long as all the rest of loading, and init does not live for that many calls. */
static const struct sock_filter filter[] = {
        LOAD(args[0]),
        LOAD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, INIT_ARCHITECTURE, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(nr),

        ALLOW(SYS_read),
        ALLOW(SYS_close),
        ALLOW(SYS_newfstatat),
        ALLOW_WITHOUT(SYS_openat, 2, WRITES),
        ALLOW(SYS_fstat),
        ALLOW(SYS_write),
        ALLOW(SYS_waitid),
#ifdef SYS_poll
        ALLOW(SYS_poll),
#endif
        ALLOW(SYS_ppoll),
        ALLOW(SYS_recvmsg),
        ALLOW(SYS_sendmsg),
        ALLOW(SYS_clock_gettime),
        ALLOW(SYS_exit_group),
        ALLOW(SYS_kill),
        ALLOW(SYS_pread64),
#ifdef SYS_open
        ALLOW_WITHOUT(SYS_open, 1, WRITES),
#endif
        ALLOW(SYS_getdents64),
        ALLOW(SYS_fcntl),
        ALLOW(SYS_restart_syscall),
        /* malloc(), and qsort() of glibc */
        ALLOW(SYS_brk),
        ALLOW_WITHOUT(SYS_mmap, 2, PROT_EXEC),
        ALLOW(SYS_munmap),
        ALLOW(SYS_mremap),
        ALLOW_WITHOUT(SYS_mprotect, 2, PROT_EXEC),
        ALLOW(SYS_madvise),
        ALLOW(SYS_getrandom),
        ALLOW(SYS_sysinfo),

#ifdef X32_BIT
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1),
        RETURN(SECCOMP_RET_KILL_PROCESS),
#endif
        RETURN(SECCOMP_RET_ERRNO | ENOSYS),
};

int own_filter_load(void)
{
        /* Safe because the kernel does not write to it. */
        const struct sock_fprog program = {
                .len = ELEMENTSOF(filter),
                .filter = (struct sock_filter *) filter,
        };

        return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
