/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the journal is told of jobs and refusals. Refusals cost a client nothing, so only some of each
 * kind are recorded in a while, and then how many were not. The first of each user always is, so that
 * nobody can hide another's.
 */

#include <sys/types.h>

#include "common/macro.h"
#include "proto/sandboxd.pb-c.h"

enum record_refusal {
        RECORD_OVER_LIMIT,
        RECORD_BUSY,
        RECORD_DENIED,
        _RECORD_REFUSALS,
};

#define RECORD_UIDS_MAX 64

/* One kind of refusal. */
struct record_window {
        uint64_t begun_usec;
        uint32_t recorded;           /* since then */
        uint64_t suppressed;         /* since the last that was recorded */
        uid_t uids[RECORD_UIDS_MAX]; /* whose were recorded */
        uint32_t n_uids;
};

struct record_book {
        struct record_window refusals[_RECORD_REFUSALS];
};

struct job;

void record_job_started(const struct job *j);
void record_job_ended(const struct job *j);
/* To be called with every Error that a client is told: those that are its own mistakes, or ours, are
 * none of this. text is what the client reads. */
void record_refusal(struct record_book *book, uid_t uid, Sandboxd__V1__ErrorCode code,
        const char *text);

/* Whether one more of this user may be recorded now; how many were not before it. */
bool record_window_take(struct record_window *w, uid_t uid, uint64_t now_usec,
        uint64_t *ret_suppressed);
