/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to polkit. Runs in sandboxd-bus, which allows nothing by itself: no answer, a late one and one
 * that is not understood are a no. The subject is the caller's unique name on the bus, which is never
 * given to another (a pid is).
 */
#include "daemon/bus/questions.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/bus/call.h"

#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_INTERACTIVE 1U

/* Where a person may be asked for a password. */
#define INTERACTIVE_USEC (5 * 60 * USEC_PER_SEC)

/* The bus allows 128 calls under way of one connection, and counts those that are not answered whether
 * somebody still waits for them or not: so do we. */
#define QUESTIONS_MAX 96
#define QUESTIONS_ACCOUNT_MAX 8

struct question {
        TAILQ_ENTRY(question) entries; /* of those that wait, or those that were asked */
        struct service *service;
        struct user *user;
        struct call *call; /* NULL: nobody waits for the answer any more */
        const char *action;
        const char *detail_key;
        char *detail_value;
        question_handler handler;
        sd_event_source *deadline;
        char id[32];       /* by which polkit is told that it is no longer asked */
        sd_bus_slot *slot; /* NULL: not asked yet */
};

void questions_init(struct questions *q)
{
        TAILQ_INIT(&q->waiting);
        TAILQ_INIT(&q->asked);
        q->n_asked = 0;
        q->last_id = 0;
}

static void ask_next(struct service *s);

static void question_free(struct question *q)
{
        struct questions *qs = &q->service->questions;

        if (q->slot) {
                q->slot = sd_bus_slot_unref(q->slot);
                TAILQ_REMOVE(&qs->asked, q, entries);
                qs->n_asked--;
                q->user->account->n_questions--;
        } else
                TAILQ_REMOVE(&qs->waiting, q, entries);
        (void) sd_event_source_disable_unref(q->deadline);
        (void) user_unref(q->user);
        free(q->detail_value);
        free(q);
}

void questions_done(struct questions *qs)
{
        struct question *q;

        while ((q = TAILQ_FIRST(&qs->asked)))
                question_free(q);
        ASSERT(TAILQ_EMPTY(&qs->waiting));
}

/* polkit need not go on, and a person not be asked. It answers all the same. */
static void call_off(const struct question *q)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *bus = q->service->bus;

        if (sd_bus_message_new_method_call(bus, &m, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                    "CancelCheckAuthorization") < 0 ||
                sd_bus_message_append(m, "s", q->id) < 0 ||
                sd_bus_message_set_expect_reply(m, 0) < 0 || sd_bus_send(bus, m, NULL) < 0)
                log_debug("cannot tell polkit that a question is void");
}

void question_abandon(struct question *q)
{
        q->call = NULL;
        q->deadline = sd_event_source_disable_unref(q->deadline);
        if (!q->slot)
                question_free(q);
        else
                call_off(q);
}

/* The call goes on, and may ask another question. */
static void finish(struct question *q, bool allowed, const char *reason)
{
        question_handler handler = q->handler;
        struct call *c = TAKE_PTR(q->call);

        if (!c)
                return;
        c->question = NULL;
        call_set_state(c, CALL_BEGUN);
        handler(c, allowed, reason);
}

static void refuse_late(struct question *q)
{
        finish(q, false,
                "polkit gave no answer in time: see 'systemctl status polkit', and try again");
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct question *q = userdata;

        refuse_late(q);
        question_abandon(q);
        return 0;
}

/* Also where the loop had other things to do when the time was over. */
static bool is_late(const struct question *q)
{
        uint64_t deadline;

        return q->deadline && sd_event_source_get_time(q->deadline, &deadline) >= 0 &&
               io_now_usec() >= deadline;
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
        return "polkit could not answer: see 'systemctl status polkit', and try again";
}

