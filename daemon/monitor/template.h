/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The template: a mount namespace without processes that holds what every sandbox's root has in
 * common, all of it read-only. A sandbox enters it and takes a private copy, which is cheaper than
 * building the tree for each job. Made for each generation of the policy.
 */

#include "common/error.h"
#include "daemon/wire/launch.h"

struct template_options {
        const char *work_dir;         /* an empty directory to build on; nothing stays in it */
        const char *launcher_dirs[2]; /* sources of the launchers, later wins; NULL: none */
        uint64_t max_quota;           /* percent of one CPU, the largest that a job can have */
};

struct template
{
        int mntns_fd;
        uint32_t n_cpus; /* cpuinfo.N and stat.N exist for 1..n_cpus */
};

int template_build(const struct template_options *o, struct template *ret, struct error *ret_error);
void template_done(struct template *t);

/* template-files.c, run in the builder's process with the new root as its working directory: writes
 * everything that does not depend on a job. 0 or a negative errno with the sentence. */
int template_populate(const struct template_options *o, uint32_t n_cpus, struct error *ret_error);
