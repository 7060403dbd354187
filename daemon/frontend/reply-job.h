/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Responses that tell of a job. They are made of its result alone, so that who asks later hears the same
 * as who waited.
 */

#include "daemon/frontend/connection.h"
#include "daemon/frontend/result.h"

void reply_started(struct connection *c, uint64_t id, const struct result *r,
        uint64_t stdin_credit);
/* A return value that does not fit the client's frames is left out, and the message says so. */
void reply_result(struct connection *c, uint64_t id, const struct result *r);
