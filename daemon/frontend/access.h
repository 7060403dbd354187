/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who may connect: what the kernel says of a client, and what the policy says to that.
 */

#include <sys/types.h>

#include "common/error.h"
#include "common/policy.h"

struct peer {
        uid_t uid;
        gid_t *groups; /* its own first, then the others */
        size_t n_groups;
};

/* Asks the kernel who was at the other end when it connected. */
int access_peer(int fd, struct peer *ret);
void access_peer_done(struct peer *p);

/* 0, or -EACCES with the sentence. A user of the job range never may; root may unless denied; with
 * AllowUsers= or AllowGroups= nobody else may who is in neither. */
int access_check(const struct policy *policy, const struct peer *peer, struct error *ret_error);
/* The same for who connects. The bus service may though no list allows it: those for whom it acts are
 * checked. */
int access_check_peer(const struct policy *policy, const struct peer *peer,
        struct error *ret_error);

/* Whether it is the user of the bus service, who may act for others. */
bool access_is_bus(const struct policy *policy, uid_t uid);
