/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Users and groups in policy files: names or numbers, set off by blanks, to a struct policy_ids. A
 * further line adds to the list, an empty value empties it.
 *
 * And the one user of the bus service.
 */

#include "common/policy.h"
#include "daemon/monitor/policy-key.h"

int policy_set_users(const struct policy_key *key, const struct policy_item *item, void *field);
int policy_set_groups(const struct policy_key *key, const struct policy_item *item, void *field);
/* A struct policy_bus: one user, whom the host need not have; an empty value is nobody. */
int policy_set_bus_user(const struct policy_key *key, const struct policy_item *item, void *field);
/* That of the name that stands where no file names one. */
void policy_default_bus_user(struct policy_bus *ret);
