/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What there is to say of a job, while it lives and when it has ended: who it is, how it ended, what it
 * left. Made with the job, and kept for a while after it. Holds no policy: what it needs of one is
 * copied, so that one that was replaced can be unmapped.
 */

#include <sys/queue.h>
#include <sys/types.h>

#include "common/policy.h"
#include "daemon/frontend/changes.h"
#include "daemon/frontend/kept-files.h"
#include "daemon/frontend/return-value.h"
#include "daemon/frontend/store.h"
#include "daemon/frontend/table.h"
#include "daemon/wire/channel.h"

struct frontend;
struct job;
struct user;
struct watch;

LIST_HEAD(watch_list, watch);

/* One output stream, as far as it was read. */
struct result_stream {
        uint64_t written;
        bool truncated; /* the client was not sent, or we have not kept, all of it */
};

struct result {
        struct frontend *frontend;
        struct table_entry by_id;
        struct user *user;               /* its owner */
        TAILQ_ENTRY(result) of_user;     /* of all of its owner, oldest first */
        TAILQ_ENTRY(result) ended_of;    /* those of its owner that have ended, in this order */
        TAILQ_ENTRY(result) ended_entry; /* the same of all users */
        struct watch_list watches;       /* requests that wait for something of it */
        struct change changes[_CHANGES_LISTS]; /* for those that watch all jobs */
        uint64_t serial;                       /* among all jobs that those were told of */
        unsigned told_state;                   /* on the wire */
        bool announced;                        /* it is in the lists of changes */
        bool gone;                             /* nobody is told of it but that */
        bool dropped;                          /* and it is here for that alone */

        uint64_t id;
        uint64_t sandbox; /* the id of the one that it has, or had; 0: not known */
        uid_t uid;
        struct job *job; /* NULL once it has ended */
        char runtime[POLICY_NAME_MAX];
        char profile[POLICY_NAME_MAX];
        uint8_t *label;
        size_t label_size;
        bool detached;
        bool withdrawn; /* its client was told that there is no such job: nobody is told of it */
        struct limits limits;
        uint64_t created_at_usec; /* CLOCK_REALTIME, as the next two; 0: not yet */
        uint64_t started_at_usec;
        uint64_t ended_at_usec;
        uint64_t queued_usec;

        struct store output;
        struct kept_files files;
        struct result_stream streams[_STORE_STREAMS];
        struct channel_ended ended;       /* the monitor's report */
        char *message;                    /* the sentence that goes with it; NULL: none */
        struct return_value return_value; /* nothing in it: none */
        uint64_t charged;                 /* bytes of all this that its owner is charged */
        uint64_t kept_since_usec;         /* CLOCK_MONOTONIC; 0: it is not among those that ended */
};

TAILQ_HEAD(result_list, result);

#define RESULT_ID_TEXT_MAX 17
/* A job's id as clients see it: 16 hex digits. Returns buf. */
char *result_format_id(uint64_t id, char buf[static RESULT_ID_TEXT_MAX]);
/* -EINVAL for what is none. */
int result_parse_id(const void *text, size_t size, uint64_t *ret);

/* One that is in no list, and charged nothing. */
int result_new(const void *label, size_t label_size, struct result **ret);
/* Goes on with what its message says, as far as there is memory for it. */
void result_add_note(struct result *r, const char *note);
/* Frees what is charged to its owner. What there is to say of how it ended stays. */
void result_shed(struct result *r);
void result_free(struct result *r);
DEFINE_CLEANUP(struct result *, result_free)

static inline bool result_has_value(const struct result *r)
{
        return r->return_value.buffer != NULL;
}
