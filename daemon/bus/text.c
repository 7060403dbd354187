/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which bytes can be a string on the bus. Pure functions of sandboxd-bus, for what jobs and clients wrote.
 */
#include "daemon/bus/text.h"

#include "common/utf8.h"

/* The length of the character at p, 0 when no string may have it. */
static size_t take(const void *p, size_t left)
{
        uint32_t c = 0;
        size_t n = utf8_decode(p, left, &c);

        return c == 0 || (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef) ? 0 : n;
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
