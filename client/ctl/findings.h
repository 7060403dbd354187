/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What `sandboxctl doctor` finds: for each check how it stands, what that costs and what to do.
 * Memory that runs out ends the program.
 */

#include "common/macro.h"

enum finding_state {
        FINDING_OK,
        FINDING_WARNING, /* works, with something lost */
        FINDING_MISSING, /* required */
        _FINDING_STATE_COUNT,
};

struct finding {
        enum finding_state state;
        const char *check;
        char *detail;
        char *cost;   /* what it costs; empty when nothing */
        char *advice; /* what to do; empty when nothing */
};

struct findings {
        struct finding *items;
        size_t n_items;
};

void findings_done(struct findings *f);
/* Appends a finding; detail is a printf format. check is kept, not copied. */
void findings_add(struct findings *f, enum finding_state state, const char *check, const char *cost,
        const char *advice, const char *format, ...) _printf_(6, 7);
bool findings_complete(const struct findings *f); /* nothing required is missing */
const char *finding_state_name(enum finding_state state);
