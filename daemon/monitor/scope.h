/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the scope driver is made with. The daemon has one set of these (scope_driver_new() in
 * driver.h); tests have their own.
 */

#include "daemon/monitor/driver.h"

struct scope_settings {
        /* The bus address of systemd. */
        const char *pid1;
        /* How long systemd may take over one scope; and how long a scope waits for others, or for
         * systemd, without one of those getting done. */
        uint64_t timeout_usec;
        /* How long making the driver waits for the scopes of an earlier life to be gone. */
        uint64_t sweep_usec;
};

int scope_driver_make(sd_event *event, const struct scope_settings *settings, struct driver **ret,
        struct error *ret_error);
