/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog. Runs in the monitor. sd_event_set_watchdog() would do the first half, but by
 * sd_notify(), which waits where PID 1 does not read.
 */
#include "daemon/monitor/watchdog.h"

#include <systemd/sd-daemon.h>

#include "common/io.h"
#include "common/log.h"
#include "common/parse.h"
#include "daemon/monitor/monitor.h"

static void ask_frontend(struct monitor *m)
{
        struct watchdog *w = &m->watchdog;
        uint64_t now = io_now_usec();
        struct channel_header h;
        char text[FORMAT_MAX];

        /* One that is told to stop has a deadline of its own. */
        if (m->state != MONITOR_SERVING || m->channel_fd < 0)
                return;
        if (w->asked_usec == 0) {
                w->asked_usec = now;
                channel_header_init(&h, CHANNEL_OP_PING, sizeof(h), 0);
                monitor_send(m, &h, sizeof(h), -EBADF);
        } else if (now - w->asked_usec >= w->usec) {
                log_error("frontend: no answer within WatchdogSec= (%s), killing it",
                        format_time(text, w->usec));
                supervisor_kill(&m->supervisor);
        }
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct monitor *m = userdata;

        notify_alive(&m->notify);
        ask_frontend(m);
        (void) sd_event_source_set_time_relative(source, m->watchdog.usec / 2);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int watchdog_start(struct monitor *m, struct error *ret_error)
{
        struct watchdog *w = &m->watchdog;
        int r;

        r = sd_watchdog_enabled(true, &w->usec);
        if (r == 0)
                return 0;
        if (r > 0)
                r = sd_event_add_time_relative(m->event, &w->source, CLOCK_MONOTONIC, w->usec / 2,
                        w->usec / 8, on_tick, m);
        return r < 0 ? error_set(ret_error, r, "no timer for WatchdogSec= (%s)", strerror(-r)) : 0;
}

void watchdog_done(struct watchdog *w)
{
        w->source = sd_event_source_disable_unref(w->source);
}

int watchdog_answered(struct watchdog *w)
{
        if (w->asked_usec == 0)
                return -EBADMSG;
        w->asked_usec = 0;
        return 0;
}

void watchdog_reset(struct watchdog *w)
{
        w->asked_usec = 0;
}
