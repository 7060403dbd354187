/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The Run message of `sandboxctl run`, and the files that follow it.
 */

#include "client/ctl/run-options.h"

/* A file on its way; what did not fit into the Run message follows as FileData. */
struct run_upload {
        int fd;
        uint64_t left;
};

struct run_request {
        Sandboxd__V1__Run message; /* points into options and the rest of this */
        char *code;
        struct run_upload *uploads; /* as many as message.files */
        size_t next_upload;
};

/* Reads the code and opens the files. max_size is what a request may have when packed. On failure
 * sets the sentence and the field that it is about. */
int run_request_init(struct run_request *r, const struct run_options *o, bool with_stdin,
        size_t max_size, const char **ret_field, struct error *e);
void run_request_done(struct run_request *r);

/* Whether files still have bytes to upload. */
bool run_request_unfinished(const struct run_request *r);
/* Reads on from the files: 1 with the next piece (data is buf), 0 when all is uploaded, or a
 * negative errno with the sentence. */
int run_request_next(struct run_request *r, const struct run_options *o, void *buf, size_t size,
        Sandboxd__V1__FileData *ret, struct error *e);
