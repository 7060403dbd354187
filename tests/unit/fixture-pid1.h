/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A systemd of the test's own, on the test's own loop: it takes what the scope driver asks, notes it,
 * and answers as it is told to.
 */

#include <check.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "common/macro.h"

#define FAKE_MANAGER_PATH "/org/freedesktop/systemd1"
#define FAKE_MANAGER "org.freedesktop.systemd1.Manager"
#define FAKE_UNITS 512

struct fake_unit {
        char name[64];
        char state[16]; /* ActiveState */
        uint32_t job;   /* that starts it; 0 when it has started */
        bool is_started_by_driver;
};

static struct fake_pid1 {
        sd_event *event;
        char address[64];
        int listen_fd;
        sd_event_source *source;
        sd_bus *bus; /* of the driver */

        /* How it answers. */
        bool mute;               /* it keeps StartTransientUnit and Get unanswered */
        bool idle;               /* it answers, and its jobs do not end */
        bool lazy;               /* it answers StopUnit, and stops nothing */
        const char *refuse_name; /* an error instead of a job */
        const char *refuse_message;
        const char *result;      /* of jobs that start something */
        const char *strange_job; /* the path of a job, which no systemd has */

        /* What it was asked. */
        char history[16384];   /* "list", "start NAME", "stop NAME", a line each */
        char properties[4096]; /* of the last scope, "NAME=SIGNATURE VALUE" a line each */
        char mode[16];
        unsigned n_started, n_stopped, n_listed, n_asked, n_connected;
        sd_bus_message *held[FAKE_UNITS];
        unsigned n_held;

        struct fake_unit units[FAKE_UNITS];
        unsigned n_units;
        uint32_t next_job;
} fake;

static void fake_note(const char *what, const char *name)
{
        size_t n = strlen(fake.history);

        (void) snprintf(fake.history + n, sizeof(fake.history) - n, "%s%s%s\n", what,
                name[0] ? " " : "", name);
}

static struct fake_unit *fake_find(const char *name)
{
        for (unsigned i = 0; i < fake.n_units; i++)
                if (streq(fake.units[i].name, name))
                        return &fake.units[i];
        return NULL;
}

static struct fake_unit *fake_add_unit(const char *name, const char *state)
{
        struct fake_unit *u;

        ck_assert_uint_lt(fake.n_units, FAKE_UNITS);
        u = &fake.units[fake.n_units++];
        *u = (struct fake_unit) {};
        ck_assert_int_eq(str_copy(u->name, sizeof(u->name), name), 0);
        ck_assert_int_eq(str_copy(u->state, sizeof(u->state), state), 0);
        return u;
}

static void fake_remove_unit(const char *name)
{
        struct fake_unit *u = fake_find(name);

        if (u)
                *u = fake.units[--fake.n_units];
}

static void fake_job_path(uint32_t job, char buf[static 64])
{
        (void) snprintf(buf, 64, FAKE_MANAGER_PATH "/job/%u", job);
}

static void fake_job_new(uint32_t job, const char *unit)
{
        char path[64];

        fake_job_path(job, path);
        ck_assert_int_ge(sd_bus_emit_signal(fake.bus, FAKE_MANAGER_PATH, FAKE_MANAGER, "JobNew",
                                 "uos", job, path, unit),
                0);
}

static void fake_job_removed(uint32_t job, const char *unit, const char *result)
{
        char path[64];

        fake_job_path(job, path);
        ck_assert_int_ge(sd_bus_emit_signal(fake.bus, FAKE_MANAGER_PATH, FAKE_MANAGER, "JobRemoved",
                                 "uoss", job, path, unit, result),
                0);
}

/* The job that starts a unit ends. */
static void fake_end_job(struct fake_unit *u, const char *result)
{
        uint32_t job = u->job;
        char name[64];

        memcpy(name, u->name, sizeof(name));
        u->job = 0;
        if (streq(result, "done"))
                ck_assert_int_eq(str_copy(u->state, sizeof(u->state), "active"), 0);
        else
                fake_remove_unit(name);
        fake_job_removed(job, name, result);
}

static int fake_answer_start(sd_bus_message *m, const char *name)
{
        struct fake_unit *u;
        char path[64];
        int r;

        if (fake_find(name))
                return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.UnitExists",
                        "Unit %s was already loaded or has a fragment file.", name);
        if (fake.refuse_name)
                return sd_bus_reply_method_errorf(m, fake.refuse_name, "%s", fake.refuse_message);
        if (fake.strange_job)
                return sd_bus_reply_method_return(m, "o", fake.strange_job);
        u = fake_add_unit(name, "inactive");
        u->is_started_by_driver = true;
        u->job = ++fake.next_job;
        fake_job_new(u->job, name);
        fake_job_path(u->job, path);
        r = sd_bus_reply_method_return(m, "o", path);
        if (!fake.idle)
                fake_end_job(u, fake.result);
        return r;
}

