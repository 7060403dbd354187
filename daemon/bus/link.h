/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A libsandbox client in an sd-event loop.
 */

#include <systemd/sd-event.h>

#include "client/lib/sandbox.h"
#include "common/macro.h"

enum link_state {
        LINK_CLOSED,
        LINK_CONNECTING,
        LINK_READY,
        _LINK_STATES,
};

struct link;

/* The link became READY, or CLOSED (by itself, and not by link_close()): then error says why, and every
 * callback of what was under way on it was called. */
typedef void (*link_handler)(struct link *l, const sandbox_error *error, void *userdata);

struct link {
        enum link_state state;
        sd_event *event;
        sandbox_client *client;
        sd_event_source *io;
        sd_event_source *timer; /* also refreshes what is polled for, before each poll */
        sd_event_source *again; /* there is more to be processed */
        int fd;                 /* that io is for; the client's */
        int error;              /* why it cannot be polled for: it is lost in the next turn */
        link_handler handler;
        void *userdata;
};

void link_init(struct link *l, sd_event *event, link_handler handler, void *userdata);
void link_close(struct link *l);
/* For whom a connection is made. gids is NULL for our own. */
struct link_identity {
        uid_t uid;
        const gid_t *gids;
        size_t n_gids;
        bool own;
};
/* Begins to connect. Of an error that shows at once the handler is not told. */
int link_connect(struct link *l, const char *socket_path, const struct link_identity *of);
