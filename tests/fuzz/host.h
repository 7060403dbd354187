/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What stands in for the host, so that a target with an event loop is fast, quiet, and does the same
 * with the same input: a clock that moves when the target says so, and a log that goes nowhere.
 */

#include "common/macro.h"

/* Of CLOCK_MONOTONIC, also for the libraries. */
void host_advance(uint64_t usec);

/* How many fds are open among the first of them. */
size_t host_count_fds(void);
