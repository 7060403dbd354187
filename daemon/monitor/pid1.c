/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speaks D-Bus with pid 1. Runs in the monitor; asynchronous throughout, and connects again by
 * itself when pid 1 executed itself anew.
 */
#include "daemon/monitor/pid1.h"

#include <signal.h>

#include "common/log.h"

#define DESTINATION "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER "org.freedesktop.systemd1.Manager"
#define UNIT "org.freedesktop.systemd1.Unit"
/* Between two tries to connect. */
#define RETRY_USEC (100 * USEC_PER_MSEC)
/* For calls that can be made again. */
#define CALL_TIMEOUT_USEC (5 * USEC_PER_SEC)
/* How long stopping a scope may take before systemd kills again and says it failed. */
#define STOP_TIMEOUT_USEC (5 * USEC_PER_SEC)

static int on_job_new(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct pid1 *p = userdata;
        const char *job, *unit;
        uint32_t id;

        if (sd_bus_message_read(m, "uos", &id, &job, &unit) >= 0)
                p->handler->job_new(p->userdata, unit, job);
        return 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct pid1 *p = userdata;
        const char *job, *unit, *result;
        uint32_t id;

        if (sd_bus_message_read(m, "uoss", &id, &job, &unit, &result) >= 0)
                p->handler->job_removed(p->userdata, unit, job, result);
        return 0;
}

static void try_again(struct pid1 *p)
{
        (void) sd_event_source_set_time_relative(p->retry, RETRY_USEC);
        (void) sd_event_source_set_enabled(p->retry, SD_EVENT_ONESHOT);
}

/* The connection itself goes when the next try is made: its own callback is no place for that. */
static int on_disconnected(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct pid1 *p = userdata;

        if (p->connected) {
                log_debug("pid 1 closed the connection");
                p->connected = false;
                p->handler->lost(p->userdata);
        }
        try_again(p);
        return 0;
}

static int watch_signals(struct pid1 *p)
{
        int r;

        r = sd_bus_match_signal(p->bus, NULL, NULL, MANAGER_PATH, MANAGER, "JobNew", on_job_new, p);
        if (r >= 0)
                r = sd_bus_match_signal(p->bus, NULL, NULL, MANAGER_PATH, MANAGER, "JobRemoved",
                        on_job_removed, p);
        if (r >= 0)
                r = sd_bus_match_signal(p->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                        "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, p);
        return r;
}

static void drop_bus(struct pid1 *p)
{
        if (p->bus) {
                (void) sd_bus_detach_event(p->bus);
                p->bus = sd_bus_close_unref(p->bus);
        }
}

static int open_bus(struct pid1 *p)
{
        int r;

        r = sd_bus_new(&p->bus);
        if (r >= 0)
                r = sd_bus_set_address(p->bus, p->address);
        if (r >= 0)
                r = sd_bus_start(p->bus);
        if (r >= 0)
                r = watch_signals(p);
        if (r >= 0)
                /* What systemd says it will do is heard before what it did is seen. */
                r = sd_bus_attach_event(p->bus, p->event, SD_EVENT_PRIORITY_NORMAL - 2);
        return r;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct pid1 *p = userdata;
        int r;

        drop_bus(p);
        r = open_bus(p);
        if (r < 0) {
                log_debug("pid 1 is not reachable: %s", strerror(-r));
                drop_bus(p);
                try_again(p);
                return 0;
        }
        p->connected = true;
        p->handler->connected(p->userdata);
        return 0;
}

int pid1_init(struct pid1 *p, sd_event *event, const char *address,
        const struct pid1_handler *handler, void *userdata)
{
        *p = (struct pid1) {
                .event = event,
                .address = address,
                .handler = handler,
                .userdata = userdata,
        };
        return sd_event_add_time_relative(event, &p->retry, CLOCK_MONOTONIC, 0, 1, on_retry, p);
}

void pid1_done(struct pid1 *p)
{
        p->retry = sd_event_source_disable_unref(p->retry);
        drop_bus(p);
}

bool pid1_has_ended(const struct pid1 *p)
{
        return sd_bus_is_open(p->bus) <= 0;
}

static int new_call(struct pid1 *p, const char *path, const char *interface, const char *member,
        sd_bus_message **ret)
{
        if (!p->connected)
                return -ENOTCONN;
        return sd_bus_message_new_method_call(p->bus, ret, DESTINATION, path, interface, member);
}

static int call(struct pid1 *p, sd_bus_message *m, sd_bus_message_handler_t callback,
        void *userdata, uint64_t timeout, sd_bus_slot **ret_slot)
{
        int r = sd_bus_call_async(p->bus, ret_slot, m, callback, userdata, timeout);

        /* That it has ended may be found out by writing, as EPIPE or ECONNRESET. */
        if (r < 0 && pid1_has_ended(p))
                return -ENOTCONN;
        return MIN(r, 0);
}

static int append_limits(sd_bus_message *m, const struct pid1_scope *s)
{
        int r;

        r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)", "MemoryMax", "t", s->memory_max,
                "MemorySwapMax", "t", UINT64_C(0), "TasksMax", "t", s->tasks_max,
                "CPUQuotaPerSecUSec", "t", s->cpu_quota_usec_per_sec, "RuntimeMaxUSec", "t",
                s->runtime_max_usec);
        if (r < 0)
                return r;
        /* A leaf's OOM is that job's verdict, and no reason to kill the one that reports it. The
         * init of a pid namespace ignores SIGTERM: stopping begins with SIGKILL. */
        return sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "Delegate", "b", 1, "OOMPolicy", "s",
                "continue", "KillSignal", "i", SIGKILL, "TimeoutStopUSec", "t", STOP_TIMEOUT_USEC);
}

