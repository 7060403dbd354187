/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Text to numbers, the way policy files and command lines write them. All return 0 or -EINVAL (not
 * of the form), -ERANGE (does not fit); the output is set only on success. Signs, blanks around the
 * number, NaN and the like are not of the form.
 */

#include "common/macro.h"

/* "0" to "18446744073709551615". */
int parse_u64(const char *s, uint64_t *ret);
/* As parse_u64, for a value that must fit 32 bits. */
int parse_u32(const char *s, uint32_t *ret);
/* "64M": bytes, with K, M, G, T as powers of 1024; a fraction is allowed ("1.5G"). */
int parse_size(const char *s, uint64_t *ret_bytes);
/* "1.5s", "10min", "250ms", "1h": microseconds; us, ms, s, min, h; a bare number is seconds. */
int parse_time(const char *s, uint64_t *ret_usec);
/* "150%": percent of one CPU, a whole number. */
int parse_percent(const char *s, uint64_t *ret_percent);
/* "0.5": CPUs, as percent of one CPU (50), at a precision of one percent. */
int parse_cpus(const char *s, uint64_t *ret_percent);
/* yes/no, true/false, on/off, 1/0. */
int parse_bool(const char *s, bool *ret);
/* As parse_u64, also "0x70000000". */
int parse_u64_hex(const char *s, uint64_t *ret);

#define FORMAT_MAX 32
/* The shortest exact form that the parser above reads back: "64M", "1500ms". Return buf. */
char *format_size(char buf[static FORMAT_MAX], uint64_t bytes);
char *format_time(char buf[static FORMAT_MAX], uint64_t usec);
