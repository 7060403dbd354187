/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the parts of bench-client share: contenders, samples of them, and the options of its modes.
 */

#include <stdio.h>
#include <sys/types.h>

#include "client/lib/sandbox.h"
#include "common/io.h"

/* What is kept of a program's output, for comparing it with what it must be. */
#define BENCH_OUTPUT_MAX 1024
/* No job or program here takes this long unless it is lost. */
#define BENCH_LOST_USEC (120 * USEC_PER_SEC)

enum contender_kind {
        CONTENDER_JOB,   /* a job, through libsandbox */
        CONTENDER_SPAWN, /* a program, by posix_spawn() */
        CONTENDER_PEER,  /* a program that stays, and measures once for each line it is sent */
};

struct contender {
        char *name;
        enum contender_kind kind;
        uint64_t every;     /* takes part in every so many rounds */
        const char *expect; /* what it must print; NULL: not compared */
        char **args;        /* of a job: socket, runtime, code, arguments; else argv */
        size_t n_args;
        char *line; /* what the strings above are in */
        sandbox_spec *spec;
        pid_t peer;
        FILE *to_peer, *from_peer;
};

struct contenders {
        struct contender *list;
        size_t n;
};

struct sample {
        uint64_t usec;
        int warm; /* -1: not known */
        uint64_t setup_usec;
        char id[SANDBOX_JOB_ID_SIZE]; /* "": none */
        char failure[256];            /* "": it went well */
};

/* A program under way, with both its outputs in one pipe. */
struct child {
        pid_t pid;
        int fd;
        char output[BENCH_OUTPUT_MAX + 1];
        size_t size;
};

struct bench_options {
        uint64_t rounds;
        uint64_t warmup;
        uint64_t pause_ms;
        uint64_t jobs;
        uint64_t seconds;
        uint64_t concurrency;
        uint64_t rate; /* starts a second; 0: as soon as there is room */
        uint64_t connections;
        uint64_t count;
};

_noreturn_ void bench_die(const char *what, const char *why);
void *bench_must(void *p);

/* Reads contenders from a file, one a line: NAME, KIND, EVERY, EXPECT and arguments, with tabs between them.
 * EXPECT "-" compares nothing. Ends the program on anything else. */
void contenders_load(const char *path, struct contenders *ret);
void contenders_free(struct contenders *c);

/* The connection to a socket; each number has one of its own. */
sandbox_client *contender_connect(const char *socket, size_t number);
/* Those that were made, by index; NULL after the last. */
sandbox_client *contender_connection(size_t index);
void contender_disconnect_all(void);

/* Runs it once and waits. What goes wrong is in the sample. */
void contender_run(struct contender *c, struct sample *ret);

int child_start(struct child *child, char *const argv[]);
/* Reads what there is: 1 at the end of its output, 0 before. */
int child_read(struct child *child);
/* After the end of its output: waits for it, and checks both. */
void child_finish(struct child *child, const struct contender *c, struct sample *s);

void sample_fail(struct sample *s, const char *why);
void sample_of_result(struct sample *s, sandbox_result *result);
void sample_print(size_t index, const struct sample *s);

int bench_compare(struct contenders *c, const struct bench_options *options);
int bench_serve(struct contenders *c, const struct bench_options *options);
int bench_load(struct contenders *c, const struct bench_options *options);
int bench_hold(struct contenders *c, const struct bench_options *options);
