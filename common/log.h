/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Log lines on stderr. On a terminal or pipe a line is "name: text"; under journald it carries the
 * "<level>" prefix that sd-daemon(3) defines. Library code logs at debug at most: the caller that
 * knows the policy says what was attempted, and for whom.
 */

#include "common/macro.h"

enum log_level {
        LOG_LEVEL_ERROR = 3,
        LOG_LEVEL_WARNING = 4,
        LOG_LEVEL_NOTICE = 5,
        LOG_LEVEL_INFO = 6,
        LOG_LEVEL_DEBUG = 7,
};

/* name is kept, not copied. The level comes from $SANDBOXD_LOG_LEVEL (error, warning, notice, info,
 * debug; default info). */
void log_open(const char *name);
void log_write(enum log_level level, const char *format, ...) _printf_(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
