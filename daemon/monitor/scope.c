/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scope driver: asks systemd for a transient scope around each sandbox's init, and makes the
 * leaves in it. Runs in the monitor; asynchronous, and fails closed: a sandbox that has no scope
 * within a deadline has none at all.
 *
 * While a request is with systemd it names init by its pid. So until the answer is there init stays
 * a zombie at least, or systemd could put a stranger into the scope (see settle in driver.h).
 */
#include <inttypes.h>
#include <stdio.h>
#include <sys/queue.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/monitor/pid1.h"
#include "daemon/monitor/scope-leaves.h"
#include "daemon/monitor/scope.h"
#include "daemon/wire/channel.h"

#define SERVICE "sandboxd.service"
#define NAME_MAX_BYTES sizeof("sandbox-0123456789abcdef.scope")
#define BUCKETS 256 /* a power of two */

/* Requests with systemd at one time: it handles them in turn, at 2 ms each. */
#define IN_FLIGHT_MAX 64
/* When what pid 1 still holds of an earlier life is looked at again; twice as long each time, up to a
 * second or so. */
#define AGAIN_USEC (20 * USEC_PER_MSEC)
/* As many looks later, a scope that is still there is a matter for the administrator. */
#define LOOKS_BEFORE_WARNING 8

/* What a scope allows beyond the job's limits, which are on the job's own leaf: init's part. */
#define MEMORY_SLACK (16 * MIB)
#define TASKS_SLACK 8
#define CPU_SLACK_PERCENT 10
/* systemd ends the job should the daemon not: it has had its time, and that for its set-up. */
#define RUNTIME_SLACK_USEC (45 * USEC_PER_SEC)

enum scope_state {
        SCOPE_QUEUED,   /* waits to be asked for */
        SCOPE_ASKED,    /* systemd has not answered the call */
        SCOPE_STARTING, /* systemd has a job for it */
        SCOPE_MADE,
        SCOPE_FAILED,
};

struct scope {
        struct scope_driver *driver;
        struct placement *place;
        struct scope *next; /* in its bucket */
        TAILQ_ENTRY(scope) queue;
        enum scope_state state;
        uint64_t job;
        char name[NAME_MAX_BYTES];
        char start_job[64]; /* object path of systemd's job */
        pid_t pid;
        bool asked;     /* at least once: systemd may have a unit of that name */
        bool later;     /* not to be asked for before the next look */
        bool answered;  /* made() was called */
        bool started;   /* its start job ended well: it was there, whatever came of it */
        bool stopped;   /* a job that is not ours was there for it */
        bool withdrawn; /* not wanted any more, which systemd was told or will be */
        bool unheard;   /* a job to stop it may have been missed: there was no connection */
        sd_bus_slot *call;
        sd_bus_slot *question;
        sd_event_source *deadline;
        sd_event_source *patience; /* the question waits for a connection, until then */
};

TAILQ_HEAD(scope_queue, scope);

struct scope_driver {
        struct driver driver;
        uint64_t timeout_usec;
        sd_event *event;
        struct pid1 pid1;
        char *mounts; /* of the cgroup file systems, as mountinfo has them */
        struct scope *buckets[BUCKETS];
        struct scope_queue queue;
        unsigned in_flight;
        uint64_t progress_usec; /* when systemd was last done with one */
        bool swept;             /* nothing of an earlier life is left with pid 1 */
        bool sweeping;  /* its scopes are looked for: at start, and on each new connection */
        unsigned looks; /* at them, since then */
        sd_bus_slot *sweep_call;
        sd_event_source *again;
};

static const bool transitions[][SCOPE_FAILED + 1] = {
        [SCOPE_QUEUED] = { [SCOPE_ASKED] = true, [SCOPE_FAILED] = true },
        [SCOPE_ASKED] = { [SCOPE_QUEUED] = true,
                [SCOPE_STARTING] = true,
                [SCOPE_MADE] = true,
                [SCOPE_FAILED] = true },
        [SCOPE_STARTING] = { [SCOPE_QUEUED] = true, [SCOPE_MADE] = true, [SCOPE_FAILED] = true },
        [SCOPE_MADE] = {},
        [SCOPE_FAILED] = {},
};

static bool is_in_flight(enum scope_state state)
{
        return state == SCOPE_ASKED || state == SCOPE_STARTING;
}

