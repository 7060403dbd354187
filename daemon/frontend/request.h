/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One request frame: decoding and doing what it asks.
 */

#include "daemon/frontend/connection.h"

void request_handle(struct connection *c, const uint8_t *body, size_t size);
