/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Idle exit: with no connection and no job for IdleExitSec=, the daemon goes, and the next client
 * has systemd start it again.
 */

#include <systemd/sd-event.h>

struct frontend;

struct idle {
        sd_event_source *timer;
        uint64_t since_usec; /* 0: something is to do */
};

int idle_init(struct frontend *f);
/* To be called whenever a connection or a job comes or goes, and when the policy is another. */
void idle_update(struct frontend *f);
void idle_done(struct frontend *f);
