/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Fds that the daemon sends along with its bytes: sockets for the streams of a job, with the first byte
 * of its Started. The kernel hands over those of one message at a time, and the bytes that come with them
 * may begin with others before: so they queue, and each Started takes its own from the front.
 */

#include "proto/frame.h"

/* The most fds of one frame: stdin, stdout, stderr. */
#define ARRIVALS_FDS_MAX 3

/* Those of one message of the socket. */
struct arrival {
        int fds[ARRIVALS_FDS_MAX];
        size_t n;
        bool cut; /* this process may not have as many files open: all are closed */
};

/* Bytes are received only when no whole frame is left. So one message's may wait for the rest of their
 * frame, and those of the next come with it. */
struct arrivals {
        struct arrival list[2];
        size_t n;
};

void arrivals_done(struct arrivals *a);

/* Receives once: the count of bytes, 0 at the end, -EAGAIN or another errno; -EBADMSG for more fds than can
 * be. */
ssize_t arrivals_receive(struct arrivals *a, struct frame_reader *reader, int fd);
/* Hands the fds of one frame over, close-on-exec: n of them, or -EBADMSG. -EMFILE when they came, and this
 * process could not have them. */
int arrivals_take(struct arrivals *a, int *ret, size_t n);
/* To be called when no whole frame is left: -EBADMSG when there are fds that no frame can take. */
int arrivals_check(const struct arrivals *a, bool partial);
