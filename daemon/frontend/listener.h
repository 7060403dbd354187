/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The listening socket.
 */

#include <systemd/sd-event.h>

struct frontend;

struct listener {
        struct frontend *frontend;
        int fd;
        sd_event_source *source;
        sd_event_source *pause; /* while out of fds */
};

/* Takes fd over. */
int listener_init(struct listener *l, struct frontend *f, int fd);
void listener_done(struct listener *l);
