/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits of a job: the profile's defaults, replaced by what the request asks for where the
 * profile allows it. Pure; runs in the frontend. The monitor checks the outcome again.
 */
#include <stdio.h>

#include "daemon/frontend/plan.h"

/* Limits that a request can name: those with an option of `sandboxctl run`. */
static bool limit_is_settable(enum limit_id id)
{
        return limit_table[id].option != NULL;
}

static int find_limit(const char *field, enum limit_id *ret)
{
        for (enum limit_id id = 0; id < _LIMIT_COUNT; id++)
                if (limit_is_settable(id) && streq(limit_table[id].field, field)) {
                        *ret = id;
                        return 0;
                }
        return -ENOENT;
}

static int refuse_unknown(const char *field, struct plan_error *e)
{
        char known[256] = "";

        for (enum limit_id id = 0; id < _LIMIT_COUNT; id++) {
                size_t n = strlen(known);

                if (limit_is_settable(id))
                        (void) snprintf(known + n, sizeof(known) - n, "%s%s", n > 0 ? ", " : "",
                                limit_table[id].field);
        }
        return plan_refuse(e, SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT, "limits",
                "limits has no limit named '%.64s': known are %s", field, known);
}

static int refuse_over(enum limit_id id, uint64_t value, const struct policy_profile *profile,
        struct plan_error *e)
{
        const struct limit_info *info = &limit_table[id];
        char asked[LIMIT_TEXT_MAX], most[LIMIT_TEXT_MAX];

        return plan_refuse(e, SANDBOXD__V1__ERROR_CODE__OVER_LIMIT, info->field,
                "%s (%s) of %s is over the maximum of profile '%s': ask for at most %s",
                info->field, info->option, limit_format(id, value, asked), profile->name,
                limit_format(id, profile->maximums.value[id], most));
}

static int check_limit(enum limit_id id, uint64_t value, const struct policy_profile *profile,
        struct plan_error *e)
{
        const struct limit_info *info = &limit_table[id];
        uint64_t maximum = profile->maximums.value[id];
        bool unlimited = info->optional && maximum == 0;
        char asked[LIMIT_TEXT_MAX], least[LIMIT_TEXT_MAX];

        if (info->optional && value == 0)
                return unlimited ? 0 : refuse_over(id, value, profile, e);
        if (value < info->least)
                return plan_refuse(e, SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT, info->field,
                        "%s (%s) of %s is too small: ask for at least %s", info->field,
                        info->option, limit_format(id, value, asked),
                        limit_format(id, info->least, least));
        if (value > info->most || (!unlimited && value > maximum))
                return refuse_over(id, value, profile, e);
        return 0;
}

int plan_resolve_limits(const struct policy_profile *profile, const Sandboxd__V1__Run *run,
        struct limits *ret, struct plan_error *e)
{
        struct limits limits = profile->defaults;
        int r;

        /* "No limit" as a default still means the maximum, where there is one. */
        for (enum limit_id id = 0; id < _LIMIT_COUNT; id++)
                if (limit_table[id].optional && limits.value[id] == 0)
                        limits.value[id] = profile->maximums.value[id];
        for (size_t i = 0; i < run->n_limits; i++) {
                enum limit_id id;

                if (find_limit(run->limits[i]->key, &id) < 0)
                        return refuse_unknown(run->limits[i]->key, e);
                r = check_limit(id, run->limits[i]->value, profile, e);
                if (r < 0)
                        return r;
                limits.value[id] = run->limits[i]->value;
        }
        *ret = limits;
        return 0;
}
