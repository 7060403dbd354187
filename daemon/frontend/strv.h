/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A list of strings with a capacity fixed at its making: argv, environment, file names of a plan.
 * Slots do not move, so that a search tree may point at them.
 */

#include "common/macro.h"

struct strv {
        char **items; /* NULL-terminated */
        size_t n;
        size_t room;
};

int strv_init(struct strv *v, size_t room);
void strv_done(struct strv *v);

/* Appends a copy. The capacity must be there. */
int strv_add(struct strv *v, const char *text, size_t size);
/* Appends "first" + "second". */
int strv_add_joined(struct strv *v, const char *first, const char *second);

/* The bytes of all strings, their NULs included. */
size_t strv_bytes(const struct strv *v);
