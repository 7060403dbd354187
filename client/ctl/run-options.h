/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command line of `sandboxctl run` as values: checked as far as that can be done without the
 * daemon, which checks everything again.
 */

#include "client/ctl/ctl.h"
#include "client/ctl/download.h"
#include "common/limit.h"

enum run_source {
        RUN_SOURCE_COMMAND, /* no code: argv is the command */
        RUN_SOURCE_TEXT,    /* -c CODE */
        RUN_SOURCE_FILE,    /* FILE */
        RUN_SOURCE_STDIN,   /* - */
};

struct run_file {
        char *path; /* here */
        char *name; /* in /box */
};

/* Strings are those of the command line, but for those of files and downloads. */
struct run_options {
        const char *language; /* NULL for a command */
        enum run_source source;
        const char *code; /* the code itself, or its file */
        char **argv;
        size_t argc;
        char **env;
        size_t n_env;
        struct run_file *files;
        size_t n_files;
        struct downloads downloads; /* --get */
        const char *workdir;
        const char *profile;
        const char *label;
        const char *limit_text[_LIMIT_COUNT]; /* NULL: the profile's default */
        uint64_t limits[_LIMIT_COUNT];        /* valid where there is a text */
        bool strict_output;
        bool detach;
        bool no_stdin;
        bool no_progress;
        bool summary;
};

/* Reads argv, argv[0] being the verb. 0, 1 when help was asked for, or -EINVAL with the sentence
 * and, when it is about one field of the request, that field's name (else NULL). */
int run_options_parse(struct run_options *o, struct ctl *ctl, int argc, char **argv,
        const char **ret_field, struct error *e);
void run_options_done(struct run_options *o);
