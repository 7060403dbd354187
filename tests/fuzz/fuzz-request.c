/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the frontend does with a frame's body before anything is made of it: decoding on a budget,
 * and the plan. A plan that comes out keeps what the monitor will check.
 */
#include "daemon/frontend/plan.h"
#include "proto/budget.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fixture-policy.h"

static void check_plan(const struct plan *p)
{
        for (size_t i = 0; i < _LIMIT_COUNT; i++) {
                uint64_t maximum = p->profile->maximums.value[i];

                ASSERT(maximum == 0 || p->limits.value[i] <= maximum);
        }
        for (size_t i = 0; i < p->spec.n_files; i++)
                ASSERT(spec_check_name(p->spec.file_names[i], strlen(p->spec.file_names[i]),
                               NULL) == 0);
        ASSERT(p->spec.argc > 0 && p->spec.exec[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct policy policy;
        Sandboxd__V1__Request *request;
        struct plan_error error = {};
        struct budget budget;
        struct plan plan;

        fixture_policy(&policy);
        budget_init(&budget, 4 * MIB);
        request = sandboxd__v1__request__unpack(&budget.allocator, size, data);
        if (!request)
                return 0;
        if (request->body_case == SANDBOXD__V1__REQUEST__BODY_RUN) {
                if (plan_make(&policy, &policy.profiles[0], request->run, &plan, &error) == 0) {
                        check_plan(&plan);
                        plan_done(&plan);
                } else {
                        ASSERT(error.text.text[0]);
                }
        }
        sandboxd__v1__request__free_unpacked(request, &budget.allocator);
        ASSERT(budget.used <= budget.max);
        return 0;
}
