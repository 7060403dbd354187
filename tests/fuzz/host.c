/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A clock, a log and a count of fds for fuzz targets.
 */
#include "tests/fuzz/host.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

#include "common/log.h"

/* Beyond any uptime: the kernel's timers, which go by its own clock, never fire. */
static uint64_t now_usec = UINT64_C(1) << 50;

void host_advance(uint64_t usec)
{
        now_usec += usec;
}

/* In place of libc's, in every library that is linked dynamically, too. */
int clock_gettime(clockid_t id, struct timespec *ts)
{
        if (id != CLOCK_MONOTONIC && id != CLOCK_BOOTTIME)
                return (int) syscall(SYS_clock_gettime, id, ts);
        *ts = (struct timespec) {
                .tv_sec = (time_t) (now_usec / USEC_PER_SEC),
                .tv_nsec = (long) (now_usec % USEC_PER_SEC * 1000),
        };
        return 0;
}

void host_note_fds(struct host_fds *ret)
{
        struct pollfd fds[ELEMENTSOF(ret->open)];

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                fds[i] = (struct pollfd) { .fd = (int) i };
        ASSERT(poll(fds, ELEMENTSOF(fds), 0) >= 0);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                ret->open[i] = !(fds[i].revents & POLLNVAL);
}

size_t host_count_fds(void)
{
        struct host_fds now;
        size_t n = 0;

        host_note_fds(&now);
        for (size_t i = 0; i < ELEMENTSOF(now.open); i++)
                n += now.open[i];
        return n;
}

size_t host_close_new_fds(const struct host_fds *before)
{
        struct host_fds now;
        size_t n = 0;

        host_note_fds(&now);
        for (size_t i = 0; i < ELEMENTSOF(now.open); i++)
                if (now.open[i] && !before->open[i]) {
                        (void) close((int) i);
                        n++;
                }
        return n;
}

/* --- the functions of common/log.h: all is formatted, so that its arguments are looked at */

static char line[4096];

void log_open(const char *name)
{
}

void log_close(void)
{
}

void log_write(enum log_level level, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
}

bool log_wants(enum event event)
{
        return true;
}

void log_event(enum event event, const struct log_field *fields, const char *format, ...)
{
        va_list ap;

        for (const struct log_field *f = fields; f && f->name; f++)
                (void) snprintf(line, sizeof(line), "%s=%s", f->name, f->value);
        va_start(ap, format);
        (void) vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);
}