static int append_scope(sd_bus_message *m, const struct pid1_scope *s)
{
        int r;

        r = sd_bus_message_append(m, "ss", s->name, "fail");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s",
                        s->description, "Slice", "s", s->slice, "PIDs", "au", 1, (uint32_t) s->pid,
                        "CollectMode", "s", "inactive-or-failed", "PartOf", "as", 1, s->part_of,
                        "After", "as", 1, s->part_of);
        if (r >= 0)
                r = append_limits(m, s);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "a(sa(sv))", 0);
        return r;
}

int pid1_start_scope(struct pid1 *p, const struct pid1_scope *scope,
        sd_bus_message_handler_t callback, void *userdata, sd_bus_slot **ret_slot)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_call(p, MANAGER_PATH, MANAGER, "StartTransientUnit", &m);
        if (r >= 0)
                r = append_scope(m, scope);
        /* Whoever waits has a deadline of its own; that a call was forgotten would not undo it. */
        return r < 0 ? r : call(p, m, callback, userdata, UINT64_MAX, ret_slot);
}

int pid1_list_units(struct pid1 *p, const char *pattern, sd_bus_message_handler_t callback,
        void *userdata, sd_bus_slot **ret_slot)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_call(p, MANAGER_PATH, MANAGER, "ListUnitsByPatterns", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "asas", 0, 1, pattern);
        return r < 0 ? r : call(p, m, callback, userdata, CALL_TIMEOUT_USEC, ret_slot);
}

int pid1_stop_unit(struct pid1 *p, const char *name, sd_bus_message_handler_t callback,
        void *userdata, sd_bus_slot **ret_slot)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = new_call(p, MANAGER_PATH, MANAGER, "StopUnit", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", name, "replace");
        return r < 0 ? r : call(p, m, callback, userdata, CALL_TIMEOUT_USEC, ret_slot);
}

int pid1_get_active_state(struct pid1 *p, const char *name, sd_bus_message_handler_t callback,
        void *userdata, sd_bus_slot **ret_slot)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = sd_bus_path_encode(MANAGER_PATH "/unit", name, &path);
        if (r >= 0)
                r = new_call(p, path, "org.freedesktop.DBus.Properties", "Get", &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", UNIT, "ActiveState");
        return r < 0 ? r : call(p, m, callback, userdata, CALL_TIMEOUT_USEC, ret_slot);
}
