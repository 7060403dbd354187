/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What sandboxd needs of a host, found by reading /proc, /sys and /usr. Needs no privilege.
 */

#include "client/ctl/findings.h"

struct host {
        int root_fd;                 /* the root directory of the host to look at; borrowed */
        const char *allowed_missing; /* controllers that sandboxd does without (AllowMissing=) */
        char release[128];           /* of the kernel */
};

void host_init(struct host *h, int root_fd, const char *allowed_missing);

/* All checks that need no daemon, but for the interpreters. */
void host_check(const struct host *h, struct findings *f);
/* The interpreters of the runtimes that come with sandboxd, for when it cannot be asked itself. */
void host_check_interpreters(const struct host *h, struct findings *f);
/* The cgroup hierarchies and controllers; part of host_check(). */
void host_check_cgroups(const struct host *h, struct findings *f);

/* The system bus, org.sandboxd1 on it, and polkit; part of host_check(). */
void host_check_bus(const struct host *h, struct findings *f);

/* A whole file, or its first line; NULL when it cannot be read. Owned by the caller. */
char *host_read(const struct host *h, const char *path);
char *host_read_line(const struct host *h, const char *path);
bool host_exists(const struct host *h, const char *path);
/* Whether text has word, set off by blanks, commas, tabs or line ends. */
bool host_has_word(const char *text, const char *word);
