/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to systemd's notification socket. Runs in the monitor; never waits.
 */
#include "daemon/monitor/notify.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/log.h"

/* From a change to its message, which makes one message a second at most. */
#define DELAY_USEC (1 * USEC_PER_SEC)

static void arm(struct notify *n)
{
        int enabled = SD_EVENT_OFF;

        (void) sd_event_source_get_enabled(n->source, &enabled);
        if (enabled != SD_EVENT_OFF)
                return;
        (void) sd_event_source_set_time_relative(n->source, DELAY_USEC);
        (void) sd_event_source_set_enabled(n->source, SD_EVENT_ONESHOT);
}

/* The state, if there is a new one, and the status, which is always of now. */
static void send_all(struct notify *n)
{
        char text[sizeof(n->state) + NOTIFY_STATUS_MAX + 16], status[NOTIFY_STATUS_MAX];
        int r;

        n->describe(n->userdata, status, sizeof(status));
        (void) snprintf(text, sizeof(text), "%sSTATUS=%s", n->state, status);
        r = io_send_datagram(n->fd, &n->address, text, strlen(text));
        if (r == -EAGAIN || r == -ENOBUFS) {
                arm(n);
                return;
        }
        if (r < 0)
                log_debug("systemd was not told '%s' (%s)", text, strerror(-r));
        n->state[0] = '\0';
        (void) sd_event_source_set_enabled(n->source, SD_EVENT_OFF);
}

static int on_delay(sd_event_source *source, uint64_t usec, void *userdata)
{
        send_all(userdata);
        return 0;
}

int notify_open(struct notify *n, sd_event *event, struct error *ret_error)
{
        const char *name = getenv("NOTIFY_SOCKET");
        int r;

        if (!name)
                return 0;
        r = io_address_init(&n->address, name);
        if (r < 0)
                return error_set(ret_error, r,
                        "NOTIFY_SOCKET is '%s', which is no path of a Unix socket: unset it, or "
                        "start sandboxd from systemd",
                        name);
        (void) unsetenv("NOTIFY_SOCKET");
        r = n->fd = io_datagram_socket();
        if (r >= 0)
                r = sd_event_add_time_relative(event, &n->source, CLOCK_MONOTONIC, 0, 0, on_delay,
                        n);
        if (r >= 0)
                r = sd_event_source_set_enabled(n->source, SD_EVENT_OFF);
        return r < 0 ? error_set(ret_error, r, "no socket to notify systemd by (%s)", strerror(-r))
                     : 0;
}

void notify_done(struct notify *n)
{
        n->source = sd_event_source_disable_unref(n->source);
        n->fd = safe_close(n->fd);
}

/* One that could not be sent yet is of no interest any more. */
static void send_state(struct notify *n, const char *state)
{
        if (!n->source)
                return;
        (void) str_copy(n->state, sizeof(n->state), state);
        send_all(n);
}

void notify_status(struct notify *n)
{
        send_state(n, "");
}

void notify_ready(struct notify *n)
{
        send_state(n, "READY=1\n");
}

void notify_reloading(struct notify *n)
{
        char state[sizeof(n->state)];

        (void) snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n",
                io_now_usec());
        send_state(n, state);
}

void notify_stopping(struct notify *n)
{
        send_state(n, "STOPPING=1\n");
}

void notify_changed(struct notify *n)
{
        if (n->source)
                arm(n);
}

void notify_alive(struct notify *n)
{
        static const char alive[] = "WATCHDOG=1";

        if (n->source)
                (void) io_send_datagram(n->fd, &n->address, alive, strlen(alive));
}
