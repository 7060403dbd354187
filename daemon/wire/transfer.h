/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Files in a pipe, as records: those that are too large for the spec on their way in, and those that
 * were asked for on their way out.
 *
 * In, from the frontend to the payload's process: struct transfer_part and so many bytes, for any
 * file that is not inline, in any order among files, until each has its size.
 *
 * Out, from init to the frontend: struct transfer_record, then the bytes of its name, of its data, or
 * none. A REGULAR is followed by DATA until it has its size, or by a FAILED of the same name when it
 * does not get there. END is the last; a pipe that ends without it lost its writer.
 */

#include "daemon/wire/spec.h"

#define TRANSFER_PART_MAX (64 * KIB) /* bytes that a writer puts into one record */
#define TRANSFER_ENTRIES_MAX 4096    /* files and folders on their way out */

struct transfer_part {
        uint32_t file; /* index in the spec */
        uint32_t size; /* of what follows */
};

enum transfer_kind {
        TRANSFER_NONE = 0,
        TRANSFER_REGULAR = 1, /* mode, size, name */
        TRANSFER_FOLDER = 2,  /* mode, name; before what is in it */
        TRANSFER_DATA = 3,    /* size, data */
        TRANSFER_FAILED = 4,  /* error, maybe number, name: of the file, or as it was asked for */
        TRANSFER_END = 5,
        _TRANSFER_KINDS,
};

/* Why a file does not come. */
enum transfer_error {
        TRANSFER_ERROR_NONE,
        TRANSFER_ERROR_MISSING,   /* no such file, or nothing that the pattern matches */
        TRANSFER_ERROR_SYMLINK,   /* it is one, or a part of its name is */
        TRANSFER_ERROR_SPECIAL,   /* a FIFO, a socket, a device */
        TRANSFER_ERROR_TOO_LARGE, /* with it, all files would be over their maximum */
        TRANSFER_ERROR_TOO_MANY, /* more than TRANSFER_ENTRIES_MAX, or than can be looked through */
        TRANSFER_ERROR_TOO_DEEP, /* in more than SPEC_DEPTH_MAX folders, or too long a name */
        TRANSFER_ERROR_CHANGED,  /* it became shorter while it was read */
        TRANSFER_ERROR_FAILED,   /* number is the errno */
        TRANSFER_ERROR_NOT_KEPT, /* the frontend's: no room for it until somebody asks */
        TRANSFER_ERROR_LOST,     /* the frontend's: init ended before it had it sent */
        TRANSFER_ERROR_NOT_ASKED, /* the frontend's: nothing of it was fetched when the job ended */
        _TRANSFER_ERRORS,
};

struct transfer_record {
        uint32_t kind;
        uint32_t mode; /* permission bits */
        uint64_t size;
        uint32_t error;     /* enum transfer_error */
        uint32_t number;    /* positive errno, or 0 */
        uint32_t name_size; /* without a NUL */
        uint32_t pad;
};

/* The order of files: by bytes, but '/' before all others, so that what is in a folder follows it
 * directly. As strcmp(). */
int transfer_compare(const char *a, const char *b);

/* Writes records to a blocking pipe. 0 or a negative errno. */
int transfer_write(int fd, const struct transfer_record *r, const void *name_or_data);

/* Takes the outgoing stream apart, however it is cut, and checks that each record may follow the one
 * before. What comes of it is within the maxima; names are as spec_check_name() wants them. */
struct transfer_reader {
        uint64_t size_left;    /* bytes that all files may still have */
        uint32_t records_left; /* records with a name that may still come */
        uint64_t file_left;    /* bytes of the file under way */
        size_t part_left;      /* bytes of what is being read */
        enum {
                TRANSFER_READS_RECORD,
                TRANSFER_READS_NAME,
                TRANSFER_READS_DATA,
                TRANSFER_READS_NOTHING, /* END was there */
        } reads;
        struct transfer_record record;
        char name[SPEC_NAME_MAX + 1]; /* of the last record that had one */
};

void transfer_reader_init(struct transfer_reader *r, uint64_t max);

/* How many bytes to hand over next at most, so that no call is about more than one record; 0 after
 * END. */
static inline size_t transfer_reader_wants(const struct transfer_reader *r)
{
        return r->part_left;
}

/* Whether these will be a file's data. */
static inline bool transfer_reader_wants_data(const struct transfer_reader *r)
{
        return r->reads == TRANSFER_READS_DATA;
}

/* Takes at most as many bytes as wanted. TRANSFER_NONE while a record is not whole; a kind when it is:
 * record and name are valid then. Of DATA every call gives the kind, and data is what was handed
 * over. -EBADMSG for a stream that is none. */
int transfer_reader_take(struct transfer_reader *r, const void *data, size_t size);

/* Whether the file that was named last is not whole. */
static inline bool transfer_reader_in_file(const struct transfer_reader *r)
{
        return r->file_left > 0;
}
