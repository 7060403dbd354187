/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bytes between our own stdin, stdout and stderr and the sockets of a job's streams, moved within the
 * kernel where it can be done. Never waits.
 */

#include "common/macro.h"

enum run_pipe_way {
        RUN_PIPE_BUFFER,
        RUN_PIPE_SPLICE,   /* our own is a pipe */
        RUN_PIPE_SENDFILE, /* a regular file, from where it is read now */
};

struct run_pipe {
        int in; /* -EBADF: nothing is moved */
        int out;
        int socket; /* which of the two is the job's */
        enum run_pipe_way way;
        bool eager; /* the way itself says when it would wait */
        bool small; /* out takes only so much without blocking */
        char *buffer;
        size_t start; /* of what is in the buffer */
        size_t end;
        uint64_t moved;
        short wait_events; /* what the last move could not go on without, and of which fd: */
        int wait_fd;       /* -EBADF for none */
};

/* None yet. */
void run_pipe_init(struct run_pipe *p);
/* Brings the bytes of stdin, fd, to the job: to its socket, which is taken over. */
void run_pipe_in(struct run_pipe *p, int fd, int socket);
/* The same for bytes of the job to stdout or stderr. */
void run_pipe_out(struct run_pipe *p, int fd, int socket);
/* Closes the socket; how much was moved stays known. */
void run_pipe_done(struct run_pipe *p);
bool run_pipe_open(const struct run_pipe *p);

/* Moves what can be moved at once: 1, 0 when it can go on only after wait_fd has wait_events, or a
 * negative errno: -EPIPE when nobody reads. At the end of what is read it is done. */
int run_pipe_move(struct run_pipe *p);
