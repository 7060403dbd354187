/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that the bus has not taken yet. Runs in sandboxd-bus.
 *
 * libsystemd says how many messages wait, its own answers among them, and numbers all in the order in which
 * they go out. So of the number that the last one has, as many as wait have not been taken.
 */
#include "daemon/bus/outbox.h"

#include "common/io.h"
#include "common/log.h"
#include "daemon/bus/call.h"

/* How often a message of our own asks for the last number, while others' answers wait. */
#define PROBE_USEC (100 * USEC_PER_MSEC)
/* In which such a message has to come back. Else it is looked at, so often, whether the bus takes anything. */
#define WATCH_USEC (5 * USEC_PER_SEC)
#define LOOK_USEC (1 * USEC_PER_SEC)
#define STILL_MOST 5

#define PROBE_INTERFACE "org.sandboxd1.Bus"
#define PROBE_MEMBER "Probe"

uint64_t outbox_size(const struct outbox *o)
{
        uint64_t n = 0;

        (void) sd_bus_get_n_queued_write(o->bus, &n);
        return n;
}

/* Up to which number all were taken, when the last one has that. */
static uint64_t taken_up_to(const struct outbox *o, uint64_t last_cookie)
{
        uint64_t waiting = outbox_size(o);

        return waiting == 0 ? UINT64_MAX : waiting < last_cookie ? last_cookie - waiting : 0;
}

/* Frees what was taken. */
static void settle(struct outbox *o, uint64_t last_cookie)
{
        uint64_t taken = taken_up_to(o, last_cookie);
        struct call *c;

        while ((c = TAILQ_FIRST(&o->calls)) && c->cookie <= taken) {
                TAILQ_REMOVE(&o->calls, c, waiting);
                call_free(c);
        }
        if (TAILQ_EMPTY(&o->calls))
                (void) sd_event_source_set_enabled(o->after, SD_EVENT_OFF);
}

static int on_after(sd_event_source *s, void *userdata)
{
        struct outbox *o = userdata;
        struct call *last = TAILQ_LAST(&o->calls, outbox_list);

        if (last)
                settle(o, last->cookie);
        return 0;
}

/* The number that the next message has, by sending one: to ourselves, and about nothing. */
static int ask_cookie(struct outbox *o, uint64_t *ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const char *name;
        int r;

        r = sd_bus_get_unique_name(o->bus, &name);
        if (r < 0)
                return r;
        r = sd_bus_message_new_signal(o->bus, &m, BUS_PATH, PROBE_INTERFACE, PROBE_MEMBER);
        if (r < 0)
                return r;
        r = sd_bus_message_set_destination(m, name);
        return r < 0 ? r : sd_bus_send(o->bus, m, ret);
}

/* libsystemd's own answers are between ours: so of ours alone the numbers say too little. */
static int on_probe(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct outbox *o = userdata;
        uint64_t cookie;

        if (ask_cookie(o, &cookie) >= 0) {
                settle(o, cookie);
                if (o->probed <= taken_up_to(o, cookie)) {
                        accounts_on_probe(o->service);
                        o->probed = cookie;
                }
        }
        (void) sd_event_source_set_time_relative(s, PROBE_USEC);
        return sd_event_source_set_enabled(s, outbox_size(o) > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

/* Whether the bus takes something: the kernel knows what of ours is not read. A message to ourselves that has not
 * come back may only be behind many that are ours to handle. */
static bool is_taken_from(struct outbox *o)
{
        int fd = sd_bus_get_fd(o->bus);
        size_t before = o->unread;

        if (fd < 0)
                return false;
        o->unread = io_socket_unread(fd);
        o->n_still = o->unread == 0 || o->unread < before ? 0 : o->n_still + 1;
        return o->n_still < STILL_MOST;
}

/* Answers that callers do not read are ours to the bus daemon, and when there are too many it takes no more
 * from us, for anybody. All that can be done about it is to begin anew, as somebody else to it. */
static int on_watch(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct outbox *o = userdata;

        if (o->heard)
                return 0;
        if (is_taken_from(o)) {
                (void) sd_event_source_set_time_relative(s, LOOK_USEC);
                return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
        }
        log_error("the bus takes no more answers, since callers do not read theirs: going, to be "
                  "started by the next call");
        return sd_event_exit(sd_event_source_get_event(s), -ESTALE);
}

static bool is_armed(sd_event_source *s)
{
        int enabled;

        return sd_event_source_get_enabled(s, &enabled) < 0 || enabled != SD_EVENT_OFF;
}

static void arm(sd_event_source *s, uint64_t usec)
{
        (void) sd_event_source_set_time_relative(s, usec);
        (void) sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

void outbox_watch(struct outbox *o)
{
        uint64_t cookie;

        if (outbox_size(o) > 0 && !is_armed(o->probe))
                arm(o->probe, PROBE_USEC);
        if (is_armed(o->watch) || ask_cookie(o, &cookie) < 0)
                return;
        o->heard = false;
        o->unread = 0;
        o->n_still = 0;
        arm(o->watch, WATCH_USEC);
}

bool outbox_take_probe(struct outbox *o, sd_bus_message *m)
{
        const char *name;

        if (!sd_bus_message_is_signal(m, PROBE_INTERFACE, PROBE_MEMBER) ||
                sd_bus_get_unique_name(o->bus, &name) < 0 ||
                !streq(name, sd_bus_message_get_sender(m)))
                return false;
        o->heard = true;
        return true;
}

int outbox_init(struct outbox *o, struct service *s)
{
        sd_event *event = s->event;
        int r;

        TAILQ_INIT(&o->calls);
        o->service = s;
        o->bus = s->bus;
        r = sd_event_add_post(event, &o->after, on_after, o);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(o->after, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event, &o->probe, CLOCK_MONOTONIC, PROBE_USEC, 1, on_probe,
                o);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(o->probe, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(event, &o->watch, CLOCK_MONOTONIC, WATCH_USEC, 1, on_watch,
                o);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(o->watch, SD_EVENT_OFF);
}

void outbox_done(struct outbox *o)
{
        struct call *c;

        while ((c = TAILQ_FIRST(&o->calls))) {
                TAILQ_REMOVE(&o->calls, c, waiting);
                call_free(c);
        }
        (void) sd_event_source_disable_unref(o->after);
        (void) sd_event_source_disable_unref(o->probe);
        (void) sd_event_source_disable_unref(o->watch);
}

void outbox_add(struct outbox *o, struct call *c)
{
        TAILQ_INSERT_TAIL(&o->calls, c, waiting);
        settle(o, c->cookie);
        if (TAILQ_EMPTY(&o->calls))
                return;
        (void) sd_event_source_set_enabled(o->after, SD_EVENT_ON);
        outbox_watch(o);
}
