/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A table that is as wide as what is in it. Memory that runs out ends the program.
 */

#include "client/ctl/style.h"

struct table;

/* columns headers; the strings are kept, not copied. */
struct table *table_new(const char *const *headers, size_t columns);
struct table *table_free(struct table *t);
DEFINE_CLEANUP(struct table *, table_free)

/* Appends a cell, copying text; a row is complete with as many cells as there are columns. */
void table_add(struct table *t, enum style style, const char *text);
void table_add_format(struct table *t, enum style style, const char *format, ...) _printf_(3, 4);
/* Ends the table: it has whole rows. Headers are bold when colors is set. */
void table_print(const struct table *t, FILE *f, bool colors);
