/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Keys of policy files as tables: a row says which field a value goes to, of which form it is, and
 * its range. Knows forms, not meanings.
 */

#include "daemon/monitor/policy-file.h"

struct policy_key {
        const char *section;
        const char *name;
        /* Reads the item's value into the field. 0, or a negative errno with the sentence. */
        int (*set)(const struct policy_key *key, const struct policy_item *item, void *field);
        size_t offset; /* of the field in the target */
        uint64_t least;
        uint64_t most; /* of a text: the size of its field */
};

/* Finds the item's row, sets its field in target, and notes in origins, which has an element for
 * each row, where that was. An unknown section or key is an error that names the known ones. */
int policy_keys_set(const struct policy_key *keys, size_t n_keys, const struct policy_item *item,
        void *target, struct policy_origin *origins);

/* Forms, with the type of their field. */
int policy_set_u32(const struct policy_key *key, const struct policy_item *item, void *field);
int policy_set_hex(const struct policy_key *key, const struct policy_item *item, void *field);
int policy_set_size(const struct policy_key *key, const struct policy_item *item, void *field);
int policy_set_time(const struct policy_key *key, const struct policy_item *item, void *field);
int policy_set_bool(const struct policy_key *key, const struct policy_item *item, void *field);
int policy_set_text(const struct policy_key *key, const struct policy_item *item, void *field);
/* a to z, 0 to 9 and "-" */
int policy_set_name(const struct policy_key *key, const struct policy_item *item, void *field);
/* one part of a path, not hidden */
int policy_set_file_name(const struct policy_key *key, const struct policy_item *item, void *field);

/* Whether s is a name: not empty, of a to z, 0 to 9 and "-". */
bool policy_is_name(const char *s);

/* Calls fn with each blank-separated word of the item's value. */
int policy_each_word(const struct policy_item *item,
        int (*fn)(const struct policy_item *item, const char *word, void *userdata),
        void *userdata);
