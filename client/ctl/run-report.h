/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How a finished job is shown: one JSON object, or what a person wants to know beside the output.
 */

#include "client/ctl/ctl.h"
#include "client/ctl/json.h"
#include "client/ctl/run-options.h"
#include "client/ctl/run-output.h"

/* The object that `run --json` prints, with what was kept of the streams, but for the JSON of the
 * return value, which is null. */
json_t *run_report_json(const sandbox_result *result, const struct run_stream *out,
        const struct run_stream *err);
/* Prints that object whole: integers of any size and floats as the job's language wrote them. */
void run_report_show_json(const sandbox_result *result, const struct run_stream *out,
        const struct run_stream *err, FILE *f);

/* The verdict, the notes and, where asked for, the summary, on stderr. */
void run_report_text(const struct ctl *ctl, const struct run_options *o,
        const sandbox_result *result, const struct run_stream *out, const struct run_stream *err);
