/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxd-bus's connection to the bus: its beginning, what of a message is looked at before anything else is,
 * and its end. Runs in sandboxd-bus.
 */
#include "daemon/bus/service.h"

#include <signal.h>
#include <systemd/sd-daemon.h>

#include "common/log.h"
#include "daemon/bus/call.h"

/* Of a name in a message: libsystemd repeats it in its errors, and an answer that is longer than a message
 * may be ends our connection. */
#define NAME_MAX_SIZE 255

/* How often it is looked at whether the last calls are answered. */
#define LEAVING_USEC (20 * USEC_PER_MSEC)

/* How long the bus may take to take the name back: less than systemd waits for us to end. */
#define RELEASE_USEC (5 * USEC_PER_SEC)

/* Messages that wait for the bus at the most, before calls are dropped unanswered: all of them are
 * answers, and whoever sends more calls does not read them. */
#define QUEUE_MAX 16384

bool service_is_busy(const struct service *s)
{
        if (s->n_calls > 0)
                return true;
        return (s->signals.n_subscribers > 0 || !LIST_EMPTY(&s->loans.list)) &&
               !loans_are_exhausted(s);
}

void service_touch(struct service *s)
{
        if (s->idle && !s->leaving)
                (void) sd_event_source_set_time_relative(s->idle, s->options.idle_usec);
}

/* ---- What comes --------------------------------------------------------------------------------- */

/* Whether a string of the message is longer than any name there is. */
static bool has_long_name(sd_bus_message *m, unsigned n_strings)
{
        bool is_long = false;
        const char *text;

        for (unsigned i = 0; i < n_strings && !is_long; i++)
                is_long = sd_bus_message_read(m, "s", &text) > 0 && strlen(text) > NAME_MAX_SIZE;
        (void) sd_bus_message_rewind(m, 1);
        return is_long;
}

static bool has_long_names(sd_bus_message *m)
{
        static const struct {
                const char *member;
                unsigned n_strings;
        } properties[] = {
                { "Get", 2 },
                { "Set", 2 },
                { "GetAll", 1 },
        };

        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
                if (sd_bus_message_is_method_call(m, BUS_PROPERTIES, properties[i].member))
                        return has_long_name(m, properties[i].n_strings);
        return false;
}

/* Whether something comes of a call beside its answer. */
static bool does_something(sd_bus_message *m)
{
        static const struct {
                const char *interface, *member;
        } methods[] = {
                { BUS_MANAGER, "Execute" },
                { BUS_MANAGER, "Run" },
                { BUS_MANAGER, "RunWithFds" },
                { BUS_MANAGER, "CancelJob" },
                { BUS_MANAGER, "Drain" },
                { BUS_MANAGER, "Resume" },
                { BUS_MANAGER, "StopAll" },
                { BUS_MANAGER, "Subscribe" },
                { BUS_MANAGER, "Unsubscribe" },
                { BUS_JOB, "Cancel" },
        };

        for (size_t i = 0; i < ELEMENTSOF(methods); i++)
                if (sd_bus_message_is_method_call(m, methods[i].interface, methods[i].member))
                        return true;
        return false;
}

/* 1; or 0: whoever has so many answers waiting does not read them, and one more would be another to be kept. */
static int may_be_answered(struct service *s, sd_bus_message *m)
{
        struct caller *caller;
        int r;

        if (outbox_size(&s->outbox) > QUEUE_MAX)
                return 0;
        r = caller_find(s, m, &caller);
        return r < 0 ? r : account_add_answer(s, caller->user->account) >= 0;
}

/* Whether a call has us stay for as long as its caller likes, or polkit. While we leave, others wait for the next one. */
static bool keeps_us(sd_bus_message *m)
{
        return sd_bus_message_is_method_call(m, BUS_MANAGER, "Execute") ||
               sd_bus_message_is_method_call(m, BUS_MANAGER, "Run") ||
               sd_bus_message_is_method_call(m, BUS_MANAGER, "RunWithFds") ||
               sd_bus_message_is_method_call(m, BUS_MANAGER, "CancelJob") ||
               sd_bus_message_is_method_call(m, BUS_MANAGER, "Drain") ||
               sd_bus_message_is_method_call(m, BUS_MANAGER, "Resume") ||
               sd_bus_message_is_method_call(m, BUS_MANAGER, "StopAll") ||
               sd_bus_message_is_method_call(m, BUS_MANAGER, "Subscribe") ||
               sd_bus_message_is_method_call(m, BUS_JOB, "Wait");
}

