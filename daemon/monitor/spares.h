/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * User and network namespaces that are made before there is a sandbox for them. Making one of each takes the
 * kernel longer than any other step of a cold start, and half of it behind locks that all share. They are for
 * anybody: nothing has run in them, and nothing in them depends on who asks. Each is used once, and goes with
 * its sandbox. A job can tell whether it has one, by its own pid or by the time, and no more.
 *
 * Where there is none, a sandbox makes its own. Nobody has a say in how many there are but [Pool] Namespaces=.
 */

#include <sys/types.h>

#include <systemd/sd-event.h>

#include "daemon/monitor/pool-demand.h"
#include "daemon/monitor/uid-pool.h"

#define SPARES_MAX 64

/* A pair of ids, and the namespaces in which they are mapped; lo is up. */
struct spare {
        struct uid_pair ids;
        int userns_fd;
        int netns_fd;
};

struct spares {
        sd_event *event;
        struct uid_pool *uids;
        int init_fd;                    /* the init program, O_PATH; borrowed */
        unsigned wanted;                /* how many there should be */
        struct spare ready[SPARES_MAX]; /* oldest first */
        unsigned n;
        struct uid_pair asked[SPARES_MAX]; /* what the maker has yet to make, in that order */
        unsigned n_asked;
        pid_t pid; /* of the maker; 0: there is none */
        int pidfd;
        int fd; /* to it */
        sd_event_source *fd_source;
        sd_event_source *pidfd_source;
        sd_event_source *refill;
        sd_event_source *patience; /* until it is ended */
        struct pool_pause pause;   /* after one that failed */
};

int spares_init(struct spares *s, sd_event *event, struct uid_pool *uids, int init_fd);
/* Gives all back, and ends the maker. */
void spares_done(struct spares *s);
/* How many there should be, from now on; at most SPARES_MAX and an eighth of the ids there are. Those that wait are
 * given back: new ones have the host's settings of today, which a network namespace copies when it is made. */
void spares_set(struct spares *s, unsigned n);
/* Hands one over: 0, and its ids are to be released by the caller; -ENOENT when there is none. */
int spares_take(struct spares *s, struct spare *ret);
