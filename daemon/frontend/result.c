/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The making and freeing of results, and ids as text. Runs in the frontend.
 */
#include "daemon/frontend/result.h"

#include <inttypes.h>
#include <stdio.h>

char *result_format_id(uint64_t id, char buf[static RESULT_ID_TEXT_MAX])
{
        (void) snprintf(buf, RESULT_ID_TEXT_MAX, "%016" PRIx64, id);
        return buf;
}

int result_parse_id(const void *text, size_t size, uint64_t *ret)
{
        static const char digits[] = "0123456789abcdef";
        const char *s = text;
        uint64_t id = 0;

        if (size != RESULT_ID_TEXT_MAX - 1)
                return -EINVAL;
        for (size_t i = 0; i < size; i++) {
                const char *digit = memchr(digits, s[i], sizeof(digits) - 1);

                if (!digit)
                        return -EINVAL;
                id = id << 4 | (uint64_t) (digit - digits);
        }
        *ret = id;
        return 0;
}

int result_new(const void *label, size_t label_size, struct result **ret)
{
        _cleanup_(result_freep) struct result *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        LIST_INIT(&r->watches);
        if (label_size > 0) {
                r->label = malloc(label_size);
                if (!r->label)
                        return -ENOMEM;
                memcpy(r->label, label, label_size);
                r->label_size = label_size;
        }
        *ret = TAKE_PTR(r);
        return 0;
}

void result_add_note(struct result *r, const char *note)
{
        char *text;

        if (asprintf(&text, "%s%s%s", r->message ?: "", r->message ? "; " : "", note) < 0)
                return;
        free(r->message);
        r->message = text;
}

void result_shed(struct result *r)
{
        store_done(&r->output);
        kept_files_done(&r->files);
        return_value_done(&r->return_value);
        r->charged = 0;
}

void result_free(struct result *r)
{
        ASSERT(LIST_EMPTY(&r->watches) && !r->announced);
        result_shed(r);
        free(r->message);
        free(r->label);
        free(r);
}
