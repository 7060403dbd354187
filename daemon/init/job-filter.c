/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile's system-call filter: what it says to a call is known before it is loaded, so that a process which
 * waits for its job is under it already where it can be. Runs in the process that becomes the payload; owns nothing.
 */
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "daemon/init/init.h"

/* What it takes from waiting to the job's first byte, as any libc calls it. */
static const long needed[] = {
        SYS_recvmsg,
        SYS_sendmsg,
        SYS_close_range,
        SYS_openat,
#ifdef SYS_open
        SYS_open,
#endif
#ifdef SYS_dup2
        SYS_dup2,
#endif
        SYS_dup3,
        SYS_prlimit64,
        SYS_pwrite64,
        SYS_ftruncate,
};

/* Only the call's number and the architecture are looked at, and only what libseccomp makes of them is known here:
 * false where its arguments have a say. */
bool job_filter_allows(const struct sock_filter *filter, size_t size, long call)
{
        uint32_t value = 0;

        for (size_t k = 0; k < size; k++) {
                const struct sock_filter *f = &filter[k];

                switch (f->code) {
                case BPF_LD | BPF_W | BPF_ABS:
                        if (f->k != offsetof(struct seccomp_data, nr) &&
                                f->k != offsetof(struct seccomp_data, arch))
                                return false;
                        value = f->k == offsetof(struct seccomp_data, nr) ? (uint32_t) call
                                                                          : INIT_ARCHITECTURE;
                        break;
                case BPF_JMP | BPF_JA:
                        k += f->k;
                        break;
                case BPF_JMP | BPF_JEQ | BPF_K:
                        k += value == f->k ? f->jt : f->jf;
                        break;
                case BPF_JMP | BPF_JGT | BPF_K:
                        k += value > f->k ? f->jt : f->jf;
                        break;
                case BPF_JMP | BPF_JGE | BPF_K:
                        k += value >= f->k ? f->jt : f->jf;
                        break;
                default:
                        return f->code == (BPF_RET | BPF_K) && f->k == SECCOMP_RET_ALLOW;
                }
        }
        return false;
}

bool job_filter_lets_wait(const struct init *i)
{
        for (size_t k = 0; k < ELEMENTSOF(needed); k++)
                if (!job_filter_allows(i->filter, i->filter_size, needed[k]))
                        return false;
        return true;
}
