/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The making of stream sockets. Runs in the frontend.
 */
#include "daemon/frontend/stream-socket.h"

#include "common/io.h"

int stream_socket_open(enum stream_socket stream, int *ret_own, int *ret_client)
{
        int ends[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
                return -errno;
        /* What a client would pass here nobody takes, but we could have to wait for its last close. A
         * kernel that cannot refuse it leaves us with that: sandboxctl doctor says so. */
        r = io_refuse_fds(ends[0]);
        if (r == -ENOPROTOOPT)
                r = 0;
        /* Nothing comes in by an output: what a client wrote would only lie there. */
        if (r >= 0 && stream != STREAM_SOCKET_STDIN && shutdown(ends[0], SHUT_RD) < 0)
                r = -errno;
        if (r < 0) {
                io_close_all(ends, 2);
                return r;
        }
        *ret_own = ends[0];
        *ret_client = ends[1];
        return 0;
}
