/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A small policy for the suites of the frontend: two profiles; a language that is there, one that
 * is not, and the command runtime.
 */

#include "common/policy.h"

static inline void fixture_profile(struct policy_profile *p, const char *name)
{
        static const uint64_t defaults[_LIMIT_COUNT] = {
                [LIMIT_WALL_TIME] = 5 * USEC_PER_SEC,
                [LIMIT_CPU_TIME] = 0,
                [LIMIT_MEMORY] = 256 * MIB,
                [LIMIT_CPU_QUOTA] = 100,
                [LIMIT_PIDS] = 64,
                [LIMIT_OUTPUT] = 1000,
                [LIMIT_TMP_SIZE] = 1 * MIB,
                [LIMIT_CODE_SIZE] = 1000,
                [LIMIT_FILES_SIZE] = 512 * KIB,
        };
        static const uint64_t maximums[_LIMIT_COUNT] = {
                [LIMIT_WALL_TIME] = 60 * USEC_PER_SEC,
                [LIMIT_CPU_TIME] = 30 * USEC_PER_SEC,
                [LIMIT_MEMORY] = 2 * GIB,
                [LIMIT_CPU_QUOTA] = 200,
                [LIMIT_PIDS] = 512,
                [LIMIT_OUTPUT] = 64 * MIB,
                [LIMIT_TMP_SIZE] = 8 * MIB,
                [LIMIT_CODE_SIZE] = 1000,
                [LIMIT_FILES_SIZE] = 512 * KIB,
        };

        (void) str_copy(p->name, sizeof(p->name), name);
        memcpy(p->defaults.value, defaults, sizeof(defaults));
        memcpy(p->maximums.value, maximums, sizeof(maximums));
}

static inline void fixture_policy(struct policy *p)
{
        struct policy_runtime *r;

        *p = (struct policy) {
                .version = POLICY_VERSION,
                .n_profiles = 2,
                .n_runtimes = 3,
                .n_listeners = 1,
                .server = {
                        .max_frame_bytes = 4 * MIB,
                        .max_connections = 8,
                        .max_connections_per_user = 4,
                        .max_jobs = 8,
                        .max_jobs_per_user = 3,
                        .max_upload_per_user = 1 * MIB,
                        .max_results_per_user = 4,
                        .max_kept = 4 * MIB,
                        .max_kept_per_user = 2 * MIB,
                        .result_retention_usec = 60 * USEC_PER_SEC,
                        .frame_timeout_usec = 1 * USEC_PER_SEC,
                },
                .driver = "cgroupfs (test)",
                .missing = "cpu, pids",
        };
        fixture_profile(&p->profiles[0], "default");
        fixture_profile(&p->profiles[1], "open");
        p->profiles[1].maximums.value[LIMIT_CPU_TIME] = 0;

        r = &p->runtimes[0];
        *r = (struct policy_runtime) {
                .name = "python",
                .aliases = { "py" },
                .interpreter = "/usr/bin/python3",
                .package = "python3",
                .file_name = "main.py",
                .launcher = "python.py",
                .arguments = { "-I", "%l", "%f", "100%%" },
                .n_arguments = 4,
                .environment = { "LAUNCHER=%l", "LANG=C" },
                .n_environment = 2,
                .available = true,
                .returns_value = true,
        };
        r = &p->runtimes[1];
        *r = (struct policy_runtime) {
                .name = "javascript",
                .interpreter = "/usr/bin/node",
                .package = "nodejs",
                .file_name = "main.js",
        };
        p->runtimes[2] = (struct policy_runtime) { .name = "command", .available = true };
}
