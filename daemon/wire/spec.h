/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The job as the payload's process reads it: argv, environment, working directory and files, in one
 * sealed memfd. The frontend writes it, the monitor forwards it unread, and the payload's process
 * reads it after it has shed every privilege, inside the job's cgroup. Everything in it is hostile.
 *
 * Layout: struct spec_header; n_files struct spec_file; the strings, each ended by NUL, in the
 * order workdir, exec, argv..., envp..., file names..., names of files to fetch...; then the bytes of
 * the first n_inline files, one after the other. Those of the others come by a pipe, see transfer.h.
 */

#include "common/error.h"

#define SPEC_MAGIC UINT32_C(0x73707632)
#define SPEC_STRINGS_MAX (2 * MIB) /* as the kernel's limit for argv and environment */
#define SPEC_ARGS_MAX 65536
#define SPEC_FILES_MAX 4096
#define SPEC_NAME_MAX 4095 /* of a file, its folders included */
#define SPEC_PART_MAX 255  /* between two slashes: NAME_MAX of every file system that /box is on */
#define SPEC_DEPTH_MAX 32  /* folders in a name */
#define SPEC_GET_MAX 256   /* names of files to fetch */

struct spec_file {
        uint64_t size;
        uint32_t mode; /* permission bits */
        uint32_t pad;
};

struct spec_header {
        uint32_t magic;
        uint32_t argc;
        uint32_t envc;
        uint32_t n_files;
        uint32_t n_inline;    /* files whose bytes are in here */
        uint32_t n_get;       /* names and patterns of files to fetch at the end */
        uint32_t search_path; /* look for exec along PATH */
        uint32_t pad;
        uint64_t strings_size;
        uint64_t data_size;
};

/* What a writer puts in. Pointers are borrowed. */
struct spec {
        const char *workdir; /* absolute, or relative to /box */
        const char *exec;
        bool search_path;
        size_t argc;
        const char *const *argv;
        size_t envc;
        const char *const *envp;
        size_t n_files;
        const char *const *file_names;
        const struct spec_file *files;
        size_t n_inline; /* of the files, from the first on */
        size_t n_get;
        const char *const *get;
};

/* Writes header, file table and strings of spec to fd; the caller then appends the inline files' bytes and
 * seals. -E2BIG when a count or the strings are over their maximum. */
int spec_write_head(int fd, const struct spec *spec);

/* A file's name in /box, or a pattern for such names: relative, no empty, "." or ".." part, no NUL, within the maxima above.
 * size is its length without NUL. Returns 0, or -EINVAL or -ENAMETOOLONG with the sentence. */
int spec_check_name(const char *name, size_t size, struct error *ret_error);

struct spec_view {
        const char *workdir;
        const char *exec;
        bool search_path;
        char **argv; /* NULL-terminated; the strings are in the mapping */
        char **envp;
        size_t n_files;
        const char **file_names;
        const struct spec_file *files;
        size_t n_inline;
        size_t n_get;
        const char **get;
        const uint8_t *data; /* the inline files' bytes */
        void *map;
        size_t map_size;
};

/* Maps and checks a spec. -EBADMSG when it is not one. */
int spec_view_open(struct spec_view *v, int fd);
void spec_view_done(struct spec_view *v);
