/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The two leaf cgroups of a sandbox, `init` and `job`, whichever driver made them: the job's exact
 * limits, its usage, killing it. The job's limits are on `job` alone, so that an OOM kill there
 * never hits the one that reports it.
 */

#include "common/limit.h"
#include "daemon/monitor/cgroup-layout.h"

struct leaf_dir {
        bool v2;
        unsigned controllers;
        unsigned enable; /* those that init itself must hand down to the leaves, once it is in its
                            own: v2 has no limits on `job` before */
        int sandbox_fd;  /* v2: the directory above both leaves */
        int init_fd;     /* the leaf that init joins; -EBADF: it stays where it is */
        int job_fd;
};

struct leaves {
        char name[24]; /* of the sandbox's directories */
        struct leaf_dir dirs[CGROUP_HIERARCHIES_MAX];
        size_t n;
};

struct leaf_usage {
        uint64_t memory_peak_bytes;
        uint64_t cpu_user_usec;
        uint64_t cpu_system_usec;
        uint64_t pids_peak;
        uint64_t oom_kills;
        uint64_t n_pids_hits; /* forks that the limit refused */
        uint64_t n_throttled; /* periods that the quota cut */
};

/* What a job uses at one moment. 0: not known. */
struct leaf_state {
        uint64_t cpu_user_usec;
        uint64_t cpu_system_usec;
        uint64_t memory_bytes;
        uint64_t pids;
};

void leaves_init(struct leaves *l);
void leaves_close(struct leaves *l);

/* The leaves' directory on cgroup2; NULL where there is none. */
const struct leaf_dir *leaves_find_v2(const struct leaves *l);

/* Writes the limits on `job`. allowed is the mask of controllers that may be missing. On error
 * ret_error names the controller. */
int leaves_set_limits(const struct leaves *l, const struct limits *limits, unsigned allowed,
        struct error *ret_error);
/* Writes those of them that are others than before. */
int leaves_change_limits(const struct leaves *l, const struct limits *before,
        const struct limits *limits, unsigned allowed, struct error *ret_error);
/* Whether what runs in the sandbox gets the CPU only when nobody else wants it. */
int leaves_set_idle(const struct leaves *l, bool idle);
/* From now on, what was used before does not count: ret_before, and *ret_peak_fd, which may be none, are
 * for leaves_subtract(). */
int leaves_begin_usage(const struct leaves *l, struct leaf_usage *ret_before, int *ret_peak_fd);
/* grew: there were more processes since than at that moment, which were one more than the job's. */
void leaves_subtract(struct leaf_usage *usage, const struct leaf_usage *before, int peak_fd,
        bool grew);
int leaves_read_usage(const struct leaves *l, struct leaf_usage *ret);
void leaves_read_state(const struct leaves *l, struct leaf_state *ret);
int leaves_read_cpu(const struct leaves *l, uint64_t *ret_usec);
/* How often the OOM killer acted in `job`. */
uint64_t leaves_oom_kills(const struct leaves *l);
/* An eventfd that fires on an OOM in `job`, for v1, where one kill leaves the rest running; v2
 * kills the whole leaf by itself: -EOPNOTSUPP. */
int leaves_oom_eventfd(const struct leaves *l);

enum leaf_which {
        LEAF_JOB,
        LEAF_SANDBOX, /* both */
};

/* -EOPNOTSUPP where there is no cgroup2: kill the pid namespace's init. */
int leaves_kill(const struct leaves *l, enum leaf_which which);
