/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What systemd is told of the daemon's state: sd_notify(3), without its wait. sd_notify() blocks
 * where PID 1 does not read, and with it would every deadline of every job. Without $NOTIFY_SOCKET
 * all of this does nothing.
 */

#include <systemd/sd-event.h>

#include "common/error.h"
#include "common/io.h"

#define NOTIFY_STATUS_MAX 256

struct notify {
        int fd;
        struct io_address address;
        sd_event_source *source; /* armed when something has changed; NULL: nobody asks */
        char state[64];          /* READY=1 and the like with its newline, until it is sent */
        /* Writes the sentence that `systemctl status` shows. */
        void (*describe)(void *userdata, char *text, size_t size);
        void *userdata;
};

/* Takes $NOTIFY_SOCKET out of the environment. The caller sets describe. */
int notify_open(struct notify *n, sd_event *event, struct error *ret_error);
void notify_done(struct notify *n);

/* The status, at once. */
void notify_status(struct notify *n);
void notify_ready(struct notify *n);
/* Around a reload; notify_ready() ends it. */
void notify_reloading(struct notify *n);
void notify_stopping(struct notify *n);
/* The status is another: it is sent within a second, with whatever else has changed by then. */
void notify_changed(struct notify *n);
/* For the watchdog. */
void notify_alive(struct notify *n);
