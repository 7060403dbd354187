/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * UTF-8, as those need it who decide which characters may be shown or sent.
 */

#include "common/macro.h"

/* The length in bytes of the character that begins at p, which has size bytes, and its code point; 0 when none
 * does: cut, overlong, a surrogate, or beyond Unicode. NUL is a character. */
size_t utf8_decode(const void *p, size_t size, uint32_t *ret);
/* The same length for what may be shown to a person in a line; 0 for any other: control characters, and those
 * that show as nothing, break the line, or turn the order of what is around them, with which a text can be made
 * to look like another. */
size_t utf8_printable_length(const void *p, size_t size);
