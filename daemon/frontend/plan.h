/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The plan of a job: what a Run asks for, checked against runtime and profile and completed from
 * them. A pure function of request and policy, so that every refusal is a unit test.
 */

#include "common/policy.h"
#include "daemon/frontend/strv.h"
#include "daemon/wire/spec.h"
#include "proto/sandboxd.pb-c.h"

#define PLAN_FIELD_MAX 64
#define PLAN_LABEL_MAX 256
/* The kernel's limit for one string of argv or environment, its NUL not counted. */
#define PLAN_STRING_MAX (128 * KIB - 1)
/* Bytes of code and files up to which all of them are in the spec. */
#define PLAN_INLINE_MAX (1 * MIB)
/* Strings in argv, and in env, of a request. The kernel takes more; but each costs us time, which all
 * other clients wait for. */
#define PLAN_STRINGS_MAX 4096
/* Bytes of all patterns for files together: each is tried on every name. */
#define PLAN_PATTERNS_MAX 4096

struct plan {
        const struct policy_runtime *runtime;
        const struct policy_profile *profile;
        uint32_t profile_index;
        struct limits limits;
        bool has_code;    /* file 0 is the code */
        struct spec spec; /* points into what follows */
        char *workdir;
        char *exec;
        struct strv argv;
        struct strv env;
        struct strv names;
        struct spec_file *files;
        struct strv get;
        bool warm;           /* a sandbox that was made before will do */
        bool streamed;       /* the request's files come by a pipe, not in the spec */
        size_t strings_size; /* of all that the spec points to but the files' bytes */
};

/* Why there is no plan, as the client is told. */
struct plan_error {
        Sandboxd__V1__ErrorCode code;
        char field[PLAN_FIELD_MAX];
        struct error text;
};

/* otherwise is the profile, of the policy, for a run that names none. Returns 0, or -EINVAL or
 * -ENOMEM with the error filled in. The plan borrows nothing from run. */
int plan_make(const struct policy *policy, const struct policy_profile *otherwise,
        const Sandboxd__V1__Run *run, struct plan *ret, struct plan_error *ret_error);
void plan_done(struct plan *p);

/* Bytes of code and files, as declared. */
uint64_t plan_data_size(const struct plan *p);

/* Fills the error and returns -EINVAL. For the files that make up the plan. */
int plan_refuse(struct plan_error *e, Sandboxd__V1__ErrorCode code, const char *field,
        const char *format, ...) _printf_(4, 5);

/* The parts of plan_make(), in their order; each has a file or a screen of its own. What is cheap to
 * refuse comes before what is costly to build. */
int plan_resolve_limits(const struct policy_profile *profile, const Sandboxd__V1__Run *run,
        struct limits *ret, struct plan_error *e);
int plan_check_files(const struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e);
int plan_build_workdir(struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e);
int plan_build_environment(struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e);
int plan_build_files(struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e);
int plan_build_get(struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e);

/* Names and patterns for files to be fetched. field is "get". */
int plan_check_names(const ProtobufCBinaryData *names, size_t n, const char *field,
        struct plan_error *e);
/* A string of the request: no NUL, not longer than exec takes. field is "argv[3]". */
int plan_check_string(const ProtobufCBinaryData *s, const char *field, struct plan_error *e);
