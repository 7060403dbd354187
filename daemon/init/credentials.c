/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How init and the payload's process give up what they hold. Runs in both, each with an id of its
 * own, so that the payload can neither signal, trace nor read init.
 */
#include "daemon/init/init.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* Every bit on and locked, but KEEP_CAPS, which is locked off. */
#define SECUREBITS                                                                                 \
        (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                           \
                SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |                          \
                SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

void drop_bounding_set(void)
{
        /* The loop ends at the first number that the running kernel does not know. */
        for (unsigned long cap = 0; cap < 64; cap++) {
                if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
                        continue;
                if (errno == EINVAL && cap > CAP_AUDIT_READ)
                        return;
                init_fail(SETUP_STEP_CREDENTIALS, -errno);
        }
}

static void drop_capabilities(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
                syscall(SYS_capset, &header, none) < 0)
                init_fail(SETUP_STEP_CREDENTIALS, -errno);
}

/* Init has its own id as the real and the saved one, and the payload's as the effective one. So it
 * may signal the payload and read its files, at any mode that their owner can read them at, without a
 * capability. The other way round kill(2) and prlimit(2) want the real or the saved id of their
 * target, ptrace(2) and all that asks as it does want all three, and /proc shows nothing of a process
 * that is not dumpable: none of them lets the payload at init. What goes by the effective id alone is
 * the scheduler: a job can make its own init nicer or bind it to a CPU, and so hear of its own end
 * later; the limits are kept by the monitor, which does not wait for init. */
void shed_privileges(uint32_t id, uint32_t effective)
{
        if (prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0) < 0)
                init_fail(SETUP_STEP_CREDENTIALS, -errno);
        /* Safe because the ids are the two that are mapped here, and no other sandbox has them. Raw
         * calls: this program has one thread. */
        if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, id, effective, id) < 0 ||
                syscall(SYS_setresuid, id, effective, id) < 0)
                init_fail(SETUP_STEP_CREDENTIALS, -errno);
        drop_capabilities();
        /* The change of ids resets dumpable to the host's fs.suid_dumpable. */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                init_fail(SETUP_STEP_CREDENTIALS, -errno);
}

void load_job_filter(struct init *i)
{
        struct sock_fprog program = { .len = i->filter_size, .filter = i->filter };

        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
                init_fail(SETUP_STEP_SECCOMP, -errno);
}
