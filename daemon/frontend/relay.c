/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a socket into a pipe. Runs in the frontend; the bytes are the client's, and are never looked at.
 */
#include "daemon/frontend/relay.h"

#include <fcntl.h>

/* Moved at one time at most, so that the others get their turn. */
#define MOVE_MAX (1 * MIB)

/* Out of the event loop first, then closed. */
void relay_done(struct relay *r)
{
        r->from_source = sd_event_source_disable_unref(r->from_source);
        r->to_source = sd_event_source_disable_unref(r->to_source);
        r->from = safe_close(r->from);
        r->to = safe_close(r->to);
}

/* Waits for one of the two. A socket that is at its end is reported whatever is asked for, and so is off
 * while the pipe is full; that the job has closed its end is always of interest. */
static void set_full(struct relay *r, bool full)
{
        r->full = full;
        (void) sd_event_source_set_enabled(r->from_source, full ? SD_EVENT_OFF : SD_EVENT_ON);
        (void) sd_event_source_set_io_events(r->to_source, full ? EPOLLOUT : 0);
}

static int on_from(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct relay *r = userdata;
        ssize_t n = splice(r->from, NULL, r->to, NULL, MOVE_MAX, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);

        if (n < 0 && errno == EAGAIN)
                set_full(r, true);
        else if (n == 0 || (n < 0 && errno != EINTR))
                relay_done(r);
        return 0;
}

static int on_to(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct relay *r = userdata;

        if (revents & EPOLLERR)
                relay_done(r);
        else
                set_full(r, false);
        return 0;
}

int relay_begin(struct relay *r, sd_event *event, int from, int to)
{
        int q;

        *r = (struct relay) { .from = from, .to = to };
        q = sd_event_add_io(event, &r->from_source, from, EPOLLIN, on_from, r);
        if (q >= 0)
                q = sd_event_add_io(event, &r->to_source, to, 0, on_to, r);
        if (q < 0)
                relay_done(r);
        return q;
}
