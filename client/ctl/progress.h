/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A line on a terminal that says how far a job is, drawn anew in its place while nothing else is
 * written there.
 */

#include "client/lib/sandbox.h"
#include "common/macro.h"

struct progress {
        sandbox_client *client;
        bool on;
        bool typing;                      /* a person may type what the job reads */
        bool at_line_start;               /* the cursor is where a line can begin */
        char job_id[SANDBOX_JOB_ID_SIZE]; /* "": not known yet */
        uint64_t since_usec;              /* CLOCK_MONOTONIC, as are the next two: its beginning */
        uint64_t quiet_usec;              /* when something else was written last */
        uint64_t next_usec;               /* when to draw next */
        uint64_t cpu_usec;                /* what the job had used when we asked last */
        size_t shown;                     /* columns that are drawn */
        sandbox_request *question;        /* about the job, under way */
};

/* Begins, with nothing drawn: that comes when nothing was written for two seconds. Never on a stderr
 * that is no terminal, nor unless wanted. typing: the job reads a terminal; the line is drawn only
 * where it is seen to compute, and not to wait for somebody who types. */
void progress_init(struct progress *p, sandbox_client *c, bool wanted, bool typing);
/* Takes the line away, and draws no more. Not from the answer to its own questions. */
void progress_done(struct progress *p);

/* How long to wait at most before progress_tick(); SANDBOX_FOREVER. */
uint64_t progress_timeout(const struct progress *p);
/* Draws when it is time to: how far the files of job are on their way as long as they are, else what
 * the daemon tells of the job with that id. job may be NULL. */
void progress_tick(struct progress *p, const sandbox_job *job);

/* Takes the line away before something is written to fd, where that is a terminal. */
void progress_make_room(struct progress *p, int fd);
/* After that: last is the last byte that was written. */
void progress_wrote(struct progress *p, int fd, char last);

#define PROGRESS_TEXT_MAX 128
/* The line itself. usec: since its beginning. Return buf. */
char *progress_upload_text(char buf[static PROGRESS_TEXT_MAX], uint64_t sent, uint64_t size,
        uint64_t usec);
char *progress_job_text(char buf[static PROGRESS_TEXT_MAX], const sandbox_job_info *info,
        uint64_t usec);