/* Sees every message before libsystemd does anything with it. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct service *s = userdata;
        uint8_t type;
        int r;

        if (outbox_take_probe(&s->outbox, m))
                return 1;
        r = sd_bus_message_get_type(m, &type);
        if (r < 0 || type != SD_BUS_MESSAGE_METHOD_CALL)
                return 0;
        service_touch(s);
        /* libsystemd would make an answer with a number, and not send it; we would make one for nobody. */
        if (!sd_bus_message_get_expect_reply(m) && !does_something(m))
                return 1;
        r = may_be_answered(s, m);
        if (r == -EDQUOT)
                return sd_bus_reply_method_errorf(m, "org.sandboxd1.Error.Busy",
                        "this user calls with too many sets of groups: close connections, and try "
                        "again");
        if (r == -ETIMEDOUT)
                return sd_bus_reply_method_errorf(m, "org.sandboxd1.Error.Busy",
                        "the bus does not say in time who calls: try again");
        if (r <= 0) {
                log_debug("dropping a call of %s: too many answers wait for the bus, or it has "
                          "left",
                        sd_bus_message_get_sender(m));
                return 1;
        }
        if (s->leaving && keeps_us(m))
                return sd_bus_reply_method_errorf(m, "org.sandboxd1.Error.Busy",
                        "sandboxd-bus is just ending, since nobody used it: try again");
        if (strlen(sd_bus_message_get_path(m)) > NAME_MAX_SIZE)
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_UNKNOWN_OBJECT,
                        "no object's path is longer than %d bytes", NAME_MAX_SIZE);
        if (has_long_names(m))
                return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_INVALID_ARGS,
                        "an interface's or a property's name is longer than %d bytes",
                        NAME_MAX_SIZE);
        return 0;
}

static int on_name_lost(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const char *name, *old_owner, *new_owner;

        if (sd_bus_message_read(m, "sss", &name, &old_owner, &new_owner) >= 0 &&
                strnull(new_owner) && name[0] == ':')
                caller_gone(userdata, name);
        return 0;
}

static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct service *s = userdata;

        log_notice("the bus has gone: going too, to be started by the next one");
        return sd_event_exit(s->event, 0);
}

/* ---- Beginning ----------------------------------------------------------------------------------- */

/* Of the answer to RequestName. */
#define NAME_IS_OURS 1U
#define NAME_WAS_OURS 4U

static int on_named(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        struct service *s = userdata;
        uint32_t answer = 0;

        if (!error && sd_bus_message_read(m, "u", &answer) >= 0 &&
                (answer == NAME_IS_OURS || answer == NAME_WAS_OURS)) {
                (void) sd_notify(0, "READY=1");
                return 0;
        }
        log_error("the name " BUS_NAME " cannot be had: %s",
                error ? error->message
                      : "another process has it, see 'busctl status " BUS_NAME "'");
        return sd_event_exit(s->event, -EACCES);
}

static int ask_for_name(struct service *s)
{
        s->named = true;
        return sd_bus_request_name_async(s->bus, NULL, BUS_NAME, 0, on_named, s);
}

/* The name is asked for when the jobs are known, so that whoever had us started finds them. */
static void on_feed_settled(struct service *s)
{
        int r;

        if (s->named)
                return;
        r = ask_for_name(s);
        if (r < 0) {
                log_error("the name " BUS_NAME " cannot be asked for: %s", strerror(-r));
                (void) sd_event_exit(s->event, r);
        }
}

