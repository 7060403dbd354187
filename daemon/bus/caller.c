/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is on the bus. Runs in sandboxd-bus; believes the bus daemon, which asks the kernel, and nothing
 * that a message says.
 */
#include "daemon/bus/caller.h"

#include <search.h>

#include "daemon/bus/call.h"

/* The bus daemon answers such questions as soon as it looks at them. */
#define CREDENTIALS_USEC (1 * USEC_PER_SEC)

/* How often it is asked whether those who have called are still there. */
#define CHECK_USEC (10 * USEC_PER_SEC)

/* How long a connection to sandboxd is kept that nothing is under way on. */
#define LINK_IDLE_USEC (15 * USEC_PER_SEC)

struct credentials {
        uid_t uid;
        gid_t *gids;
        size_t n_gids;
};

static void credentials_done(struct credentials *c)
{
        free(c->gids);
}

static int compare_gids(const void *a, const void *b)
{
        gid_t x = *(const gid_t *) a, y = *(const gid_t *) b;

        return x < y ? -1 : x > y;
}

static int read_gids(sd_bus_message *m, struct credentials *ret)
{
        const void *data;
        size_t size;
        int r;

        r = sd_bus_message_enter_container(m, 'v', "au");
        if (r < 0)
                return r;
        r = sd_bus_message_read_array(m, 'u', &data, &size);
        if (r < 0)
                return r;
        if (!ret->gids && size > 0) {
                ret->gids = malloc(size);
                if (!ret->gids)
                        return -ENOMEM;
                memcpy(ret->gids, data, size);
                ret->n_gids = size / sizeof(gid_t);
                qsort(ret->gids, ret->n_gids, sizeof(gid_t), compare_gids);
        }
        return sd_bus_message_exit_container(m);
}

static int read_credentials(sd_bus_message *m, struct credentials *ret)
{
        bool has_uid = false;
        const char *key;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        return r;
                if (streq(key, "UnixUserID")) {
                        r = sd_bus_message_read(m, "v", "u", &ret->uid);
                        has_uid = r >= 0;
                } else if (streq(key, "UnixGroupIDs"))
                        r = read_gids(m, ret);
                else
                        r = sd_bus_message_skip(m, "v");
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return has_uid ? 0 : -ENODATA;
}

/* Waits for the bus daemon, and for it alone. The answer has a connection of its own: on the one that calls come on
 * the bus drops it, when callers have sent more than we have read. */
