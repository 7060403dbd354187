/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Sentences quote what clients sent; before they travel as a protobuf `string`, or go into a log,
 * they must be valid UTF-8 without control characters.
 */

/* Puts a '?' for each byte of text that is a control character or not UTF-8. Returns text. */
char *text_clean(char *text);
