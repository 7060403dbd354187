/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The ids of jobs as people give them: whole, or the beginning of one.
 */

#include "client/ctl/ctl.h"

/* Copies text as an id is written, in small letters: 1 when it is whole, 0 when it is the beginning
 * of one, -EINVAL when it can be neither. */
int job_id_parse(const char *text, char ret[static SANDBOX_JOB_ID_SIZE]);

/* Finds the one job among those of the caller, finished ones too, whose id begins with text; an id
 * that is whole is taken as it is. A negative errno with *ret_error, which lives in e or in c until it
 * is used again. */
int job_id_find(sandbox_client *c, const char *text, char ret[static SANDBOX_JOB_ID_SIZE],
        struct error *e, sandbox_error *ret_error);
/* The same for a verb that has one job: 0, or the exit code after the reason was shown. */
int ctl_find_job(const struct ctl *ctl, sandbox_client *c, const char *text,
        char ret[static SANDBOX_JOB_ID_SIZE]);

/* What a verb says when the id of a job is missing. */
#define JOB_ID_NEEDED "the id of a job: see 'sandboxctl ps'"
