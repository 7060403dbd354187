/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Files that are fetched of a job: what was asked for with --get, where it goes, and what came of it.
 */

#include "client/ctl/ctl.h"

/* NAME or NAME:DEST. */
struct download {
        char *name;           /* a name or pattern beneath /box; NULL: all there is */
        char *dest;           /* NULL: the current folder */
        int dir_fd;           /* the folder that it is written into; AT_FDCWD allowed */
        const char *rename;   /* while DEST may yet be a file: its name in that folder; else NULL */
        sandbox_fetch *fetch; /* there once it is open */
        size_t failed;        /* of what fetch has failed to write, how much was noted */
        bool found;           /* something came, or it is known why not */
        bool broken;          /* there is no place for it, as was noted */
};

/* What came of one file. */
struct download_file {
        char *name;   /* in /box; of one that failed perhaps the pattern */
        char *path;   /* here; NULL when it failed */
        char *reason; /* why it failed; else NULL */
        uint64_t size;
};

struct downloads {
        struct download *list;
        size_t n;
        struct download_file *files;
        size_t n_files;
        size_t failed; /* of files */
};

void downloads_done(struct downloads *d);

/* Adds the text of one --get; -EINVAL with the sentence. */
int downloads_add(struct downloads *d, const char *text, struct error *e);
/* Adds a download of all files into the current folder. */
void downloads_add_all(struct downloads *d);
/* Opens the folders that they go into, so that a mistake shows before a job is run for nothing. A
 * folder that is named with a slash at its end, or for a pattern, is made. A negative errno with the
 * sentence. */
int downloads_open(struct downloads *d, struct error *e);
/* The names for sandbox_get_files(): ends with NULL, to be freed; the names stay those of d. NULL for
 * all. */
const char **downloads_names(const struct downloads *d);

/* Writes a piece to wherever it was asked for. -ENOMEM; whatever else fails is noted. */
int downloads_put(struct downloads *d, const sandbox_file_piece *piece);
/* After the last piece: what did not come at all has failed too. */
void downloads_end(struct downloads *d);

/* A line on stderr for each that failed. */
void downloads_complain(const struct downloads *d);
/* Sets "fetched" and "not_fetched". */
void downloads_json(const struct downloads *d, json_t *object);
