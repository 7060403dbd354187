/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Reading the policy again while jobs run. A short-lived child does it, so that the loop waits
 * neither for files nor for libseccomp, and hands over a generation or the sentence of what is
 * wrong.
 */

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/monitor/generation.h"

enum reload_state {
        RELOAD_IDLE,
        RELOAD_READING, /* the child runs */
        RELOAD_AGAIN,   /* the same, but what it read may be out of date: once more after it */
};

struct reload {
        sd_event *event;
        /* In the child: makes the generation, or fills the error. */
        int (*make)(void *userdata, struct generation **ret, struct error *ret_error);
        /* Around each reload, from the loop. What came of it is g, whose reference is handed over;
         * or NULL, and error says why. */
        void (*begun)(void *userdata);
        void (*ended)(void *userdata, struct generation *g, const struct error *error);
        void *userdata;
        uint64_t timeout_usec;
        enum reload_state state;
        pid_t pid; /* 0: not running */
        int pidfd;
        int socket; /* what the child says */
        sd_event_source *source;
        sd_event_source *deadline;
};

/* Reads the policy again: now, or when the reload that is under way has ended. */
void reload_request(struct reload *r);
/* Ends one that is under way, and lets no other follow it; ended() is called later. */
void reload_cancel(struct reload *r);
void reload_done(struct reload *r);
