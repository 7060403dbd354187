/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the frontend finds when it starts: the monitor gives it exactly these fds. 0 is /dev/null, 1
 * and 2 are the log. The first message on the channel is CHANNEL_OP_POLICY; the policy says how many
 * sockets there are, and which profile each stands for.
 */

enum frontend_fd {
        FRONTEND_FD_CHANNEL = 3, /* SOCK_SEQPACKET, see channel.h */
        FRONTEND_FD_FILTER = 4,  /* memfd with the frontend's filter: struct sock_filter[] */
        FRONTEND_FD_LISTEN = 5,  /* the first of policy.n_listeners AF_UNIX stream sockets, which
                                  * listen already */
};
