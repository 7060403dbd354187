/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The output of a job on its way into an answer: bytes in memory, or in a memfd. Charged to a user.
 */

#include "daemon/bus/caller.h"

/* What an answer has of each stream, where no fd was asked for. */
#define CAPTURE_INLINE_MAX (4 * MIB)

struct capture {
        struct user *user;
        uint64_t most;
        uint8_t *data;
        uint64_t size;
        uint64_t room;
        int fd;   /* of a memfd; -EBADF: in memory */
        bool cut; /* more came than is in it */
};

/* most: bytes; memfd: whether they go into one. */
int capture_init(struct capture *c, struct user *u, uint64_t most, bool memfd);
/* Also of one that was never there, or is done already. */
void capture_done(struct capture *c);
/* What is too much is cut, and so is what the user may not hold. */
int capture_put(struct capture *c, const void *data, size_t size);
/* The memfd, sealed, open for reading alone. It stays charged until the last of those who got it has
 * closed it. ret: the caller's to close. */
int capture_lend(struct capture *c, struct service *s, int *ret);
