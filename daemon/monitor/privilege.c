/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's capabilities, and how a child sheds them. Runs in the monitor and in its children
 * before exec.
 */
#include "daemon/monitor/privilege.h"

#include <grp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const cap_value_t needed[] = {
        CAP_SYS_ADMIN,  /* namespaces, mounts */
        CAP_SETUID,     /* uid maps; the frontend's user */
        CAP_SETGID,     /* gid maps; the frontend's group */
        CAP_SETPCAP,    /* emptying the frontend's bounding set */
        CAP_KILL,       /* init, where there is no cgroup.kill */
        CAP_SYS_CHROOT, /* entering the template's mount namespace */
        CAP_MKNOD,      /* the template's device nodes */
};

/* The top directories of v1 hierarchies are mode 0555: making and removing our tree in them takes
 * this, and nothing else does. Kept permitted, not effective, and out of the bounding set, so that
 * no program we start has it. A service has directories of its own and does without. */
static const cap_value_t kept_aside = CAP_DAC_OVERRIDE;

/* Open files: each live sandbox takes some. Tried in turn, since fs.nr_open bounds what can be had;
 * whether it is enough for MaxJobs= is checked when that is known. */
static const rlim_t open_files_wanted[] = { 1048576, 524288, 262144, 131072, 65536 };

static void free_caps(cap_t *c)
{
        if (*c)
                (void) cap_free(*c);
}

static bool is_needed(cap_value_t cap)
{
        for (size_t i = 0; i < ELEMENTSOF(needed); i++)
                if (needed[i] == cap)
                        return true;
        return false;
}

static int drop_bounding_set(bool keep_needed)
{
        for (cap_value_t cap = 0; CAP_IS_SUPPORTED(cap); cap++) {
                if (keep_needed && is_needed(cap))
                        continue;
                if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
                        return -errno;
        }
        return 0;
}

static bool is_permitted(cap_t caps, cap_value_t cap)
{
        cap_flag_value_t value = CAP_CLEAR;

        return cap_get_flag(caps, cap, CAP_PERMITTED, &value) == 0 && value == CAP_SET;
}

static int set_capabilities(bool keep_needed)
{
        _cleanup_(free_caps) cap_t caps = cap_init(), had = cap_get_proc();
        cap_flag_value_t aside;

        if (!caps || !had)
                return -ENOMEM;
        aside = is_permitted(had, kept_aside) ? CAP_SET : CAP_CLEAR;
        if (keep_needed &&
                (cap_set_flag(caps, CAP_PERMITTED, ELEMENTSOF(needed), needed, CAP_SET) < 0 ||
                        cap_set_flag(caps, CAP_PERMITTED, 1, &kept_aside, aside) < 0 ||
                        cap_set_flag(caps, CAP_EFFECTIVE, ELEMENTSOF(needed), needed, CAP_SET) < 0))
                return -errno;
        return cap_set_proc(caps) < 0 ? -errno : 0;
}

int privilege_override_modes(bool on)
{
        _cleanup_(free_caps) cap_t caps = cap_get_proc();

        if (!caps)
                return -ENOMEM;
        if (!is_permitted(caps, kept_aside))
                return 0;
        if (cap_set_flag(caps, CAP_EFFECTIVE, 1, &kept_aside, on ? CAP_SET : CAP_CLEAR) < 0)
                return -errno;
        return cap_set_proc(caps) < 0 ? -errno : 0;
}

static int check_capabilities(struct error *ret_error)
{
        _cleanup_(free_caps) cap_t caps = cap_get_proc();

        if (!caps)
                return error_set(ret_error, -ENOMEM, "out of memory");
        for (size_t i = 0; i < ELEMENTSOF(needed); i++) {
                cap_flag_value_t value = CAP_CLEAR;
                char *name;

                if (cap_get_flag(caps, needed[i], CAP_EFFECTIVE, &value) == 0 && value == CAP_SET)
                        continue;
                name = cap_to_name(needed[i]);
                (void) error_set(ret_error, -EPERM,
                        "sandboxd lacks the capability %s: run it as root, outside a container",
                        name ?: "?");
                (void) cap_free(name);
                return -EPERM;
        }
        return 0;
}

static int set_rlimits(struct error *ret_error)
{
        /* What jobs need to be able to have; why it is 1 is said in daemon/init/payload.c. */
        struct rlimit limit = { .rlim_cur = 1, .rlim_max = 1 };

        if (setrlimit(RLIMIT_CORE, &limit) < 0)
                return error_set(ret_error, -errno,
                        "the hard limit of core files is 0, under which a piped core_pattern would "
                        "run for jobs: start sandboxd with a higher one (ulimit -Hc)");

        for (size_t i = 0; i < ELEMENTSOF(open_files_wanted); i++) {
                limit.rlim_cur = limit.rlim_max = open_files_wanted[i];
                if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
                        return 0;
        }
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
                limit.rlim_cur = limit.rlim_max;
                (void) setrlimit(RLIMIT_NOFILE, &limit);
        }
        return 0;
}

int privilege_bound(struct error *ret_error)
{
        int r;

        if (geteuid() != 0)
                return error_set(ret_error, -EPERM,
                        "sandboxd must be started as root: it makes namespaces and cgroups, and "
                        "drops every other right itself");
        r = check_capabilities(ret_error);
        if (r < 0)
                return r;
        r = set_rlimits(ret_error);
        if (r < 0)
                return r;
        r = drop_bounding_set(true);
        if (r == 0)
                r = set_capabilities(true);
        if (r < 0)
                return error_set(ret_error, r, "capabilities cannot be dropped (%s)", strerror(-r));
        return 0;
}

int privilege_drop_all(uid_t uid, gid_t gid)
{
        int r;

        r = drop_bounding_set(false);
        if (r < 0)
                return r;
        /* Safe because it runs in a child whose next step is exec: the ids are those of the user
         * that the frontend runs as, and there is no way back. */
        if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
                return -errno;
        r = set_capabilities(false);
        if (r < 0)
                return r;
        return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}
