/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8. Pure; runs in every process.
 */
#include "common/utf8.h"

size_t utf8_decode(const void *p, size_t size, uint32_t *ret)
{
        static const struct {
                uint8_t mask, lead;
                uint32_t least;
        } forms[] = {
                { 0x80, 0x00, 0 },
                { 0xe0, 0xc0, 0x80 },
                { 0xf0, 0xe0, 0x800 },
                { 0xf8, 0xf0, 0x10000 },
        };
        const uint8_t *s = p;

        for (size_t n = 1; n <= ELEMENTSOF(forms) && n <= size; n++) {
                uint32_t code = s[0] & (uint8_t) ~forms[n - 1].mask;

                if ((s[0] & forms[n - 1].mask) != forms[n - 1].lead)
                        continue;
                for (size_t i = 1; i < n; i++) {
                        if ((s[i] & 0xc0) != 0x80)
                                return 0;
                        code = code << 6 | (s[i] & 0x3f);
                }
                if (code < forms[n - 1].least || code > 0x10ffff ||
                        (code >= 0xd800 && code < 0xe000))
                        return 0;
                *ret = code;
                return n;
        }
        return 0;
}

static bool is_disguise(uint32_t c)
{
        return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
               (c >= 0x2066 && c <= 0x2069);
}

size_t utf8_printable_length(const void *p, size_t size)
{
        uint32_t c = 0;
        size_t n = utf8_decode(p, size, &c);

        /* C0, DEL and C1. */
        return c < 0x20 || (c >= 0x7f && c < 0xa0) || is_disguise(c) ? 0 : n;
}
