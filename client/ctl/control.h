/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What drain, resume and stop-all are: a word to the daemon.
 */

#include "client/ctl/ctl.h"

/* The whole verb, which takes no argument: makes the request, and with --json prints an object that
 * has key with value. Returns the exit code. */
int ctl_control(struct ctl *ctl, const char *help, int argc, char **argv,
        int (*request)(sandbox_client *c), const char *key, bool value);
