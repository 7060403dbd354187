/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How far the taking down of sandboxes is behind. A result does not wait for it, so that jobs could end, and
 * others be started, faster than the kernel takes namespaces and cgroups away. When too many are on their way
 * out, that is told; once most of them are gone, that it is over.
 *
 * One of which something cannot be killed counts for a moment only: it must not hold up everybody for as long
 * as it is there.
 */

#include <sys/queue.h>

#include <systemd/sd-event.h>

#include "common/macro.h"

/* One that is being taken down. All zero is not. */
struct backlog_entry {
        TAILQ_ENTRY(backlog_entry) entries;
        uint64_t since_usec; /* 0: not yet */
        bool counted;
};

TAILQ_HEAD(backlog_list, backlog_entry);

struct backlog {
        sd_event *event;
        struct backlog_list entries; /* those that are counted, oldest first */
        uint32_t n;
        uint32_t max;                    /* more of them are too many */
        uint64_t window_usec;            /* for how long each is counted */
        bool behind;                     /* there were too many, and still is half of that */
        sd_event_source *timer;          /* when the oldest is counted no more, while behind */
        void (*changed)(void *userdata); /* behind has; may be NULL */
        void *userdata;
};

void backlog_init(struct backlog *b, sd_event *event);
/* Forgets those that it counts, and tells nobody. */
void backlog_done(struct backlog *b);
/* Counts it from now on; the first time alone. */
void backlog_add(struct backlog *b, struct backlog_entry *e);
/* It is gone. */
void backlog_remove(struct backlog *b, struct backlog_entry *e);
