/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who makes a sandbox's cgroups. A driver is chosen once at start; what happens inside the leaves
 * it makes is the same for all of them (leaf.h).
 */

#include "daemon/monitor/leaf.h"

struct driver;

struct driver_ops {
        const char *name;
        /* Makes the leaves of a sandbox, without limits. ret_leaves is the caller's to remove. */
        int (*make)(struct driver *d, uint64_t job, struct leaves *ret_leaves,
                struct error *ret_error);
        /* Removes the leaves. -EBUSY while a process is still in them; then call again. Directories
         * that are gone already are no error. */
        int (*remove)(struct driver *d, struct leaves *leaves);
        void (*free)(struct driver *d);
};

struct driver {
        const struct driver_ops *ops;
        char description[64]; /* for doctor: "cgroupfs (hybrid)" */
        unsigned missing;     /* controllers of CGROUP_NEEDED that this host does not have */
};

/* A tree of our own below the daemon's cgroup, for --standalone. instance names the tree; what an
 * earlier life of the same instance left in it is killed and removed. */
int cgroupfs_driver_new(const char *instance, struct driver **ret, struct error *ret_error);

static inline void driver_free(struct driver *d)
{
        d->ops->free(d);
}
DEFINE_CLEANUP(struct driver *, driver_free)
