/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Sentences quote what clients sent; before they travel as a protobuf `string`, or go into a log,
 * they must be valid UTF-8 without control characters or invisible ones.
 */

/* Puts a '?' for each byte of text that is not UTF-8 or of a character that controls what is shown.
 * Returns text. */
char *text_clean(char *text);
