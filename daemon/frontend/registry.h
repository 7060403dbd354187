/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Every job there is, and every one that has ended and is remembered. What a client may see of them is
 * decided here: its own, and root all; of another's job nothing can be told from one that never was.
 */

#include "daemon/frontend/result.h"

/* One who has jobs, or results of them, or watches his. */
struct user {
        struct table_entry entry;   /* by uid */
        TAILQ_ENTRY(user) entries;  /* of all */
        struct result_list results; /* oldest first */
        struct result_list ended;   /* those of them that have ended, in this order */
        size_t n_ended;
        uint64_t ended_bytes; /* charged for those */
        struct changes changes;
};

TAILQ_HEAD(user_list, user);

struct registry {
        struct table by_id;
        struct table by_uid;
        struct user_list users;
        struct result_list ended; /* of all users */
        size_t n_detached;        /* of those, of detached jobs */
        struct changes changes;
        uint64_t serial; /* that was given last to a job which those who watch are told of */
};

void registry_init(struct registry *g);
void registry_done(struct registry *g);

/* Gives a job's result an id that cannot be guessed, and its owner. */
int registry_add(struct registry *g, struct result *r, uid_t uid);
/* It stays the caller's. */
void registry_remove(struct registry *g, struct result *r);

/* The user of that uid, also one who has nothing yet, until registry_release_user(). */
int registry_take_user(struct registry *g, uid_t uid, struct user **ret);
/* Frees a user who has nothing any more. */
void registry_release_user(struct registry *g, struct user *u);

/* By the id, for ourselves. */
struct result *registry_find(const struct registry *g, uint64_t id);
/* By the text of the id, for a client. */
struct result *registry_find_for(const struct registry *g, uid_t uid, const void *text,
        size_t size);
/* Those that the client may see, of each user oldest first; of jobs that have ended only with all. */
int registry_list(const struct registry *g, uid_t uid, bool all, struct result ***ret,
        size_t *ret_n);
