/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether a job may be taken, and when it may start: its slot, or a place in the queue for one, and room
 * for its code and files until it is started. The one place that decides it.
 */

#include "daemon/frontend/connection.h"

/* What a BUSY says of when to try again, where room is made whenever a job ends. */
#define ADMISSION_RETRY_USEC (1 * USEC_PER_SEC)

int admission_init(struct frontend *f);
void admission_done(struct frontend *f);

/* Each returns 0 when charged, or has told the client which setting is in the way. */

/* A slot, ACCOUNT_JOBS, or a place among those that wait for one, ACCOUNT_QUEUED. */
int admission_take_job(struct connection *c, uint64_t request, enum account_kind *ret_place);
int admission_take_upload(struct connection *c, uint64_t request, uint64_t size, uint64_t strings);

/* Gives the place back. Who waits for a slot is started in a later turn of the loop. */
void admission_release_job(struct frontend *f, uid_t uid, enum account_kind place);

/* A job that has a place in the queue is complete. 1 when it has got a slot now; 0 when it waits, and
 * job_launch() is called when it has one; or a negative errno. */
int admission_enqueue(struct job *j);
/* A job that has a slot may be started. 1 when the monitor may be asked for its sandbox now; 0 when others
 * are to be made before, and job_ask_monitor() is called when it is this one's turn; or a negative errno. */
int admission_take_start(struct job *j);
/* It is made, or never will be. Whose turn it is then is asked for in a later turn of the loop. */
void admission_end_start(struct job *j);
/* It does not wait any more, for either. */
void admission_dequeue(struct job *j);

/* There may be more slots than before. */
void admission_on_policy(struct frontend *f);
/* The monitor takes down more sandboxes than is good for the host, or no longer does. While it does, no job is
 * started: those that have a slot wait, and nobody is refused for it. */
void admission_on_backlog(struct frontend *f, bool behind);
