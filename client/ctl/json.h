/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * JSON output. Memory that runs out ends the program.
 */

#include <jansson.h>
#include <stdio.h>

#include "common/macro.h"

/* Prints one value and a line break on f: indented for a terminal, compact for a program. */
void json_show(const json_t *value, FILE *f);
/* The same with text, which is JSON, in place of the null that is the value at key: no other key in
 * value is named so. */
void json_show_with(const json_t *value, const char *key, const char *text, FILE *f);

json_t *json_new_object(void);
json_t *json_new_array(void);

/* Appends to an array. */
void json_append(json_t *array, json_t *value);         /* takes value */
void json_append_text(json_t *array, const char *text); /* null when it is not UTF-8 */

/* Sets members of an object. */
void json_set(json_t *object, const char *key, json_t *value); /* takes value */
void json_set_text(json_t *object, const char *key, const char *text);
void json_set_number(json_t *object, const char *key, uint64_t value);
void json_set_bool(json_t *object, const char *key, bool value);
/* Bytes: key with a string, which may hold NUL; key + "_base64" when they are not UTF-8. */
void json_set_bytes(json_t *object, const char *key, const void *data, size_t size);

/* Deeper than this a reader of what we print may fail: some end at 256. */
#define JSON_DEPTH_MAX 128

/* JSON text of a job without its blanks, numbers and strings as they were written; to be freed. NULL
 * when it is not one valid value in UTF-8, or nested deeper than JSON_DEPTH_MAX. */
char *json_minify_untrusted(const void *text, size_t size);
