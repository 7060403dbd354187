/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The stdin of a job from its stream socket: bytes go from there into the job's pipe within the kernel, as
 * many at a time as the pipe holds. Knows no client and no job.
 */

#include <systemd/sd-event.h>

#include "common/macro.h"

struct relay {
        int from; /* the socket; -EBADF: there is none, or it has ended */
        int to;   /* the pipe */
        sd_event_source *from_source;
        sd_event_source *to_source;
        bool full; /* the pipe is what is waited for */
};

/* Takes both over, in any case. It ends by itself: when the client has closed, and when the job has. */
int relay_begin(struct relay *r, sd_event *event, int from, int to);
void relay_done(struct relay *r);
