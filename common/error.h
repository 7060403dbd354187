/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The sentence that goes with an error. A function that can be asked "why" takes a struct error and
 * fills it when it returns a negative errno: one sentence that names the field or file and says
 * what to do next. The caller decides where it is shown.
 */

#include <stdarg.h>

#include "common/macro.h"

#define ERROR_TEXT_MAX 512

struct error {
        char text[ERROR_TEXT_MAX];
};

/* Writes the sentence and returns code, so that `return error_set(e, -EINVAL, ...)` reads as one
 * step. e may be NULL. */
int error_set(struct error *e, int code, const char *format, ...) _printf_(3, 4);

/* Puts "context: " before the sentence that is there. Returns code. */
int error_prefix(struct error *e, int code, const char *format, ...) _printf_(3, 4);
