/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Why something failed, with the memory that its texts need.
 */

#include "client/lib/sandbox.h"
#include "common/macro.h"
#include "proto/sandboxd.pb-c.h"

#define FAILURE_TEXT_MAX 1024
#define FAILURE_FIELD_MAX 128

struct failure {
        sandbox_error error; /* points into this struct: copy with failure_copy() */
        char message[FAILURE_TEXT_MAX];
        char field[FAILURE_FIELD_MAX];
};

/* No error. */
void failure_init(struct failure *f);
void failure_copy(struct failure *f, const sandbox_error *from);
/* Set what failed, and return error, the negative errno. field may be NULL. */
int failure_set(struct failure *f, int error, enum sandbox_error_code code, const char *field,
        const char *format, ...) _printf_(5, 6);
int failure_memory(struct failure *f);
/* A refusal of the daemon. Returns the errno that stands for its code. */
int failure_refused(struct failure *f, const Sandboxd__V1__Error *error);
/* A connection that was made and is lost, and the socket that it went to. */
int failure_lost(struct failure *f, int error, const char *path);
/* A connection that could not be made. */
int failure_connect(struct failure *f, int error, const char *path);
