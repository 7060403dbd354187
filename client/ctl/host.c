/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of the host for `sandboxctl doctor`. Runs in sandboxctl as any user, reads only, and only
 * beneath the root directory that it is given.
 */
#include "client/ctl/host.h"

#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "common/parse.h"

#define FILE_MAX (4 * MIB)

void host_init(struct host *h, int root_fd, const char *allowed_missing)
{
        _cleanup_free_ char *release = NULL;

        *h = (struct host) { .root_fd = root_fd, .allowed_missing = allowed_missing };
        release = host_read_line(h, "proc/sys/kernel/osrelease");
        if (release)
                (void) str_copy(h->release, sizeof(h->release), release);
}

char *host_read(const struct host *h, const char *path)
{
        char *text;

        return io_read_file(h->root_fd, path, FILE_MAX, &text, NULL) < 0 ? NULL : text;
}

char *host_read_line(const struct host *h, const char *path)
{
        char *text = host_read(h, path);

        if (text)
                text[strcspn(text, "\n")] = '\0';
        return text;
}

bool host_exists(const struct host *h, const char *path)
{
        struct stat st;

        return fstatat(h->root_fd, path, &st, 0) == 0;
}

bool host_has_word(const char *text, const char *word)
{
        static const char breaks[] = " ,\t\n";
        size_t n = strlen(word);

        for (const char *p = text; (p = strstr(p, word)); p += n)
                if ((p == text || strchr(breaks, p[-1])) && strchr(breaks, p[n]))
                        return true;
        return false;
}

static void check_kernel(const struct host *h, struct findings *f)
{
        unsigned major = 0, minor = 0;

        (void) sscanf(h->release, "%u.%u", &major, &minor);
        if (major < 5 || (major == 5 && minor < 12))
                findings_add(f, FINDING_MISSING, "kernel",
                        "sandboxes cannot be made: mount_setattr(2) is missing",
                        "run Linux 5.12 or newer", "%s", h->release);
        else if (major == 5 && minor < 14)
                findings_add(f, FINDING_WARNING, "kernel",
                        "no cgroup.kill: ending a sandbox "
                        "relies on its pid namespace alone",
                        "run Linux 5.14 or newer", "%s", h->release);
        else
                findings_add(f, FINDING_OK, "kernel", "", "", "%s", h->release);
}

/* SO_PASSRIGHTS, which a socket refuses fds with. */
static void check_fds(const struct host *h, struct findings *f)
{
        unsigned major = 0, minor = 0;

        (void) sscanf(h->release, "%u.%u", &major, &minor);
        if (major > 6 || (major == 6 && minor >= 16))
                findings_add(f, FINDING_OK, "client fds", "", "",
                        "the kernel refuses those that clients send");
        else
                findings_add(f, FINDING_WARNING, "client fds",
                        "a client that means harm can send a file whose last close waits, and hold "
                        "up sandboxd with it",
                        "run Linux 6.16 or newer, or let only trusted users connect: AllowGroups= "
                        "in "
                        "sandboxd.conf",
                        "the kernel cannot refuse those that clients send");
}

static void check_namespaces(const struct host *h, struct findings *f)
{
        static const char *const names[] = { "user", "pid", "mnt", "net", "ipc", "uts", "cgroup" };
        char absent[128] = "", forbidden[128] = "";

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char path[64], *to = NULL;
                _cleanup_free_ char *max = NULL;

                (void) snprintf(path, sizeof(path), "proc/self/ns/%s", names[i]);
                if (!host_exists(h, path))
                        to = absent;
                (void) snprintf(path, sizeof(path), "proc/sys/user/max_%s_namespaces", names[i]);
                max = host_read_line(h, path);
                if (!to && max && streq(max, "0"))
                        to = forbidden;
                if (to)
                        (void) snprintf(to + strlen(to), 128 - strlen(to), " %s", names[i]);
        }
        if (absent[0])
                findings_add(f, FINDING_MISSING, "namespaces", "no job can run",
                        "run a kernel built with these namespaces", "not in this kernel:%s",
                        absent);
        if (forbidden[0])
                findings_add(f, FINDING_MISSING, "namespaces", "no job can run",
                        "raise the sysctl user.max_*_namespaces of each above 0",
                        "forbidden by sysctl:%s", forbidden);
        if (!absent[0] && !forbidden[0])
                findings_add(f, FINDING_OK, "namespaces", "", "",
                        "user, pid, mount, net, ipc, uts, cgroup");
}

/* A file system can be a module that the first mount loads. */
static bool is_module(const struct host *h, const char *name)
{
        char path[192], file[64];
        _cleanup_free_ char *modules = NULL;

        (void) snprintf(path, sizeof(path), "lib/modules/%s/modules.dep", h->release);
        (void) snprintf(file, sizeof(file), "/%s.ko", name);
        modules = host_read(h, path);
        return modules && strstr(modules, file);
}

static void check_filesystems(const struct host *h, struct findings *f)
{
        static const char *const names[] = { "overlay", "tmpfs", "proc" };
        _cleanup_free_ char *known = host_read(h, "proc/filesystems");

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                if (known && host_has_word(known, names[i]))
                        findings_add(f, FINDING_OK, "file system", "", "", "%s", names[i]);
                else if (is_module(h, names[i]))
                        findings_add(f, FINDING_OK, "file system", "", "",
                                "%s, a module that the first mount loads", names[i]);
                else
                        findings_add(f, FINDING_MISSING, "file system",
                                "no job can run: its file tree cannot be made",
                                "load the module with modprobe, "
                                "or run a kernel that has it",
                                "%s is not known to this kernel", names[i]);
        }
}

