/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A connection to sandboxd: the greeting, requests out, responses in. Only connect, hello and call
 * wait; everything else takes what the socket gives at once, so that a caller can run its own loop.
 * One connection can carry many requests; responses are told apart by their id.
 */

#include "common/error.h"
#include "proto/sandboxd.pb-c.h"

#define CLIENT_PROTOCOL 1

struct client;

/* Connects to the socket at path. -ENOENT and -ECONNREFUSED mean that no daemon listens there. */
int client_connect(const char *path, struct client **ret);
struct client *client_free(struct client *c);
DEFINE_CLEANUP(struct client *, client_free)

/* Says hello as name ("sandboxctl 0.1.0") and waits for the reply. 1 when the daemon refuses, with
 * its Error in client_response(); -EPROTONOSUPPORT when it speaks another version. */
int client_hello(struct client *c, const char *name, uint64_t timeout_usec);
/* What the daemon said of itself; NULL before a successful client_hello(). */
const Sandboxd__V1__HelloReply *client_peer(const struct client *c);
/* The most bytes that one request may have when packed. */
size_t client_max_request(const struct client *c);
/* The most bytes of data that one FileData or StdinData may carry, so that its request fits. */
size_t client_max_piece(const struct client *c);

/* An id that no request on this connection has had. */
uint64_t client_next_id(struct client *c);

/* Queues a request. -EMSGSIZE when it is larger than client_max_request(). */
int client_queue(struct client *c, const Sandboxd__V1__Request *request);
/* Bytes queued and not yet sent. */
size_t client_queued(const struct client *c);
/* Sends what the socket takes. 0, also when the daemon no longer reads: what it said before it
 * closed is still there to receive. */
int client_flush(struct client *c);

/* The next response: 1 with *ret set (valid until the next receive, wait or call), 0 when none is
 * there yet, -ECONNRESET when the daemon has closed, -EBADMSG or -EMSGSIZE when it talks nonsense,
 * -ENOBUFS when a response needs more memory than the budget for one. */
int client_receive(struct client *c, const Sandboxd__V1__Response **ret);
/* The response given out last, or NULL. */
const Sandboxd__V1__Response *client_response(const struct client *c);

/* Sends a request that has one response and waits for it. Sets request->id. -ETIMEDOUT, or as
 * client_queue() and client_receive(). */
int client_call(struct client *c, Sandboxd__V1__Request *request, uint64_t timeout_usec,
        const Sandboxd__V1__Response **ret);

/* For poll(). */
int client_fd(const struct client *c);
