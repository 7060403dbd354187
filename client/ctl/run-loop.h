/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A job of `sandboxctl run` on its way: what is moved between it and us, until it has ended.
 */

#include <signal.h>

#include "client/ctl/progress.h"
#include "client/ctl/run-options.h"
#include "client/ctl/run-output.h"
#include "client/ctl/run-pipe.h"

/* How long the result of a cancelled job is waited for; when we leave, the daemon ends it. */
#define CANCEL_TIMEOUT_SEC 10
/* What is read of stdin at one time. */
#define RUN_PIECE_SIZE (64 * KIB)

enum run_state {
        RUN_SENT,      /* no response yet */
        RUN_STARTED,   /* it runs */
        RUN_CANCELLED, /* we asked for its end */
        RUN_ENDED,     /* it has ended; output may still wait to be written */
        RUN_FINISHED,
        _RUN_STATE_COUNT,
};

struct run {
        const struct ctl *ctl;
        struct run_options *options;
        sandbox_client *client;
        sandbox_job *job; /* until it has ended */
        enum run_state state;
        sigset_t signals;       /* blocked outside of the loop's waiting */
        bool stdin_open;        /* there may be more to forward */
        bool interrupted;       /* by the user: nobody is waited for any more */
        uint64_t leave_at_usec; /* when interrupted */
        bool discard;           /* nobody reads the output any more */
        bool pipe_broken;       /* that is why */
        bool without_memory;    /* that is why */
        struct run_stream out;
        struct run_stream err;
        bool sockets[3];          /* whether stdin, stdout and stderr go over one of their own */
        struct run_pipe pipes[3]; /* and those, once it has started */
        struct progress progress;
        sandbox_result *result;
        bool client_due; /* the client may have something to process */
        unsigned moves;  /* in a row, without a look at anything else */
        int exit_code;   /* of a job that has no result */
        char *piece;     /* input on its way */
};

/* Runs the job to its end, and until its output is written: r->result or r->exit_code is set. What has
 * not begun is -ECANCELED after the reason was shown; -ETIMEDOUT: it was cancelled, and does not
 * end; else a negative errno. */
int run_loop(struct run *r, sandbox_spec *spec);
void run_done(struct run *r);

/* In run-io.c: stops the job, and takes no more of what it writes. */
void run_cancel(struct run *r);
void run_set_state(struct run *r, enum run_state state);
/* Takes a piece of output that came over the connection. */
void run_take_output(struct run *r, enum sandbox_stream stream, const void *data, size_t size);
/* Whether output waits to be written. */
bool run_output_pending(const struct run *r);
/* Moves what can be moved at once, and waits for whatever can go on next. -ETIMEDOUT when what was
 * cancelled does not end. */
int run_wait_and_move(struct run *r);
/* Asks for sockets of their own for the job's streams, where that is faster; and has them, once it has
 * started. */
void run_ask_sockets(struct run *r, sandbox_spec *spec);
void run_take_sockets(struct run *r);

/* Whether a line can be written to fd at once. */
bool is_writable(int fd);
