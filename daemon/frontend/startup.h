/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the frontend makes sure of before it serves: that it has no privilege, that the monitor's
 * policy is of its build, and that its system-call filter is in force.
 */

#include "common/error.h"
#include "daemon/frontend/policies.h"

/* -EPERM with the sentence when this process could do more than it should. */
int startup_check_privileges(struct error *ret_error);
/* -EBADF with the sentence when an fd is not what the monitor should have put there. The channel is
 * checked before the policy is there, the sockets are after that. */
int startup_check_fds(struct error *ret_error);
int startup_check_listeners(const struct policy *policy, struct error *ret_error);
/* Waits for the first policy, and maps it. */
int startup_receive_policy(int channel_fd, struct policies *ret, struct error *ret_error);
/* Installs the filter that is in fd, and closes fd. */
int startup_load_filter(int fd, struct error *ret_error);
