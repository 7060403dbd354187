/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A generation of the policy: what was read from the policy files at one time, and what is made of
 * it. Immutable once made, and there for as long as a sandbox is made with it or the frontend may
 * ask for one, so that a reload changes nothing for a job that is under way.
 */

#include "daemon/monitor/driver.h"
#include "daemon/monitor/policy-load.h"
#include "daemon/monitor/template.h"

/* So many a START may name: a client that is slow to upload a job keeps one. As many again may be
 * held by sandboxes that are being made. */
#define GENERATIONS_MAX 16
#define GENERATIONS_ALIVE_MAX (2 * GENERATIONS_MAX)

struct generations;

struct generation {
        struct generations *home; /* where it is counted; NULL before it was added */
        unsigned n_refs;
        uint32_t number;        /* from 1 on; 0 before it was added */
        uint64_t replaced_usec; /* when the next one came; 0 before */
        const struct policy *policy;
        unsigned allow_missing; /* of enum cgroup_controller */
        struct template template;
        int policy_fd;                       /* sealed memfd with the policy */
        int filter_fds[POLICY_PROFILES_MAX]; /* one a profile */
};

/* Both take NULL, and return what the caller's pointer shall be. */
struct generation *generation_ref(struct generation *g);
struct generation *generation_unref(struct generation *g);
DEFINE_CLEANUP(struct generation *, generation_unref)

/* What the policy files alone say. */
struct generation_draft {
        struct policy *policy;
        struct policy_config config;
        int filter_fds[POLICY_PROFILES_MAX];
};

#define GENERATION_DRAFT_INIT                                                                      \
        {                                                                                          \
                .filter_fds = { [0 ... POLICY_PROFILES_MAX - 1] = -EBADF }                         \
        }

/* The frontend may have MaxJobs= running; besides, some are on their way out. */
static inline uint32_t generation_max_sandboxes(const struct policy *p)
{
        return p->server.max_jobs + 256;
}

/* Reads policy and filters, and checks that every launcher is there and that as many files may be
 * opened as MaxJobs= takes. */
int generation_load(const struct policy_paths *paths, struct generation_draft *ret,
        struct error *ret_error);
void generation_draft_done(struct generation_draft *d);

/* Builds the template on work_dir, an empty directory, and publishes the policy. Takes the draft's
 * filters over. */
int generation_new(struct generation_draft *draft, const struct policy_paths *paths,
        const char *work_dir, const struct driver *driver, struct generation **ret,
        struct error *ret_error);

/* Compiles folder seccomp's NAME.seccomp. */
int generation_compile_filter(const struct policy_paths *paths, const char *name, int *ret_fd,
        struct error *ret_error);

/* From the process that made a generation to the one that uses it: exactly one of g and error is
 * sent. Receiving does not wait. */
int generation_send(int socket, const struct generation *g, const struct error *error);
int generation_receive(int socket, struct generation **ret, struct error *ret_error);

/* The generations that a START may name: the current one, and older ones that the frontend has not
 * given back yet. */
struct generations {
        struct generation *startable[GENERATIONS_MAX]; /* oldest first */
        size_t n;
        unsigned n_alive; /* with those that only sandboxes hold */
        uint32_t last;    /* number given out */
};

struct generation *generations_current(const struct generations *gs);
/* NULL when a START may not name it. */
struct generation *generations_find(const struct generations *gs, uint32_t number);
bool generations_have_room(const struct generations *gs);
/* Makes it the current one; takes the reference over. There must be room among those alive; of those
 * that a START may name, the oldest makes room. */
void generations_add(struct generations *gs, struct generation *g);
/* No START will name this one any more. -EINVAL when none could, and for the current one. */
int generations_retire(struct generations *gs, uint32_t number);
/* It was current once, and no START may name it any more. */
bool generations_was_retired(const struct generations *gs, uint32_t number);
void generations_retire_all_but_current(struct generations *gs);
/* Retires those that were replaced CHANNEL_RETIRE_USEC ago. Returns when that will be so of the next
 * one; 0 when there is only the current one. */
uint64_t generations_retire_overdue(struct generations *gs, uint64_t now_usec);
void generations_done(struct generations *gs);
