/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The generations of the policy that are of use here. New requests go by the current one; a job goes
 * by the one that it was planned with, to its end. One that nobody needs is unmapped.
 */

#include "common/policy.h"

struct mapped_policy {
        struct mapped_policy *next; /* an older one */
        uint32_t generation;
        const struct policy *policy;
        unsigned n_users;   /* jobs */
        unsigned n_planned; /* those of them that the monitor was not yet asked to start */
        bool retired;       /* the monitor knows that it will not be asked for another */
};

struct policies {
        struct mapped_policy *current; /* the newest; NULL before the first */
};

/* Maps the memfd, which stays the caller's, and makes the policy the current one. -EBADMSG for what
 * the monitor of this build would not send. */
int policies_add(struct policies *ps, uint32_t generation, int fd);
/* There must be no user any more. */
void policies_done(struct policies *ps);

/* The current one, for a job that is going to be started with it. */
struct mapped_policy *policies_take(struct policies *ps);
/* The monitor was asked to start it, or never will be. */
void policies_end_plan(struct mapped_policy *p);
/* Its job is gone. */
void policies_release(struct policies *ps, struct mapped_policy *p);

/* One that no job will be started with any more, which the monitor is still to be told; or NULL. */
struct mapped_policy *policies_find_spent(const struct policies *ps);
/* The monitor was told. */
void policies_retire(struct policies *ps, struct mapped_policy *p);
