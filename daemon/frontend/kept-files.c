/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping the files of detached jobs. Runs in the frontend. A file is kept whole or not at all: what it
 * can need is charged when its size is known.
 */
#include "daemon/frontend/kept-files.h"

#include "daemon/frontend/results.h"

/* What the store may take beyond what is put into it: its last block. */
#define SLACK (64 * KIB)

static bool charge(void *userdata, uint64_t size)
{
        struct result *r = userdata;

        if (size > r->files.reserved && !results_charge(r, size - r->files.reserved))
                return false;
        r->files.reserved -= MIN(size, r->files.reserved);
        return true;
}

void kept_files_init(struct result *r)
{
        store_init(&r->files.store, UINT64_MAX, charge, r);
}

void kept_files_done(struct kept_files *k)
{
        store_done(&k->store);
}

void kept_files_end(struct result *r)
{
        results_release(r, r->files.reserved);
        r->files.reserved = 0;
        /* What came after that is not there, either. */
        r->files.refused |= r->files.store.refused;
}

/* What a record and what follows it will take. Data comes in parts of whole pages, or nearly so; should
 * it not, the store charges for more. */
static uint64_t most_needed(const struct fetch_event *e)
{
        uint64_t parts = e->kind == TRANSFER_REGULAR ? e->size / KIB + 1 : 0;

        return sizeof(struct transfer_record) * (1 + parts) + strlen(e->name) + e->size;
}

static bool reserve(struct result *r, const struct fetch_event *e)
{
        uint64_t wanted = most_needed(e) + SLACK;

        if (r->files.reserved >= wanted)
                return true;
        if (!results_charge(r, wanted - r->files.reserved))
                return false;
        r->files.reserved = wanted;
        return true;
}

static void put(struct result *r, const struct transfer_record *record, const void *rest,
        size_t size)
{
        store_append(&r->files.store, STORE_STDOUT, record, sizeof(*record));
        store_append(&r->files.store, STORE_STDOUT, rest, size);
}

static void put_event(struct result *r, const struct fetch_event *e)
{
        const struct transfer_record record = {
                .kind = e->kind,
                .mode = e->mode,
                .size = e->kind == TRANSFER_DATA ? e->data_size : e->size,
                .error = e->error,
                .number = (uint32_t) e->number,
                .name_size = e->kind == TRANSFER_DATA ? 0 : (uint32_t) strlen(e->name),
        };

        if (e->kind == TRANSFER_DATA)
                put(r, &record, e->data, e->data_size);
        else
                put(r, &record, e->name, record.name_size);
}

static void put_refusal(struct result *r, const char *name)
{
        const struct fetch_event e = {
                .kind = TRANSFER_FAILED,
                .name = name,
                .error = TRANSFER_ERROR_NOT_KEPT,
        };

        r->files.refused = true;
        if (reserve(r, &e))
                put_event(r, &e);
}

void kept_files_add(struct result *r, const struct fetch_event *e)
{
        struct kept_files *k = &r->files;

        if (e->kind == TRANSFER_END)
                return;
        if (k->dropping > 0) {
                /* That a file failed on its way is of no interest once it is not kept. */
                k->dropping = e->kind == TRANSFER_DATA ? k->dropping - e->data_size : 0;
                return;
        }
        if (e->kind == TRANSFER_DATA || reserve(r, e)) {
                put_event(r, e);
                return;
        }
        put_refusal(r, e->name);
        if (e->kind == TRANSFER_REGULAR)
                k->dropping = e->size;
}
