/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How a job ended, as it is shown: JSON for programs, and what a person wants to know beside the
 * output.
 */

#include "client/ctl/ctl.h"
#include "client/ctl/run-output.h"

/* The object of a result, with what was kept of the streams where they are not NULL, but for the JSON
 * of the return value, which is null. */
json_t *result_json(const sandbox_result *result, const struct run_stream *out,
        const struct run_stream *err);
/* Prints object, which is the object of a result or has one in it, with the JSON of the return value:
 * integers of any size and floats as the job's language wrote them. result may be NULL. */
void result_show_json(const json_t *object, const sandbox_result *result, FILE *f);
/* What a job has used; so_far: it runs, and memory and pids are what it has now. */
json_t *usage_json(const sandbox_usage *usage, bool so_far);

/* What widths the names of things have in the lines of a page. */
#define PAGE_NAME_WIDTH 14
/* Prints the name of a thing; what is said of it follows, and a line break. */
void page_name(FILE *f, bool colors, const char *name);
void page_usage(FILE *f, bool colors, const sandbox_usage *usage, bool so_far);
/* Lines with status, return value and usage. */
void result_page(FILE *f, bool colors, const sandbox_result *result);

/* What a person wants to know at the end, on stderr: why, what was cut, and the value or, with summary,
 * all of it. out and err are what came of the output, or NULL. */
void result_show_text(const struct ctl *ctl, const sandbox_result *result, bool summary,
        const struct run_stream *out, const struct run_stream *err);