static int connect_bus(const struct service *s, const char *description, sd_bus **ret)
{
        _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
        int r;

        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_description(bus, description);
        if (r < 0)
                return r;
        r = sd_bus_set_address(bus,
                s->options.address ? s->options.address : "unix:path=/run/dbus/system_bus_socket");
        if (r < 0)
                return r;
        r = sd_bus_set_bus_client(bus, 1);
        if (r < 0)
                return r;
        r = sd_bus_negotiate_fds(bus, 1);
        if (r < 0)
                return r;
        r = sd_bus_set_connected_signal(bus, 0);
        if (r < 0)
                return r;
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

static int watch_connection(struct service *s, sd_bus *bus)
{
        return sd_bus_match_signal_async(bus, NULL, "org.freedesktop.DBus.Local", NULL,
                "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, s);
}

static int watch_bus(struct service *s)
{
        int r;

        r = sd_bus_add_filter(s->bus, NULL, on_message, s);
        if (r < 0)
                return r;
        r = watch_connection(s, s->bus);
        if (r < 0)
                return r;
        r = watch_connection(s, s->asking);
        if (r < 0)
                return r;
        /* Only names that go; and before any call is taken, so that no caller's leaving is missed. */
        r = sd_bus_add_match(s->bus, NULL,
                "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',"
                "interface='org.freedesktop.DBus',member='NameOwnerChanged',arg2=''",
                on_name_lost, s);
        if (r < 0)
                return r;
        r = callers_watch(s);
        if (r < 0)
                return r;
        r = manager_add(s);
        return r < 0 ? r : job_object_add(s);
}

/* ---- End ----------------------------------------------------------------------------------------- */

/* systemd has to know before the bus does that the name goes: else it would find us still active when the bus
 * asks for the service again, and nobody would start it. */
static void say_stopping(void)
{
        (void) sd_notify(0, "STOPPING=1");
        (void) sd_notify_barrier(0, USEC_PER_SEC);
}

static int on_released(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct service *s = userdata;

        s->released = true;
        return 0;
}

/* Calls that came before the name was given back come before the answer to that, and are answered. Whoever calls later
 * has the bus start another. */
static int leave(struct service *s)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        say_stopping();
        s->leaving = true;
        r = sd_bus_message_new_method_call(s->bus, &m, "org.freedesktop.DBus",
                "/org/freedesktop/DBus", "org.freedesktop.DBus", "ReleaseName");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", BUS_NAME);
        return r < 0 ? r : sd_bus_call_async(s->bus, NULL, m, on_released, s, RELEASE_USEC);
}

static int on_idle(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct service *s = userdata;
        int r = 0;

        if (!s->leaving && s->named && !service_is_busy(s))
                r = leave(s);
        if (r < 0)
                return sd_event_exit(s->event, r);
        if (s->released && s->n_calls == 0 && outbox_size(&s->outbox) == 0) {
                log_debug("idle: going");
                return sd_event_exit(s->event, 0);
        }
        outbox_watch(&s->outbox);
        (void) sd_event_source_set_time_relative(source,
                s->leaving ? LEAVING_USEC : s->options.idle_usec);
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int add_signals(struct service *s)
{
        static const int numbers[] = { SIGTERM, SIGINT };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(numbers); i++)
                r = sd_event_add_signal(s->event, NULL, numbers[i], NULL, NULL);
        return r;
}

int service_init(struct service *s, const struct service_options *options)
{
        int r;

        *s = (struct service) { .options = *options };
        LIST_INIT(&s->users);
        jobs_init(&s->jobs, s);
        questions_init(&s->questions);
        loans_init(&s->loans);
        r = memory_open(&s->memory);
        if (r < 0)
                log_warning("cannot see what files in memory hold (%s): who keeps them is not "
                            "stopped",
                        strerror(-r));
        r = sd_event_new(&s->event);
        if (r < 0)
                return r;
        r = loans_watch(s);
        if (r < 0)
                return r;
        r = listings_init(&s->listings, s->event);
        if (r < 0)
                return r;
        relays_init(&s->relays, s->event, NULL);
        r = add_signals(s);
        if (r < 0)
                return r;
        r = connect_bus(s, "sandboxd-bus", &s->bus);
        if (r < 0)
                return r;
        r = connect_bus(s, "sandboxd-bus-asking", &s->asking);
        if (r < 0)
                return r;
        r = outbox_init(&s->outbox, s);
        if (r < 0)
                return r;
        r = signals_init(&s->signals, s);
        if (r < 0)
                return r;
        r = watch_bus(s);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(s->bus, s->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        r = sd_bus_attach_event(s->asking, s->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0)
                return r;
        /* Not when the loop ends: see service_done(). */
        r = sd_bus_set_close_on_exit(s->asking, 0);
        if (r < 0)
                return r;
        if (s->options.idle_usec != UINT64_MAX) {
                r = sd_event_add_time_relative(s->event, &s->idle, CLOCK_MONOTONIC,
                        s->options.idle_usec, 1, on_idle, s);
                if (r < 0)
                        return r;
        }
        return feed_init(&s->feed, s, on_feed_settled);
}

int service_run(struct service *s)
{
        return sd_event_loop(s->event);
}

/* Answers that are on their way out are sent, but nobody is waited for. */
void service_done(struct service *s)
{
        say_stopping();
        callers_give_up(s);
        questions_done(&s->questions);
        feed_done(&s->feed);
        outbox_done(&s->outbox);
        runs_done(&s->runs);
        relays_done(&s->relays);
        listings_done(&s->listings);
        loans_done(&s->loans);
        memory_done(&s->memory);
        users_done(s);
        signals_done(&s->signals);
        jobs_done(&s->jobs);
        s->idle = sd_event_source_disable_unref(s->idle);
        s->bus = sd_bus_close_unref(s->bus);
        /* After the other: where the bus reads nothing from that, it sees that it was closed only when it has something to
         * say to it, as that a connection has gone. Then callers are told, and the name is free. */
        s->asking = sd_bus_close_unref(s->asking);
        s->event = sd_event_unref(s->event);
}