static void set_state(struct scope *s, enum scope_state state)
{
        struct scope_driver *c = s->driver;
        enum scope_state before = s->state;

        ASSERT(transitions[s->state][state]);
        if (s->state == SCOPE_QUEUED)
                TAILQ_REMOVE(&c->queue, s, queue);
        c->in_flight -= is_in_flight(s->state);
        s->state = state;
        c->in_flight += is_in_flight(s->state);
        if (before != SCOPE_QUEUED && s->state != SCOPE_QUEUED && !is_in_flight(s->state))
                c->progress_usec = io_now_usec();
        if (s->state == SCOPE_QUEUED)
                TAILQ_INSERT_TAIL(&c->queue, s, queue);
}

static struct scope **bucket_of(struct scope_driver *c, uint64_t job)
{
        return &c->buckets[job & (BUCKETS - 1)];
}

static struct scope *find(struct scope_driver *c, uint64_t job)
{
        for (struct scope *s = *bucket_of(c, job); s; s = s->next)
                if (s->job == job)
                        return s;
        return NULL;
}

/* The job that a unit is the scope of; 0 when it is none of ours. */
static uint64_t parse_name(const char *unit)
{
        char expected[NAME_MAX_BYTES];
        uint64_t job;

        if (sscanf(unit, "sandbox-%16" SCNx64 ".scope", &job) != 1)
                return 0;
        (void) snprintf(expected, sizeof(expected), "sandbox-%016" PRIx64 ".scope", job);
        return streq(unit, expected) ? job : 0;
}

static struct scope *find_unit(struct scope_driver *c, const char *unit)
{
        uint64_t job = parse_name(unit);

        return job != 0 ? find(c, job) : NULL;
}

static void free_scope(struct scope *s)
{
        struct scope **at = bucket_of(s->driver, s->job);

        if (s->state == SCOPE_QUEUED)
                TAILQ_REMOVE(&s->driver->queue, s, queue);
        s->driver->in_flight -= is_in_flight(s->state);
        while (*at != s)
                at = &(*at)->next;
        *at = s->next;
        s->call = sd_bus_slot_unref(s->call);
        s->question = sd_bus_slot_unref(s->question);
        s->deadline = sd_event_source_disable_unref(s->deadline);
        s->patience = sd_event_source_disable_unref(s->patience);
        s->place->scope = NULL;
        free(s);
}

static int on_stopped(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        /* No such unit, most of the time: then there is nothing to stop. */
        return 0;
}

/* A scope without a live process is not collected by itself. */
static void stop_unit(struct scope_driver *c, const char *name)
{
        (void) pid1_stop_unit(&c->pid1, name, on_stopped, NULL, NULL);
}

static void answer(struct scope *s, int r, const char *detail)
{
        s->deadline = sd_event_source_disable_unref(s->deadline);
        if (s->answered)
                return;
        s->answered = true;
        s->place->made(s->place, r, detail);
}

static void pump(struct scope_driver *c);

static void finish(struct scope *s, int r, const char *detail)
{
        struct scope_driver *c = s->driver;

        set_state(s, r < 0 ? SCOPE_FAILED : SCOPE_MADE);
        answer(s, r, detail);
        pump(c);
}

static int make_leaves(struct scope *s, struct error *ret_error)
{
        if (s->answered)
                return error_set(ret_error, -ETIMEDOUT, "too late");
        return scope_leaves_make(s->driver->mounts, s->pid, s->name, &s->place->leaves, ret_error);
}

static void set_deadline(struct scope *s, uint64_t from)
{
        (void) sd_event_source_set_time(s->deadline, from + s->driver->timeout_usec);
        (void) sd_event_source_set_enabled(s->deadline, SD_EVENT_ONESHOT);
}

/* In the queue, and systemd is at work on what is before it. */
static bool moves_on(const struct scope *s, uint64_t now)
{
        const struct scope_driver *c = s->driver;

        return c->pid1.connected && c->swept && !s->later &&
               now - c->progress_usec < c->timeout_usec;
}

static const char *reason_to_wait(const struct scope *s)
{
        if (!s->driver->pid1.connected)
                return "it is not reachable";
        if (!s->driver->swept)
                return "what an earlier life left is still there";
        return s->later ? "another unit has its name" : "too many are waiting";
}

/* One that was asked for by an earlier connection may still have a start job, which names init by its
 * pid: it stays in the queue until settle() has it stopped. */
