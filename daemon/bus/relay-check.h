/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which fds of a caller are read from and written to on its behalf. We are somebody else than the caller,
 * so it must not matter who does it: what was decided when the caller opened the fd is decided, what the
 * other side decides by who we are is refused.
 */

#include <sys/types.h>

#include "common/error.h"
#include "daemon/bus/relay.h"

/* What can be said without asking a file system, which may never answer: for the service. Refuses O_PATH
 * fds, those that are open the wrong way, and sockets that relay_check() would refuse. -EINVAL with the
 * sentence. */
int relay_check_quick(int fd, enum relay_stream stream, uid_t caller, struct error *e);
/* All there is to check: for the relay process. May block as long as a file system wishes. */
int relay_check(int fd, enum relay_stream stream, uid_t caller, struct error *e);

/* Of SOL_SOCKET, an int; errors of getsockopt(2). */
int relay_socket_option(int fd, int option, int *ret);
