/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The sockets that a client reads and writes in place of Output and StdinData: we make them, and keep one
 * end. No fd of a client's comes in by them.
 */

#include "common/macro.h"

enum stream_socket {
        STREAM_SOCKET_STDIN,
        STREAM_SOCKET_STDOUT,
        STREAM_SOCKET_STDERR,
        _STREAM_SOCKETS, /* in the order of the bits of Run.stream_sockets */
};

/* Both ends, non-blocking. */
int stream_socket_open(enum stream_socket stream, int *ret_own, int *ret_client);
