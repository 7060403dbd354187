/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The control socket: how `sandboxd --reload` asks a daemon for a reload and hears what came of it. To
 * connect is to ask. The answer is one message: a sign, and the sentence that the log has.
 */

#include <systemd/sd-event.h>

#include "common/error.h"

/* In the runtime directory. */
#define CONTROL_NAME "control"
/* Those that wait at one time; more wait in the socket's queue. */
#define CONTROL_WAITERS_MAX 16

/* The first byte of an answer, before its sentence. */
#define CONTROL_DONE '+'
#define CONTROL_FAILED '-'
#define CONTROL_ANSWER_MAX (1 + ERROR_TEXT_MAX)

struct control_waiter {
        int fd;
        bool begun; /* the reload that began last was after it asked */
};

struct control {
        int fd;
        sd_event_source *source;
        struct control_waiter waiters[CONTROL_WAITERS_MAX];
        size_t n_waiters;
        void (*asked)(void *userdata);
        void *userdata;
};

/* Listens at path, where nobody else does; asked() is called from the loop for each that connects. */
int control_open(struct control *c, sd_event *event, const char *path,
        void (*asked)(void *userdata), void *userdata, struct error *ret_error);
/* Around a reload: who asked before it began is answered at its end. */
void control_begun(struct control *c);
void control_ended(struct control *c, bool done, const char *text);
/* Who still waits hears that nothing will come. */
void control_close(struct control *c);

/* The other side, in a process of its own: asks the daemon of a runtime directory, and waits for what
 * comes of it, but no longer than timeout_usec. The error is then the daemon's sentence. */
int control_reload(const char *runtime_dir, uint64_t timeout_usec, struct error *ret_error);
