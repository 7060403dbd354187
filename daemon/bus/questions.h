/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Questions to polkit: whether a caller may do something. A few of each user at one time, and so many in
 * all that the bus's limit of calls under way is not reached.
 */

#include <sys/queue.h>
#include <systemd/sd-bus.h>

#include "common/macro.h"

#define ACTION_RUN "org.sandboxd1.run"
#define ACTION_USE_PROFILE "org.sandboxd1.use-profile"
#define ACTION_MANAGE_JOBS "org.sandboxd1.manage-jobs"
#define ACTION_CONTROL "org.sandboxd1.control"

struct call;
struct question;

TAILQ_HEAD(question_list, question);

struct questions {
        struct question_list waiting;
        struct question_list asked; /* and not answered, also those that nobody waits for */
        unsigned n_asked;
        uint64_t last_id;
};

/* allowed: else reason says why not, as a sentence. */
typedef void (*question_handler)(struct call *c, bool allowed, const char *reason);

void questions_init(struct questions *q);
/* When no call is left. */
void questions_done(struct questions *q);
/* Asks for the call's caller, and calls handler with the answer: at once for root, who is not asked about.
 * detail (key and value) may be NULL. A call that can have no question is answered. */
void question_ask(struct call *c, const char *action, const char *detail_key,
        const char *detail_value, question_handler handler);
/* Nobody waits for the answer. */
void question_abandon(struct question *q);
