/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small conversions, and names of numbers. Runs in the client's process.
 */
#include "client/lib/convert.h"

#include "common/limit.h"
#include "common/status.h"

int text_of_bytes(const ProtobufCBinaryData *bytes, char **ret)
{
        char *text = strndup(bytes->len > 0 ? (const char *) bytes->data : "", bytes->len);

        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}

ProtobufCBinaryData bytes_of_text(const char *text)
{
        return (ProtobufCBinaryData) {
                .len = text ? strlen(text) : 0,
                .data = (uint8_t *) text,
        };
}

int usage_of(const Sandboxd__V1__Usage *usage, sandbox_usage *ret)
{
        *ret = (sandbox_usage) {};
        if (!usage)
                return 0;
        *ret = (sandbox_usage) {
                .wall_usec = usage->wall_usec,
                .cpu_user_usec = usage->cpu_user_usec,
                .cpu_system_usec = usage->cpu_system_usec,
                .memory_peak_bytes = usage->memory_peak_bytes,
                .pids_peak = usage->pids_peak,
        };
        return 1;
}

const char *sandbox_version(void)
{
        return PACKAGE_VERSION;
}

const char *sandbox_status_name(int status)
{
        return status > 0 ? job_status_name((enum job_status) status) : "UNKNOWN";
}

const char *sandbox_job_state_name(int state)
{
        static const char *const names[] = {
                [SANDBOX_JOB_RECEIVING] = "receiving",
                [SANDBOX_JOB_QUEUED] = "queued",
                [SANDBOX_JOB_RUNNING] = "running",
                [SANDBOX_JOB_FINISHED] = "finished",
        };

        return state > 0 && (size_t) state < ELEMENTSOF(names) ? names[state] : "unknown";
}

const char *sandbox_limit_name(enum sandbox_limit limit)
{
        static const enum limit_id ids[] = {
                [SANDBOX_LIMIT_WALL_TIME] = LIMIT_WALL_TIME,
                [SANDBOX_LIMIT_CPU_TIME] = LIMIT_CPU_TIME,
                [SANDBOX_LIMIT_MEMORY] = LIMIT_MEMORY,
                [SANDBOX_LIMIT_CPU_QUOTA] = LIMIT_CPU_QUOTA,
                [SANDBOX_LIMIT_PIDS] = LIMIT_PIDS,
                [SANDBOX_LIMIT_OUTPUT] = LIMIT_OUTPUT,
                [SANDBOX_LIMIT_TMP_SIZE] = LIMIT_TMP_SIZE,
        };

        return (size_t) limit < ELEMENTSOF(ids) ? limit_table[ids[limit]].field : NULL;
}
