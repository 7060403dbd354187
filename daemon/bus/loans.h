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

/* Each is an fd of ours, also where nothing is in it, beside those of calls that are still to have theirs. */
#define LOANS_USER_MAX 256
#define LOANS_MAX 4096

struct loan;
struct service;
struct user;

LIST_HEAD(loan_list, loan);

struct loans {
        struct loan_list list;
        sd_event_source *sweep;
};

/* -EDQUOT when that user, or all of them, have too many. */
int loans_check_room(const struct loans *ls, uid_t uid);
/* Gives a memfd that is sealed, open for reading alone, as the caller's to close. size bytes that its user was
 * charged are the loan's from then on. */
int loans_lend(struct service *s, struct user *u, int memfd, uint64_t size, int *ret);
void loans_done(struct loans *ls);
