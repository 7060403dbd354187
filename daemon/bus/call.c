/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Method calls that are not answered at once. Runs in sandboxd-bus.
 */
#include "daemon/bus/call.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/log.h"
#include "daemon/bus/text.h"

/* What a call costs us at the least: the message, its answer, and what goes with it. */
#define CALL_COST 2048

#define ERROR_PREFIX "org.sandboxd1.Error."

static const bool transitions[_CALL_STATES][_CALL_STATES] = {
        [CALL_BEGUN] = { [CALL_ASKING] = true,
                [CALL_LISTING] = true,
                [CALL_CONNECTING] = true,
                [CALL_ANSWERED] = true },
        [CALL_ASKING] = { [CALL_BEGUN] = true, [CALL_ANSWERED] = true },
        [CALL_LISTING] = { [CALL_BEGUN] = true, [CALL_ANSWERED] = true },
        [CALL_CONNECTING] = { [CALL_WORKING] = true, [CALL_ANSWERED] = true },
        [CALL_WORKING] = { [CALL_LENDING] = true, [CALL_ANSWERED] = true },
        [CALL_LENDING] = { [CALL_WORKING] = true, [CALL_ANSWERED] = true },
};

void call_set_state(struct call *c, enum call_state state)
{
        ASSERT(transitions[c->state][state]);
        c->state = state;
}

/* The same call without what it carries: that may be large, and fds that nobody asked for are among it, which
 * would all be kept until the answer. */
static int copy_envelope(sd_bus_message *m, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *copy = NULL;
        uint64_t cookie;
        int r;

        r = sd_bus_message_get_cookie(m, &cookie);
        if (r < 0)
                return r;
        r = sd_bus_message_new_method_call(sd_bus_message_get_bus(m), &copy, NULL,
                sd_bus_message_get_path(m), sd_bus_message_get_interface(m),
                sd_bus_message_get_member(m));
        if (r < 0)
                return r;
        r = sd_bus_message_set_sender(copy, sd_bus_message_get_sender(m));
        if (r < 0)
                return r;
        r = sd_bus_message_set_expect_reply(copy, sd_bus_message_get_expect_reply(m));
        if (r < 0)
                return r;
        r = sd_bus_message_set_allow_interactive_authorization(copy,
                sd_bus_message_get_allow_interactive_authorization(m));
        if (r < 0)
                return r;
        r = sd_bus_message_seal(copy, cookie, 0);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(copy);
        return 0;
}

int call_new(struct service *s, sd_bus_message *m, struct call **ret, sd_bus_error *ret_error)
{
        struct caller *caller;
        struct call *c;
        int r;

        /* Found before, when the message came. */
        r = caller_find(s, m, &caller);
        if (r < 0)
                return r;
        if (caller->user->account->n_calls >= ACCOUNT_CALLS_MAX ||
                user_charge(caller->user, CALL_COST) < 0)
                return sd_bus_error_setf(ret_error, ERROR_PREFIX "Busy",
                        "user %u has too many calls under way: wait for the answers of some",
                        (unsigned) caller->user->uid);
        c = calloc(1, sizeof(*c));
        r = c ? copy_envelope(m, &c->message) : -ENOMEM;
        if (r < 0) {
                user_release(caller->user, CALL_COST);
                free(c);
                return r;
        }
        c->service = s;
        c->caller = caller;
        c->user = user_ref(caller->user);
        c->as = user_hold(caller->user);
        user_begin_call(c->user);
        c->charged = CALL_COST;
        LIST_INSERT_HEAD(&caller->calls, c, of_caller);
        *ret = c;
        return 1;
}

int call_charge(struct call *c, uint64_t bytes)
{
        int r = user_charge(c->user, bytes);

        if (r < 0) {
                call_fail(c, "Busy",
                        "what user %u has under way is too large in all: wait for the answers of "
                        "some calls",
                        (unsigned) c->user->uid);
                return r;
        }
        c->charged += bytes;
        return 0;
}

/* Ends what is under way for it. */
static void stop(struct call *c)
{
        if (c->state == CALL_CONNECTING)
                TAILQ_REMOVE(&c->as->connecting, c, waiting);
        if (c->state == CALL_LISTING)
                TAILQ_REMOVE(&c->service->listings.waiting, c, waiting);
        if (c->state == CALL_LENDING)
                TAILQ_REMOVE(&c->service->loans.waiting, c, waiting);
        if (c->question)
                question_abandon(TAKE_PTR(c->question));
        if (c->request)
                sandbox_request_abandon(TAKE_PTR(c->request));
        if (c->data)
                c->free_data(TAKE_PTR(c->data));
        if (c->caller)
                LIST_REMOVE(c, of_caller);
        c->caller = NULL;
        c->message = sd_bus_message_unref(c->message);
}

void call_free(struct call *c)
{
        stop(c);
        user_end_call(c->user);
        c->as = user_unhold(c->as);
        user_release(c->user, c->charged);
        (void) user_unref(c->user);
        service_touch(c->service);
        free(c);
}

/* An answer that cannot be made or sent has its caller wait for nothing: said, and that is all there is
 * left to do. */
static void answer(struct call *c, sd_bus_message *reply, int error)
{
        int r = error;

        /* Such an answer would not be sent, but have a number: see outbox.c. */
        if (r >= 0 && !sd_bus_message_get_expect_reply(c->message)) {
                call_free(c);
                return;
        }
        if (r >= 0)
                r = sd_bus_send(c->service->bus, reply, &c->cookie);
        if (r < 0) {
                log_warning("cannot answer %s() of user %u: %s",
                        sd_bus_message_get_member(c->message), (unsigned) c->user->uid,
                        strerror(-r));
                call_free(c);
                return;
        }
        stop(c);
        call_set_state(c, CALL_ANSWERED);
        outbox_add(&c->service->outbox, c);
}

