/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From names of users and groups to numbers. Runs in the monitor, where policy is loaded, so that
 * the frontend asks no user database; reads what nsswitch.conf names.
 */
#include "daemon/monitor/policy-access.h"

#include <grp.h>
#include <pwd.h>

#include "common/log.h"
#include "common/parse.h"

#define BUS_USER "sandboxd-bus"

/* What a look-up that finds nothing may leave in errno depends on where it looks. */
static int lookup_result(int error)
{
        static const int not_found[] = { 0, ENOENT, ESRCH, EBADF, EPERM };

        for (size_t i = 0; i < ELEMENTSOF(not_found); i++)
                if (error == not_found[i])
                        return -ENOENT;
        return -error;
}

static int find_user(const char *name, uint32_t *ret)
{
        const struct passwd *pw;

        errno = 0;
        pw = getpwnam(name);
        if (!pw)
                return lookup_result(errno);
        *ret = pw->pw_uid;
        return 0;
}

static int find_group(const char *name, uint32_t *ret)
{
        const struct group *gr;

        errno = 0;
        gr = getgrnam(name);
        if (!gr)
                return lookup_result(errno);
        *ret = gr->gr_gid;
        return 0;
}

struct list {
        struct policy_ids *ids;
        const char *what;
        int (*find)(const char *name, uint32_t *ret);
};

static int refuse_word(const struct policy_item *item, const struct list *l, const char *word,
        int error)
{
        if (error == -ENOENT)
                return policy_item_error(item,
                        " has an unknown %s '%.40s': create it, or use another name or a number",
                        l->what, word);
        return policy_item_error(item,
                " has the %s '%.40s', which cannot be looked up (%s): use its number", l->what,
                word, strerror(-error));
}

static int take_word(const struct policy_item *item, const char *word, void *userdata)
{
        const struct list *l = userdata;
        uint32_t id;
        int r;

        if (l->ids->n == POLICY_IDS_MAX)
                return policy_item_error(item, " makes it more than %d %ss in all: list fewer",
                        POLICY_IDS_MAX, l->what);
        if (parse_u32(word, &id) < 0) {
                r = l->find(word, &id);
                if (r < 0)
                        return refuse_word(item, l, word, r);
        }
        /* The last number stands for "none" in every call of the kernel. */
        if (id == UINT32_MAX)
                return policy_item_error(item, " has %.40s, which is no %s: use 0 to 4294967294",
                        word, l->what);
        l->ids->ids[l->ids->n++] = id;
        return 0;
}

static int set_ids(const struct policy_item *item, struct policy_ids *ids, const char *what,
        int (*find)(const char *name, uint32_t *ret))
{
        struct list l = { ids, what, find };

        if (item->value[0] == '\0')
                ids->n = 0;
        return policy_each_word(item, take_word, &l);
}

int policy_set_users(const struct policy_key *key, const struct policy_item *item, void *field)
{
        return set_ids(item, field, "user", find_user);
}

int policy_set_groups(const struct policy_key *key, const struct policy_item *item, void *field)
{
        return set_ids(item, field, "group", find_group);
}

/* Root's own connections would be the service's, and may do next to nothing. */
static int check_bus_user(const struct policy_item *item, uint32_t id)
{
        if (id == 0)
                return policy_item_error(item,
                        " is root, who would be taken for the bus service: name a user that is "
                        "used by nothing else");
        if (id == UINT32_MAX)
                return policy_item_error(item, " is %u, which is no user: use 1 to 4294967294", id);
        return 0;
}

int policy_set_bus_user(const struct policy_key *key, const struct policy_item *item, void *field)
{
        struct policy_bus *bus = field;
        uint32_t id;
        int r;

        *bus = (struct policy_bus) {};
        if (item->value[0] == '\0')
                return 0;
        if (parse_u32(item->value, &id) < 0) {
                r = find_user(item->value, &id);
                /* The service is not installed, then. */
                if (r == -ENOENT)
                        return 0;
                if (r < 0)
                        return policy_item_error(item,
                                " cannot be looked up (%s): use the user's number", strerror(-r));
        }
        r = check_bus_user(item, id);
        if (r < 0)
                return r;
        *bus = (struct policy_bus) { .has_user = true, .user = id };
        return 0;
}

void policy_default_bus_user(struct policy_bus *ret)
{
        uint32_t id;
        int r;

        *ret = (struct policy_bus) {};
        r = find_user(BUS_USER, &id);
        if (r >= 0 && id != 0)
                *ret = (struct policy_bus) { .has_user = true, .user = id };
        else if (r != -ENOENT)
                log_warning("the user " BUS_USER " cannot be looked up (%s), so that there is no "
                            "bus service: set [Bus] User= to its number",
                        strerror(r < 0 ? -r : EINVAL));
}
