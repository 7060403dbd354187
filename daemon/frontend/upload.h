/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The spec of a job while it is being filled: head, code, and the files as they arrive.
 */

#include "daemon/frontend/plan.h"

struct upload_file {
        uint64_t offset; /* in the memfd, of the next byte */
        uint64_t left;   /* bytes still to come */
};

struct upload {
        int fd;
        size_t n_files; /* of the request; the code is not among them */
        struct upload_file *files;
        uint64_t left; /* bytes still to come, of all files */
};

/* Writes the spec's head, the code and what the request has of each file, unless those are streamed:
 * then it is complete with the code. */
int upload_init(struct upload *u, const struct plan *plan, const Sandboxd__V1__Run *run);
void upload_done(struct upload *u);

/* The next bytes of a file. -ENOENT for a file that is none, -EFBIG for more bytes than its size.
 */
int upload_push(struct upload *u, size_t file, const void *data, size_t size);

static inline bool upload_is_complete(const struct upload *u)
{
        return u->left == 0;
}

/* Seals a complete upload and hands its fd over, or returns a negative errno. */
int upload_finish(struct upload *u);
