/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Users and groups in policy files: names or numbers, set off by blanks, to a struct policy_ids. A
 * further line adds to the list, an empty value empties it.
 */

#include "daemon/monitor/policy-key.h"

int policy_set_users(const struct policy_key *key, const struct policy_item *item, void *field);
int policy_set_groups(const struct policy_key *key, const struct policy_item *item, void *field);
