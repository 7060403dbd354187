/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access by uid and groups. Runs in the frontend, for each client that connects; believes nothing
 * but the kernel, and asks no user database.
 */
#include "daemon/frontend/access.h"

#include <sys/socket.h>

/* Most processes have fewer; the kernel says how many when they are more. */
#define GROUPS_GUESS 32

static int read_groups(int fd, struct peer *p)
{
        socklen_t size = GROUPS_GUESS * sizeof(gid_t);

        for (;;) {
                gid_t *grown = realloc(p->groups, sizeof(gid_t) + size);

                if (!grown)
                        return -ENOMEM;
                p->groups = grown;
                if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, p->groups + 1, &size) == 0)
                        break;
                /* They cannot change: what is too small once is large enough then. */
                if (errno != ERANGE)
                        return -errno;
        }
        p->n_groups = 1 + size / sizeof(gid_t);
        return 0;
}

int access_peer(int fd, struct peer *ret)
{
        _cleanup_(access_peer_done) struct peer p = {};
        struct ucred cred;
        socklen_t size = sizeof(cred);
        int r;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return -errno;
        if (size != sizeof(cred))
                return -EPROTO;
        r = read_groups(fd, &p);
        if (r < 0)
                return r;
        p.uid = cred.uid;
        p.groups[0] = cred.gid;
        *ret = p;
        p = (struct peer) {};
        return 0;
}

void access_peer_done(struct peer *p)
{
        free(p->groups);
        *p = (struct peer) {};
}

static bool has_id(const struct policy_ids *ids, uint32_t id)
{
        for (uint32_t i = 0; i < ids->n; i++)
                if (ids->ids[i] == id)
                        return true;
        return false;
}

static bool has_any(const struct policy_ids *ids, const gid_t *groups, size_t n)
{
        for (size_t i = 0; ids->n > 0 && i < n; i++)
                if (has_id(ids, groups[i]))
                        return true;
        return false;
}

/* A sandbox sees no socket of ours; should one be handed in, it is of no use there. */
static bool is_job(const struct policy_server *server, uid_t uid)
{
        return uid >= server->job_uid_base && uid - server->job_uid_base < server->job_uid_size;
}

bool access_is_bus(const struct policy *policy, uid_t uid)
{
        return policy->bus.has_user && policy->bus.user == uid;
}

static int check_denied(const struct policy *policy, uid_t uid, struct error *ret_error)
{
        if (is_job(&policy->server, uid))
                return error_set(ret_error, -EACCES,
                        "user %u is a job's own: jobs cannot start jobs", (unsigned) uid);
        if (has_id(&policy->access.deny_users, uid))
                return error_set(ret_error, -EACCES,
                        "user %u may not use sandboxd: DenyUsers= in sandboxd.conf lists it, ask "
                        "the administrator",
                        (unsigned) uid);
        return 0;
}

int access_check(const struct policy *policy, const struct peer *peer, struct error *ret_error)
{
        const struct policy_access *a = &policy->access;
        int r;

        r = check_denied(policy, peer->uid, ret_error);
        if (r < 0)
                return r;
        if (a->allow_users.n == 0 && a->allow_groups.n == 0)
                return 0;
        if (peer->uid == 0 || has_id(&a->allow_users, peer->uid) ||
                has_any(&a->allow_groups, peer->groups, peer->n_groups))
                return 0;
        return error_set(ret_error, -EACCES,
                "user %u may not use sandboxd: neither AllowUsers= nor AllowGroups= in "
                "sandboxd.conf lists it or its groups, ask the administrator",
                (unsigned) peer->uid);
}

int access_check_peer(const struct policy *policy, const struct peer *peer, struct error *ret_error)
{
        if (access_is_bus(policy, peer->uid))
                return check_denied(policy, peer->uid, ret_error);
        return access_check(policy, peer, ret_error);
}