/* One property as text. */
static void fake_read_property(sd_bus_message *m, char *text, size_t size)
{
        const char *name, *contents, *string;
        union {
                uint64_t t;
                uint32_t u;
                int32_t i;
                int b;
        } v = {};
        size_t n;
        char type;

        ck_assert_int_gt(sd_bus_message_enter_container(m, 'r', "sv"), 0);
        ck_assert_int_gt(sd_bus_message_read(m, "s", &name), 0);
        ck_assert_int_gt(sd_bus_message_peek_type(m, &type, &contents), 0);
        n = (size_t) snprintf(text, size, "%s=%s ", name, contents);
        ck_assert_int_gt(sd_bus_message_enter_container(m, 'v', contents), 0);
        if (streq(contents, "as")) {
                ck_assert_int_gt(sd_bus_message_enter_container(m, 'a', "s"), 0);
                while (sd_bus_message_read(m, "s", &string) > 0)
                        n += (size_t) snprintf(text + n, size - n, "[%s]", string);
                ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
        } else if (streq(contents, "au")) {
                ck_assert_int_gt(sd_bus_message_enter_container(m, 'a', "u"), 0);
                while (sd_bus_message_read(m, "u", &v.u) > 0)
                        n += (size_t) snprintf(text + n, size - n, "[%u]", v.u);
                ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
        } else if (streq(contents, "s")) {
                ck_assert_int_gt(sd_bus_message_read(m, "s", &string), 0);
                n += (size_t) snprintf(text + n, size - n, "%s", string);
        } else {
                ck_assert_int_gt(sd_bus_message_read(m, contents, &v), 0);
                n += (size_t) snprintf(text + n, size - n, "%llu",
                        contents[0] == 't' ? (unsigned long long) v.t : (unsigned long long) v.u);
        }
        (void) snprintf(text + n, size - n, "\n");
        ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
        ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
}

static void fake_read_properties(sd_bus_message *m)
{
        fake.properties[0] = '\0';
        ck_assert_int_gt(sd_bus_message_enter_container(m, 'a', "(sv)"), 0);
        while (sd_bus_message_at_end(m, false) == 0) {
                size_t n = strlen(fake.properties);

                fake_read_property(m, fake.properties + n, sizeof(fake.properties) - n);
        }
        ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
        /* No units beside it. */
        ck_assert_int_gt(sd_bus_message_enter_container(m, 'a', "(sa(sv))"), 0);
        ck_assert_int_ne(sd_bus_message_at_end(m, false), 0);
        ck_assert_int_ge(sd_bus_message_exit_container(m), 0);
}

static void fake_hold(sd_bus_message *m)
{
        ck_assert_uint_lt(fake.n_held, FAKE_UNITS);
        fake.held[fake.n_held++] = sd_bus_message_ref(m);
}

static int fake_on_start(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const char *name, *mode;

        ck_assert_int_gt(sd_bus_message_read(m, "ss", &name, &mode), 0);
        ck_assert_int_eq(str_copy(fake.mode, sizeof(fake.mode), mode), 0);
        fake_read_properties(m);
        fake_note("start", name);
        fake.n_started++;
        if (fake.mute) {
                fake_hold(m);
                return 1;
        }
        return fake_answer_start(m, name);
}

static int fake_on_stop(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const char *name, *mode;
        uint32_t job = ++fake.next_job;
        char path[64];

        ck_assert_int_gt(sd_bus_message_read(m, "ss", &name, &mode), 0);
        ck_assert_str_eq(mode, "replace");
        fake_note("stop", name);
        fake.n_stopped++;
        if (!fake_find(name))
                return sd_bus_reply_method_errorf(m, "org.freedesktop.systemd1.NoSuchUnit",
                        "Unit %s not loaded.", name);
        fake_job_path(job, path);
        fake_job_new(job, name);
        if (!fake.lazy) {
                fake_remove_unit(name);
                fake_job_removed(job, name, "done");
        }
        return sd_bus_reply_method_return(m, "o", path);
}

static int fake_on_list(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        fake_note("list", "");
        fake.n_listed++;
        ck_assert_int_ge(sd_bus_message_new_method_return(m, &reply), 0);
        ck_assert_int_ge(sd_bus_message_open_container(reply, 'a', "(ssssssouso)"), 0);
        for (unsigned i = 0; i < fake.n_units; i++)
                ck_assert_int_ge(sd_bus_message_append(reply, "(ssssssouso)", fake.units[i].name,
                                         "of a test", "loaded", fake.units[i].state, "running", "",
                                         "/unit", 0, "", "/"),
                        0);
        ck_assert_int_ge(sd_bus_message_close_container(reply), 0);
        return sd_bus_send(NULL, reply, NULL);
}

