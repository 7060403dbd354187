/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the monitor may do: a bounded capability set, dropped to at start and never regained.
 */

#include "common/error.h"

/* Checks for root and the capabilities needed, raises the limit of open files, and drops every
 * other capability from all sets, the bounding set included. */
int privilege_bound(struct error *ret_error);

/* Whether file modes are overridden (CAP_DAC_OVERRIDE): off but for the few lines that make or
 * remove the daemon's cgroup tree. Does nothing where the daemon was not given it. 0 or a negative
 * errno. */
int privilege_override_modes(bool on);

/* For a child that is to become an unprivileged program: takes ids and groups, empties every set,
 * sets no_new_privs. 0 or a negative errno. */
int privilege_drop_all(uid_t uid, gid_t gid);