static void give_up_in_queue(struct scope *s)
{
        if (s->asked)
                answer(s, -ETIMEDOUT, reason_to_wait(s));
        else
                finish(s, -ETIMEDOUT, reason_to_wait(s));
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct scope *s = userdata;

        if (s->state != SCOPE_QUEUED)
                answer(s, -ETIMEDOUT, "no answer in time");
        else if (moves_on(s, io_now_usec()))
                set_deadline(s, s->driver->progress_usec);
        else
                give_up_in_queue(s);
        return 0;
}

/* When a stray, or a unit that is in the way, may be gone. */
static void look_again(struct scope_driver *c)
{
        int on;

        if (sd_event_source_get_enabled(c->again, &on) >= 0 && on != SD_EVENT_OFF)
                return;
        (void) sd_event_source_set_time_relative(c->again, AGAIN_USEC << MIN(c->looks, 6U));
        (void) sd_event_source_set_enabled(c->again, SD_EVENT_ONESHOT);
}

/* Asked for by a connection that was lost since: the unit is there, and init in it or soon. */
static void take_existing(struct scope *s)
{
        struct error error = {};
        int r;

        r = make_leaves(s, &error);
        if (r == -ENOENT) {
                s->later = true;
                set_state(s, SCOPE_QUEUED);
                look_again(s->driver);
                return;
        }
        finish(s, r, error.text);
}

static int on_started(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const sd_bus_error *error = sd_bus_message_get_error(m);
        struct scope *s = userdata;
        const char *job;

        s->call = sd_bus_slot_unref(s->call);
        if (pid1_has_ended(&s->driver->pid1))
                return 0; /* on_lost() has it asked for again */
        if (sd_bus_error_has_name(error, "org.freedesktop.systemd1.UnitExists"))
                take_existing(s);
        else if (error)
                finish(s, -sd_bus_error_get_errno(error), error->message ?: error->name);
        else if (sd_bus_message_read(m, "o", &job) < 0 ||
                 str_copy(s->start_job, sizeof(s->start_job), job) < 0)
                finish(s, -EBADMSG, "an answer that is none");
        else
                set_state(s, SCOPE_STARTING);
        return 0;
}

static int ask(struct scope *s)
{
        const struct limits *limits = &s->place->limits;
        char slice[64], description[96];
        const struct pid1_scope scope = {
                .name = s->name,
                .slice = slice,
                .description = description,
                .part_of = SERVICE,
                .pid = s->pid,
                .memory_max = limits->value[LIMIT_MEMORY] + MEMORY_SLACK,
                .tasks_max = limits->value[LIMIT_PIDS] + TASKS_SLACK,
                .cpu_quota_usec_per_sec =
                        (limits->value[LIMIT_CPU_QUOTA] + CPU_SLACK_PERCENT) * (USEC_PER_SEC / 100),
                .runtime_max_usec =
                        limits->value[LIMIT_WALL_TIME] + s->place->extra_usec + RUNTIME_SLACK_USEC,
        };

        (void) snprintf(slice, sizeof(slice), "sandbox-u%" PRIu32 ".slice", s->place->owner);
        /* One that is made ahead of time has the name of no job. */
        (void) snprintf(description, sizeof(description),
                s->job & CHANNEL_ID_PARKED ? "Sandbox %016" PRIx64
                                             ", made ahead of time for uid %" PRIu32
                                           : "Sandbox of job %016" PRIx64 " for uid %" PRIu32,
                s->job, s->place->owner);
        if (!s->asked)
                set_deadline(s, io_now_usec());
        s->asked = true;
        return pid1_start_scope(&s->driver->pid1, &scope, on_started, s, &s->call);
}

/* Asks for what is queued, as far as systemd should be asked at one time. */
static void pump(struct scope_driver *c)
{
        struct scope *s, *next;

        if (!c->swept || !c->pid1.connected)
                return;
        for (s = TAILQ_FIRST(&c->queue); s && c->in_flight < IN_FLIGHT_MAX; s = next) {
                int r;

                next = TAILQ_NEXT(s, queue);
                if (s->later || s->withdrawn || s->answered)
                        continue;
                r = ask(s);
                if (r == -ENOTCONN)
                        return;
                set_state(s, r < 0 ? SCOPE_FAILED : SCOPE_ASKED);
                if (r < 0)
                        answer(s, r, "the request cannot be sent");
        }
}

/* A scope that no live sandbox of ours is in: an earlier life's, or one that came too late. */
static bool is_stray(struct scope_driver *c, const char *unit)
{
        const struct scope *s;

        if (parse_name(unit) == 0)
                return false;
        s = find_unit(c, unit);
        return !s || s->state == SCOPE_FAILED;
}

