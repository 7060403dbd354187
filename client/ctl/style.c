/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Colours, and text and numbers for people. Runs in sandboxctl. Never lets a byte that somebody
 * else wrote act on the terminal from a line of sandboxctl's own.
 */
#include "client/ctl/style.h"

#include <inttypes.h>

#include "client/ctl/memory.h"
#include "common/utf8.h"

static const char *const sequences[_STYLE_COUNT] = {
        [STYLE_NONE] = "",
        [STYLE_BOLD] = "\033[1m",
        [STYLE_DIM] = "\033[2m",
        [STYLE_GREEN] = "\033[32m",
        [STYLE_YELLOW] = "\033[33m",
        [STYLE_RED] = "\033[31m",
};

int color_mode_parse(const char *s, enum color_mode *ret)
{
        static const char *const names[] = {
                [COLOR_AUTO] = "auto",
                [COLOR_ALWAYS] = "always",
                [COLOR_NEVER] = "never",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(s, names[i])) {
                        *ret = (enum color_mode) i;
                        return 0;
                }
        return -EINVAL;
}

bool color_enabled(enum color_mode mode, FILE *f)
{
        const char *term = getenv("TERM");

        if (mode != COLOR_AUTO)
                return mode == COLOR_ALWAYS;
        return strnull(getenv("NO_COLOR")) && !strnull(term) && !streq(term, "dumb") &&
               isatty(fileno(f));
}

void style_print(FILE *f, bool colors, enum style style, const char *text)
{
        if (colors && style != STYLE_NONE)
                (void) fprintf(f, "%s%s\033[0m", sequences[style], text);
        else
                (void) fputs(text, f);
}

void print_untrusted(FILE *f, const void *text, size_t size, int indent)
{
        const uint8_t *p = text;

        while (size > 0) {
                size_t n = utf8_printable_length(p, size);

                if (*p == '\n' && indent >= 0)
                        (void) fprintf(f, "\n%*s", indent, "");
                else if (*p == '\t' && indent >= 0)
                        (void) fputc('\t', f);
                else if (n > 0)
                        (void) fwrite(p, 1, n, f);
                else
                        (void) fprintf(f, "\\x%02x", *p);
                n = MAX(n, (size_t) 1);
                p += n;
                size -= n;
        }
}

char *text_untrusted(const char *text)
{
        char *shown = NULL;
        size_t size = 0;
        FILE *f = must(open_memstream(&shown, &size));

        print_untrusted(f, text, strlen(text), ONE_LINE);
        must(fclose(f) == 0 ? shown : NULL);
        return shown;
}

char *human_time(char buf[static HUMAN_MAX], uint64_t usec)
{
        if (usec < USEC_PER_MSEC)
                (void) snprintf(buf, HUMAN_MAX, "%" PRIu64 " us", usec);
        else if (usec < 999500)
                (void) snprintf(buf, HUMAN_MAX, "%.3g ms", (double) usec / 1e3);
        else if (usec < 60 * USEC_PER_SEC)
                (void) snprintf(buf, HUMAN_MAX, "%.3g s", (double) usec / 1e6);
        else
                (void) snprintf(buf, HUMAN_MAX, "%" PRIu64 " min %" PRIu64 " s",
                        usec / (60 * USEC_PER_SEC), usec / USEC_PER_SEC % 60);
        return buf;
}

char *human_age(char buf[static HUMAN_MAX], uint64_t usec)
{
        static const struct {
                uint64_t seconds; /* a unit */
                const char *name;
        } units[] = { { 24 * 3600, "days" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
        uint64_t seconds = usec / USEC_PER_SEC;
        size_t i = 0;

        /* From two on, so that no more than half is lost: 90 minutes are not one hour. */
        while (units[i].seconds > 1 && seconds < 2 * units[i].seconds)
                i++;
        (void) snprintf(buf, HUMAN_MAX, "%" PRIu64 " %s", seconds / units[i].seconds,
                units[i].name);
        return buf;
}

char *human_size(char buf[static HUMAN_MAX], uint64_t bytes)
{
        static const char units[] = "KMGT";
        double v = (double) bytes;
        size_t i = 0;

        if (bytes < KIB) {
                (void) snprintf(buf, HUMAN_MAX, "%" PRIu64 " bytes", bytes);
                return buf;
        }
        for (v /= 1024; v >= 999.5 && units[i + 1]; i++)
                v /= 1024;
        (void) snprintf(buf, HUMAN_MAX, "%.3g%c", v, units[i]);
        return buf;
}
