/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the command line of `sandboxctl run` asks for, as a spec of the library.
 */

#include "client/ctl/run-options.h"

#define RUN_FIELD_MAX 64

/* Reads the code and looks at the files. max_size is what a request may have in all. On failure the
 * sentence and the field that it is about. */
int run_request_make(const struct run_options *o, size_t max_size, sandbox_spec **ret,
        char ret_field[static RUN_FIELD_MAX], struct error *e);
