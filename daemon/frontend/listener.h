/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A listening socket.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

struct frontend;

struct listener {
        struct frontend *frontend;
        int fd;
        uint32_t index; /* in policy.listener_profiles */
        sd_event_source *source;
        sd_event_source *pause; /* while out of fds */
};

/* Takes fd over. */
int listener_init(struct listener *l, struct frontend *f, int fd, uint32_t index);
/* Accepts nobody from here on. */
void listener_stop(struct listener *l);
void listener_done(struct listener *l);
