/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which cgroup hierarchies this host has, which controllers are where, and where the daemon itself
 * is in each. Read once at start out of /proc/self/cgroup and /proc/self/mountinfo.
 */

#include "common/error.h"

enum cgroup_controller {
        CGROUP_MEMORY = 1 << 0,
        CGROUP_CPU = 1 << 1,
        CGROUP_PIDS = 1 << 2,
        CGROUP_CPUACCT = 1 << 3, /* v1 only, used where there is no cgroup2 */
        CGROUP_SWAP = 1 << 4,    /* no controller: that memory accounts swap; for AllowMissing= */
};

#define CGROUP_NEEDED (CGROUP_MEMORY | CGROUP_CPU | CGROUP_PIDS)
#define CGROUP_HIERARCHIES_MAX 5
#define CGROUP_PATH_MAX 512

struct cgroup_hierarchy {
        bool v2;
        unsigned controllers; /* of enum cgroup_controller; those of a v2 hierarchy are filled in
                                 by the driver, from cgroup.controllers */
        char mount[CGROUP_PATH_MAX]; /* where its root is mounted: "/sys/fs/cgroup/memory" */
        char own[CGROUP_PATH_MAX];   /* the daemon's own cgroup below that: "/system.slice/x" */
};

struct cgroup_layout {
        struct cgroup_hierarchy hierarchies[CGROUP_HIERARCHIES_MAX];
        size_t n;
};

/* Pure: from the text of the two files. -ENOENT when no useful hierarchy is mounted. */
int cgroup_layout_parse(const char *self_cgroup, const char *self_mountinfo,
        struct cgroup_layout *ret);
/* From the running host. */
int cgroup_layout_read(struct cgroup_layout *ret, struct error *ret_error);

/* "unified", "hybrid" or "v1". */
const char *cgroup_layout_kind(const struct cgroup_layout *l);
/* The name of one controller: "memory". */
const char *cgroup_controller_name(enum cgroup_controller c);
/* The mask of the names in a blank-separated list; others are ignored. */
unsigned cgroup_controllers_parse(const char *list, char separator);
