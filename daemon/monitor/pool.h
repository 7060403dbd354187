/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Sandboxes that are made before there is a job for them, each for one user, runtime and profile, and used
 * once. A START takes one when there is one; whatever is not here, or not as it should be, is made as if
 * there were no pool.
 *
 * They are made in the background: one at a time a CPU, not while jobs begin, and given back when
 * nobody asks for them, the host is short of memory, or the policy or the interpreter changes. What a user has here is
 * grown by what he asks for, and bounded.
 */

#include <sys/queue.h>
#include <sys/types.h>
#include <time.h>

#include "daemon/monitor/pool-demand.h"
#include "daemon/monitor/sandbox.h"

/* One that is older is replaced: a scope lives no longer than it was made for. */
#define POOL_LIFE_USEC (3600 * USEC_PER_SEC)
#define POOL_KEYS_MAX 1024

TAILQ_HEAD(pool_sandboxes, sandbox);

struct pool_user {
        LIST_ENTRY(pool_user) entries;
        uid_t uid;
        unsigned n_keys;
        unsigned n; /* sandboxes, parked and on their way */
        unsigned n_parking;
        uint64_t served; /* when it was its turn, as a count */
};

/* What sandboxes are alike for. */
struct pool_key {
        LIST_ENTRY(pool_key) entries;
        struct pool_user *user;
        char runtime[POLICY_NAME_MAX];
        char profile[POLICY_NAME_MAX];
        uint32_t runtime_index; /* in the policy in force */
        uint32_t profile_index;
        bool kept; /* for a user of [Pool] Users=: it is not given back for being idle */
        struct pool_demand demand;
        uint64_t asked_usec;          /* when last */
        struct pool_pause pause;      /* after one that died */
        struct pool_sandboxes parked; /* oldest first */
        unsigned n_parked;
        unsigned n_parking;
        uint64_t bytes; /* that the last one held; 0: not known */
};

/* An interpreter's file: an upgrade puts another one in its place. */
struct pool_program {
        dev_t device;
        ino_t inode;
        struct timespec changed;
};

struct pool {
        struct sandbox_host *host;
        struct generation *generation;                     /* in force; NULL before there is one */
        struct pool_program programs[POLICY_RUNTIMES_MAX]; /* of its runtimes that are parked */
        LIST_HEAD(, pool_key) keys;                        /* those asked for last come first */
        LIST_HEAD(, pool_user) users;
        unsigned n_keys;
        struct pool_sandboxes sandboxes; /* all that have no job, those that end among them */
        unsigned n_sandboxes;
        unsigned n; /* parked and on their way */
        unsigned n_parking;
        unsigned n_cpus;
        uint64_t bytes; /* that those hold, or may */
        uint64_t turns;
        unsigned n_jobs; /* that began and have not ended */
        uint64_t began_usec;
        uint64_t ended_usec;
        uint64_t held_usec; /* since when jobs have kept the next one from being made */
        bool stopped;
        bool is_short;               /* the host is short of memory */
        sd_event_source *refill;     /* when the next one may be made */
        sd_event_source *inspection; /* while there is anything */
};

/* pool.c */
int pool_init(struct pool *p, struct sandbox_host *host);
void pool_done(struct pool *p);
/* Another policy is in force: what was made by the one before ends. */
void pool_adopt(struct pool *p, struct generation *g);
/* Ends all of them, and makes none any more. */
void pool_stop(struct pool *p);
/* A checked START with WARM. 0: *ret has the job, and with it the fds. -ENOENT: it is to be made. */
int pool_claim(struct pool *p, struct generation *g, const struct channel_start *m, int *fds,
        struct sandbox **ret);
/* Reports of a sandbox without a job, see sandbox_host. */
void pool_on_parked(struct pool *p, struct sandbox *s);
void pool_on_lost(struct pool *p, struct sandbox *s);
/* It was claimed, under a policy, and died with its job not begun. */
void pool_on_replaced(struct pool *p, struct sandbox *s, const struct generation *g);
void pool_on_gone(struct pool *p, struct sandbox *s);
/* Frees all of them without a loop. */
void pool_abandon(struct pool *p);
/* Takes a sandbox out of its key's and user's books, and ends it. */
void pool_discard(struct pool *p, struct sandbox *s);
/* Ends all of a key. */
void pool_discard_all(struct pool *p, struct pool_key *k);
/* Forgets a key that has none. */
void pool_drop_key(struct pool *p, struct pool_key *k);

/* pool-refill.c */
int pool_refill_init(struct pool *p);
/* Jobs of any kind: while they begin, nothing else is made. */
void pool_job_began(struct pool *p);
void pool_job_ended(struct pool *p);
/* Looks when the next one may be made. */
void pool_schedule(struct pool *p);
/* Makes one, if there is one to be made and now is the time for it. Whether it tried. */
bool pool_refill(struct pool *p, uint64_t now_usec);
/* How many of a key there should be now. */
unsigned pool_key_wanted(const struct pool *p, struct pool_key *k, uint64_t now_usec);
/* What one more of a key is expected to hold. */
uint64_t pool_key_bytes(const struct pool *p, const struct pool_key *k);
/* More than they may hold: one held more than was expected. */
bool pool_holds_too_much(const struct pool *p);
/* The key that is to have the next one; NULL for none. */
struct pool_key *pool_choose(struct pool *p, uint64_t now_usec);
/* Looks which interpreters there are; those that wait in another one are ended. */
void pool_note_programs(struct pool *p);
/* Gives back what nobody wants. */
void pool_inspect(struct pool *p, uint64_t now_usec);
