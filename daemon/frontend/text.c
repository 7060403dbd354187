/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making quoted text safe to show. Pure; runs in the frontend.
 */
#include "daemon/frontend/text.h"

#include "common/macro.h"

/* Characters that show as nothing, break the line, or turn the order of those around them: with them
 * a quoted name can be made to look like another. */
static bool is_format_control(uint32_t code)
{
        return (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
               (code >= 0x2066 && code <= 0x2069);
}

/* The length of the UTF-8 sequence at s, 0 when there is none that may be shown. */
static size_t sequence_length(const unsigned char *s)
{
        static const struct {
                unsigned char mask, lead;
                uint32_t least;
        } forms[] = {
                { 0xe0, 0xc0, 0x80 },
                { 0xf0, 0xe0, 0x800 },
                { 0xf8, 0xf0, 0x10000 },
        };

        if (s[0] < 0x80)
                return s[0] >= 0x20 && s[0] != 0x7f;
        for (size_t i = 0; i < ELEMENTSOF(forms); i++) {
                uint32_t code = s[0] & (unsigned char) ~forms[i].mask;

                if ((s[0] & forms[i].mask) != forms[i].lead)
                        continue;
                for (size_t j = 1; j <= i + 1; j++) {
                        if ((s[j] & 0xc0) != 0x80)
                                return 0;
                        code = code << 6 | (s[j] & 0x3f);
                }
                /* Overlong forms, surrogates, beyond Unicode, and the C1 control characters. */
                if (code < forms[i].least || (code >= 0xd800 && code < 0xe000) || code > 0x10ffff ||
                        code < 0xa0 || is_format_control(code))
                        return 0;
                return i + 2;
        }
        return 0;
}

char *text_clean(char *text)
{
        for (size_t i = 0, n; text[i] != '\0'; i += MAX(n, (size_t) 1)) {
                n = sequence_length((const unsigned char *) text + i);
                if (n == 0)
                        text[i] = '?';
        }
        return text;
}
