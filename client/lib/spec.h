/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What to run, as the caller set it.
 */

#include <sys/stat.h>

#include "client/lib/failure.h"

/* Bytes that specs and the jobs started with them share. */
struct blob {
        unsigned refs;
        size_t size;
        uint8_t data[];
};

struct blob *blob_new(const void *data, size_t size);
struct blob *blob_ref(struct blob *b);
struct blob *blob_unref(struct blob *b);

enum source_kind {
        SOURCE_DATA,
        SOURCE_PATH,
        SOURCE_FD,
};

/* A file for the job. Shared and counted like a blob: a job reads it when the spec may be gone. */
struct source {
        unsigned refs;
        enum source_kind kind;
        char *name; /* in /box */
        unsigned mode;
        char *path;        /* SOURCE_PATH */
        int fd;            /* SOURCE_FD */
        struct blob *data; /* SOURCE_DATA */
};

struct source *source_ref(struct source *s);
struct source *source_unref(struct source *s);
/* Opens the file of a source that is one, and says what it is: an fd that the caller owns. -EISDIR,
 * -EINVAL when it is no regular file, or an errno of open(2); with the sentence. */
int source_open(const struct source *s, struct stat *ret, struct failure *f);

struct spec_limit {
        char *name;
        uint64_t value;
};

/* stdin, stdout and stderr. */
#define JOB_SOCKETS 3

struct sandbox_spec {
        char *runtime;
        struct blob *code;
        char **argv;
        size_t argc;
        char **env;
        size_t n_env;
        char *workdir;
        char *profile;
        char *label;
        struct spec_limit *limits;
        size_t n_limits;
        struct source **sources;
        size_t n_sources;
        char **get;
        size_t n_get;
        int fetch_fd; /* folder for what is fetched; -EBADF */
        bool strict_output;
        bool detach;
        bool stdin_stream;
        struct blob *stdin_data;
        bool sockets[JOB_SOCKETS]; /* streams that go over one of their own */
        uint64_t credit;
        struct failure failure;
};
