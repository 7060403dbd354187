/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Jobs in the order of their last change, for who watches all of them: one such list of each owner and
 * one of all jobs. What a watch has not told is behind its place in the list, and each job is there once
 * however often it changed.
 */

#include <sys/queue.h>

#include "common/macro.h"

struct job_watch;
struct result;

/* A bit for each watch of a list: 16 of a user, and root's and the bus's see all. */
#define CHANGES_WATCHES 32

enum changes_of {
        CHANGES_OF_OWNER,
        CHANGES_OF_ALL,
        _CHANGES_LISTS,
};

/* A job's place in one of its two lists. */
struct change {
        TAILQ_ENTRY(change) entry;
        struct result *result;
        uint32_t known; /* to these watches the job was told, */
        uint32_t told;  /* to these as it is now, */
        uint32_t owed;  /* and these are still to hear that it is gone */
};

TAILQ_HEAD(change_list, change);
LIST_HEAD(job_watch_list, job_watch);

struct changes {
        struct change_list list;
        struct job_watch_list watches;
        uint32_t slots; /* bits that are taken */
        size_t n;       /* jobs in it that are not gone */
};

static inline void changes_init(struct changes *l)
{
        *l = (struct changes) {};
        TAILQ_INIT(&l->list);
        LIST_INIT(&l->watches);
}

static inline bool changes_are_empty(const struct changes *l)
{
        return TAILQ_EMPTY(&l->list) && LIST_EMPTY(&l->watches);
}