static int ask_credentials(struct service *s, const char *name, struct credentials *ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_message_new_method_call(s->asking, &m, "org.freedesktop.DBus",
                "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetConnectionCredentials");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", name);
        if (r < 0)
                return r;
        r = sd_bus_call(s->asking, m, CREDENTIALS_USEC, &error, &reply);
        if (r < 0)
                return sd_bus_error_has_name(&error, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ? -ENXIO : r;
        return read_credentials(reply, ret);
}

/* ---- Users ------------------------------------------------------------------------------------- */

/* One with something to be remembered stays without a user. */
static void account_gc(struct account *a)
{
        if (a->n_users > 0 || a->n_returned > 0)
                return;
        ASSERT(a->n_calls == 0 && a->n_bytes == 0 && a->n_subscriptions == 0 &&
                a->n_questions == 0);
        LIST_REMOVE(a, entries);
        free(a);
}

static void account_release(struct account *a)
{
        a->n_users--;
        account_gc(a);
}

void accounts_forget_returned(struct service *s)
{
        struct account *a = LIST_FIRST(&s->accounts), *next;

        for (; a; a = next) {
                next = LIST_NEXT(a, entries);
                a->n_returned = 0;
                account_gc(a);
        }
}

static void user_free(struct user *u)
{
        ASSERT(u->n_holds == 0 && TAILQ_EMPTY(&u->connecting));
        link_close(&u->link);
        (void) sd_event_source_disable_unref(u->idle);
        LIST_REMOVE(u, entries);
        account_release(u->account);
        free(u->gids);
        free(u);
}

/* Without anything under way its link goes too, but later: the next call may come soon. */
static int on_user_idle(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct user *u = userdata;

        if (u->n_refs == 0)
                user_free(u);
        else if (u->n_holds == 0)
                link_close(&u->link);
        return 0;
}

static struct account *account_find(struct service *s, uid_t uid)
{
        struct account *a;

        LIST_FOREACH (a, &s->accounts, entries)
                if (a->uid == uid)
                        return a;
        a = calloc(1, sizeof(*a));
        if (!a)
                return NULL;
        a->uid = uid;
        LIST_INSERT_HEAD(&s->accounts, a, entries);
        return a;
}

/* Makes room among the users of an account, by what nobody uses. */
static int account_make_room(struct service *s, const struct account *a)
{
        struct user *u, *next;

        /* Some of its users stay, and the account with them. */
        for (u = LIST_FIRST(&s->users); u && a->n_users >= ACCOUNT_USERS_MAX; u = next) {
                next = LIST_NEXT(u, entries);
                if (u->account == a && u->n_refs == 0)
                        user_free(u);
        }
        return a->n_users < ACCOUNT_USERS_MAX ? 0 : -EDQUOT;
}

static int user_new(struct service *s, struct credentials *of, struct user **ret)
{
        struct user *u = calloc(1, sizeof(*u));
        int r;

        if (!u)
                return -ENOMEM;
        u->account = account_find(s, of->uid);
        if (!u->account) {
                free(u);
                return -ENOMEM;
        }
        u->account->n_users++;
        r = sd_event_add_time_relative(s->event, &u->idle, CLOCK_MONOTONIC, LINK_IDLE_USEC, 1,
                on_user_idle, u);
        if (r < 0) {
                account_release(u->account);
                free(u);
                return r;
        }
        u->service = s;
        u->uid = of->uid;
        u->gids = TAKE_PTR(of->gids);
        u->n_gids = of->n_gids;
        TAILQ_INIT(&u->connecting);
        link_init(&u->link, s->event, call_on_link, u);
        LIST_INSERT_HEAD(&s->users, u, entries);
        *ret = u;
        return 0;
}

static int user_find(struct service *s, struct credentials *of, struct user **ret)
{
        struct account *a;
        struct user *u;
        int r;

        /* root's decide nothing. */
        if (of->uid == 0)
                of->n_gids = 0;
        LIST_FOREACH (u, &s->users, entries)
                if (u->uid == of->uid && u->n_gids == of->n_gids &&
                        (u->n_gids == 0 ||
                                memcmp(u->gids, of->gids, u->n_gids * sizeof(gid_t)) == 0)) {
                        *ret = u;
                        return 0;
                }
        LIST_FOREACH (a, &s->accounts, entries)
                if (a->uid == of->uid && a->n_users >= ACCOUNT_USERS_MAX) {
                        r = account_make_room(s, a);
                        if (r < 0)
                                return r;
                        break;
                }
        return user_new(s, of, ret);
}

struct user *user_ref(struct user *u)
{
        u->n_refs++;
        return u;
}

struct user *user_unref(struct user *u)
{
        ASSERT(u->n_refs > 0);
        u->n_refs--;
        if (u->n_refs == 0 || u->n_holds == 0) {
                (void) sd_event_source_set_time_relative(u->idle, LINK_IDLE_USEC);
                (void) sd_event_source_set_enabled(u->idle, SD_EVENT_ONESHOT);
        }
        return NULL;
}

struct user *user_hold(struct user *u)
{
        u->n_holds++;
        return user_ref(u);
}

struct user *user_unhold(struct user *u)
{
        u->n_holds--;
        return user_unref(u);
}

void user_begin_call(struct user *u)
{
        u->account->n_calls++;
        u->service->n_calls++;
}

void user_end_call(struct user *u)
{
        u->account->n_calls--;
        u->service->n_calls--;
}

int account_add_answer(struct service *s, struct account *a)
{
        outbox_watch(&s->outbox);
        if (outbox_size(&s->outbox) == 0)
                a->n_answers_before = a->n_answers_since = 0;
        if (a->n_answers_before + a->n_answers_since >= ACCOUNT_ANSWERS_MAX)
                return -EDQUOT;
        a->n_answers_since++;
        return 0;
}

void accounts_on_probe(struct service *s)
{
        struct account *a;

        LIST_FOREACH (a, &s->accounts, entries) {
                a->n_answers_before = a->n_answers_since;
                a->n_answers_since = 0;
        }
}

int user_charge(struct user *u, uint64_t bytes)
{
        struct service *s = u->service;
        struct account *a = u->account;
        uint64_t most = (BYTES_MAX - (s->n_bytes - a->n_bytes)) / 2;

        if (a->n_bytes > most || bytes > most - a->n_bytes)
                return -EDQUOT;
        a->n_bytes += bytes;
        s->n_bytes += bytes;
        return 0;
}

void user_release(struct user *u, uint64_t bytes)
{
        ASSERT(u->account->n_bytes >= bytes);
        u->account->n_bytes -= bytes;
        u->service->n_bytes -= bytes;
}

/* ---- Callers ----------------------------------------------------------------------------------- */

static int compare_callers(const void *a, const void *b)
{
        return strcmp(((const struct caller *) a)->name, ((const struct caller *) b)->name);
}

static struct caller *lookup(struct service *s, const char *name)
{
        struct caller key = { .name = (char *) name };
        struct caller **found = tfind(&key, &s->callers, compare_callers);

        return found ? *found : NULL;
}

static void caller_free(struct caller *c)
{
        while (!LIST_EMPTY(&c->calls))
                call_free(LIST_FIRST(&c->calls));
        signals_unsubscribe(c);
        (void) user_unref(c->user);
        free(c->name);
        free(c);
}

static int caller_new(struct service *s, const char *name, struct caller **ret)
{
        _cleanup_(credentials_done) struct credentials credentials = {};
        _cleanup_free_ struct caller *c = calloc(1, sizeof(*c));
        _cleanup_free_ char *copy = strdup(name);
        struct user *u;
        int r;

        if (!c || !copy)
                return -ENOMEM;
        r = ask_credentials(s, name, &credentials);
        if (r < 0)
                return r;
        r = user_find(s, &credentials, &u);
        if (r < 0)
                return r;
        LIST_INIT(&c->calls);
        c->name = copy;
        if (!tsearch(c, &s->callers, compare_callers))
                return -ENOMEM;
        TAKE_PTR(copy);
        c->user = user_ref(u);
        *ret = TAKE_PTR(c);
        return 0;
}

int caller_find(struct service *s, sd_bus_message *m, struct caller **ret)
{
        const char *name = sd_bus_message_get_sender(m);

        if (strnull(name))
                return -ENXIO;
        *ret = lookup(s, name);
        return *ret ? 0 : caller_new(s, name, ret);
}

void caller_gone(struct service *s, const char *name)
{
        struct caller *c = lookup(s, name);

        if (!c)
                return;
        (void) tdelete(c, &s->callers, compare_callers);
        caller_free(c);
}

/* ---- Who is still there ------------------------------------------------------------------------ */

static void put_in_doubt(const void *node, VISIT visit, int depth)
{
        struct caller *c = *(struct caller *const *) node;

        if (visit == postorder || visit == leaf)
                c->in_doubt = true;
}

struct search {
        const struct caller *found;
};

static void find_doubtful(const void *node, VISIT visit, void *search)
{
        const struct caller *c = *(struct caller *const *) node;

        if ((visit == postorder || visit == leaf) && c->in_doubt)
                ((struct search *) search)->found = c;
}

/* A unique name is never given again: who was there when the bus was asked, and is not named, has left. */
static int on_names(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct service *s = userdata;
        struct search search;
        struct caller *c;
        const char *name;
        int r;

        s->callers_asked = false;
        if (sd_bus_message_get_error(m) || sd_bus_message_enter_container(m, 'a', "s") < 0)
                return 0;
        while ((r = sd_bus_message_read(m, "s", &name)) > 0) {
                c = lookup(s, name);
                if (c)
                        c->in_doubt = false;
        }
        if (r < 0)
                return 0;
        do {
                search.found = NULL;
                twalk_r(s->callers, find_doubtful, &search);
                if (search.found)
                        caller_gone(s, search.found->name);
        } while (search.found);
        return 0;
}

static int on_check(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct service *s = userdata;

        /* One at a time: whoever came after the first is not in its answer. */
        if (s->callers && !s->callers_asked) {
                twalk(s->callers, put_in_doubt);
                s->callers_asked = sd_bus_call_method_async(s->asking, NULL, "org.freedesktop.DBus",
                                           "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                           "ListNames", on_names, s, "") >= 0;
        }
        (void) sd_event_source_set_time_relative(source, CHECK_USEC);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int callers_watch(struct service *s)
{
        return sd_event_add_time_relative(s->event, &s->callers_check, CLOCK_MONOTONIC, CHECK_USEC,
                USEC_PER_SEC, on_check, s);
}

static void free_caller_node(void *caller)
{
        caller_free(caller);
}

void callers_give_up(struct service *s)
{
        s->callers_check = sd_event_source_disable_unref(s->callers_check);
        tdestroy(s->callers, free_caller_node);
        s->callers = NULL;
}

void users_done(struct service *s)
{
        struct user *u;

        while ((u = LIST_FIRST(&s->users))) {
                ASSERT(u->n_refs == 0);
                user_free(u);
        }
        accounts_forget_returned(s);
}

int user_find_root(struct service *s, struct user **ret)
{
        struct credentials root = {};

        return user_find(s, &root, ret);
}
