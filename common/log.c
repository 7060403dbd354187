/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines on stderr, one write(2) each so that processes do not cut each other's lines. Runs in
 * monitor, frontend and client.
 */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>

static const char *log_name = "sandboxd";
static enum log_level log_max = LOG_LEVEL_INFO;
static bool log_prefix;

static const struct {
        const char *name;
        enum log_level level;
} level_names[] = {
        { "error", LOG_LEVEL_ERROR },
        { "warning", LOG_LEVEL_WARNING },
        { "notice", LOG_LEVEL_NOTICE },
        { "info", LOG_LEVEL_INFO },
        { "debug", LOG_LEVEL_DEBUG },
};

void log_open(const char *name)
{
        const char *level = getenv("SANDBOXD_LOG_LEVEL");

        log_name = name;
        log_prefix = getenv("JOURNAL_STREAM") != NULL;
        for (size_t i = 0; level && i < ELEMENTSOF(level_names); i++)
                if (streq(level, level_names[i].name))
                        log_max = level_names[i].level;
}

void log_write(enum log_level level, const char *format, ...)
{
        int saved = errno;
        char line[1024];
        size_t n;
        va_list ap;

        if (level > log_max)
                return;
        if (log_prefix)
                n = (size_t) snprintf(line, sizeof(line), "<%d>", level);
        else
                n = (size_t) snprintf(line, sizeof(line), "%s: ", log_name);
        va_start(ap, format);
        (void) vsnprintf(line + n, sizeof(line) - n - 1, format, ap);
        va_end(ap);
        n = strlen(line);
        line[n++] = '\n';
        if (write(STDERR_FILENO, line, n) < 0) {
                /* Nowhere left to say it. */
        }
        errno = saved;
}
