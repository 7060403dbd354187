/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the modules that show messages share.
 */

#include "client/lib/object.h"
#include "client/lib/wire.h"

/* Bytes as a text, cut at their first NUL; to be freed. -ENOMEM. */
int text_of_bytes(const ProtobufCBinaryData *bytes, char **ret);
/* 1, or 0 with *ret zeroed when usage is NULL. */
int usage_of(const Sandboxd__V1__Usage *usage, sandbox_usage *ret);
/* A text as bytes that are not owned; NULL is none. */
ProtobufCBinaryData bytes_of_text(const char *text);

/* A result within an object that owns its message. */
int result_set(sandbox_result *r, struct object *owner, const Sandboxd__V1__Result *message);
void result_clear(sandbox_result *r);
