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

/* Arguments, variables and files of a request in all. With far more the daemon would take it for a broken
 * one, and close a connection that the user's other calls are on. */
#define OPTIONS_PARTS_MAX 16384

struct options {
        sandbox_spec *spec; /* filled by what is read */
        char *profile;      /* NULL: none was named */
        bool output_fd;
        uint64_t size; /* bytes that the spec holds by them */
        unsigned n_parts;
};

/* Counts another part of so many bytes; -E2BIG when there are too many. */
static inline int options_add_part(struct options *o, size_t size)
{
        /* With what it costs to have it by itself. */
        o->size += size + 64;
        return o->n_parts++ < OPTIONS_PARTS_MAX ? 0 : -E2BIG;
}

/* Reads them from where the message is. -EINVAL with the sentence when one is not as it has to be, another
 * negative errno when the message is broken or memory is out. */
int options_read(sd_bus_message *m, enum options_of of, struct options *o, struct error *ret_error);
void options_done(struct options *o);
