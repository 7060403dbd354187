/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hash table. Runs in the frontend. Its buckets double with the entries, and are freed with the
 * last one.
 */
#include "daemon/frontend/table.h"

#include <sys/random.h>

#define BITS_LEAST 3
#define BITS_MOST 20

/* Odd, of this process: the high bits of a product with it are a universal hash. */
static uint64_t secret(void)
{
        static uint64_t value;

        /* Without randomness at hand, which is only before the kernel has any, it is a table still. */
        if (value == 0 && getrandom(&value, sizeof(value), GRND_NONBLOCK) != sizeof(value))
                value = UINT64_C(0x9e3779b97f4a7c15);
        return value |= 1;
}

static struct table_entry **bucket(const struct table *t, uint64_t key)
{
        return &t->buckets[key * secret() >> (64 - t->bits)];
}

void table_done(struct table *t)
{
        ASSERT(t->n == 0);
        free(t->buckets);
        *t = (struct table) {};
}

static void insert(struct table *t, struct table_entry *e)
{
        struct table_entry **b = bucket(t, e->key);

        e->next = *b;
        *b = e;
}

static int resize(struct table *t, unsigned bits)
{
        struct table grown = { .bits = bits, .n = t->n };

        grown.buckets = calloc((size_t) 1 << bits, sizeof(*grown.buckets));
        if (!grown.buckets)
                return -ENOMEM;
        for (size_t i = 0; t->buckets && i < (size_t) 1 << t->bits; i++)
                for (struct table_entry *e = t->buckets[i], *next; e; e = next) {
                        next = e->next;
                        insert(&grown, e);
                }
        free(t->buckets);
        *t = grown;
        return 0;
}

int table_add(struct table *t, struct table_entry *e, uint64_t key)
{
        ASSERT(!table_find(t, key));
        if (!t->buckets && resize(t, BITS_LEAST) < 0)
                return -ENOMEM;
        /* One that cannot grow is slower. */
        if (t->n >> t->bits > 0 && t->bits < BITS_MOST)
                (void) resize(t, t->bits + 1);
        e->key = key;
        insert(t, e);
        t->n++;
        return 0;
}

void table_remove(struct table *t, struct table_entry *e)
{
        struct table_entry **link = bucket(t, e->key);

        while (*link != e) {
                ASSERT(*link);
                link = &(*link)->next;
        }
        *link = e->next;
        t->n--;
        if (t->n == 0)
                table_done(t);
}

struct table_entry *table_find(const struct table *t, uint64_t key)
{
        struct table_entry *e;

        if (!t->buckets)
                return NULL;
        for (e = *bucket(t, key); e && e->key != key; e = e->next)
                ;
        return e;
}
