/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who is on the bus: an account for each uid, which what its callers can have us hold is charged to; a user for
 * each set of groups that it comes with; and the callers, a unique name each.
 */

#include "daemon/bus/link.h"
#include "daemon/bus/service.h"

/* For one uid at one time. */
#define ACCOUNT_CALLS_MAX 512
/* What all may have us hold. One user gets half of what the others leave, so that something is left for the
 * next. */
#define BYTES_MAX (320 * MIB)
#define ACCOUNT_SUBSCRIPTIONS_MAX 128
#define ACCOUNT_ANSWERS_MAX 2048
/* Sets of groups. sandboxd takes as many connections on behalf of one uid. */
#define ACCOUNT_USERS_MAX 4

LIST_HEAD(call_list, call);
TAILQ_HEAD(call_queue, call);

struct account {
        LIST_ENTRY(account) entries;
        uid_t uid;
        unsigned n_users;
        unsigned n_calls;    /* that are not answered, or whose answer the bus has not taken */
        uint64_t n_bytes;    /* of them, and of what else we hold */
        uint64_t n_returned; /* bytes that it was lent and gave back, while some may not be gone */
        unsigned n_subscriptions;
        unsigned n_questions; /* put to polkit */
        uint64_t turn;        /* number of its last one, of listings; 0: it had none */
        /* Calls whose answers may wait for the bus, those that libsystemd gives by itself among them: from
         * before the last probe of the outbox, and since. */
        unsigned n_answers_before;
        unsigned n_answers_since;
};

struct user {
        LIST_ENTRY(user) entries;
        struct account *account;
        struct service *service;
        unsigned n_refs;
        uid_t uid;
        gid_t *gids;
        size_t n_gids;
        unsigned n_holds; /* calls and runs that its link is for */
        struct link link;
        struct call_queue connecting; /* calls that wait for the link */
        sd_event_source *idle;        /* closes the link */
};

struct caller {
        char *name;
        struct user *user;
        struct call_list calls;
        bool subscribed;
        bool in_doubt; /* the bus was asked which names there are, and did not say this one */
        LIST_ENTRY(caller) subscriptions;
};

/* The sender of a message. Asks the bus, and waits for its answer, the first time that a name is seen.
 * Never NULL on success; -ENXIO when it has left, -EDQUOT when its uid comes with too many sets of groups, -ETIMEDOUT
 * when the bus does not say in time who it is. */
int caller_find(struct service *s, sd_bus_message *m, struct caller **ret);
/* The name has left the bus: what it waits for is given up. */
void caller_gone(struct service *s, const char *name);
/* To be called once: asks the bus now and then who is there, since it does not tell of who leaves when it has too much
 * for us. */
int callers_watch(struct service *s);
/* All of them leave. */
void callers_give_up(struct service *s);
void users_done(struct service *s);

/* Of no account it is remembered any more what it was lent and has closed. */
void accounts_forget_returned(struct service *s);

/* Whether it may see what is that user's. */
static inline bool caller_may_see(const struct caller *c, uid_t owner)
{
        return c->user->uid == 0 || c->user->uid == owner;
}

/* root, with no other groups: for what an administrator was allowed. */
int user_find_root(struct service *s, struct user **ret);

struct user *user_ref(struct user *u);
struct user *user_unref(struct user *u);
/* The same, of who needs its link. */
struct user *user_hold(struct user *u);
struct user *user_unhold(struct user *u);
/* What counts as a call, for the user and for whether there is something to stay for. */
void user_begin_call(struct user *u);
void user_end_call(struct user *u);
/* A probe of the outbox was taken by the bus, and so were the answers from before it. */
void accounts_on_probe(struct service *s);
/* -EDQUOT when too many of its answers wait for the bus. */
int account_add_answer(struct service *s, struct account *a);
/* -EDQUOT when the user would hold too much. */
int user_charge(struct user *u, uint64_t bytes);
void user_release(struct user *u, uint64_t bytes);
