/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The files and folders that were asked for, found beneath /box by name and by pattern, and those of
 * which only can be said why they do not come. A list first, so that it can be put in order and each
 * comes once.
 */

#include <sys/types.h>

#include "daemon/wire/transfer.h"

struct entry {
        char *path;                /* relative to /box */
        enum transfer_error error; /* NONE: a regular file or a folder, when it was looked at */
        int number;                /* positive errno, for TRANSFER_ERROR_FAILED */
};

struct entries {
        struct entry *items;
        size_t n;
        size_t room;
        unsigned looked_at; /* names in folders, all in all */
};

/* Adds what is there beneath the folder for a name or pattern that spec_check_name() took. 0, also
 * when nothing is: that is an entry too. -ENOMEM. */
int entries_find(struct entries *e, int box, const char *pattern);
/* Puts them in order, and leaves each but once. */
void entries_sort(struct entries *e);

/* What a file is good for, by what fstat() says: ERROR_NONE for regular files and folders. */
enum transfer_error entry_check_mode(mode_t mode);
/* What is to be said of a file when a call about it failed with that errno. */
enum transfer_error entry_check_errno(int number);

/* Opens the folder of a path, beneath dir, without following a symbolic link anywhere, O_PATH.
 * *ret_name is the path's last part. Returns an fd, or a negative errno; ELOOP is about a link. */
int entry_open_parent(int dir, const char *path, const char **ret_name);