static void stop_stray(struct scope_driver *c, const char *unit)
{
        struct scope *s = find_unit(c, unit);

        if (c->looks == LOOKS_BEFORE_WARNING)
                log_warning("%s, of an earlier life of sandboxd, does not end: see its processes "
                            "with systemctl status",
                        unit);
        /* That it is stopped then is nobody else's doing. */
        if (s)
                s->withdrawn = true;
        stop_unit(c, unit);
}

/* One that is active was not stopped while there was no connection. */
static void note_active(struct scope_driver *c, const char *unit)
{
        struct scope *s = find_unit(c, unit);

        if (s)
                s->unheard = false;
}

/* Stops the strays among the units listed; how many there are, or a negative errno. One that is
 * inactive has no process; it is loaded because somebody names it. */
static int stop_strays(struct scope_driver *c, sd_bus_message *m)
{
        const char *unit, *state;
        int r, n = 0;

        r = sd_bus_message_enter_container(m, 'a', "(ssssssouso)");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "ssssssouso")) > 0) {
                r = sd_bus_message_read(m, "ssss", &unit, NULL, NULL, &state);
                if (r >= 0 && is_stray(c, unit) && !streq(state, "inactive")) {
                        stop_stray(c, unit);
                        n++;
                } else if (r >= 0 && streq(state, "active"))
                        note_active(c, unit);
                if (r >= 0)
                        r = sd_bus_message_skip(m, "ssouso");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : n;
}

static int on_listed(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct scope_driver *c = userdata;

        c->sweep_call = sd_bus_slot_unref(c->sweep_call);
        if (sd_bus_message_is_method_error(m, NULL) || stop_strays(c, m) != 0) {
                c->looks++;
                look_again(c);
                return 0;
        }
        c->sweeping = false;
        c->swept = true;
        pump(c);
        return 0;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct scope_driver *c = userdata;
        struct scope *s;

        if (!c->pid1.connected)
                return 0; /* on_connected() comes back to it */
        TAILQ_FOREACH (s, &c->queue, queue)
                s->later = false;
        c->sweep_call = sd_bus_slot_unref(c->sweep_call);
        if (c->sweeping &&
                pid1_list_units(&c->pid1, "sandbox-*.scope", on_listed, c, &c->sweep_call) < 0)
                look_again(c);
        pump(c);
        return 0;
}

static void tell(struct scope *s, bool stopped)
{
        s->question = sd_bus_slot_unref(s->question);
        s->patience = sd_event_source_disable_unref(s->patience);
        s->place->explained(s->place, stopped);
}

/* What is known without an answer. */
static int on_impatient(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct scope *s = userdata;

        tell(s, s->stopped);
        return 0;
}

/* One that is gone: had somebody stopped it, we would have heard of that job before, unless there was no
 * connection. One that is active was not stopped, whatever that job was. */
static bool was_stopped(const struct scope *s, const char *state)
{
        if (s->withdrawn)
                return false;
        return streq(state, "deactivating") ||
               ((s->stopped || s->unheard) && !streq(state, "active"));
}

static int on_state(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct scope *s = userdata;
        const char *state;

        s->question = sd_bus_slot_unref(s->question);
        if (pid1_has_ended(&s->driver->pid1))
                return 0; /* the next connection is asked */
        if (sd_bus_message_read(m, "v", "s", &state) < 0)
                tell(s, s->stopped);
        else
                tell(s, was_stopped(s, state));
        return 0;
}

/* The answer comes after whatever systemd had to say before. */
static int ask_state(struct scope *s)
{
        return pid1_get_active_state(&s->driver->pid1, s->name, on_state, s, &s->question);
}

static void ask_what_waits(struct scope_driver *c)
{
        for (size_t i = 0; i < BUCKETS; i++)
                for (struct scope *s = c->buckets[i]; s; s = s->next)
                        if (s->patience && !s->question)
                                (void) ask_state(s);
}

static void on_connected(void *userdata)
{
        struct scope_driver *c = userdata;

        c->sweeping = true;
        c->looks = 0;
        ask_what_waits(c);
        (void) on_again(NULL, 0, c);
}

/* Each request is made again; what systemd did of it shows then. What it may have made for a sandbox
 * that is gone by then is looked for on the next connection, but nobody waits for that: the kernel ids
 * are those of this life. */
