/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names and exit codes of job verdicts. Pure data and functions.
 */
#include "common/status.h"

static const char *const status_names[_JOB_STATUS_COUNT] = {
        [JOB_STATUS_NONE] = "NONE",
        [JOB_STATUS_OK] = "OK",
        [JOB_STATUS_EXITED] = "EXITED",
        [JOB_STATUS_SIGNALED] = "SIGNALED",
        [JOB_STATUS_TIMEOUT] = "TIMEOUT",
        [JOB_STATUS_CPU_LIMIT] = "CPU_LIMIT",
        [JOB_STATUS_MEMORY_LIMIT] = "MEMORY_LIMIT",
        [JOB_STATUS_OUTPUT_LIMIT] = "OUTPUT_LIMIT",
        [JOB_STATUS_VIOLATION] = "VIOLATION",
        [JOB_STATUS_CANCELLED] = "CANCELLED",
        [JOB_STATUS_SETUP_ERROR] = "SETUP_ERROR",
};

static const char *const step_names[_SETUP_STEP_COUNT] = {
        [SETUP_STEP_NONE] = "",
        [SETUP_STEP_LIMITS] = "limits",
        [SETUP_STEP_CGROUP] = "cgroup",
        [SETUP_STEP_SCOPE] = "scope",
        [SETUP_STEP_CLONE] = "clone",
        [SETUP_STEP_RECEIVE] = "receive",
        [SETUP_STEP_HOSTNAME] = "hostname",
        [SETUP_STEP_ROOT] = "root",
        [SETUP_STEP_USR] = "usr",
        [SETUP_STEP_PROC] = "proc",
        [SETUP_STEP_TMPFS] = "tmpfs",
        [SETUP_STEP_MASK] = "mask",
        [SETUP_STEP_JOIN] = "join",
        [SETUP_STEP_USERNS] = "userns",
        [SETUP_STEP_MAPS] = "maps",
        [SETUP_STEP_NETWORK] = "network",
        [SETUP_STEP_PAYLOAD] = "payload",
        [SETUP_STEP_CGROUPNS] = "cgroupns",
        [SETUP_STEP_RLIMITS] = "rlimits",
        [SETUP_STEP_CREDENTIALS] = "credentials",
        [SETUP_STEP_SECCOMP] = "seccomp",
        [SETUP_STEP_FILES] = "files",
        [SETUP_STEP_EXEC] = "exec",
        [SETUP_STEP_LOST] = "lost",
};

const char *job_status_name(enum job_status status)
{
        if ((unsigned) status >= _JOB_STATUS_COUNT)
                return "UNKNOWN";
        return status_names[status];
}

const char *setup_step_name(enum setup_step step)
{
        if ((unsigned) step >= _SETUP_STEP_COUNT)
                return "unknown";
        return step_names[step];
}

int job_status_exit_code(enum job_status status, int exit_code, int signal, const char *step,
        int error)
{
        switch (status) {
        case JOB_STATUS_OK:
                return 0;
        case JOB_STATUS_EXITED:
                return exit_code;
        case JOB_STATUS_SIGNALED:
                return 128 + signal;
        case JOB_STATUS_TIMEOUT:
                return 124;
        case JOB_STATUS_CPU_LIMIT:
                return 152;
        case JOB_STATUS_MEMORY_LIMIT:
                return 137;
        case JOB_STATUS_OUTPUT_LIMIT:
                return 153;
        case JOB_STATUS_VIOLATION:
                return 159;
        case JOB_STATUS_CANCELLED:
                return 143;
        case JOB_STATUS_SETUP_ERROR:
                if (streq(step, setup_step_name(SETUP_STEP_EXEC)))
                        return error == ENOENT ? 127 : 126;
                return 125;
        default:
                return 125;
        }
}
