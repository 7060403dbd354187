/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The service's side of relay processes (relay.h): it starts them, bounds them for each user, kills them when they
 * are no longer wanted, and says how each ended. Nothing here blocks.
 */

#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/bus/relay.h"

#define RELAYS_USER_MAX 96 /* three streams each of 32 jobs */
#define RELAYS_MAX 384     /* each costs some 400 KiB */

struct relay;
LIST_HEAD(relay_list, relay);

struct relays {
        sd_event *event;
        const char *program; /* sandboxd-bus */
        struct relay_list list;
};

/* Both are called from the event loop, and neither after relay_stop(). */
/* Called once at most: the caller's fd is one that can be copied, and what is to be read of it is. */
typedef void (*relay_ready_handler)(struct relay *r, void *userdata);
/* Called once; r is gone when it returns. reason is a sentence, or "" after RELAY_ENDED. */
typedef void (*relay_end_handler)(struct relay *r, enum relay_end end, bool was_ready,
        const char *reason, void *userdata);

/* event must be one that children may be watched with: SIGCHLD is blocked. program: NULL for the program that
 * runs, which is the same one after an upgrade too. */
void relays_init(struct relays *rs, sd_event *event, const char *program);
/* Kills all there are, and waits for none. */
void relays_done(struct relays *rs);

/* Starts one; both fds stay the caller's of this function, who may close them at once. -EDQUOT when the user has
 * too many, -EUSERS when all have, which both count those that are killed and not gone yet; errors of pipe(2),
 * posix_spawn(3) and sd_event_add_child(3). ret may be NULL. */
int relays_start(struct relays *rs, uid_t uid, int caller_fd, int socket_fd,
        enum relay_stream stream, relay_ready_handler on_ready, relay_end_handler on_end,
        void *userdata, struct relay **ret);
/* Whether it said so, from its relay_ready_handler on. */
bool relay_is_ready(const struct relay *r);
/* Kills it; r may not be used again, and its handler is not called. Safe on NULL. */
void relay_stop(struct relay *r);
