/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the service (relays.h) and the relay process agree on: `sandboxd-bus --relay STREAM --uid UID`, with
 * these fds open and no other but stderr.
 */

#include "common/macro.h"

#define RELAY_CALLER_FD 3 /* of the caller of RunWithFds */
#define RELAY_SOCKET_FD                                                                            \
        4 /* our end of the job's stream socket, as sandbox_job_take_fd() gives it */
#define RELAY_REASON_FD 5 /* a pipe to the service: RELAY_READY, or one sentence, or both */

/* Said once the fds are found to be such as can be copied. */
#define RELAY_READY '+'

/* With its NUL. */
#define RELAY_REASON_MAX 200

enum relay_stream {
        RELAY_STDIN,
        RELAY_STDOUT,
        RELAY_STDERR,
        _RELAY_STREAMS,
};

/* "stdin" and so on. */
const char *relay_stream_name(enum relay_stream stream);

/* How a relay process ends, and its exit status. */
enum relay_end {
        RELAY_ENDED,   /* all is copied, or one of the two sides has gone */
        RELAY_FAILED,  /* the caller's fd gave an error: a reason comes with it */
        RELAY_REFUSED, /* nothing was copied: a reason comes with it */
        _RELAY_ENDS,
};

/* The whole program; argv is that of sandboxd-bus, and argv[1] "--relay". Returns the exit status. */
int relay_main(int argc, char **argv);
