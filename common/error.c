/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error sentences and failed assertions. Runs in every process; allocates nothing.
 */
#include "common/error.h"

#include <stdio.h>

void assert_failed(const char *expression, const char *file, int line)
{
        fprintf(stderr, "assertion failed: %s (%s:%d)\n", expression, file, line);
        abort();
}

int error_set(struct error *e, int code, const char *format, ...)
{
        va_list ap;

        ASSERT(code < 0);
        if (!e)
                return code;
        va_start(ap, format);
        (void) vsnprintf(e->text, sizeof(e->text), format, ap);
        va_end(ap);
        return code;
}

int error_prefix(struct error *e, int code, const char *format, ...)
{
        char old[ERROR_TEXT_MAX], context[ERROR_TEXT_MAX];
        va_list ap;

        ASSERT(code < 0);
        if (!e)
                return code;
        memcpy(old, e->text, sizeof(old));
        va_start(ap, format);
        (void) vsnprintf(context, sizeof(context), format, ap);
        va_end(ap);
        (void) snprintf(e->text, sizeof(e->text), "%.200s: %.300s", context, old);
        return code;
}
