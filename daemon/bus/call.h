/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A method call that is not answered at once: what it waits for, and its one answer. It is charged to its
 * user from the beginning until the bus has taken the answer.
 */

#include "daemon/bus/caller.h"

enum call_state {
        CALL_BEGUN,
        CALL_ASKING,     /* polkit */
        CALL_LISTING,    /* its answer is long, and not its turn */
        CALL_CONNECTING, /* to sandboxd */
        CALL_WORKING,    /* sandboxd does what was asked for */
        CALL_LENDING,    /* it was done, and there is no room for the fds of the answer */
        CALL_ANSWERED,   /* and the bus has not taken it */
        _CALL_STATES,
};

struct call;
struct question;

/* The next step. The client is NULL where none was asked for. */
typedef void (*call_step)(struct call *c, sandbox_client *client);

struct call {
        enum call_state state;
        struct service *service;
        struct caller *caller; /* NULL when it has left, or is answered */
        struct user *user;
        struct user *as; /* whom sandboxd takes us for: user, or root */
        LIST_ENTRY(call) of_caller;
        TAILQ_ENTRY(call) waiting; /* for link, turn or room, or in the outbox */
        sd_bus_message
                *message; /* what an answer is made to; without the contents and fds of what came */
        uint64_t charged; /* bytes */
        call_step step;   /* what follows when the wait is over */
        uint64_t since;   /* CLOCK_MONOTONIC: LENDING */
        struct question *question;
        sandbox_request *request; /* under way; NULL */
        uint64_t cookie;          /* of the answer */
        /* What the method keeps, and what ends it early: jobs are cancelled. */
        void *data;
        void (*free_data)(void *data);
};

/* Begins what sd-bus has called a method handler for. Returns what that has to return: 1 with *ret set, or
 * an error that sd-bus sends. */
int call_new(struct service *s, sd_bus_message *m, struct call **ret, sd_bus_error *ret_error);
void call_set_state(struct call *c, enum call_state state);
/* Charges bytes more, until the answer is taken. On failure the call is answered, and over. */
int call_charge(struct call *c, uint64_t bytes);

/* What comes next, when sandboxd can be reached as the call's user. May be called at once. */
void call_connect(struct call *c, call_step step);
/* What follows is done as root, since its caller was allowed to have it done. The call stays charged to its
 * user. */
void call_become_root(struct call *c);
/* The link of a user is there, or not. */
void call_on_link(struct link *l, const sandbox_error *error, void *userdata);

/* Each is the end of the call, but for its charge. */
void call_reply(struct call *c, sd_bus_message *reply);
void call_reply_empty(struct call *c);
/* Replies, after charging so many bytes of it; or fails where the making of the reply has with r. what is as of
 * call_fail_errno(). */
void call_finish(struct call *c, sd_bus_message *reply, int r, const char *what, uint64_t bytes);
/* name is without "org.sandboxd1.Error.". */
void call_fail(struct call *c, const char *name, const char *format, ...) _printf_(3, 4);
void call_fail_error(struct call *c, const sandbox_error *error);
void call_fail_errno(struct call *c, int error, const char *what);
void call_deny(struct call *c, const char *format, ...) _printf_(2, 3);
/* The bus has taken the answer; or nobody waits for one any more, and what is under way for it ends. */
void call_free(struct call *c);
DEFINE_CLEANUP(struct call *, call_free)

/* An answer that is a request of libsandbox with nothing to tell. */
void call_on_done(sandbox_client *client, const sandbox_error *error, void *userdata);
