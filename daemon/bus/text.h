/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which bytes can be a string on the bus.
 */

#include "common/macro.h"

/* Whether a bus takes these bytes as a string: UTF-8 without NUL, and without the code points that
 * Unicode says are no characters, which libsystemd refuses to send. */
bool text_is_string(const void *data, size_t size);
/* The same text with what no bus takes replaced by '?', cut where it does not fit. Returns buf. */
char *text_make_string(char *buf, size_t size, const char *text);
