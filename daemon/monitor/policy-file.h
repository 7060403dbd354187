/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Policy files as text: which files there are, and the "Key=Value" items in them with the line that
 * each stands on. Knows no key.
 */

#include "common/error.h"

#define POLICY_FILE_MAX (64 * KIB)

/* Where an item stands. file is NULL for one that was never given. */
struct policy_origin {
        const char *file;
        unsigned line;
};

struct policy_item {
        struct policy_origin origin;
        const char *section; /* "" before the first [Section] */
        const char *key;
        const char *value;
        struct error *error;
};

/* Writes "FILE:LINE: Key=Value" and the sentence's rest, which begins with a blank or punctuation.
 * Returns -EINVAL. */
int policy_item_error(const struct policy_item *item, const char *format, ...) _printf_(2, 3);

/* Takes one item; a negative return ends the reading and is passed on. */
typedef int (*policy_item_fn)(void *userdata, const struct policy_item *item);

/* Reads an INI file, which must be a regular one of at most POLICY_FILE_MAX bytes. path must
 * outlive the origins that fn keeps. -ENOENT, with a sentence as for any other error, when it is
 * not there. */
int policy_file_read(const char *path, policy_item_fn fn, void *userdata, struct error *ret_error);

#define POLICY_DIRS_MAX 2

struct policy_paths {
        /* A file that must exist; it and its drop-ins are read instead of what the folders have.
         * NULL for these. */
        const char *config_file;
        /* In rising priority; NULL where there are fewer. */
        const char *dirs[POLICY_DIRS_MAX];
};

struct policy_file {
        char *name; /* without the ending */
        char *path;
};

/* Files of one kind, found in one or more folders, sorted by name. */
struct policy_files {
        struct policy_file *files;
        size_t n;
};

/* Adds what is in folder sub ("" for none) of each of the policy folders and has the ending; of
 * files of one name the last one stays. A folder that is missing adds nothing. */
int policy_files_find(struct policy_files *f, const struct policy_paths *paths, const char *sub,
        const char *ending, struct error *ret_error);
const struct policy_file *policy_files_get(const struct policy_files *f, const char *name);
void policy_files_done(struct policy_files *f);

/* A file and its drop-ins, in the order in which they are read. */
struct policy_source {
        const char *name;
        const char *path; /* NULL: drop-ins alone */
        struct policy_files drop_ins;
};

/* path is kept. */
int policy_source_init(struct policy_source *s, const struct policy_paths *paths, const char *sub,
        const char *ending, const struct policy_file *file, struct error *ret_error);
void policy_source_done(struct policy_source *s);
/* Origins that fn keeps live as long as the source. */
int policy_source_read(const struct policy_source *s, policy_item_fn fn, void *userdata,
        struct error *ret_error);
