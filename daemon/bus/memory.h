/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the files in memory hold that the service has written: memfds, and on tmpfs what its relays write for callers.
 * The kernel counts their pages as ours for as long as anybody keeps them, be it in a pipe, and that is the one thing
 * that knows of all of it. Used by the service and by its relays.
 */

#include "common/macro.h"

struct memory_hierarchy;

struct memory {
        const struct memory_hierarchy *hierarchy; /* NULL: what we use is not limited */
        int usage_fd;
        int stat_fd;
        uint64_t limit; /* bytes for all processes of the service; UINT64_MAX: not limited */
};

#define MEMORY_NONE ((struct memory) { .usage_fd = -EBADF, .stat_fd = -EBADF, .limit = UINT64_MAX })

/* Of this process's cgroup, version 1 or 2. 0 also where it has no limit of its own; errors of open(2), and -ENODATA
 * where the kernel says something else than it does. */
int memory_open(struct memory *m);
/* Whether three quarters of it are used, by whatever cannot be taken back. */
bool memory_is_short(const struct memory *m);
/* Bytes; 0 where there is no limit. */
uint64_t memory_in_files(const struct memory *m);
void memory_done(struct memory *m);
