/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in a pipe. Init writes what it collects, the frontend reads it, and takes every byte for
 * hostile: init has read what the job wrote. Linked into the static init: needs nothing but
 * common/error.c, common/io.c and spec.c.
 */
#include "daemon/wire/transfer.h"

#include "common/io.h"

/* Each file can be named once, and once more when it fails; so can each thing that was asked for. */
#define RECORDS_MAX (2 * TRANSFER_ENTRIES_MAX + 2 * SPEC_GET_MAX)

int transfer_compare(const char *a, const char *b)
{
        const unsigned char *x = (const unsigned char *) a, *y = (const unsigned char *) b;

        while (*x != '\0' && *x == *y) {
                x++;
                y++;
        }
        if (*x == '\0' || *y == '\0' || (*x != '/' && *y != '/'))
                return *x - *y;
        return *x == '/' ? -1 : 1;
}

int transfer_write(int fd, const struct transfer_record *r, const void *name_or_data)
{
        int q;

        q = io_write_full(fd, r, sizeof(*r));
        if (q < 0)
                return q;
        return io_write_full(fd, name_or_data,
                r->kind == TRANSFER_DATA ? (size_t) r->size : r->name_size);
}

static void read_next(struct transfer_reader *r)
{
        r->reads = TRANSFER_READS_RECORD;
        r->part_left = sizeof(r->record);
}

void transfer_reader_init(struct transfer_reader *r, uint64_t max)
{
        *r = (struct transfer_reader) { .size_left = max, .records_left = RECORDS_MAX };
        read_next(r);
}

/* What a record of each kind may have. */
static const struct {
        bool has_name;
        bool has_size;
        bool within_file; /* may come while a file is not whole */
        bool elsewhere;   /* may come while none is under way */
} kinds[_TRANSFER_KINDS] = {
        [TRANSFER_REGULAR] = { .has_name = true, .has_size = true, .elsewhere = true },
        [TRANSFER_FOLDER] = { .has_name = true, .elsewhere = true },
        [TRANSFER_DATA] = { .has_size = true, .within_file = true },
        [TRANSFER_FAILED] = { .has_name = true, .within_file = true, .elsewhere = true },
        [TRANSFER_END] = { .elsewhere = true },
};

static bool record_is_valid(const struct transfer_reader *r)
{
        const struct transfer_record *q = &r->record;

        if (q->kind == TRANSFER_NONE || q->kind >= _TRANSFER_KINDS || q->mode & ~0777U)
                return false;
        if (transfer_reader_in_file(r) ? !kinds[q->kind].within_file : !kinds[q->kind].elsewhere)
                return false;
        if (kinds[q->kind].has_name
                        ? q->name_size == 0 || q->name_size > SPEC_NAME_MAX || r->records_left == 0
                        : q->name_size > 0)
                return false;
        if (!kinds[q->kind].has_size && q->size > 0)
                return false;
        if (q->kind == TRANSFER_FAILED
                        ? q->error == TRANSFER_ERROR_NONE || q->error >= _TRANSFER_ERRORS
                        : q->error != TRANSFER_ERROR_NONE)
                return false;
        return true;
}

/* The record is there; what follows depends on it. */
static int begin_record(struct transfer_reader *r)
{
        const struct transfer_record *q = &r->record;

        if (!record_is_valid(r))
                return -EBADMSG;
        if (kinds[q->kind].has_name) {
                r->records_left--;
                r->reads = TRANSFER_READS_NAME;
                r->part_left = q->name_size;
                return TRANSFER_NONE;
        }
        if (q->kind == TRANSFER_END) {
                r->reads = TRANSFER_READS_NOTHING;
                return TRANSFER_END;
        }
        if (q->size == 0 || q->size > r->file_left)
                return -EBADMSG;
        r->reads = TRANSFER_READS_DATA;
        r->part_left = (size_t) q->size;
        return TRANSFER_NONE;
}

static int end_name(struct transfer_reader *r)
{
        const struct transfer_record *q = &r->record;

        r->name[q->name_size] = '\0';
        if (spec_check_name(r->name, q->name_size, NULL) < 0)
                return -EBADMSG;
        r->file_left = 0;
        if (q->kind == TRANSFER_REGULAR) {
                if (q->size > r->size_left)
                        return -EBADMSG;
                r->size_left -= q->size;
                r->file_left = q->size;
        }
        read_next(r);
        return (int) q->kind;
}

int transfer_reader_take(struct transfer_reader *r, const void *data, size_t size)
{
        ASSERT(size <= r->part_left);
        if (size == 0)
                return TRANSFER_NONE;
        switch (r->reads) {
        case TRANSFER_READS_RECORD:
                memcpy((uint8_t *) &r->record + sizeof(r->record) - r->part_left, data, size);
                r->part_left -= size;
                return r->part_left == 0 ? begin_record(r) : TRANSFER_NONE;
        case TRANSFER_READS_NAME:
                memcpy(r->name + r->record.name_size - r->part_left, data, size);
                r->part_left -= size;
                return r->part_left == 0 ? end_name(r) : TRANSFER_NONE;
        case TRANSFER_READS_DATA:
                r->part_left -= size;
                r->file_left -= size;
                if (r->part_left == 0)
                        read_next(r);
                return TRANSFER_DATA;
        case TRANSFER_READS_NOTHING:
                break;
        }
        return -EBADMSG;
}
