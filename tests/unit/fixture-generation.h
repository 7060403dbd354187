/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Generations of a policy for the suites of the monitor: with fds that stand in for filters and
 * template, which takes no privilege.
 */

#include <check.h>

#include "common/io.h"
#include "daemon/monitor/generation.h"

static inline int fixture_sealed_memfd(void)
{
        int fd = io_memfd_new("fixture");

        return fd < 0 || io_memfd_seal(fd) < 0 ? -EBADF : fd;
}

/* Without Check's macros, which write to a file of theirs: a child may have closed it. */
static inline struct generation *fixture_make_generation(const struct policy *p)
{
        struct generation *g = malloc(sizeof(*g));

        if (!g)
                return NULL;
        *g = (struct generation) {
                .n_refs = 1,
                .allow_missing = CGROUP_CPU,
                .template = { .mntns_fd = fixture_sealed_memfd(), .n_cpus = 2 },
                .filter_fds = { [0 ... POLICY_PROFILES_MAX - 1] = -EBADF },
        };
        for (uint32_t i = 0; i < p->n_profiles; i++)
                g->filter_fds[i] = fixture_sealed_memfd();
        if (policy_publish(p, &g->policy_fd) < 0 || policy_map(g->policy_fd, &g->policy) < 0)
                return generation_unref(g);
        return g;
}

static inline struct generation *fixture_generation(const struct policy *p)
{
        struct generation *g = fixture_make_generation(p);

        ck_assert_ptr_nonnull(g);
        return g;
}
