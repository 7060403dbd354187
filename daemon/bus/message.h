/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Entries of an a{sv} whose value takes more than one call to append.
 */

#include <systemd/sd-bus.h>

/* Begins an entry with a value of that type, which is appended next. */
int message_open_entry(sd_bus_message *m, const char *key, const char *type);
int message_close_entry(sd_bus_message *m);