static int fake_on_get(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_free_ char *name = NULL;
        const char *interface, *property;
        struct fake_unit *u;

        if (!sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Get"))
                return 0;
        ck_assert_int_gt(sd_bus_path_decode(sd_bus_message_get_path(m), FAKE_MANAGER_PATH "/unit",
                                 &name),
                0);
        ck_assert_int_gt(sd_bus_message_read(m, "ss", &interface, &property), 0);
        ck_assert_str_eq(interface, "org.freedesktop.systemd1.Unit");
        ck_assert_str_eq(property, "ActiveState");
        fake.n_asked++;
        if (fake.mute) {
                fake_hold(m);
                return 1;
        }
        u = fake_find(name);
        if (!u)
                return sd_bus_reply_method_errorf(m, "org.freedesktop.DBus.Error.UnknownObject",
                        "Unknown object '%s'.", sd_bus_message_get_path(m));
        return sd_bus_reply_method_return(m, "v", "s", u->state);
}

static void fake_drop_held(void)
{
        while (fake.n_held > 0)
                sd_bus_message_unref(fake.held[--fake.n_held]);
}

/* Answers what was kept, in the order in which it came. */
static void fake_release(void)
{
        fake.mute = false;
        for (unsigned i = 0; i < fake.n_held; i++) {
                sd_bus_message *m = fake.held[i];
                const char *name;

                ck_assert_int_ge(sd_bus_message_rewind(m, true), 0);
                if (sd_bus_message_is_method_call(m, FAKE_MANAGER, NULL)) {
                        ck_assert_int_gt(sd_bus_message_read(m, "s", &name), 0);
                        ck_assert_int_ge(fake_answer_start(m, name), 0);
                } else {
                        ck_assert_int_ge(fake_on_get(m, NULL, NULL), 0);
                }
        }
        fake_drop_held();
}

/* Ends the connection, as a systemd does that executes itself anew: what it did not answer, it never
 * will. */
static void fake_disconnect(void)
{
        fake_drop_held();
        if (fake.bus) {
                (void) sd_bus_flush(fake.bus);
                fake.bus = sd_bus_close_unref(fake.bus);
        }
}

static int fake_on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        static const sd_bus_vtable manager[] = {
                SD_BUS_VTABLE_START(0),
                SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", fake_on_start,
                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("StopUnit", "ss", "o", fake_on_stop, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("ListUnitsByPatterns", "asas", "a(ssssssouso)", fake_on_list,
                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_VTABLE_END,
        };
        sd_id128_t id;
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        ck_assert_int_ge(client, 0);
        fake_disconnect();
        fake.n_connected++;
        ck_assert_int_ge(sd_id128_randomize(&id), 0);
        ck_assert_int_ge(sd_bus_new(&fake.bus), 0);
        ck_assert_int_ge(sd_bus_set_fd(fake.bus, client, client), 0);
        ck_assert_int_ge(sd_bus_set_server(fake.bus, true, id), 0);
        ck_assert_int_ge(sd_bus_set_anonymous(fake.bus, true), 0);
        ck_assert_int_ge(sd_bus_start(fake.bus), 0);
        ck_assert_int_ge(sd_bus_add_object_vtable(fake.bus, NULL, FAKE_MANAGER_PATH, FAKE_MANAGER,
                                 manager, NULL),
                0);
        ck_assert_int_ge(sd_bus_add_fallback(fake.bus, NULL, FAKE_MANAGER_PATH "/unit", fake_on_get,
                                 NULL),
                0);
        ck_assert_int_ge(sd_bus_attach_event(fake.bus, fake.event, SD_EVENT_PRIORITY_NORMAL), 0);
        return 0;
}

/* It is there, and takes connections. */
static void fake_listen(void)
{
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        int n;

        fake.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        ck_assert_int_ge(fake.listen_fd, 0);
        /* An abstract name: nothing is left of it, however the test ends. */
        n = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1, "test-pid1-%d", (int) getpid());
        ck_assert_int_eq(bind(fake.listen_fd, (struct sockaddr *) &sun,
                                 (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 +
                                              (size_t) n)),
                0);
        ck_assert_int_eq(listen(fake.listen_fd, 8), 0);
        ck_assert_int_ge(sd_event_add_io(fake.event, &fake.source, fake.listen_fd, EPOLLIN,
                                 fake_on_connection, NULL),
                0);
}

/* It is away altogether. */
static void fake_unlisten(void)
{
        fake_disconnect();
        fake.source = sd_event_source_disable_unref(fake.source);
        fake.listen_fd = safe_close(fake.listen_fd);
}

static void fake_setup(sd_event *event)
{
        fake = (struct fake_pid1) { .event = event, .listen_fd = -EBADF, .result = "done" };
        (void) snprintf(fake.address, sizeof(fake.address), "unix:abstract=test-pid1-%d",
                (int) getpid());
}
