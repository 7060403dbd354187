/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The bytes of a connection to sandboxd: requests out, responses in, with fds where they have some.
 * Nothing here waits, and nothing knows which request a response is for.
 */

#include "common/macro.h"
#include "proto/sandboxd.pb-c.h"

struct wire;

/* A response that has a new owner, and the memory that it holds. */
struct received {
        Sandboxd__V1__Response *response;
        size_t memory;
};

/* Connects to the socket at path. -ENOENT and -ECONNREFUSED mean that no daemon listens there,
 * -EAGAIN that its queue is full: try again a little later. */
int wire_connect(const char *path, struct wire **ret);
struct wire *wire_free(struct wire *w);
DEFINE_CLEANUP(struct wire *, wire_free)

/* For poll(). */
int wire_fd(const struct wire *w);

/* The most bytes that one request may have when packed: FRAME_MAX_DEFAULT unless set. */
size_t wire_max_request(const struct wire *w);
void wire_set_max_request(struct wire *w, size_t size);
/* The most bytes of data that one FileData or StdinData may carry, so that its request fits. */
size_t wire_max_piece(const struct wire *w);

/* An id that no request on this connection has had. */
uint64_t wire_next_id(struct wire *w);

/* Queues a request. -EMSGSIZE when it is larger than wire_max_request(). */
int wire_queue(struct wire *w, const Sandboxd__V1__Request *request);
/* Bytes queued and not yet sent. */
size_t wire_queued(const struct wire *w);
/* Sends what the socket takes. 0, also when the daemon no longer reads: what it said before it
 * closed is still there to receive. */
int wire_flush(struct wire *w);

/* The next response: 1 with *ret set (valid until the next receive), 0 when none is there yet,
 * -ECONNRESET when the daemon has closed, -EBADMSG (also for fds too many) or -EMSGSIZE when it talks nonsense, -ENOBUFS
 * when a response needs more memory than the budget for one. */
int wire_receive(struct wire *w, const Sandboxd__V1__Response **ret);
/* Hands over the n fds of the response that was received last: -EBADMSG when it came with another number,
 * -EMFILE when this process could not have them. Each response that has fds must be asked for them. */
int wire_take_fds(struct wire *w, int *ret, size_t n);
/* Hands over the response that was received last. */
struct received wire_take(struct wire *w);
void wire_response_free(Sandboxd__V1__Response *response);
