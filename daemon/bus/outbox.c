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

/* How often it is looked at what the bus has taken, while it has not taken all. */
#define LOOK_USEC (100 * USEC_PER_MSEC)
/* Looks in a row, 10 s, at which it has not taken what was there at the first. */
#define STILL_MOST 100

/* What the kernel counts for a message in a socket, at least. */
#define MESSAGE_LEAST 512

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

/* What is sent and not read by the bus, in bytes, as the kernel knows it. */
static size_t unread(const struct outbox *o)
{
        int fd = sd_bus_get_fd(o->bus);

        return fd < 0 ? 0 : io_socket_unread(fd);
}

/* Whether the bus has taken all that there was at an earlier look; not just some of it, or who reads a little now and
 * then of much would have all others wait. A message to ourselves that came back says so; one that did not may only
 * be behind many that are ours to handle. So else the kernel is asked: all of it is written, and what the bus has not
 * read yet is no more than what was written since. */
static bool has_taken(struct outbox *o, uint64_t last_cookie, size_t bytes)
{
        uint64_t waiting = outbox_size(o), written = last_cookie - MIN(waiting, last_cookie);
        bool taken = o->heard >= o->mark ||
                     (written >= o->mark && bytes <= (written - o->mark) * MESSAGE_LEAST);

        if (taken)
                o->mark = last_cookie;
        return taken;
}

/* libsystemd's own answers are between ours: so of ours alone the numbers say too little. */
static void settle_by_probe(struct outbox *o, uint64_t cookie)
{
        settle(o, cookie);
        if (o->probed > taken_up_to(o, cookie))
                return;
        accounts_on_probe(o->service);
        o->probed = cookie;
}

/* Answers that callers do not read are ours to the bus daemon, and when there are too many it takes no more
 * from us, for anybody. All that can be done about it is to begin anew, as somebody else to it. */
static int on_look(sd_event_source *s, uint64_t usec, void *userdata)
{
        struct outbox *o = userdata;
        size_t bytes = unread(o);
        uint64_t cookie;

        if (outbox_size(o) == 0 && bytes == 0) {
                o->n_still = 0;
                return sd_event_source_set_enabled(s, SD_EVENT_OFF);
        }
        if (ask_cookie(o, &cookie) >= 0) {
                settle_by_probe(o, cookie);
                o->n_still = has_taken(o, cookie, bytes) ? 0 : o->n_still + 1;
        }
        if (o->n_still >= STILL_MOST) {
                log_error("the bus takes no more answers, since callers do not read theirs: going, "
                          "to be started by the next call");
                return sd_event_exit(sd_event_source_get_event(s), -ESTALE);
        }
        (void) sd_event_source_set_time_relative(s, LOOK_USEC);
        return sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

/* Before libsystemd waits at the end of the loop until the bus has taken all that it was sent: for ever, when it takes
 * nothing. */
static int on_exit_loop(sd_event_source *s, void *userdata)
{
        struct outbox *o = userdata;

        return o->n_still > 0 ? sd_bus_detach_event(o->bus) : 0;
}

void outbox_watch(struct outbox *o)
{
        int enabled;

        if (sd_event_source_get_enabled(o->look, &enabled) < 0 || enabled != SD_EVENT_OFF)
                return;
        (void) sd_event_source_set_time_relative(o->look, LOOK_USEC);
        (void) sd_event_source_set_enabled(o->look, SD_EVENT_ONESHOT);
}

bool outbox_take_probe(struct outbox *o, sd_bus_message *m)
{
        const char *name;

        if (!sd_bus_message_is_signal(m, PROBE_INTERFACE, PROBE_MEMBER) ||
                sd_bus_get_unique_name(o->bus, &name) < 0 ||
                !streq(name, sd_bus_message_get_sender(m)))
                return false;
        (void) sd_bus_message_get_cookie(m, &o->heard);
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
        r = sd_event_add_time_relative(event, &o->look, CLOCK_MONOTONIC, LOOK_USEC, 1, on_look, o);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(o->look, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_add_exit(event, &o->exit, on_exit_loop, o);
        if (r < 0)
                return r;
        return sd_event_source_set_priority(o->exit, SD_EVENT_PRIORITY_IMPORTANT);
}

void outbox_done(struct outbox *o)
{
        struct call *c;

        while ((c = TAILQ_FIRST(&o->calls))) {
                TAILQ_REMOVE(&o->calls, c, waiting);
                call_free(c);
        }
        (void) sd_event_source_disable_unref(o->after);
        (void) sd_event_source_disable_unref(o->look);
        (void) sd_event_source_disable_unref(o->exit);
}

void outbox_add(struct outbox *o, struct call *c)
{
        TAILQ_INSERT_TAIL(&o->calls, c, waiting);
        settle(o, c->cookie);
        if (!TAILQ_EMPTY(&o->calls))
                (void) sd_event_source_set_enabled(o->after, SD_EVENT_ON);
        outbox_watch(o);
}
