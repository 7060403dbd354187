/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * org.sandboxd1.Job: what a job's object shows.
 */

#include <systemd/sd-bus.h>

#include "common/macro.h"
#include "daemon/bus/jobs.h"

/* Appends an a{sv} of its properties: all, or only those that change. */
int job_object_append_properties(sd_bus_message *m, const struct bus_job *j, bool changing);
/* Appends an a{sa{sv}} of its one interface. */
int job_object_append_interfaces(sd_bus_message *m, const struct bus_job *j);
/* Appends the result as a{sv}; empty when it has none. */
int job_object_append_result(sd_bus_message *m, const struct bus_job *j);
