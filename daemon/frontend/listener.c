/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepting clients. Runs in the frontend. One that may not connect, or is over its caps, is told
 * which setting that is, and closed. The socket may be shared with systemd: it is never shut down,
 * and whoever waits in its queue when we go is served by our next life.
 */
#include "daemon/frontend/listener.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/error.h"
#include "common/io.h"
#include "common/log.h"
#include "daemon/frontend/access.h"
#include "daemon/frontend/connection.h"
#include "daemon/frontend/frontend.h"
#include "daemon/frontend/reply.h"

/* Clients accepted before the others get their turn again. */
#define ACCEPTS_PER_TURN 16
#define PAUSE_USEC (100 * USEC_PER_MSEC)

/* Tells a client that was not let in why; its socket is empty, so that one write does it. */
static void turn_away(int fd, Sandboxd__V1__ErrorCode code, const char *text)
{
        struct queue frame = {};

        if (reply_pack_error(&frame, 0, code, "", text) >= 0)
                (void) queue_write(&frame, fd);
        queue_done(&frame);
}

static void refuse_as(struct frontend *f, int fd, uid_t uid, Sandboxd__V1__ErrorCode code,
        const struct error *text)
{
        turn_away(fd, code, text->text);
        record_refusal(&f->records, uid, code, text->text);
}

static void refuse(struct frontend *f, int fd, uid_t uid, int error)
{
        const struct policy_server *server = &f->policy->server;
        struct error text;

        if (error == -EDQUOT)
                (void) error_set(&text, error,
                        "you have %" PRIu32 " connections open, as many as "
                        "MaxConnectionsPerUser= allows: close one and try again",
                        server->max_connections_per_user);
        else if (error == -EUSERS)
                (void) error_set(&text, error,
                        "%" PRIu32 " connections are open, as many as MaxConnections= allows: try "
                        "again later",
                        server->max_connections);
        else if (error == -ENOBUFS)
                (void) error_set(&text, error,
                        "too much that you were sent is unread in your sockets: read them or close "
                        "them");
        else
                (void) error_set(&text, error, "sandboxd is out of memory: try again later");
        refuse_as(f, fd, uid, SANDBOXD__V1__ERROR_CODE__BUSY, &text);
}

/* Those of the bus service are counted by themselves: neither one user's nor all users' take its place. */
static int charge_connection(struct frontend *f, uid_t uid, enum account_kind *ret)
{
        const struct policy_server *server = &f->policy->server;
        bool bus = access_is_bus(f->policy, uid);

        *ret = bus ? ACCOUNT_BUS : ACCOUNT_CONNECTIONS;
        return account_charge(&f->accounts, uid, *ret, 1,
                bus ? ACCOUNT_UNLIMITED : server->max_connections_per_user,
                server->max_connections);
}

static void admit(struct listener *l, int client_fd)
{
        _cleanup_(access_peer_done) struct peer peer = {};
        struct frontend *f = l->frontend;
        _cleanup_close_ int fd = client_fd;
        enum account_kind charge;
        struct error text;
        int r;

        r = access_peer(fd, &peer);
        if (r < 0) {
                log_debug("refused a connection of unknown credentials: %s", strerror(-r));
                return;
        }
        if (access_check_peer(f->policy, &peer, &text) < 0)
                return refuse_as(f, fd, peer.uid, SANDBOXD__V1__ERROR_CODE__DENIED, &text);
        if (linger_is_excessive(f, peer.uid))
                return refuse(f, fd, peer.uid, -ENOBUFS);
        r = charge_connection(f, peer.uid, &charge);
        if (r >= 0) {
                r = connection_new(f, fd, peer.uid, charge, l->index);
                if (r >= 0) {
                        (void) TAKE_FD(fd);
                        return;
                }
                account_release(&f->accounts, peer.uid, charge, 1);
        }
        refuse(f, fd, peer.uid, r);
}

static int on_pause_over(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct listener *l = userdata;

        (void) sd_event_source_set_enabled(l->source, SD_EVENT_ON);
        return 0;
}

/* Without fds or memory the listening socket stays readable: look away for a moment, not in a loop.
 */
static void pause_accepting(struct listener *l, int error)
{
        log_warning("cannot accept connections for now: %s", strerror(-error));
        (void) sd_event_source_set_enabled(l->source, SD_EVENT_OFF);
        (void) sd_event_source_set_time_relative(l->pause, PAUSE_USEC);
        (void) sd_event_source_set_enabled(l->pause, SD_EVENT_ONESHOT);
}

static int on_connections(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct listener *l = userdata;

        for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
                int client = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

                if (client < 0 && (errno == EINTR || errno == ECONNABORTED))
                        continue;
                if (client < 0 && errno != EAGAIN)
                        pause_accepting(l, -errno);
                if (client < 0)
                        break;
                admit(l, client);
        }
        return 0;
}

int listener_init(struct listener *l, struct frontend *f, int fd, uint32_t index)
{
        int r;

        *l = (struct listener) { .frontend = f, .fd = fd, .index = index };
        /* Of a passed socket it is systemd's flag too, which sets it itself. */
        r = io_set_nonblock(fd);
        if (r < 0)
                return r;
        r = sd_event_add_io(f->event, &l->source, fd, EPOLLIN, on_connections, l);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(f->event, &l->pause, CLOCK_MONOTONIC, 0,
                FRONTEND_TIMER_ACCURACY, on_pause_over, l);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(l->pause, SD_EVENT_OFF);
}

void listener_stop(struct listener *l)
{
        (void) sd_event_source_set_enabled(l->source, SD_EVENT_OFF);
        (void) sd_event_source_set_enabled(l->pause, SD_EVENT_OFF);
}

void listener_done(struct listener *l)
{
        l->source = sd_event_source_disable_unref(l->source);
        l->pause = sd_event_source_disable_unref(l->pause);
        l->fd = safe_close(l->fd);
}
