/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The socket that clients connect to, and its name in the file system.
 */

#include <sys/types.h>

#include "common/error.h"

struct listen_socket {
        const char *path; /* borrowed */
        int fd;
        dev_t device; /* of what was bound, so that no other's is removed */
        ino_t inode;
};

/* Binds and listens. A socket on which nobody listens any more is replaced; one in use, or a file
 * of another kind, is an error. */
int listen_open(struct listen_socket *l, const char *path, struct error *ret_error);
/* Closes it, and removes its name if that is still ours. */
void listen_close(struct listen_socket *l);
