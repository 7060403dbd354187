/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bytes between our own stdin, stdout and stderr and the pipes that a job was given, moved within the
 * kernel where it can be done. Never waits.
 */

#include "common/macro.h"

struct run_pipe {
        int in; /* -EBADF: nothing is moved */
        int out;
        int ours;     /* which of the two is our end of the pipe */
        bool splices; /* else by a buffer */
        bool eager;   /* splice(2) itself says when it would wait */
        bool small;   /* out takes only so much without blocking */
        char *buffer;
        size_t start; /* of what is in the buffer */
        size_t end;
        uint64_t moved;
        short wait_events; /* what the last move could not go on without, and of which fd: */
        int wait_fd;       /* -EBADF for none */
};

/* None yet. */
void run_pipe_init(struct run_pipe *p);
/* Makes a pipe that brings the bytes of stdin to the job, whose end is *ret_far, close-on-exec. On
 * failure there is none. */
int run_pipe_in(struct run_pipe *p, int fd, int *ret_far);
/* The same for bytes of the job to stdout or stderr. */
int run_pipe_out(struct run_pipe *p, int fd, int *ret_far);
/* Closes our end; how much was moved stays known. */
void run_pipe_done(struct run_pipe *p);
bool run_pipe_open(const struct run_pipe *p);

/* Moves what can be moved at once: 1, 0 when it can go on only after wait_fd has wait_events, or a
 * negative errno: -EPIPE when nobody reads. At the end of what is read it is done. */
int run_pipe_move(struct run_pipe *p);