/* 1 with the sentence why not. */
static int read_answer(sd_bus_message *m, const struct question *q, char *reason, size_t size)
{
        int authorized = 0, challenge = 0, r;

        r = sd_bus_message_enter_container(m, 'r', "bba{ss}");
        if (r >= 0)
                r = sd_bus_message_read(m, "bb", &authorized, &challenge);
        if (r < 0)
                return r;
        (void) snprintf(reason, size,
                challenge ? "%s needs a password: call with interactive authorisation allowed, and "
                            "an agent in the session"
                          : "polkit does not allow %s to this caller",
                q->action);
        return !authorized;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        struct question *q = userdata;
        struct service *s = q->service;
        char reason[256] = "polkit gave an answer that is none: see 'systemctl status polkit'";

        if (error && q->call)
                log_notice("polkit was asked about %s for uid %u, and did not say: %s", q->action,
                        (unsigned) q->user->uid, error->message ? error->message : error->name);
        if (is_late(q))
                refuse_late(q);
        else if (error)
                finish(q, false, explain(error));
        else
                finish(q, read_answer(m, q, reason, sizeof(reason)) == 0, reason);
        question_free(q);
        ask_next(s);
        return 0;
}

/* Whether the caller's side lets a person be asked. */
static bool is_interactive(const struct call *c)
{
        return sd_bus_message_get_allow_interactive_authorization(c->message) > 0;
}

/* How long polkit has. */
static uint64_t time_of(const struct service *s, const struct call *c)
{
        return is_interactive(c) ? INTERACTIVE_USEC : s->options.polkit_usec;
}

static int ask(struct question *q)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        struct service *s = q->service;
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
        (void) snprintf(q->id, sizeof(q->id), "sandboxd-%" PRIu64, ++s->questions.last_id);
        r = sd_bus_message_append(m, "us", is_interactive(q->call) ? POLKIT_INTERACTIVE : 0, q->id);
        if (r < 0)
                return r;
        /* Its deadline is the question's, and of a call that we gave up the bus would still keep count. But an
         * answer that the bus could not hand us, and dropped, never comes: after as long again it is not counted. */
        r = sd_bus_call_async(s->bus, &q->slot, m, on_answer, q, 2 * time_of(s, q->call));
        if (r < 0)
                return r;
        TAILQ_REMOVE(&s->questions.waiting, q, entries);
        TAILQ_INSERT_TAIL(&s->questions.asked, q, entries);
        s->questions.n_asked++;
        q->user->account->n_questions++;
        return 0;
}

/* The oldest of a user that has not too many under way. */
static struct question *choose(struct questions *qs)
{
        struct question *q;

        TAILQ_FOREACH (q, &qs->waiting, entries)
                if (q->user->account->n_questions < QUESTIONS_ACCOUNT_MAX)
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
                        finish(q, false, "polkit cannot be asked now: try again");
                        question_free(q);
                }
        }
}

static int question_new(struct call *c, const char *action, const char *detail_key,
        const char *detail_value, struct question **ret)
{
        struct service *s = c->service;
        struct question *q = calloc(1, sizeof(*q));
        int r;

        if (!q)
                return -ENOMEM;
        if (detail_key)
                q->detail_value = strdup(detail_value);
        r = detail_key && !q->detail_value ? -ENOMEM : 0;
        if (r == 0)
                r = sd_event_add_time_relative(s->event, &q->deadline, CLOCK_MONOTONIC,
                        time_of(s, c), 1, on_deadline, q);
        if (r < 0) {
                (void) sd_event_source_disable_unref(q->deadline);
                free(q->detail_value);
                free(q);
                return r;
        }
        q->service = s;
        q->user = user_ref(c->user);
        q->call = c;
        q->action = action;
        q->detail_key = detail_key;
        *ret = q;
        return 0;
}

void question_ask(struct call *c, const char *action, const char *detail_key,
        const char *detail_value, question_handler handler)
{
        struct service *s = c->service;
        struct question *q;
        int r;

        if (c->user->uid == 0) {
                handler(c, true, "");
                return;
        }
        r = question_new(c, action, detail_key, detail_value, &q);
        if (r < 0) {
                call_fail_errno(c, r, "ask polkit");
                return;
        }
        q->handler = handler;
        c->question = q;
        call_set_state(c, CALL_ASKING);
        TAILQ_INSERT_TAIL(&s->questions.waiting, q, entries);
        ask_next(s);
}
