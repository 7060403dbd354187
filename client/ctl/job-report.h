/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A job, running or finished, as it is shown: a row of a table, a page of its own, or JSON.
 */

#include "client/ctl/ctl.h"

/* The object of one job; with its return value where whole is set, but for the JSON of it, which is
 * null. */
json_t *job_report_json(const sandbox_job_info *info, bool whole);
/* Prints that object, whole. */
void job_report_show_json(const sandbox_job_info *info, FILE *f);

/* Prints jobs as a table; with_owner: says whose they are. now_usec is CLOCK_REALTIME. */
void job_report_table(const sandbox_job_list *list, bool with_owner, uint64_t now_usec, FILE *f,
        bool colors);
/* Prints one job, a line for each thing that is known of it; has_scopes: its sandbox is a scope of systemd. */
void job_report_page(const sandbox_job_info *info, bool has_scopes, uint64_t now_usec, FILE *f,
        bool colors);
