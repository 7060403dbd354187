/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Responses that bring files, and credit for those that come.
 */

#include "daemon/frontend/connection.h"
#include "daemon/frontend/fetch.h"

/* The most data that one response can have. */
size_t reply_file_most(const struct connection *c);
/* What an event says; its data is at most that much. limits are the job's, for the sentence of one that
 * failed. */
void reply_file(struct connection *c, uint64_t id, const struct fetch_event *e,
        const struct limits *limits);
void reply_file_credit(struct connection *c, uint64_t id, uint64_t bytes);
