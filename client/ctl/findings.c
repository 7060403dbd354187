/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of what `sandboxctl doctor` found. Runs in sandboxctl.
 */
#include "client/ctl/findings.h"

#include <stdarg.h>
#include <stdio.h>

#include "client/ctl/memory.h"

static const char *const state_names[_FINDING_STATE_COUNT] = {
        [FINDING_OK] = "ok",
        [FINDING_WARNING] = "warning",
        [FINDING_MISSING] = "missing",
};

const char *finding_state_name(enum finding_state state)
{
        return state_names[state];
}

void findings_done(struct findings *f)
{
        for (size_t i = 0; i < f->n_items; i++) {
                free(f->items[i].detail);
                free(f->items[i].cost);
                free(f->items[i].advice);
        }
        free(f->items);
        *f = (struct findings) {};
}

void findings_add(struct findings *f, enum finding_state state, const char *check, const char *cost,
        const char *advice, const char *format, ...)
{
        char *detail = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&detail, format, ap);
        va_end(ap);
        f->items = must(reallocarray(f->items, f->n_items + 1, sizeof(*f->items)));
        f->items[f->n_items++] = (struct finding) {
                .state = state,
                .check = check,
                .detail = must(r < 0 ? NULL : detail),
                .cost = must(strdup(cost)),
                .advice = must(strdup(advice)),
        };
}

bool findings_complete(const struct findings *f)
{
        for (size_t i = 0; i < f->n_items; i++)
                if (f->items[i].state == FINDING_MISSING)
                        return false;
        return true;
}
