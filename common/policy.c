/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups in the policy in force. Pure functions; runs in monitor and frontend.
 */
#include "common/policy.h"

const struct policy_profile *policy_find_profile(const struct policy *p, const char *name)
{
        for (uint32_t i = 0; i < p->n_profiles; i++)
                if (streq(p->profiles[i].name, name))
                        return &p->profiles[i];
        return NULL;
}

static bool runtime_is(const struct policy_runtime *r, const char *name)
{
        if (streq(r->name, name))
                return true;
        for (size_t i = 0; i < POLICY_ALIASES_MAX; i++)
                if (r->aliases[i][0] && streq(r->aliases[i], name))
                        return true;
        return false;
}

const struct policy_runtime *policy_find_runtime(const struct policy *p, const char *name)
{
        if (strnull(name))
                return NULL;
        for (uint32_t i = 0; i < p->n_runtimes; i++)
                if (runtime_is(&p->runtimes[i], name))
                        return &p->runtimes[i];
        return NULL;
}
