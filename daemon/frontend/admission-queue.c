/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The queue of jobs that wait. Runs in the frontend. A user is in its list while one of his waits, so the
 * list is no longer than there are users.
 */
#include "daemon/frontend/admission-queue.h"

TAILQ_HEAD(waiter_list, waiter);

struct waiting_user {
        TAILQ_ENTRY(waiting_user) entries;
        uid_t uid;
        struct waiter_list waiters;
        size_t n;
};

void admission_queue_init(struct admission_queue *q)
{
        TAILQ_INIT(&q->users);
}

static struct waiting_user *find(const struct admission_queue *q, uid_t uid)
{
        struct waiting_user *u;

        TAILQ_FOREACH (u, &q->users, entries)
                if (u->uid == uid)
                        return u;
        return NULL;
}

int admission_queue_add(struct admission_queue *q, struct waiter *w, uid_t uid)
{
        struct waiting_user *u = find(q, uid);

        if (!u) {
                u = calloc(1, sizeof(*u));
                if (!u)
                        return -ENOMEM;
                u->uid = uid;
                TAILQ_INIT(&u->waiters);
                TAILQ_INSERT_TAIL(&q->users, u, entries);
        }
        TAILQ_INSERT_TAIL(&u->waiters, w, entries);
        u->n++;
        w->user = u;
        return 0;
}

void admission_queue_remove(struct admission_queue *q, struct waiter *w)
{
        struct waiting_user *u = TAKE_PTR(w->user);

        TAILQ_REMOVE(&u->waiters, w, entries);
        u->n--;
        if (u->n > 0)
                return;
        TAILQ_REMOVE(&q->users, u, entries);
        free(u);
}

struct waiter *admission_queue_take(struct admission_queue *q,
        int (*take)(void *userdata, uid_t uid), void *userdata)
{
        struct waiting_user *u;

        TAILQ_FOREACH (u, &q->users, entries) {
                int r = take(userdata, u->uid);
                struct waiter *w;

                if (r == -EDQUOT)
                        continue;
                if (r < 0)
                        return NULL;
                TAILQ_REMOVE(&q->users, u, entries);
                TAILQ_INSERT_TAIL(&q->users, u, entries);
                w = TAILQ_FIRST(&u->waiters);
                admission_queue_remove(q, w);
                return w;
        }
        return NULL;
}

size_t admission_queue_count(const struct admission_queue *q, uid_t uid)
{
        const struct waiting_user *u = find(q, uid);

        return u ? u->n : 0;
}
