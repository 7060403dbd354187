/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Stream sockets whose stream has ended, and whose client has not read it to the end. What lies there is
 * our memory for as long as the client likes, also after its connection: our end is kept to know how much
 * it is, and it is charged as ACCOUNT_LINGERING until it is read or thrown away.
 */

#include <sys/queue.h>
#include <sys/types.h>

#include "common/macro.h"

struct frontend;
struct lingering;

LIST_HEAD(lingering_list, lingering);

/* What all users together may leave in such sockets, and one of them, in bytes. A socket counts as
 * LINGERING_LEAST at the least, since it costs an fd, too. Who has left more gets no new ones. */
#define LINGERING_MOST (UINT64_C(1024) * MIB)
#define LINGERING_USER_MOST (UINT64_C(64) * MIB)
#define LINGERING_LEAST (UINT64_C(64) * KIB)

/* The stream has ended: the reader gets what is there, and then its end. Takes the socket over. */
void linger(struct frontend *f, uid_t uid, int socket);

/* Whether a user has left so much unread that it gets no more sockets. */
bool linger_is_excessive(struct frontend *f, uid_t uid);

/* Leaves them all to their readers. */
void linger_done(struct frontend *f);
