/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What stands in for the host, so that a target with an event loop is fast, quiet, and does the same
 * with the same input: a clock that moves when the target says so, and a log that goes nowhere.
 */

#include "common/macro.h"

/* Of CLOCK_MONOTONIC, also for the libraries. */
void host_advance(uint64_t usec);

/* Which fds are open, of the first of them. */
struct host_fds {
        bool open[256];
};

void host_note_fds(struct host_fds *ret);
size_t host_count_fds(void);
/* Closes those that were not open before; returns how many those were. */
size_t host_close_new_fds(const struct host_fds *before);
