/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Making a sandbox's init process: its orders and the clone.
 */

#include "common/status.h"
#include "daemon/monitor/sandbox.h"

/* Sends PREPARE and RUN, clones init, and fills s->pid, pidfd, control_fd. On error ret_step says
 * where. fds as in enum channel_start_fd. */
int launch_init(struct sandbox *s, const struct channel_start *m, const int *fds,
        enum setup_step *ret_step);
