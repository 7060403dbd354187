/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Requests that wait for something of a job: its end, its output, what it uses. Each belongs to a
 * connection and to a result, and ends with either; its user is charged for it. None of them is written
 * to while its client does not keep up.
 */

#include "daemon/frontend/connection.h"
#include "daemon/frontend/result.h"

/* Under way of one user at one time. */
#define WATCHES_MAX 1024

/* What one of them does in a turn of the loop, in records that are looked at: what it has to do beyond
 * that waits until all others had their turn. */
#define WATCH_STEP_MOST 1024

enum watch_step {
        WATCH_STEP_LAST,  /* all is said */
        WATCH_STEP_WAITS, /* for the client, or the job */
        WATCH_STEP_MORE,  /* in another turn */
};

/* Each takes a request whose id is not under way. It may be answered, and over, at once. */
void watch_result(struct connection *c, uint64_t request, struct result *r);
void watch_output(struct connection *c, uint64_t request, struct result *r,
        const Sandboxd__V1__ReadOutput *m);
/* Waits for the end of a job that has not ended. */
void watch_kept_files(struct connection *c, uint64_t request, struct result *r,
        const Sandboxd__V1__GetFiles *m);
/* Asks the monitor what a running job uses. */
void watch_usage(struct connection *c, uint64_t request, struct result *r);

/* The client does not want to hear more. */
void watch_forget(struct watch *w);
void watch_add_credit(struct watch *w, enum store_stream stream, uint64_t bytes);
void watch_add_file_credit(struct watch *w, uint64_t bytes);

/* The client keeps up again. */
void watches_resume(struct connection *c);
/* The connection ends. */
void watches_abandon(struct connection *c);

/* There is more of its output. */
void watches_on_output(struct result *r);
void watches_on_used(struct result *r, const struct channel_used *used);
/* Its job has ended, with the result that is to be told. */
void watches_on_ended(struct result *r);
/* It is forgotten, or never will be: with which Error. */
void watches_on_dropped(struct result *r, Sandboxd__V1__ErrorCode code, const char *text);
