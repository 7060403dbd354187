/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The files of a detached job, kept with its result: as the stream that init wrote, with what there was
 * no room for replaced by a word about it. Memory is charged to the job's owner before it is taken.
 */

#include "daemon/frontend/fetch.h"
#include "daemon/frontend/store.h"

struct result;

struct kept_files {
        struct store store; /* one stream, of records */
        uint64_t reserved;  /* bytes charged, and not yet taken by the store */
        uint64_t dropping;  /* bytes still to come of a file that is not kept */
        bool refused;       /* there was one that is not */
        uint32_t n; /* files and folders that came whole, kept or, of an attached job, sent */
};

void kept_files_init(struct result *r);
void kept_files_done(struct kept_files *k);
/* Keeps what an event says. */
void kept_files_add(struct result *r, const struct fetch_event *e);
/* Gives back what was charged and not needed. Nothing is kept after that. */
void kept_files_end(struct result *r);
