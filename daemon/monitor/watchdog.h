/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * WatchdogSec= of the unit, for both processes: the monitor's loop shows systemd that it turns, and
 * asks the frontend's to show the same. A monitor that hangs is ended by systemd, a frontend that
 * hangs by the monitor, which starts another. Without WatchdogSec= nobody asks anybody.
 */

#include <systemd/sd-event.h>

#include "common/error.h"

struct monitor;

struct watchdog {
        sd_event_source *source;
        uint64_t usec;       /* WatchdogSec= */
        uint64_t asked_usec; /* when the frontend was asked; 0: it owes no answer */
};

/* Takes WATCHDOG_USEC and WATCHDOG_PID out of the environment. */
int watchdog_start(struct monitor *m, struct error *ret_error);
void watchdog_done(struct watchdog *w);
/* The frontend answers. -EBADMSG when it was not asked. */
int watchdog_answered(struct watchdog *w);
/* There is a new frontend, which was asked nothing. */
void watchdog_reset(struct watchdog *w);
