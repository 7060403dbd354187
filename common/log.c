/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log lines, to the journal or to stderr. Runs in monitor and frontend. The journal's socket is
 * opened once, at log_open(): the frontend cannot make one later. Nothing here waits for journald.
 */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/event.h"
#include "common/journal.h"

#define LINE_MAX_SIZE 1024
/* More than an entry keeps of a value, so that what is too long is cut there. */
#define TEXT_MAX_SIZE (JOURNAL_VALUE_MAX + 8)

static const char *log_name = "sandboxd";
static enum log_level log_max = LOG_LEVEL_INFO;
static bool log_prefix; /* stderr is journald's: "<level>" as sd-daemon(3) defines it */
static struct journal journal = { .fd = -EBADF };

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
        log_prefix = journal_is_stream(getenv("JOURNAL_STREAM"), STDERR_FILENO);
        if (log_prefix && journal.fd < 0)
                (void) journal_open(&journal, JOURNAL_SOCKET);
        for (size_t i = 0; level && i < ELEMENTSOF(level_names); i++)
                if (streq(level, level_names[i].name))
                        log_max = level_names[i].level;
}

void log_close(void)
{
        journal_close(&journal);
}

/* One write(2) each, so that processes do not cut each other's lines. */
static void write_line(enum log_level level, const char *format, va_list ap)
{
        char line[LINE_MAX_SIZE];
        size_t n;

        if (log_prefix)
                n = (size_t) snprintf(line, sizeof(line), "<%d>", level);
        else
                n = (size_t) snprintf(line, sizeof(line), "%s: ", log_name);
        (void) vsnprintf(line + n, sizeof(line) - n - 1, format, ap);
        n = strlen(line);
        line[n++] = '\n';
        if (write(STDERR_FILENO, line, n) < 0) {
                /* Nowhere left to say it. */
        }
}

static void write_entry(enum log_level level, const char *message_id,
        const struct log_field *fields, const char *format, va_list ap)
{
        struct journal_entry entry;
        char text[TEXT_MAX_SIZE];

        (void) vsnprintf(text, sizeof(text), format, ap);
        journal_entry_begin(&entry, level, text);
        if (message_id)
                journal_entry_add(&entry, "MESSAGE_ID", message_id);
        for (; fields && fields->name; fields++)
                journal_entry_add(&entry, fields->name, fields->value);
        journal_send(&journal, &entry);
}

void log_write(enum log_level level, const char *format, ...)
{
        int saved = errno;
        va_list ap;

        if (level > log_max)
                return;
        va_start(ap, format);
        if (journal.fd >= 0)
                write_entry(level, NULL, NULL, format, ap);
        else
                write_line(level, format, ap);
        va_end(ap);
        errno = saved;
}

static enum log_level level_of(enum event event)
{
        return journal.fd >= 0 ? event_table[event].level : event_table[event].plain_level;
}

bool log_wants(enum event event)
{
        return level_of(event) <= log_max;
}

void log_event(enum event event, const struct log_field *fields, const char *format, ...)
{
        int saved = errno;
        va_list ap;

        if (!log_wants(event))
                return;
        va_start(ap, format);
        if (journal.fd >= 0)
                write_entry(level_of(event), event_table[event].message_id, fields, format, ap);
        else
                write_line(level_of(event), format, ap);
        va_end(ap);
        errno = saved;
}
