/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether a job may be taken: its slot, and room for its code and files until they are complete.
 * Each returns 0 when charged, or has told the client which setting is in the way.
 */

#include "daemon/frontend/connection.h"

int admission_take_job(struct connection *c, uint64_t request);
int admission_take_upload(struct connection *c, uint64_t request, uint64_t size);
