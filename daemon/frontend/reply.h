/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Responses: packing them into frames, and the ones that are more than a line to fill in.
 */

#include "daemon/frontend/connection.h"

/* The version of the protocol that is spoken here. */
#define REPLY_PROTOCOL 1

/* Appends the response to q as one frame. -EMSGSIZE when it has more than max bytes. */
int reply_pack(struct queue *q, size_t max, const Sandboxd__V1__Response *response);
/* An Error always fits the smallest frame there is. */
int reply_pack_error(struct queue *q, uint64_t id, Sandboxd__V1__ErrorCode code, const char *field,
        const char *text);

/* text and field may quote the client. */
void reply_error(struct connection *c, uint64_t id, Sandboxd__V1__ErrorCode code, const char *field,
        const char *text);
/* BUSY, and when to try again; 0: that cannot be said. */
void reply_busy(struct connection *c, uint64_t id, const char *field, const char *text,
        uint64_t retry_after_usec);
void reply_done(struct connection *c, uint64_t id);
void reply_hello(struct connection *c, uint64_t id);
void reply_output(struct connection *c, uint64_t id, Sandboxd__V1__Output__Stream stream,
        const uint8_t *data, size_t size);
void reply_stdin_credit(struct connection *c, uint64_t id, uint64_t bytes, bool closed);
void reply_runtimes(struct connection *c, uint64_t id);
void reply_profiles(struct connection *c, uint64_t id);
void reply_host(struct connection *c, uint64_t id);
/* The same, to a WatchJobs. */
void reply_host_event(struct connection *c, uint64_t id);
