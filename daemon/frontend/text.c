/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making quoted text safe to show. Pure; runs in the frontend.
 */
#include "daemon/frontend/text.h"

#include "common/macro.h"
#include "common/utf8.h"

char *text_clean(char *text)
{
        size_t size = strlen(text);

        for (size_t i = 0, n; i < size; i += MAX(n, (size_t) 1)) {
                n = utf8_printable_length(text + i, size - i);
                if (n == 0)
                        text[i] = '?';
        }
        return text;
}
