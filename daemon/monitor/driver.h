/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who makes a sandbox's cgroups. A driver is chosen once at start; what happens inside the leaves
 * it makes is the same for all of them (leaf.h).
 */

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "common/limit.h"
#include "daemon/monitor/leaf.h"

struct driver;
struct scope;

/* The place of one sandbox among the cgroups, embedded in it. */
struct placement {
        uint64_t id;          /* names it: the job's, or one of the monitor's own */
        uid_t owner;          /* the client's uid */
        struct limits limits; /* what is in it may have, at most */
        uint64_t extra_usec;  /* that it may live beside its wall time and an ordinary set-up */
        struct leaves leaves; /* n == 0 until they are made */
        struct scope *scope;  /* of the scope driver */
        bool disturbed; /* systemd had a job for the scope that is not ours, most likely to stop
                                 it: whatever the end looks like, explain() tells */
        bool inhabited; /* set by the owner when init was heard of since made() */
        /* The answer to make() of a driver that needs init first: the leaves are there (0), or will
         * never be. detail says what went wrong, in a few words. Called from the loop, once. */
        void (*made)(struct placement *p, int r, const char *detail);
        /* Before it was made, somebody else had it stopped: an administrator, the host's shutdown. */
        void (*stopped)(struct placement *p);
        /* The answer to explain(). */
        void (*explained)(struct placement *p, bool stopped);
};

struct driver_ops {
        const char *name;
        /* Whether a sandbox's init must run before its cgroups can be made around it. Then make()
         * returns 0 when it has begun, and made() is called later. */
        bool needs_init;
        /* Makes the leaves, without limits. init is 0 for a driver that does not need it. */
        int (*make)(struct driver *d, struct placement *p, pid_t init, struct error *ret_error);
        /* Whether nobody will look for init by its pid any more, so that it can be reaped: -EBUSY,
         * call again later. NULL: always so. What was not made yet never will be. */
        int (*settle)(struct driver *d, struct placement *p);
        /* Removes the leaves. -EBUSY while a process is still in them; then call again. Directories
         * that are gone already are no error. */
        int (*remove)(struct driver *d, struct placement *p);
        /* Something died of a SIGKILL that was not ours: finds out whether it was stopped from
         * outside, and calls explained(). -EOPNOTSUPP, or NULL, where nobody could tell. */
        int (*explain)(struct driver *d, struct placement *p);
        /* The placement goes away, whatever is left of it. */
        void (*detach)(struct driver *d, struct placement *p);
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
/* A transient scope of systemd around each sandbox. Runs the loop for a moment, in which the scopes
 * that an earlier life left are stopped. */
int scope_driver_new(sd_event *event, struct driver **ret, struct error *ret_error);

static inline void driver_free(struct driver *d)
{
        d->ops->free(d);
}
DEFINE_CLEANUP(struct driver *, driver_free)
