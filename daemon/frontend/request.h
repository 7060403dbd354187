/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One request frame: decoding and doing what it asks.
 */

#include "daemon/frontend/connection.h"

void request_handle(struct connection *c, const uint8_t *body, size_t size);

/* Whether no other request with this id is under way; otherwise the connection has been failed. For the
 * requests that more than one response may come to. */
bool request_id_is_free(struct connection *c, const Sandboxd__V1__Request *request);
