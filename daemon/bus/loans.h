/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Memfds with output that callers may have open: their pages are ours, and charged to the user, until all have
 * closed them.
 */

#include <sys/queue.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "common/macro.h"

/* The bus keeps 64 fds of ours that were not read by whom they were sent to, and takes nothing more from us then, for
 * anybody. Whether one was read we do not know: so these are all that are open elsewhere. */
#define LOANS_USER_MAX 16
#define LOANS_MAX 48
/* Of one answer. */
#define LOANS_AT_ONCE 2

struct account;
struct call;
struct loan;
struct service;
struct user;

LIST_HEAD(loan_list, loan);
TAILQ_HEAD(loan_waiters, call);

struct loans {
        struct loan_list list;
        struct loan_waiters waiting; /* calls, until there is room for the fds of their answers */
        sd_event_source *look;       /* now and then, while there are such */
        int inotify_fd;              /* watches what is lent */
        sd_event_source *gone;
};

void loans_init(struct loans *ls);
/* Before anything is lent. */
int loans_watch(struct service *s);
/* Whether neither that user nor all of them have too many for one more answer, of those that were given so long ago. */
bool loans_have_room(const struct loans *ls, uid_t uid, uint64_t age_usec);
/* Whether the account may be lent more: not when files that nobody has open any more hold too much of our memory. */
bool loans_allow(struct service *s, const struct account *a);
/* Whether nobody may: a service that begins anew has none of it. */
bool loans_are_exhausted(const struct service *s);
/* Has the call's step follow when there is room; where there is none for a while, the call fails. */
int loans_wait(struct service *s, struct call *c);
/* Gives a memfd that is sealed, open for reading alone, as the caller's to close. size bytes that its user was
 * charged are the loan's from then on. */
int loans_lend(struct service *s, struct user *u, int memfd, uint64_t size, int *ret);
void loans_done(struct loans *ls);
