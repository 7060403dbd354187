/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The patterns by which files are asked for: one meaning, wherever they are read. '*', '?' and '[...]' as
 * in the shell, and no character classes; no escape; a '[' that is not closed is itself. A dot in front of
 * a part is matched by a dot alone, a slash by a slash.
 */

#include "common/macro.h"

#define PATTERN_PART_MAX 255 /* between two slashes; longer ones match nothing */

/* Whether a part of a pattern can match anything but itself. */
bool pattern_is(const char *pattern);
/* Whether one part of a name fits the part of a pattern. To *cost, unless it is NULL, is added what it took:
 * so many words or bytes were looked at. For any two texts that is no more than PATTERN_PART_COST. */
bool pattern_part_matches(const char *pattern, const char *part, size_t *cost);
#define PATTERN_PART_COST 4096
/* Whether a name is asked for by a name or pattern, itself or as one of a folder that is. */
bool pattern_matches(const char *pattern, const char *name, size_t *cost);