static void on_lost(void *userdata)
{
        struct scope_driver *c = userdata;

        for (size_t i = 0; i < BUCKETS; i++)
                for (struct scope *s = c->buckets[i], *next; s; s = next) {
                        next = s->next;
                        s->call = sd_bus_slot_unref(s->call);
                        s->unheard |= s->state == SCOPE_STARTING || s->started;
                        if (is_in_flight(s->state))
                                set_state(s, SCOPE_QUEUED);
                }
}

/* A job that is not ours is there for the scope, most likely one that stops it. Then systemd kills what
 * is in it, and that is when explain() is asked. Of our own we know the path as soon as the call is
 * answered, but for those that stop what is not wanted any more. */
static void note_job(struct scope *s, const char *job)
{
        if (s->withdrawn)
                return;
        if (s->state != SCOPE_QUEUED && s->state != SCOPE_ASKED)
                s->stopped |= !streq(s->start_job, job);
        s->place->disturbed = s->stopped;
}

static void on_job_new(void *userdata, const char *unit, const char *job)
{
        struct scope *s = find_unit(userdata, unit);

        if (s)
                note_job(s, job);
}

static void on_job_removed(void *userdata, const char *unit, const char *job, const char *result)
{
        struct scope *s = find_unit(userdata, unit);
        struct error error = {};
        char detail[64];
        int r;

        if (!s)
                return;
        if (s->state != SCOPE_STARTING || !streq(s->start_job, job)) {
                note_job(s, job);
                return;
        }
        if (streq(result, "done")) {
                s->started = true;
                r = make_leaves(s, &error);
                finish(s, r, error.text);
                return;
        }
        /* A job that stops it took the place of ours. */
        if (streq(result, "canceled")) {
                s->stopped = true;
                s->place->stopped(s->place);
        }
        (void) snprintf(detail, sizeof(detail), "its start ended as %s", result);
        finish(s, -ECANCELED, detail);
}

static int scope_make(struct driver *driver, struct placement *p, pid_t init,
        struct error *ret_error)
{
        struct scope_driver *c = container_of(driver, struct scope_driver, driver);
        struct scope *s;
        int r;

        s = malloc(sizeof(*s));
        if (!s)
                return error_set(ret_error, -ENOMEM, "out of memory");
        *s = (struct scope) { .driver = c, .place = p, .job = p->id, .pid = init };
        (void) snprintf(s->name, sizeof(s->name), "sandbox-%016" PRIx64 ".scope", p->id);
        s->next = *bucket_of(c, p->id);
        *bucket_of(c, p->id) = s;
        TAILQ_INSERT_TAIL(&c->queue, s, queue);
        p->scope = s;
        r = sd_event_add_time_relative(c->event, &s->deadline, CLOCK_MONOTONIC, c->timeout_usec,
                USEC_PER_MSEC, on_deadline, s);
        if (r < 0) {
                /* Without its deadline it is not asked for. */
                set_state(s, SCOPE_FAILED);
                return error_set(ret_error, r, "no timer");
        }
        pump(c);
        return 0;
}

static int scope_settle(struct driver *driver, struct placement *p)
{
        struct scope *s = p->scope;

        if (!s)
                return 0;
        if (s->state == SCOPE_QUEUED) {
                /* A connection that was lost may have left a start job behind. */
                if (s->asked && !s->driver->pid1.connected) {
                        s->withdrawn = true;
                        return -EBUSY;
                }
                if (s->asked)
                        stop_unit(s->driver, s->name);
                set_state(s, SCOPE_FAILED);
                s->deadline = sd_event_source_disable_unref(s->deadline);
        } else if (s->state == SCOPE_STARTING && !s->withdrawn) {
                /* Its start job may wait for our own end: scopes are ordered after the service, and
                 * that may have a job to stop it. This one takes the place of it. */
                s->withdrawn = true;
                stop_unit(s->driver, s->name);
        }
        return is_in_flight(s->state) ? -EBUSY : 0;
}

static int scope_remove(struct driver *driver, struct placement *p)
{
        return scope_leaves_remove(&p->leaves);
}

static int scope_explain(struct driver *driver, struct placement *p)
{
        struct scope *s = p->scope;
        int r;

        /* Nobody but us knows of one that was not asked for. */
        if (!s || !s->asked)
                return -EOPNOTSUPP;
        /* One that was stopped as soon as it was there has no leaves, and failed for that. */
        if (s->state == SCOPE_FAILED && !s->started && !s->stopped)
                return -EOPNOTSUPP;
        r = sd_event_add_time_relative(s->driver->event, &s->patience, CLOCK_MONOTONIC,
                s->driver->timeout_usec, USEC_PER_MSEC, on_impatient, s);
        if (r < 0)
                return r;
        r = ask_state(s);
        if (r == 0 || r == -ENOTCONN)
                return 0;
        s->patience = sd_event_source_disable_unref(s->patience);
        return r;
}

