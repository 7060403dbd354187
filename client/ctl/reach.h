/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Why there is no way to the daemon, and what to do about it: a matter of the error and of whether
 * systemd runs.
 */

#include "common/error.h"

#define REACH_SOCKET "/run/sandboxd/sandboxd.sock"
#define REACH_COMMAND_MAX 192

/* The command that makes a daemon answer at path, where connect() failed with ENOENT or
 * ECONNREFUSED. root_fd is the root directory of the host. Returns buf. */
const char *reach_command(int root_fd, const char *path, char buf[static REACH_COMMAND_MAX]);
/* The sentence for what connect() to path failed with. Returns error. */
int reach_explain(int root_fd, const char *path, int error, struct error *ret_error);
