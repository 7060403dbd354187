/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The leaves inside a scope that systemd made.
 */

#include <sys/types.h>

#include "common/error.h"
#include "daemon/monitor/leaf.h"

/* The lines of a mountinfo that are about cgroups; the caller's to free(). */
int scope_read_mounts(char **ret);

/* Of CGROUP_NEEDED, those of the cgroup2 hierarchy mounted there. */
unsigned scope_root_controllers(const char *mount);

/* Where the process is has to be the scope of that name, in each hierarchy that has a controller:
 * one that is not delegated there is left out, so that setting its limit fails. -ENOENT when it is
 * in none, or not in the scope on cgroup2. On error ret_error has a few words. */
int scope_leaves_make(const char *mounts, pid_t pid, const char *name, struct leaves *ret,
        struct error *ret_error);
/* -EBUSY while something runs in them. */
int scope_leaves_remove(struct leaves *l);
