/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How a runtime's interpreter is called, whoever calls it: the frontend in the spec of a job, the monitor
 * for a sandbox that is made before there is one. The two must not differ.
 */

#include "common/policy.h"

/* What every job finds in its environment, unless it says otherwise. */
#define INTERPRETER_ENVIRONMENT_N 4
extern const char *const interpreter_environment[INTERPRETER_ENVIRONMENT_N];

/* Its argv[0]. */
const char *interpreter_name(const struct policy_runtime *rt);
/* A runtime's argument or variable with "%l", "%f" and "%%" replaced. NULL when out of memory. */
char *interpreter_expand(const struct policy_runtime *rt, const char *text);
