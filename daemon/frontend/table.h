/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A hash table of 64-bit keys, whose entries are part of what they find. Clients choose some of the
 * keys: where they land depends on a secret, so that nobody can make them land in one place.
 */

#include "common/macro.h"

struct table_entry {
        struct table_entry *next;
        uint64_t key;
};

/* All zero is an empty one. */
struct table {
        struct table_entry **buckets;
        unsigned bits; /* of the number of buckets */
        size_t n;
};

/* Frees what an empty table still holds. */
void table_done(struct table *t);

/* The key must not be there yet. -ENOMEM only for the first entry of a table: later ones find room in
 * the buckets there are. */
int table_add(struct table *t, struct table_entry *e, uint64_t key);
void table_remove(struct table *t, struct table_entry *e);
struct table_entry *table_find(const struct table *t, uint64_t key);
