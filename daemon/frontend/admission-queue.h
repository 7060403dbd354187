/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who waits for a slot, in turn: users one after the other, and of one user who came first. So nobody
 * waits longer for another having much to do. Knows no job and no setting.
 */

#include <sys/queue.h>
#include <sys/types.h>

#include "common/macro.h"

struct waiting_user;

/* Part of what waits. All zero does not. */
struct waiter {
        TAILQ_ENTRY(waiter) entries; /* of its user's */
        struct waiting_user *user;   /* NULL: it does not wait */
};

TAILQ_HEAD(waiting_user_list, waiting_user);

struct admission_queue {
        struct waiting_user_list users; /* whose turn it is first */
};

void admission_queue_init(struct admission_queue *q);

/* Puts it behind those of its user. -ENOMEM. */
int admission_queue_add(struct admission_queue *q, struct waiter *w, uid_t uid);
void admission_queue_remove(struct admission_queue *q, struct waiter *w);

/* Takes the first one out whose user may have a slot, and puts that user at the end of the turn. take
 * charges a user: 0, -EDQUOT when this user may have none, another errno when nobody may. */
struct waiter *admission_queue_take(struct admission_queue *q,
        int (*take)(void *userdata, uid_t uid), void *userdata);

/* How many of that user wait. */
size_t admission_queue_count(const struct admission_queue *q, uid_t uid);
static inline bool admission_queue_is_empty(const struct admission_queue *q)
{
        return TAILQ_EMPTY(&q->users);
}
