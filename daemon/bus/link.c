/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libsandbox client in an sd-event loop. Runs in sandboxd-bus; knows nothing of the bus.
 */
#include "daemon/bus/link.h"

#define OWN_TIMEOUT_USEC (10 * USEC_PER_SEC)

static const bool transitions[_LINK_STATES][_LINK_STATES] = {
        [LINK_CLOSED] = { [LINK_CONNECTING] = true },
        [LINK_CONNECTING] = { [LINK_READY] = true, [LINK_CLOSED] = true },
        [LINK_READY] = { [LINK_CLOSED] = true },
};

static void set_state(struct link *l, enum link_state state)
{
        ASSERT(transitions[l->state][state]);
        l->state = state;
}

void link_init(struct link *l, sd_event *event, link_handler handler, void *userdata)
{
        *l = (struct link) {
                .event = event,
                .fd = -EBADF,
                .handler = handler,
                .userdata = userdata,
        };
}

static void drop_sources(struct link *l)
{
        l->io = sd_event_source_disable_unref(l->io);
        l->timer = sd_event_source_disable_unref(l->timer);
        l->again = sd_event_source_disable_unref(l->again);
        l->fd = -EBADF;
        l->error = 0;
}

void link_close(struct link *l)
{
        drop_sources(l);
        l->client = sandbox_client_free(l->client);
        if (l->state != LINK_CLOSED)
                set_state(l, LINK_CLOSED);
}

/* The error is the client's, and valid until that is freed. */
static void lose(struct link *l)
{
        sandbox_client *client = TAKE_PTR(l->client);

        drop_sources(l);
        set_state(l, LINK_CLOSED);
        l->handler(l, sandbox_client_get_error(client), l->userdata);
        (void) sandbox_client_free(client);
}

static int process(struct link *l)
{
        int r;

        /* Which tells all that is under way on it. */
        if (l->error < 0)
                sandbox_client_disconnect(l->client);
        r = sandbox_client_process(l->client);

        if (r < 0) {
                lose(l);
                return 0;
        }
        return sd_event_source_set_enabled(l->again, r > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        return process(userdata);
}

static int on_again(sd_event_source *s, void *userdata)
{
        return process(userdata);
}

static int on_timer(sd_event_source *s, uint64_t usec, void *userdata)
{
        return process(userdata);
}

/* The client's socket is another one after it has connected. */
static int refresh_io(struct link *l)
{
        int fd = sandbox_client_get_fd(l->client), events = sandbox_client_get_events(l->client), r;

        if (fd != l->fd) {
                l->io = sd_event_source_disable_unref(l->io);
                l->fd = -EBADF;
                if (fd >= 0) {
                        r = sd_event_add_io(l->event, &l->io, fd, (uint32_t) MAX(events, 0), on_io,
                                l);
                        if (r < 0)
                                return r;
                        l->fd = fd;
                }
        }
        if (!l->io)
                return 0;
        r = sd_event_source_set_io_events(l->io, (uint32_t) MAX(events, 0));
        if (r < 0)
                return r;
        /* One that was hung up ends a poll for no event, too. */
        return sd_event_source_set_enabled(l->io, events > 0 ? SD_EVENT_ON : SD_EVENT_OFF);
}

static int refresh(struct link *l)
{
        uint64_t timeout = sandbox_client_get_timeout(l->client), now;
        int r;

        r = refresh_io(l);
        if (r < 0)
                return r;
        r = sd_event_source_get_time(l->timer, &now);
        if (r < 0 || now == timeout)
                return r;
        return sd_event_source_set_time(l->timer, timeout);
}

/* Of an error sd-event would only take the source out of the loop. */
static int prepare(sd_event_source *s, void *userdata)
{
        struct link *l = userdata;

        l->error = refresh(l);
        if (l->error < 0)
                (void) sd_event_source_set_enabled(l->again, SD_EVENT_ONESHOT);
        return 0;
}

static void on_connected(sandbox_client *c, const sandbox_error *error, void *userdata)
{
        struct link *l = userdata;

        /* One that failed is closed by what sandbox_client_process() returns. */
        if (error)
                return;
        set_state(l, LINK_READY);
        l->handler(l, NULL, l->userdata);
}

static int begin(struct link *l, const char *socket_path, const struct link_identity *of)
{
        int r = sandbox_client_new(&l->client);

        if (r < 0)
                return r;
        r = sandbox_client_set_name(l->client, "sandboxd-bus " PACKAGE_VERSION);
        if (r < 0)
                return r;
        /* Before systemd gives up on our own start, which waits for it. */
        if (of->own)
                sandbox_client_set_timeout(l->client, OWN_TIMEOUT_USEC);
        else {
                r = sandbox_client_set_on_behalf_of(l->client, of->uid, of->gids, of->n_gids);
                if (r < 0)
                        return r;
        }
        r = sd_event_add_time(l->event, &l->timer, CLOCK_MONOTONIC, UINT64_MAX, 1, on_timer, l);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(l->timer, SD_EVENT_ON);
        if (r < 0)
                return r;
        r = sd_event_source_set_prepare(l->timer, prepare);
        if (r < 0)
                return r;
        r = sd_event_add_defer(l->event, &l->again, on_again, l);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(l->again, SD_EVENT_OFF);
        if (r < 0)
                return r;
        return sandbox_client_connect_async(l->client, socket_path, on_connected, l);
}

int link_connect(struct link *l, const char *socket_path, const struct link_identity *of)
{
        int r;

        set_state(l, LINK_CONNECTING);
        r = begin(l, socket_path, of);
        if (r < 0)
                link_close(l);
        return r;
}