void call_reply(struct call *c, sd_bus_message *reply)
{
        answer(c, reply, 0);
}

void call_reply_empty(struct call *c)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        int r = sd_bus_message_new_method_return(c->message, &reply);

        answer(c, reply, r);
}

static void fail_full(struct call *c, const char *full_name, const char *text)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        char clean[1024];
        int r = sd_bus_message_new_method_errorf(c->message, &reply, full_name, "%s",
                text_make_string(clean, sizeof(clean), text));

        answer(c, reply, r);
}

void call_fail(struct call *c, const char *name, const char *format, ...)
{
        char full[128], text[1024];
        va_list args;

        va_start(args, format);
        (void) vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        (void) snprintf(full, sizeof(full), ERROR_PREFIX "%s", name);
        fail_full(c, full, text);
}

void call_deny(struct call *c, const char *format, ...)
{
        char text[1024];
        va_list args;

        va_start(args, format);
        (void) vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        fail_full(c, SD_BUS_ERROR_ACCESS_DENIED, text);
}

static const char *error_name(const sandbox_error *error)
{
        static const struct {
                enum sandbox_error_code code;
                const char *name;
        } names[] = {
                { SANDBOX_ERROR_BAD_REQUEST, "InvalidArgument" }, /* as one with too many parts */
                { SANDBOX_ERROR_INVALID_ARGUMENT, "InvalidArgument" },
                { SANDBOX_ERROR_OVER_LIMIT, "OverLimit" },
                { SANDBOX_ERROR_UNKNOWN_RUNTIME, "UnknownRuntime" },
                { SANDBOX_ERROR_UNKNOWN_PROFILE, "UnknownProfile" },
                { SANDBOX_ERROR_UNAVAILABLE, "Unavailable" },
                { SANDBOX_ERROR_BUSY, "Busy" },
                { SANDBOX_ERROR_DRAINING, "Draining" },
                { SANDBOX_ERROR_NO_SUCH_JOB, "NoSuchJob" },
                { SANDBOX_ERROR_NOT_RUNNING, "NotRunning" },
                { SANDBOX_ERROR_UNREACHABLE, "Unreachable" },
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (names[i].code == error->code)
                        return names[i].name;
        if (error->code == SANDBOX_ERROR_LOCAL && error->error == -EMSGSIZE)
                return "OverLimit";
        return "Internal";
}

void call_fail_error(struct call *c, const sandbox_error *error)
{
        if (error->code == SANDBOX_ERROR_DENIED)
                call_deny(c, "%s", error->message);
        else
                call_fail(c, error_name(error), "%s", error->message);
}

void call_fail_errno(struct call *c, int error, const char *what)
{
        call_fail(c, "Internal", "cannot %s: %s", what, strerrordesc_np(-error));
}

void call_finish(struct call *c, sd_bus_message *reply, int r, const char *what, uint64_t bytes)
{
        if (r < 0)
                call_fail_errno(c, r, what);
        else if (call_charge(c, bytes) >= 0)
                call_reply(c, reply);
}

void call_on_done(sandbox_client *client, const sandbox_error *error, void *userdata)
{
        struct call *c = userdata;

        c->request = NULL;
        if (error)
                call_fail_error(c, error);
        else
                call_reply_empty(c);
}

/* ---- The way to sandboxd ----------------------------------------------------------------------- */

static void go(struct call *c)
{
        TAILQ_REMOVE(&c->as->connecting, c, waiting);
        call_set_state(c, CALL_WORKING);
        c->step(c, c->as->link.client);
}

static void refuse_unreachable(struct call *c, const sandbox_error *error)
{
        if (error->code == SANDBOX_ERROR_UNREACHABLE || error->code == SANDBOX_ERROR_LOCAL)
                call_fail(c, "Unreachable", "sandboxd cannot be reached: %s", error->message);
        else
                call_fail_error(c, error);
}

void call_on_link(struct link *l, const sandbox_error *error, void *userdata)
{
        struct user *u = userdata;
        struct call *c;

        if (!error)
                feed_hurry(&u->service->feed);
        /* None is added meanwhile: with a link that is READY a call goes at once. */
        while ((c = TAILQ_FIRST(&u->connecting))) {
                if (error)
                        refuse_unreachable(c, error);
                else
                        go(c);
        }
}

void call_become_root(struct call *c)
{
        struct user *root;

        /* Where there is no memory it stays who it is, and is refused by sandboxd. */
        if (user_find_root(c->service, &root) < 0)
                return;
        c->as = user_unhold(c->as);
        c->as = user_hold(root);
}

void call_connect(struct call *c, call_step step)
{
        struct user *u = c->as;
        const struct link_identity identity = {
                .uid = u->uid,
                .gids = u->gids,
                .n_gids = u->n_gids,
        };
        int r;

        c->step = step;
        if (u->link.state == LINK_CLOSED) {
                r = link_connect(&u->link, c->service->options.socket_path, &identity);
                if (r < 0) {
                        call_fail(c, "Unreachable",
                                "sandboxd cannot be reached: %s; see 'systemctl status "
                                "sandboxd.socket'",
                                strerrordesc_np(-r));
                        return;
                }
        }
        call_set_state(c, CALL_CONNECTING);
        TAILQ_INSERT_TAIL(&u->connecting, c, waiting);
        if (u->link.state == LINK_READY)
                go(c);
}