static void check_seccomp(const struct host *h, struct findings *f)
{
        _cleanup_free_ char *actions = host_read_line(h, "proc/sys/kernel/seccomp/actions_avail");

        if (!actions)
                findings_add(f, FINDING_MISSING, "seccomp", "no job can run",
                        "run a kernel with CONFIG_SECCOMP_FILTER", "not in this kernel");
        else if (!host_has_word(actions, "kill_process") || !host_has_word(actions, "errno"))
                findings_add(f, FINDING_MISSING, "seccomp", "no job can run",
                        "run Linux 4.14 or newer", "lacks kill_process or errno: %s", actions);
        else
                findings_add(f, FINDING_OK, "seccomp", "", "", "filters, kill_process, errno");
}

static void check_lsm(const struct host *h, struct findings *f)
{
        _cleanup_free_ char *lsm = host_read_line(h, "sys/kernel/security/lsm");
        _cleanup_free_ char *userns =
                host_read_line(h, "proc/sys/kernel/apparmor_restrict_unprivileged_userns");

        if (lsm)
                findings_add(f, FINDING_OK, "security modules", "", "", "%s", lsm);
        else
                findings_add(f, FINDING_WARNING, "security modules",
                        "only that doctor cannot tell which are active",
                        "mount -t securityfs securityfs /sys/kernel/security",
                        "securityfs is not mounted");
        if (userns && streq(userns, "1"))
                findings_add(f, FINDING_OK, "AppArmor", "", "",
                        "restricts user namespaces of unprivileged programs: "
                        "sandboxd, which runs as root, is not held back");
}

static void check_core_pattern(const struct host *h, struct findings *f)
{
        _cleanup_free_ char *pattern = host_read_line(h, "proc/sys/kernel/core_pattern");

        if (!pattern)
                return;
        if (pattern[0] != '|')
                findings_add(f, FINDING_OK, "kernel.core_pattern", "", "", "%s", pattern);
        else
                findings_add(f, FINDING_WARNING, "kernel.core_pattern",
                        "crashes on this host start a program as root; in "
                        "sandboxes one limit (RLIMIT_CORE=1) is all that stops it",
                        "sysctl kernel.core_pattern=core, "
                        "where no crash collector is wanted",
                        "%s", pattern);
}

static void check_sysctls(const struct host *h, struct findings *f)
{
        static const struct {
                const char *name, *path;
                uint64_t least, most; /* what is well */
                const char *cost, *advice;
        } sysctls[] = {
                { "kernel.yama.ptrace_scope", "proc/sys/kernel/yama/ptrace_scope", 1, 3,
                        "a process that gets out of a sandbox's "
                        "filter could trace others of its user",
                        "sysctl kernel.yama.ptrace_scope=1" },
                { "kernel.dmesg_restrict", "proc/sys/kernel/dmesg_restrict", 1, 1,
                        "every local process reads the kernel log, with "
                        "addresses in it; in sandboxes only the filter stops it",
                        "sysctl kernel.dmesg_restrict=1" },
                { "kernel.kptr_restrict", "proc/sys/kernel/kptr_restrict", 1, 2,
                        "kernel addresses show in /proc, "
                        "which helps an attack on the kernel",
                        "sysctl kernel.kptr_restrict=1" },
                { "kernel.unprivileged_bpf_disabled", "proc/sys/kernel/unprivileged_bpf_disabled",
                        1, 2,
                        "every local process may load BPF programs; "
                        "in sandboxes only the filter stops it",
                        "sysctl kernel.unprivileged_bpf_disabled=2" },
                { "vm.overcommit_memory", "proc/sys/vm/overcommit_memory", 0, 1,
                        "the kernel counts address space: Node.js, "
                        "which reserves a lot of it, may fail to start",
                        "sysctl vm.overcommit_memory=0" },
        };

        for (size_t i = 0; i < ELEMENTSOF(sysctls); i++) {
                _cleanup_free_ char *text = host_read_line(h, sysctls[i].path);
                uint64_t value;

                if (!text || parse_u64(text, &value) < 0)
                        continue;
                if (value >= sysctls[i].least && value <= sysctls[i].most)
                        findings_add(f, FINDING_OK, sysctls[i].name, "", "", "%s", text);
                else
                        findings_add(f, FINDING_WARNING, sysctls[i].name, sysctls[i].cost,
                                sysctls[i].advice, "%s", text);
        }
}

void host_check_interpreters(const struct host *h, struct findings *f)
{
        static const struct {
                const char *runtime, *path, *package;
        } interpreters[] = {
                { "python", "usr/bin/python3", "python3" },
                { "javascript", "usr/bin/node", "nodejs" },
                { "bash", "usr/bin/bash", "bash" },
        };

        for (size_t i = 0; i < ELEMENTSOF(interpreters); i++) {
                char cost[96], advice[64];

                if (host_exists(h, interpreters[i].path)) {
                        findings_add(f, FINDING_OK, "interpreter", "", "", "%s: /%s",
                                interpreters[i].runtime, interpreters[i].path);
                        continue;
                }
                (void) snprintf(cost, sizeof(cost), "jobs in %s are refused",
                        interpreters[i].runtime);
                (void) snprintf(advice, sizeof(advice), "apt-get install %s",
                        interpreters[i].package);
                findings_add(f, FINDING_WARNING, "interpreter", cost, advice,
                        "%s: /%s is not installed", interpreters[i].runtime, interpreters[i].path);
        }
}

void host_check(const struct host *h, struct findings *f)
{
        static void (*const checks[])(const struct host *h, struct findings *f) = {
                check_kernel,
                check_fds,
                host_check_cgroups,
                check_namespaces,
                check_filesystems,
                check_seccomp,
                check_lsm,
                check_core_pattern,
                check_sysctls,
                host_check_bus,
        };

        for (size_t i = 0; i < ELEMENTSOF(checks); i++)
                checks[i](h, f);
}
