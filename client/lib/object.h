/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is handed out and counted: results, lists, infos. Each is, or belongs to, an object that owns
 * the decoded responses that it shows.
 */

#include "client/lib/failure.h"
#include "client/lib/wire.h"

struct object {
        unsigned refs;
        void (*done)(struct object *o); /* frees what belongs to the kind, or NULL */
        Sandboxd__V1__Response **responses;
        size_t n_responses;
        size_t memory; /* of all responses */
};

/* size: of the struct that begins with the object. One reference; NULL without memory. */
void *object_new(size_t size, void (*done)(struct object *o));
void object_ref(struct object *o);
/* Frees the struct that begins with it after its last reference. NULL is allowed. */
void object_unref(struct object *o);
/* Takes a response over in any case. -ENOMEM; -ENOBUFS when that is more than one answer may have. */
int object_add(struct object *o, struct received received);

struct sandbox_result {
        struct object *owner;
        const Sandboxd__V1__Result *message;
        char *label;
        /* Of sandbox_run(). */
        char *out;
        size_t out_size;
        char *err;
        size_t err_size;
        sandbox_fetch *fetch; /* what was written, and what failed */
};

struct sandbox_job_info {
        struct object *owner;
        const Sandboxd__V1__Job *message;
        char *label;
        sandbox_result result; /* when message->result is there */
};

struct sandbox_job_list {
        struct object object;
        sandbox_job_info *infos;
        size_t n_infos;
};

struct sandbox_runtime_list {
        struct object object;
        const Sandboxd__V1__RuntimeList *message;
};

struct sandbox_profile_list {
        struct object object;
        const Sandboxd__V1__ProfileList *message;
};

struct sandbox_host {
        struct object object;
        const Sandboxd__V1__Host *message;
};

/* Each takes over the response, which has that body or, as message, that part in it, in any case.
 * -ENOMEM. */
int result_new(struct received received, sandbox_result **ret);
int job_info_new(struct received received, const Sandboxd__V1__Job *message,
        sandbox_job_info **ret);
int runtime_list_new(struct received received, sandbox_runtime_list **ret);
int profile_list_new(struct received received, sandbox_profile_list **ret);
int host_new(struct received received, const Sandboxd__V1__Host *message, sandbox_host **ret);

/* A list is made of JobLists until one says that no more follows, and then closed. */
sandbox_job_list *job_list_new(void);
int job_list_close(sandbox_job_list *l);
