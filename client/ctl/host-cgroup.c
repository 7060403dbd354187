/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the cgroup hierarchies of the host are laid out, and whether the controllers that limits need
 * are there. Runs in sandboxctl, reads only.
 */
#include <stdio.h>

#include "client/ctl/host.h"

#define PATH_MAX_HERE 256

enum controller {
        CONTROLLER_MEMORY,
        CONTROLLER_CPU,
        CONTROLLER_PIDS,
        _CONTROLLER_COUNT,
};

static const struct {
        const char *name;
        const char *cost;
} controllers[_CONTROLLER_COUNT] = {
        [CONTROLLER_MEMORY] = { "memory", "memory cannot be limited, so every job is refused" },
        [CONTROLLER_CPU] = { "cpu", "CPU use cannot be limited, so every job is refused" },
        [CONTROLLER_PIDS] = { "pids", "processes cannot be limited, so every job is refused" },
};

/* Mount points, without the leading '/'; empty where there is none. */
struct layout {
        char unified[PATH_MAX_HERE];
        char v1[_CONTROLLER_COUNT][PATH_MAX_HERE];
};

static void take_mount(struct layout *l, const char *path, const char *type, const char *options)
{
        if (streq(type, "cgroup2")) {
                (void) str_copy(l->unified, sizeof(l->unified), path + 1);
                return;
        }
        if (!streq(type, "cgroup"))
                return;
        for (int i = 0; i < _CONTROLLER_COUNT; i++)
                if (host_has_word(options, controllers[i].name))
                        (void) str_copy(l->v1[i], sizeof(l->v1[i]), path + 1);
}

static void find_layout(const struct host *h, struct layout *ret)
{
        _cleanup_free_ char *mounts = host_read(h, "proc/self/mounts");
        char *save = NULL;

        *ret = (struct layout) {};
        for (char *line = mounts ? strtok_r(mounts, "\n", &save) : NULL; line;
                line = strtok_r(NULL, "\n", &save)) {
                char path[PATH_MAX_HERE], type[32], options[256];

                if (sscanf(line, "%*s %255s %31s %255s", path, type, options) == 3)
                        take_mount(ret, path, type, options);
        }
}

static bool has_v1(const struct layout *l)
{
        for (int i = 0; i < _CONTROLLER_COUNT; i++)
                if (l->v1[i][0])
                        return true;
        return false;
}

static void check_layout(const struct layout *l, struct findings *f)
{
        if (l->unified[0] && !has_v1(l))
                findings_add(f, FINDING_OK, "cgroups", "", "", "unified (v2) at /%s", l->unified);
        else if (l->unified[0])
                findings_add(f, FINDING_OK, "cgroups", "", "", "hybrid: v1 controllers, v2 at /%s",
                        l->unified);
        else if (has_v1(l))
                findings_add(f, FINDING_WARNING, "cgroups",
                        "no cgroup.kill: ending a sandbox "
                        "relies on its pid namespace alone",
                        "mount cgroup2, or boot with systemd.unified_cgroup_hierarchy=1",
                        "v1 alone");
        else
                findings_add(f, FINDING_MISSING, "cgroups", "no job can run",
                        "mount -t cgroup2 cgroup2 /sys/fs/cgroup", "not mounted");
}

/* Whether the kernel has the controller, but was told to leave it off (memory on small boards). */
static bool is_disabled(const struct host *h, const char *name)
{
        _cleanup_free_ char *text = host_read(h, "proc/cgroups");
        char *save = NULL;

        for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
                line = strtok_r(NULL, "\n", &save)) {
                char controller[32];
                int enabled;

                if (sscanf(line, "%31s %*s %*s %d", controller, &enabled) == 2 &&
                        streq(controller, name))
                        return enabled == 0;
        }
        return false;
}

static void check_missing(const struct host *h, enum controller c, struct findings *f)
{
        const char *name = controllers[c].name;
        bool allowed = h->allowed_missing && host_has_word(h->allowed_missing, name);
        char advice[96];

        if (is_disabled(h, name))
                (void) snprintf(advice, sizeof(advice), "boot with cgroup_enable=%s", name);
        else if (allowed)
                (void) snprintf(advice, sizeof(advice),
                        "enable it, and take %s out of AllowMissing= in sandboxd.conf", name);
        else
                (void) snprintf(advice, sizeof(advice),
                        "enable it, or put AllowMissing=%s into sandboxd.conf", name);
        if (allowed)
                findings_add(f, FINDING_WARNING, "controller",
                        "jobs run without this limit, as AllowMissing= allows", advice,
                        "%s is missing", name);
        else
                findings_add(f, FINDING_MISSING, "controller", controllers[c].cost, advice,
                        "%s is missing", name);
}

/* With v1, a limit of memory holds swap only through memsw. */
static void check_swap(const struct host *h, const struct layout *l, struct findings *f)
{
        _cleanup_free_ char *swaps = host_read(h, "proc/swaps");
        const char *second = swaps ? strchr(swaps, '\n') : NULL;
        char path[PATH_MAX_HERE + 64];

        if (!l->v1[CONTROLLER_MEMORY][0] || !second || second[1] == '\0')
                return;
        (void) snprintf(path, sizeof(path), "%s/memory.memsw.limit_in_bytes",
                l->v1[CONTROLLER_MEMORY]);
        if (host_exists(h, path))
                return;
        findings_add(f, FINDING_MISSING, "swap", "swap cannot be limited, so every job is refused",
                "boot with swapaccount=1, or swapoff -a", "in use, and not counted by cgroups");
}

void host_check_cgroups(const struct host *h, struct findings *f)
{
        _cleanup_free_ char *unified = NULL;
        struct layout l;
        char path[PATH_MAX_HERE + 32];

        find_layout(h, &l);
        check_layout(&l, f);
        (void) snprintf(path, sizeof(path), "%s/cgroup.controllers", l.unified);
        if (l.unified[0])
                unified = host_read_line(h, path);
        for (int i = 0; i < _CONTROLLER_COUNT; i++) {
                if (l.v1[i][0])
                        findings_add(f, FINDING_OK, "controller", "", "", "%s at /%s",
                                controllers[i].name, l.v1[i]);
                else if (unified && host_has_word(unified, controllers[i].name))
                        findings_add(f, FINDING_OK, "controller", "", "", "%s",
                                controllers[i].name);
                else
                        check_missing(h, (enum controller) i, f);
        }
        check_swap(h, &l, f);
}
