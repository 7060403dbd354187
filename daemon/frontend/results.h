/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How long what has ended is remembered: ResultRetentionSec= and MaxResultsPerUser=, and of what it
 * left MaxKeptPerUser= and MaxKept= bytes. The oldest of a user makes room for what is new of the same.
 */

#include "daemon/frontend/result.h"

/* What is said of a job that is not there, or no longer, or another user's. */
#define RESULTS_NO_SUCH_JOB                                                                        \
        "no job has this id: 'sandboxctl ps --all' lists those that run or are kept"

int results_init(struct frontend *f);
/* Forgets all that have ended. */
void results_done(struct frontend *f);

/* Makes the result of a job that begins, with an id. */
int results_begin(struct frontend *f, struct job *job, uid_t uid, const void *label,
        size_t label_size, struct result **ret);
/* Its job has ended: it is kept as long as the policy says, which may be not at all. */
void results_keep(struct result *r);
/* Forgets it. */
void results_drop(struct result *r);

/* Charges the owner of a job that has not ended for bytes that it leaves. The oldest of what else is
 * kept of that user may be dropped for it. */
bool results_charge(struct result *r, uint64_t size);
/* Gives some of that back. */
void results_release(struct result *r, uint64_t size);

/* Another policy is in force. */
void results_on_policy(struct frontend *f);
