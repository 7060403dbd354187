/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the public calls are made of.
 */

#include "client/lib/request.h"

#define REQUEST(field, CASE, body)                                                                 \
        {                                                                                          \
                .base = PROTOBUF_C_MESSAGE_INIT(&sandboxd__v1__request__descriptor),               \
                .body_case = SANDBOXD__V1__REQUEST__BODY_##CASE, .field = (body),                  \
        }

/* Begins a request whose answer goes to a handler. ret may be NULL. */
int call_async(sandbox_client *c, enum request_kind kind, Sandboxd__V1__Request *message,
        union request_handler handler, void *userdata, sandbox_request **ret);
/* Makes a request and waits for its answer. */
int call_wait(sandbox_client *c, enum request_kind kind, Sandboxd__V1__Request *message,
        uint64_t timeout_usec, struct answer *a);
