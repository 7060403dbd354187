/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Ends the program when p is NULL: what sandboxctl keeps is small, and without memory for that
 * there is nothing to go on with. Returns p. For what a user makes large, check instead. */
void *must(void *p) __attribute__((returns_nonnull));
