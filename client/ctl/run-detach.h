/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * `sandboxctl run --detach`: a job that outlives us.
 */

#include "client/ctl/run-options.h"

/* Starts it and prints its id. Returns the exit code. */
int run_detached(const struct ctl *ctl, const struct run_options *o, sandbox_client *c,
        const sandbox_spec *spec);
