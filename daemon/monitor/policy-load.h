/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * From policy files to struct policy. A policy is loaded whole or not at all: the first thing wrong
 * is an error that names file, line and key, and says what is expected.
 *
 * In each folder: sandboxd.conf, profiles/NAME.profile, runtimes/NAME.runtime. A file in a later
 * folder replaces one of the same name in an earlier. Then the drop-ins, FILE.d/NAME.conf of all
 * folders, are read in the order of their names; what is read later wins. A key that takes a list
 * adds to it, and an empty value empties it.
 */

#include "common/policy.h"
#include "daemon/monitor/policy-file.h"

/* Settings that only the monitor needs. */
struct policy_config {
        uint32_t uid_base;      /* [UserNamespaces] Base= */
        uint32_t uid_size;      /* [UserNamespaces] Size= */
        unsigned allow_missing; /* [Cgroup] AllowMissing=, of enum cgroup_controller */
};

/* The policy is the caller's to free(). ret_config may be NULL. */
int policy_load(const struct policy_paths *paths, struct policy **ret_policy,
        struct policy_config *ret_config, struct error *ret_error);

/* What a folder holds one file each of: profiles, runtimes. */
struct policy_kind {
        const char *folder;
        const char *ending;
        const char *what; /* in an error */
        /* Adds one to p. */
        int (*load)(struct policy *p, const struct policy_source *source, struct error *ret_error);
};

extern const struct policy_kind policy_kind_profile;
extern const struct policy_kind policy_kind_runtime;
