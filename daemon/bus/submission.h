/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the three methods that begin a job have in common: the request, and who may make it.
 */

#include "daemon/bus/call.h"
#include "daemon/bus/options.h"

/* Kept by the call as its data, first in what a method keeps. */
struct submission {
        struct options options;
        call_step step; /* when all that is asked about it was allowed, and sandboxd is there */
};

/* Reads (runtime, argv, code, options) of Run and RunWithFds, or (language, code, options) of Execute, into the
 * submission. On failure the call is answered, and over; a negative errno. */
int submission_read(struct call *c, sd_bus_message *m, struct submission *s, enum options_of of);
/* Asks who has to be asked, connects, and goes on with step. */
void submission_begin(struct call *c, struct submission *s, call_step step);
void submission_done(struct submission *s);
/* The parsing of a message has failed with r: answered accordingly. */
void submission_refuse(struct call *c, int r, const struct error *error);
