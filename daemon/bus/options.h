/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The options a{sv} of Execute, Run and RunWithFds.
 */

#include <systemd/sd-bus.h>

#include "client/lib/sandbox.h"
#include "common/error.h"

/* Which method they are of: some keys are of some alone. */
enum options_of {
        OPTIONS_EXECUTE = 1 << 0,
        OPTIONS_RUN = 1 << 1,
        OPTIONS_RUN_WITH_FDS = 1 << 2,
};

struct options {
        sandbox_spec *spec; /* filled by what is read */
        char *profile;      /* NULL: none was named */
        bool output_fd;
        uint64_t size; /* bytes that the spec holds by them */
};

/* Reads them from where the message is. -EINVAL with the sentence when one is not as it has to be, another
 * negative errno when the message is broken or memory is out. */
int options_read(sd_bus_message *m, enum options_of of, struct options *o, struct error *ret_error);
void options_done(struct options *o);
