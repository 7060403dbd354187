/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Files on their way from the daemon: FileOut messages as pieces that a caller is given.
 */

#include "client/lib/failure.h"

struct incoming {
        char *name; /* of the file whose data comes; NULL between files */
        unsigned mode;
        uint64_t size;
        uint64_t received;
        char *shown;  /* the name in the piece given out last */
        size_t named; /* messages with a name that came */
};

/* The piece that a message is, valid until the next. -EBADMSG when it is none, -EPROTO when there are more
 * than the daemon may send, -ENOMEM. */
int incoming_take(struct incoming *in, const Sandboxd__V1__FileOut *message,
        sandbox_file_piece *ret);
/* Whether a file is not complete. */
bool incoming_open(const struct incoming *in);
void incoming_done(struct incoming *in);
