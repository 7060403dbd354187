/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which bytes can be a string on the bus. Pure functions of sandboxd-bus, for what jobs and clients wrote.
 */
#include "daemon/bus/text.h"

#include <stdio.h>

/* The code point that begins at p, and its length in *ret_size; -1 when none does. */
static int32_t decode(const uint8_t *p, size_t left, size_t *ret_size)
{
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
        uint32_t c = p[0];
        size_t n = c < 0x80 ? 1 : c >> 5 == 0x6 ? 2 : c >> 4 == 0xe ? 3 : c >> 3 == 0x1e ? 4 : 0;

        if (n == 0 || n > left)
                return -1;
        if (n > 1)
                c &= 0x7fU >> n;
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return -1;
                c = c << 6 | (p[i] & 0x3f);
        }
        if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return -1;
        *ret_size = n;
        return (int32_t) c;
}

/* Its end is not reached: left is at least 1. 0 when no string may have what begins at p. */
static size_t take(const uint8_t *p, size_t left)
{
        size_t n;
        int32_t c = decode(p, left, &n);

        if (c <= 0 || (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef))
                return 0;
        return n;
}

bool text_is_string(const void *data, size_t size)
{
        const uint8_t *p = data;
        size_t n;

        for (size_t i = 0; i < size; i += n) {
                n = take(p + i, size - i);
                if (n == 0)
                        return false;
        }
        return true;
}

char *text_make_string(char *buf, size_t size, const char *text)
{
        const uint8_t *p = (const uint8_t *) text;
        size_t length = strlen(text), used = 0, n;

        for (size_t i = 0; i < length; i += MAX(n, 1)) {
                n = take(p + i, length - i);
                if (used + MAX(n, 1) >= size)
                        break;
                if (n > 0)
                        memcpy(buf + used, p + i, n);
                else
                        buf[used] = '?';
                used += MAX(n, 1);
        }
        buf[used] = '\0';
        return buf;
}