static void scope_detach(struct driver *driver, struct placement *p)
{
        struct scope_driver *c = container_of(driver, struct scope_driver, driver);

        leaves_close(&p->leaves);
        if (!p->scope)
                return;
        if (p->scope->asked && !p->inhabited)
                stop_unit(c, p->scope->name);
        free_scope(p->scope);
}

static void scope_free(struct driver *driver)
{
        struct scope_driver *c = container_of(driver, struct scope_driver, driver);

        for (size_t i = 0; i < BUCKETS; i++)
                while (c->buckets[i])
                        free_scope(c->buckets[i]);
        c->sweep_call = sd_bus_slot_unref(c->sweep_call);
        c->again = sd_event_source_disable_unref(c->again);
        pid1_done(&c->pid1);
        free(c->mounts);
        free(c);
}

static const struct driver_ops scope_ops = {
        .name = "scope",
        .needs_init = true,
        .make = scope_make,
        .settle = scope_settle,
        .remove = scope_remove,
        .explain = scope_explain,
        .detach = scope_detach,
        .free = scope_free,
};

static const struct pid1_handler handler = {
        .connected = on_connected,
        .lost = on_lost,
        .job_new = on_job_new,
        .job_removed = on_job_removed,
};

/* What an earlier life left is gone before new work comes, unless pid 1 does not answer: then it is
 * before the first scope. */
static int sweep(struct scope_driver *c, uint64_t timeout_usec)
{
        uint64_t now, deadline = io_now_usec() + timeout_usec;

        while (!c->swept && (now = io_now_usec()) < deadline) {
                int r = sd_event_run(c->event, deadline - now);

                if (r < 0)
                        return r;
        }
        if (!c->swept)
                log_warning(
                        c->looks > 0
                                ? "scopes of an earlier life do not end: jobs wait until they do"
                                : "pid 1 does not answer on its private socket: jobs wait until it "
                                  "does");
        return 0;
}

static void describe(struct scope_driver *c, const struct cgroup_layout *layout)
{
        unsigned found = 0;

        for (size_t i = 0; i < layout->n; i++) {
                const struct cgroup_hierarchy *h = &layout->hierarchies[i];

                found |= h->controllers;
                if (h->v2)
                        found |= scope_root_controllers(h->mount);
        }
        c->driver.missing = CGROUP_NEEDED & ~found;
        (void) snprintf(c->driver.description, sizeof(c->driver.description), "scope (%s)",
                cgroup_layout_kind(layout));
}

int scope_driver_make(sd_event *event, const struct scope_settings *settings, struct driver **ret,
        struct error *ret_error)
{
        _cleanup_(driver_freep) struct driver *driver = NULL;
        struct cgroup_layout layout;
        struct scope_driver *c;
        int r;

        r = cgroup_layout_read(&layout, ret_error);
        if (r < 0)
                return r;
        c = calloc(1, sizeof(*c));
        if (!c)
                return error_set(ret_error, -ENOMEM, "out of memory");
        c->driver.ops = &scope_ops;
        driver = &c->driver;
        c->event = event;
        c->timeout_usec = settings->timeout_usec;
        TAILQ_INIT(&c->queue);
        describe(c, &layout);
        r = scope_read_mounts(&c->mounts);
        if (r >= 0)
                r = sd_event_add_time(event, &c->again, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_again,
                        c);
        if (r >= 0)
                r = sd_event_source_set_enabled(c->again, SD_EVENT_OFF);
        if (r >= 0)
                r = pid1_init(&c->pid1, event, settings->pid1, &handler, c);
        if (r >= 0)
                r = sweep(c, settings->sweep_usec);
        if (r < 0)
                return error_set(ret_error, r, "the connection to systemd cannot be set up (%s)",
                        strerror(-r));
        *ret = TAKE_PTR(driver);
        return 0;
}

int scope_driver_new(sd_event *event, struct driver **ret, struct error *ret_error)
{
        static const struct scope_settings settings = {
                .pid1 = "unix:path=/run/systemd/private",
                .timeout_usec = 10 * USEC_PER_SEC,
                .sweep_usec = 10 * USEC_PER_SEC,
        };

        return scope_driver_make(event, &settings, ret, ret_error);
}
