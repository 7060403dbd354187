/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Sockets that we are done with, and whose client has not read them to the end: of streams that have ended,
 * and connections that we close. What lies there is our memory for as long as the client likes, and so are
 * the sockets that are on their way in it: our end is kept to know, and the user charged as
 * ACCOUNT_LINGERING, and ACCOUNT_SOCKETS, until all is read or thrown away.
 */

#include <sys/queue.h>
#include <sys/types.h>

#include "common/macro.h"

struct frontend;
struct lingering;

LIST_HEAD(lingering_list, lingering);

/* What all users together may leave in such sockets, and one of them, in bytes. A socket counts as
 * LINGERING_LEAST at the least, since it costs an fd, too: as more where we may open so few files that a
 * quarter of them would be LINGERING_MOST. Who has left more gets no new ones, nor is he served on a new
 * connection. */
#define LINGERING_MOST (UINT64_C(1024) * MIB)
#define LINGERING_USER_MOST (UINT64_C(64) * MIB)
#define LINGERING_LEAST (UINT64_C(64) * KIB)

/* Nothing more is sent: the reader gets what is there, and then the end. Takes the socket over, and of
 * what is charged as ACCOUNT_SOCKETS the fds that are on their way in it. */
void linger(struct frontend *f, uid_t uid, int socket, size_t n_fds);

/* Whether a user has left so much unread that it gets no more sockets. What was read in part counts whole
 * for up to a second. */
bool linger_is_excessive(struct frontend *f, uid_t uid);

void linger_init(struct frontend *f);
/* Leaves them all to their readers. */
void linger_done(struct frontend *f);
