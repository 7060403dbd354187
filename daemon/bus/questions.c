/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to polkit. Runs in sandboxd-bus, which allows nothing by itself: no answer, a late one and one
 * that is not understood are a no. The subject is the caller's unique name on the bus, which is never
 * given to another (a pid is).
 */
#include "daemon/bus/questions.h"

#include <stdio.h>

#include "common/log.h"
#include "daemon/bus/call.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_INTERACTIVE 1U

/* Where a person may be asked for a password. */
#define INTERACTIVE_USEC (5 * 60 * USEC_PER_SEC)

/* The bus allows 128 calls under way of one connection. */
#define QUESTIONS_MAX 96
#define QUESTIONS_USER_MAX 8

struct question {
        TAILQ_ENTRY(question) entries;
        struct service *service;
        struct user *user;
        struct call *call;
        const char *action;
        const char *detail_key;
        char *detail_value;
        question_handler handler;
        sd_bus_slot *slot; /* NULL: not asked yet */
};

void questions_init(struct questions *q)
{
        TAILQ_INIT(&q->waiting);
        q->n_asked = 0;
}

static void ask_next(struct service *s);

static void question_free(struct question *q)
{
        struct service *s = q->service;

        if (q->slot) {
                q->slot = sd_bus_slot_unref(q->slot);
                s->questions.n_asked--;
                q->user->n_questions--;
        } else
                TAILQ_REMOVE(&s->questions.waiting, q, entries);
        (void) user_unref(q->user);
        free(q->detail_value);
        free(q);
}

void question_abandon(struct question *q)
{
        struct service *s = q->service;

        question_free(q);
        ask_next(s);
}

/* The call goes on, and may ask another question. */
static void finish(struct question *q, bool allowed, const char *reason)
{
        question_handler handler = q->handler;
        struct service *s = q->service;
        struct call *c = q->call;

        c->question = NULL;
        question_free(q);
        call_set_state(c, CALL_BEGUN);
        handler(c, allowed, reason);
        ask_next(s);
}

/* What to do where nobody can be asked. */
static const char *explain(const sd_bus_error *error)
{
        static const char *const absent[] = {
                SD_BUS_ERROR_SERVICE_UNKNOWN,
                SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                "org.freedesktop.systemd1.NoSuchUnit",
                "org.freedesktop.DBus.Error.Spawn.ExecFailed",
                "org.freedesktop.DBus.Error.Spawn.ChildExited",
        };

        for (size_t i = 0; i < ELEMENTSOF(absent); i++)
                if (sd_bus_error_has_name(error, absent[i]))
                        return "polkit, which would be asked, is not there: install polkitd, or "
                               "have root do it";
        if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY) ||
                sd_bus_error_has_name(error, SD_BUS_ERROR_TIMEOUT))
                return "polkit gave no answer in time: see 'systemctl status polkit', and try "
                       "again";
        return "polkit could not answer: see 'systemctl status polkit', and try again";
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct question *q = userdata;
        int authorized = 0, challenge = 0, r;
        char reason[256];

        if (sd_bus_message_is_method_error(m, NULL)) {
                const sd_bus_error *error = sd_bus_message_get_error(m);

                log_notice("polkit was asked about %s for uid %u, and did not say: %s", q->action,
                        (unsigned) q->user->uid, error->message ? error->message : error->name);
                finish(q, false, explain(error));
                return 0;
        }
        r = sd_bus_message_enter_container(m, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(m, "bb", &authorized, &challenge);
        if (r < 0) {
                finish(q, false,
                        "polkit gave an answer that is none: see 'systemctl status polkit'");
                return 0;
        }
        (void) snprintf(reason, sizeof(reason),
                challenge ? "%s needs a password: call with interactive authorisation allowed, and "
                            "an agent in the session"
                          : "polkit does not allow %s to this caller",
                q->action);
        finish(q, authorized, reason);
        return 0;
}

static int ask(struct question *q)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        struct service *s = q->service;
        bool interactive = sd_bus_message_get_allow_interactive_authorization(q->call->message) > 0;
        int r;

        r = sd_bus_message_new_method_call(s->bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                "CheckAuthorization");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s",
                q->call->caller->name, q->action);
        if (r < 0)
                return r;
        r = q->detail_key ? sd_bus_message_append(m, "a{ss}", 1, q->detail_key, q->detail_value)
                          : sd_bus_message_append(m, "a{ss}", 0);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "us", interactive ? POLKIT_INTERACTIVE : 0, "");
        if (r < 0)
                return r;
        r = sd_bus_call_async(s->bus, &q->slot, m, on_answer, q,
                interactive ? INTERACTIVE_USEC : s->options.polkit_usec);
        if (r < 0)
                return r;
        TAILQ_REMOVE(&s->questions.waiting, q, entries);
        s->questions.n_asked++;
        q->user->n_questions++;
        return 0;
}

/* The oldest of a user that has not too many under way. */
static struct question *choose(struct questions *qs)
{
        struct question *q;

        TAILQ_FOREACH (q, &qs->waiting, entries)
                if (q->user->n_questions < QUESTIONS_USER_MAX)
                        return q;
        return NULL;
}

static void ask_next(struct service *s)
{
        struct question *q;
        int r;

        while (s->questions.n_asked < QUESTIONS_MAX && (q = choose(&s->questions))) {
                r = ask(q);
                if (r < 0) {
                        log_warning("cannot ask polkit: %s", strerror(-r));
                        /* What follows is asked for by its end. */
                        finish(q, false, "polkit cannot be asked now: try again");
                        return;
                }
        }
}

void question_ask(struct call *c, const char *action, const char *detail_key,
        const char *detail_value, question_handler handler)
{
        struct service *s = c->service;
        struct question *q;

        if (c->user->uid == 0) {
                handler(c, true, "");
                return;
        }
        q = calloc(1, sizeof(*q));
        if (q && detail_key) {
                q->detail_value = strdup(detail_value);
                if (!q->detail_value) {
                        free(q);
                        q = NULL;
                }
        }
        if (!q) {
                call_fail_errno(c, -ENOMEM, "ask polkit");
                return;
        }
        q->service = s;
        q->user = user_ref(c->user);
        q->call = c;
        q->action = action;
        q->detail_key = detail_key;
        q->handler = handler;
        c->question = q;
        call_set_state(c, CALL_ASKING);
        TAILQ_INSERT_TAIL(&s->questions.waiting, q, entries);
        ask_next(s);
}
