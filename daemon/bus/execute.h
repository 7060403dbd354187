/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Jobs that method calls begin.
 */

#include <systemd/sd-bus.h>

/* Handlers of the manager's methods. */
int execute_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int run_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
int run_with_fds_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error);
