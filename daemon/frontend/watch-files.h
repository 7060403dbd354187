/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The answer to a GetFiles: the kept files of a job that has ended, as far as they were asked for, from
 * the beginning on and as its client takes them.
 */

#include "daemon/frontend/connection.h"
#include "daemon/frontend/result.h"
#include "daemon/frontend/watch.h"

struct watch_files;

/* Tells the client what is wrong with the request, and then returns NULL. */
struct watch_files *watch_files_new(struct connection *c, uint64_t request,
        const Sandboxd__V1__GetFiles *m);
void watch_files_free(struct watch_files *f, struct connection *c);

/* Sends what can be sent in one turn. */
enum watch_step watch_files_step(struct watch_files *f, struct connection *c, uint64_t request,
        const struct result *r);
void watch_files_add_credit(struct watch_files *f, uint64_t bytes);
