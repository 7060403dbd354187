/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of an a{sv}. Runs in sandboxd-bus; holds nothing.
 */
#include "daemon/bus/message.h"

int message_open_entry(sd_bus_message *m, const char *key, const char *type)
{
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", key);
        return r < 0 ? r : sd_bus_message_open_container(m, 'v', type);
}

int message_close_entry(sd_bus_message *m)
{
        int r = sd_bus_message_close_container(m);

        return r < 0 ? r : sd_bus_message_close_container(m);
}
