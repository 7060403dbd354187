/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Fds that a client passes along with its bytes: pipes for the stdin, stdout and stderr of a Run. The
 * kernel hands them over in the order in which they were sent, at most one message's at a time, and the
 * bytes that come with them may begin with the rest of an earlier frame: so they queue, and each Run
 * takes its own from the front.
 *
 * An fd is hostile. What can be asked of one without waiting for a stranger is little: its flags, and
 * whether it is a pipe. Reading, fstat(2) and even close(2) of a file may last as long as its file
 * system likes. So what is neither a pipe nor known to close at once stays open as long as this process
 * lives; of these a user may cause PASSED_HELD_MAX, after which the kernel drops all that he passes.
 */

#include "daemon/frontend/account.h"
#include "proto/frame.h"
#include "proto/sandboxd.pb-c.h"

enum passed_stream {
        PASSED_STDIN,
        PASSED_STDOUT,
        PASSED_STDERR,
        _PASSED_STREAMS,
};

/* Those that wait for their Run: of two at most. */
#define PASSED_WAITING_MAX (2 * _PASSED_STREAMS)
#define PASSED_HELD_MAX 32

struct passed {
        struct account_book *accounts;
        uid_t uid;
        int waiting[PASSED_WAITING_MAX]; /* in place of what is no pipe, -EBADF */
        size_t n_waiting;
        int taken[_PASSED_STREAMS]; /* by the Run that is handled now; -EBADF */
};

void passed_init(struct passed *p, struct account_book *accounts, uid_t uid);
void passed_done(struct passed *p);

/* Receives once, with the fds that come along. max_pipes is how many the user may have here. Returns the
 * count of bytes, 0 at the end, -EAGAIN, -ENOMEM, or with all fds that wait here closed: -E2BIG when
 * there are too many to wait, -EDQUOT when the user may pass no more, -EMFILE. */
ssize_t passed_receive(struct passed *p, struct frame_reader *reader, int fd, uint64_t max_pipes);

static inline bool passed_is_waiting(const struct passed *p)
{
        return p->n_waiting > 0;
}

/* Takes those that passed_fds of a Run names. -EBADMSG when there are fewer, or it names others. */
int passed_take(struct passed *p, uint32_t passed_fds);
/* Whether each taken is the pipe's end that it should be; otherwise -EINVAL, with its name. */
int passed_check(const struct passed *p, uint32_t passed_fds, const char **ret_name);
/* The taken ones are the job's: it closes each by passed_close(). */
void passed_hand_over(struct passed *p, int ret[static _PASSED_STREAMS]);
/* Closes what was taken and not handed over. */
void passed_drop_taken(struct passed *p);

/* Closes one that was handed over, and returns -EBADF. */
int passed_close(struct account_book *accounts, uid_t uid, int fd);
