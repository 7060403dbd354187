/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How a job ended, as a{sv}.
 */

#include <systemd/sd-bus.h>

#include "client/lib/sandbox.h"
#include "common/macro.h"

struct capture;
struct service;

struct result_output {
        struct capture *out;
        struct capture *err;
        bool as_fds;
};

/* Appends the whole a{sv}. output is NULL where there is none to show. */
int result_append(sd_bus_message *m, const sandbox_result *r, struct service *s,
        const struct result_output *output);
/* The usage alone, as a{sv}; empty without any. */
int result_append_usage(sd_bus_message *m, const sandbox_result *r);
