/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Colours and tables for people. Escape sequences are written only to a terminal, unless --color
 * says otherwise.
 */

#include <stdio.h>

#include "common/macro.h"

enum color_mode {
        COLOR_AUTO,
        COLOR_ALWAYS,
        COLOR_NEVER,
};

enum style {
        STYLE_NONE,
        STYLE_BOLD,
        STYLE_DIM,
        STYLE_GREEN,
        STYLE_YELLOW,
        STYLE_RED,
        _STYLE_COUNT,
};

/* "auto", "always", "never"; -EINVAL for others. */
int color_mode_parse(const char *s, enum color_mode *ret);
/* Whether f gets colours: for auto, a terminal that is not dumb, and no $NO_COLOR. */
bool color_enabled(enum color_mode mode, FILE *f);
/* Prints text in a style when colors is set, and plainly when not. */
void style_print(FILE *f, bool colors, enum style style, const char *text);

/* Prints text that somebody else wrote: control characters, those that do not show or turn the
 * direction, and broken UTF-8 as \xNN, so that it can neither drive the terminal nor pass for
 * something else. A line break is followed by indent blanks; with ONE_LINE it and the tab are \xNN
 * too. */
#define ONE_LINE (-1)
void print_untrusted(FILE *f, const void *text, size_t size, int indent);
/* What print_untrusted() makes of it with ONE_LINE; to be freed. */
char *text_untrusted(const char *text);

/* "340 us", "12.3 ms", "1.24 s", "2 min 5 s": three digits are enough to read. Return buf. */
#define HUMAN_MAX 32
char *human_time(char buf[static HUMAN_MAX], uint64_t usec);
/* The same in one unit, for what need not be exact: "12 s", "3 min", "5 h", "2 days". */
char *human_age(char buf[static HUMAN_MAX], uint64_t usec);
/* "512 bytes", "9.8M". */
char *human_size(char buf[static HUMAN_MAX], uint64_t bytes);
