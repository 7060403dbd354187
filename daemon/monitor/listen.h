/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The sockets that clients connect to: those that systemd passed, or else one of our own and its
 * name in the file system.
 */

#include <sys/types.h>
#include <sys/un.h>

#include "common/error.h"
#include "common/policy.h"

#define LISTEN_PATH_SIZE sizeof(((struct sockaddr_un *) NULL)->sun_path)

struct listen_socket {
        char path[LISTEN_PATH_SIZE + 1]; /* of one that was passed, only to be shown */
        char profile[POLICY_NAME_MAX];   /* for a Run of its clients that names none */
        int fd;                          /* -EBADF: planned */
        dev_t device; /* of what we bound, so that no other's is removed; inode 0: it is systemd's */
        ino_t inode;
};

struct listen_table {
        struct listen_socket sockets[POLICY_LISTENERS_MAX];
        uint32_t n;
        bool passed; /* by systemd: who connects while we are away starts us again */
};

/* Takes the sockets that systemd passed (see sd_listen_fds(3)), if any: each must be an AF_UNIX
 * stream socket that listens, named after a profile or not at all. To be called first, since the
 * fds are not close-on-exec before. */
int listen_take(struct listen_table *t, struct error *ret_error);
/* Where none was passed: there shall be one of our own, at path. */
int listen_plan(struct listen_table *t, const char *path, struct error *ret_error);
/* Makes what was planned: binds and listens. A socket on which nobody listens any more is replaced;
 * one in use, or a file of another kind, is an error. */
int listen_open(struct listen_table *t, struct error *ret_error);
/* Writes what the frontend must know of them, planned ones too, into a policy: at start, and into
 * each that is loaded later. -ENOENT when it lacks the profile of one of them. */
int listen_describe(const struct listen_table *t, struct policy *p, struct error *ret_error);
#define LISTEN_TEXT_MAX 384
/* "/run/a.sock, /run/b.sock (profile strict)", cut where that is too long. Returns buf. */
char *listen_show(const struct listen_table *t, char buf[static LISTEN_TEXT_MAX]);
/* Closes them, and removes the names that we made and that are still ours. */
void listen_close(struct listen_table *t);
