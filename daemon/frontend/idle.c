/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the daemon has nothing to do. Runs in the frontend, which alone sees clients; the monitor
 * decides what follows. No client is lost: the sockets are looked away from before the monitor is
 * told, so that whoever connects then waits in a socket's queue, which is systemd's too.
 */
#include "daemon/frontend/idle.h"

#include "common/io.h"
#include "common/log.h"
#include "daemon/frontend/frontend.h"

/* A client that is refused costs nothing here, and does not keep the daemon up. What a detached job
 * left does, as long as it is kept: it is there to be asked for later. So does an order to take no jobs,
 * and what users have left unread, of both of which our next life would know nothing. */
static bool is_idle(const struct frontend *f)
{
        return LIST_EMPTY(&f->connections) && LIST_EMPTY(&f->jobs) && f->registry.n_detached == 0 &&
               LIST_EMPTY(&f->lingering) && !f->draining;
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct frontend *f = userdata;
        int r;

        frontend_stop_accepting(f);
        r = channel_idle(&f->channel);
        if (r < 0)
                log_error("sandboxd could not be told that nothing is to do: %s", strerror(-r));
        /* Without its answer nobody would accept again: it starts another frontend then. */
        return r < 0 ? sd_event_exit(f->event, r) : 0;
}

int idle_init(struct frontend *f)
{
        int r;

        r = sd_event_add_time_relative(f->event, &f->idle.timer, CLOCK_MONOTONIC, 0,
                FRONTEND_TIMER_ACCURACY, on_idle, f);
        if (r < 0)
                return r;
        /* Who connects in the turn in which the time is up is served. */
        r = sd_event_source_set_priority(f->idle.timer, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
                return r;
        idle_update(f);
        return 0;
}

void idle_update(struct frontend *f)
{
        uint64_t usec;

        if (!f->idle.timer)
                return;
        usec = f->policy->server.idle_exit_usec;
        if (!is_idle(f))
                f->idle.since_usec = 0;
        else if (f->idle.since_usec == 0)
                f->idle.since_usec = io_now_usec();
        if (usec == 0 || f->stopping || f->idle.since_usec == 0) {
                (void) sd_event_source_set_enabled(f->idle.timer, SD_EVENT_OFF);
                return;
        }
        (void) sd_event_source_set_time(f->idle.timer, f->idle.since_usec + usec);
        (void) sd_event_source_set_enabled(f->idle.timer, SD_EVENT_ONESHOT);
}

void idle_done(struct frontend *f)
{
        f->idle.timer = sd_event_source_disable_unref(f->idle.timer);
}
