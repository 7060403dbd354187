/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Log lines. Under journald each is an entry of its own with fields; on a terminal, a pipe or in a
 * file it is a line "name: text" on stderr. Library code logs at debug at most: the caller that knows
 * the policy says what was attempted, and for whom.
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
/* Back to stderr, for a child whose fds are about to be others. */
void log_close(void);
void log_write(enum log_level level, const char *format, ...) _printf_(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

/* What has a MESSAGE_ID; levels and ids are in common/event.c. */
enum event {
        EVENT_DAEMON_STARTED,
        EVENT_DAEMON_STOPPED,
        EVENT_JOB_STARTED,
        EVENT_JOB_ENDED,
        EVENT_JOB_LOST,        /* nothing is known of its end */
        EVENT_REFUSED,         /* a client was not let in, or its job not taken */
        EVENT_POLICY_RELOADED, /* a new one is in force */
        EVENT_POLICY_KEPT,     /* the new one is broken, the old one stays */
        EVENT_FRONTEND_DIED,
        _EVENT_COUNT,
};

struct log_field {
        const char *name; /* of the journal: capitals, digits and underscores; NULL ends the list */
        const char *value;
};

/* Whether anybody will see it: ask before the fields of a frequent one are put together. */
bool log_wants(enum event event);
/* fields may be NULL. */
void log_event(enum event event, const struct log_field *fields, const char *format, ...)
        _printf_(3, 4);
