/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to numbers and back. Pure functions; runs in monitor and client.
 */
#include "common/parse.h"

#include <inttypes.h>
#include <stdio.h>

struct unit {
        const char *suffix;
        uint64_t factor;
};

static const struct unit size_units[] = {
        { "", 1 },
        { "K", KIB },
        { "M", MIB },
        { "G", GIB },
        { "T", 1024 * GIB },
};

static const struct unit time_units[] = {
        { "us", 1 },
        { "ms", USEC_PER_MSEC },
        { "s", USEC_PER_SEC },
        { "", USEC_PER_SEC },
        { "min", 60 * USEC_PER_SEC },
        { "h", 3600 * USEC_PER_SEC },
};

/* Reads decimal digits at *s, moves *s past them. */
static int take_digits(const char **s, uint64_t *ret)
{
        uint64_t v = 0;
        const char *p = *s;

        if (*p < '0' || *p > '9')
                return -EINVAL;
        for (; *p >= '0' && *p <= '9'; p++)
                if (__builtin_mul_overflow(v, 10, &v) ||
                        __builtin_add_overflow(v, (uint64_t) (*p - '0'), &v))
                        return -ERANGE;
        *s = p;
        *ret = v;
        return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
        uint64_t v;
        int r;

        r = take_digits(&s, &v);
        if (r < 0)
                return r;
        if (*s != '\0')
                return -EINVAL;
        *ret = v;
        return 0;
}

int parse_u32(const char *s, uint32_t *ret)
{
        uint64_t v;
        int r;

        r = parse_u64(s, &v);
        if (r < 0)
                return r;
        if (v > UINT32_MAX)
                return -ERANGE;
        *ret = (uint32_t) v;
        return 0;
}

int parse_u64_hex(const char *s, uint64_t *ret)
{
        uint64_t v = 0;

        if (s[0] != '0' || (s[1] != 'x' && s[1] != 'X'))
                return parse_u64(s, ret);
        s += 2;
        if (*s == '\0')
                return -EINVAL;
        for (; *s; s++) {
                int d;

                if (*s >= '0' && *s <= '9')
                        d = *s - '0';
                else if (*s >= 'a' && *s <= 'f')
                        d = *s - 'a' + 10;
                else if (*s >= 'A' && *s <= 'F')
                        d = *s - 'A' + 10;
                else
                        return -EINVAL;
                if (v >> 60)
                        return -ERANGE;
                v = v << 4 | (uint64_t) d;
        }
        *ret = v;
        return 0;
}

/* A decimal number with an optional fraction of up to six digits, then one of the units. */
static int parse_scaled(const char *s, const struct unit *units, size_t n_units, uint64_t *ret)
{
        uint64_t whole, part = 0, scale = 1, v;
        int r;

        r = take_digits(&s, &whole);
        if (r < 0)
                return r;
        if (*s == '.') {
                s++;
                if (*s < '0' || *s > '9')
                        return -EINVAL;
                for (; *s >= '0' && *s <= '9'; s++) {
                        if (scale >= 1000000)
                                return -EINVAL;
                        part = part * 10 + (uint64_t) (*s - '0');
                        scale *= 10;
                }
        }
        for (size_t i = 0; i < n_units; i++) {
                if (!streq(s, units[i].suffix))
                        continue;
                if (__builtin_mul_overflow(whole, units[i].factor, &v) ||
                        __builtin_add_overflow(v, part * units[i].factor / scale, &v))
                        return -ERANGE;
                *ret = v;
                return 0;
        }
        return -EINVAL;
}

int parse_size(const char *s, uint64_t *ret_bytes)
{
        return parse_scaled(s, size_units, ELEMENTSOF(size_units), ret_bytes);
}

int parse_time(const char *s, uint64_t *ret_usec)
{
        return parse_scaled(s, time_units, ELEMENTSOF(time_units), ret_usec);
}

int parse_percent(const char *s, uint64_t *ret_percent)
{
        static const struct unit units[] = { { "%", 1 } };

        if (strchr(s, '.'))
                return -EINVAL;
        return parse_scaled(s, units, ELEMENTSOF(units), ret_percent);
}

int parse_cpus(const char *s, uint64_t *ret_percent)
{
        static const struct unit units[] = { { "", 100 } };

        return parse_scaled(s, units, ELEMENTSOF(units), ret_percent);
}

int parse_bool(const char *s, bool *ret)
{
        static const char *const yes[] = { "yes", "true", "on", "1" };
        static const char *const no[] = { "no", "false", "off", "0" };

        for (size_t i = 0; i < ELEMENTSOF(yes); i++) {
                if (streq(s, yes[i])) {
                        *ret = true;
                        return 0;
                }
                if (streq(s, no[i])) {
                        *ret = false;
                        return 0;
                }
        }
        return -EINVAL;
}

char *format_size(char buf[static FORMAT_MAX], uint64_t bytes)
{
        size_t i = ELEMENTSOF(size_units) - 1;

        while (i > 0 && (bytes == 0 || bytes % size_units[i].factor != 0))
                i--;
        (void) snprintf(buf, FORMAT_MAX, "%" PRIu64 "%s", bytes / size_units[i].factor,
                size_units[i].suffix);
        return buf;
}

char *format_time(char buf[static FORMAT_MAX], uint64_t usec)
{
        static const struct unit units[] = {
                { "us", 1 },
                { "ms", USEC_PER_MSEC },
                { "s", USEC_PER_SEC },
                { "min", 60 * USEC_PER_SEC },
                { "h", 3600 * USEC_PER_SEC },
        };
        size_t i = ELEMENTSOF(units) - 1;

        while (i > 0 && (usec == 0 || usec % units[i].factor != 0))
                i--;
        if (usec == 0)
                i = 2;
        (void) snprintf(buf, FORMAT_MAX, "%" PRIu64 "%s", usec / units[i].factor, units[i].suffix);
        return buf;
}
