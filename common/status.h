/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The verdict of a finished job, and the step at which a sandbox failed. Numbers are part of the
 * wire protocol (Status in sandboxd.proto has the same ones) and never change.
 */

#include "common/macro.h"

enum job_status {
        JOB_STATUS_NONE = 0, /* not finished */
        JOB_STATUS_OK = 1,
        JOB_STATUS_EXITED = 2,
        JOB_STATUS_SIGNALED = 3,
        JOB_STATUS_TIMEOUT = 4,
        JOB_STATUS_CPU_LIMIT = 5,
        JOB_STATUS_MEMORY_LIMIT = 6,
        JOB_STATUS_OUTPUT_LIMIT = 7,
        JOB_STATUS_VIOLATION = 8,
        JOB_STATUS_CANCELLED = 9,
        JOB_STATUS_SETUP_ERROR = 10,
        _JOB_STATUS_COUNT,
};

/* "TIMEOUT"; "UNKNOWN" for a number that is none. */
const char *job_status_name(enum job_status status);

/* What `sandboxctl run` exits with. error is the errno of a SETUP_ERROR at step "exec". */
int job_status_exit_code(enum job_status status, int exit_code, int signal, const char *step,
        int error);

/* Where the making of a sandbox can fail, in order. */
enum setup_step {
        SETUP_STEP_NONE = 0,
        SETUP_STEP_LIMITS,  /* monitor: a limit that this host cannot enforce */
        SETUP_STEP_CGROUP,  /* monitor: cgroups and their limits */
        SETUP_STEP_SCOPE,   /* monitor: systemd's scope around init */
        SETUP_STEP_CLONE,   /* monitor: the init process */
        SETUP_STEP_RECEIVE, /* init: its orders */
        SETUP_STEP_HOSTNAME,
        SETUP_STEP_ROOT, /* entering the template mount namespace */
        SETUP_STEP_USR,  /* overlay of /usr */
        SETUP_STEP_PROC,
        SETUP_STEP_TMPFS,
        SETUP_STEP_MASK, /* masks and synthesised files in /proc */
        SETUP_STEP_JOIN, /* joining a cgroup leaf */
        SETUP_STEP_USERNS,
        SETUP_STEP_MAPS, /* monitor: uid_map and gid_map */
        SETUP_STEP_NETWORK,
        SETUP_STEP_PAYLOAD, /* forking the payload */
        SETUP_STEP_CGROUPNS,
        SETUP_STEP_RLIMITS,
        SETUP_STEP_CREDENTIALS,
        SETUP_STEP_SECCOMP,
        SETUP_STEP_FILES, /* the job's files and working directory */
        SETUP_STEP_EXEC,
        SETUP_STEP_LOST, /* init ended without a report */
        _SETUP_STEP_COUNT,
};

const char *setup_step_name(enum setup_step step);
