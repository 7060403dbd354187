/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has which jobs. Runs in the frontend. Every look-up for a client goes through
 * registry_find_for(), which alone decides whether it may see the job.
 */
#include "daemon/frontend/registry.h"

#include <sys/random.h>

#include "daemon/wire/channel.h"

void registry_init(struct registry *g)
{
        *g = (struct registry) {};
        TAILQ_INIT(&g->users);
        TAILQ_INIT(&g->ended);
        changes_init(&g->changes);
}

void registry_done(struct registry *g)
{
        table_done(&g->by_id);
        table_done(&g->by_uid);
}

static struct user *find_user(const struct registry *g, uid_t uid)
{
        struct table_entry *e = table_find(&g->by_uid, uid);

        return e ? container_of(e, struct user, entry) : NULL;
}

int registry_take_user(struct registry *g, uid_t uid, struct user **ret)
{
        _cleanup_free_ struct user *u = NULL;
        int r;

        *ret = find_user(g, uid);
        if (*ret)
                return 0;
        u = calloc(1, sizeof(*u));
        if (!u)
                return -ENOMEM;
        TAILQ_INIT(&u->results);
        TAILQ_INIT(&u->ended);
        changes_init(&u->changes);
        r = table_add(&g->by_uid, &u->entry, uid);
        if (r < 0)
                return r;
        TAILQ_INSERT_TAIL(&g->users, u, entries);
        *ret = TAKE_PTR(u);
        return 0;
}

void registry_release_user(struct registry *g, struct user *u)
{
        if (!TAILQ_EMPTY(&u->results) || !changes_are_empty(&u->changes))
                return;
        table_remove(&g->by_uid, &u->entry);
        TAILQ_REMOVE(&g->users, u, entries);
        free(u);
}

static int choose_id(const struct registry *g, uint64_t *ret)
{
        uint64_t id = 0;

        while (id == 0 || registry_find(g, id)) {
                if (getrandom(&id, sizeof(id), 0) != sizeof(id))
                        return -errno;
                id &= ~CHANNEL_ID_PARKED;
        }
        *ret = id;
        return 0;
}

int registry_add(struct registry *g, struct result *r, uid_t uid)
{
        uint64_t id = 0;
        struct user *u;
        int e;

        e = choose_id(g, &id);
        if (e < 0)
                return e;
        e = registry_take_user(g, uid, &u);
        if (e < 0)
                return e;
        e = table_add(&g->by_id, &r->by_id, id);
        if (e < 0) {
                registry_release_user(g, u);
                return e;
        }
        r->id = id;
        r->uid = uid;
        r->user = u;
        TAILQ_INSERT_TAIL(&u->results, r, of_user);
        return 0;
}

void registry_remove(struct registry *g, struct result *r)
{
        table_remove(&g->by_id, &r->by_id);
        TAILQ_REMOVE(&r->user->results, r, of_user);
        registry_release_user(g, r->user);
}

struct result *registry_find(const struct registry *g, uint64_t id)
{
        struct table_entry *e = table_find(&g->by_id, id);

        return e ? container_of(e, struct result, by_id) : NULL;
}

struct result *registry_find_for(const struct registry *g, uid_t uid, const void *text, size_t size)
{
        struct result *r;
        uint64_t id;

        if (result_parse_id(text, size, &id) < 0)
                return NULL;
        r = registry_find(g, id);
        return r && !r->withdrawn && (uid == 0 || uid == r->uid) ? r : NULL;
}

/* Puts those of one user at the end of the list that is being made. */
static void list_user(const struct user *u, bool all, struct result **list, size_t *n)
{
        struct result *r;

        TAILQ_FOREACH (r, &u->results, of_user)
                if (!r->withdrawn && (all || r->job))
                        list[(*n)++] = r;
}

int registry_list(const struct registry *g, uid_t uid, bool all, struct result ***ret,
        size_t *ret_n)
{
        struct result **list = calloc(g->by_id.n + 1, sizeof(struct result *));
        struct user *u;
        size_t n = 0;

        if (!list)
                return -ENOMEM;
        if (uid != 0) {
                u = find_user(g, uid);
                if (u)
                        list_user(u, all, list, &n);
        } else
                TAILQ_FOREACH (u, &g->users, entries)
                        list_user(u, all, list, &n);
        *ret = list;
        *ret_n = n;
        return 0;
}
