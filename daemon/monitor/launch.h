/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Making a sandbox's init process: its orders and the clone. On error ret_step says where.
 */

#include "common/status.h"
#include "daemon/monitor/sandbox.h"

/* Clones init with its orders, and fills s->pid, pidfd, control_fd. Where the leaves are there
 * already, its orders are complete; else it waits for the following. */
int launch_init(struct sandbox *s, enum setup_step *ret_step);
/* Tells init its leaves. 1: it will answer JOINED, and then can have its limits; 0: they can be set
 * now, and launch_run() called. */
int launch_join(struct sandbox *s, enum setup_step *ret_step);
/* Lets it run; the job's fds are closed here. */
int launch_run(struct sandbox *s, enum setup_step *ret_step);
/* Has init send a signal to the payload's process, which it has said is there. */
int launch_signal(struct sandbox *s, uint32_t number);
