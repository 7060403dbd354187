/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Responses: packing them into frames, and the ones that are more than a line to fill in.
 */

#include "daemon/frontend/connection.h"

/* The version of the protocol that is spoken here. */
#define REPLY_PROTOCOL 1

/* Appends the response to q as one frame. */
int reply_pack(struct queue *q, const Sandboxd__V1__Response *response);
int reply_pack_error(struct queue *q, uint64_t id, Sandboxd__V1__ErrorCode code, const char *field,
        const char *text);

/* text and field may quote the client. */
void reply_error(struct connection *c, uint64_t id, Sandboxd__V1__ErrorCode code, const char *field,
        const char *text);
void reply_hello(struct connection *c, uint64_t id);
void reply_output(struct connection *c, uint64_t id, Sandboxd__V1__Output__Stream stream,
        const void *data, size_t size);
void reply_stdin_credit(struct connection *c, uint64_t id, uint64_t bytes, bool closed);
void reply_runtimes(struct connection *c, uint64_t id);
void reply_profiles(struct connection *c, uint64_t id);
void reply_host(struct connection *c, uint64_t id);
