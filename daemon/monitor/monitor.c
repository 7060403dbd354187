/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor at work: the table of live sandboxes, messages to the frontend, the frontend's
 * deaths, and stopping. Reads no byte that a client wrote.
 */
#include "daemon/monitor/monitor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include "common/io.h"
#include "common/log.h"
#include "common/status.h"

/* How long clients get to take their last answers when the daemon stops, and sandboxes to end. */
#define STOP_TIMEOUT_USEC (5 * USEC_PER_SEC)
/* Between two entries of the log that say that new jobs wait. */
#define BACKLOG_LOG_USEC (60 * USEC_PER_SEC)

struct outgoing {
        struct outgoing *next;
        int fds[_CHANNEL_STARTED_FD_COUNT];
        size_t n_fds;
        size_t size;
        uint8_t data[];
};

static const bool transitions[][MONITOR_STOPPED + 1] = {
        [MONITOR_STARTING] = { [MONITOR_SERVING] = true, [MONITOR_STOPPED] = true },
        [MONITOR_SERVING] = { [MONITOR_STOPPING] = true, [MONITOR_STOPPED] = true },
        [MONITOR_STOPPING] = { [MONITOR_STOPPED] = true },
        [MONITOR_STOPPED] = {},
};

void monitor_set_state(struct monitor *m, enum monitor_state state)
{
        ASSERT(transitions[m->state][state]);
        m->state = state;
}

static struct sandbox **bucket_of(struct monitor *m, uint64_t job)
{
        return &m->buckets[job & (MONITOR_BUCKETS - 1)];
}

struct sandbox *monitor_find(struct monitor *m, uint64_t job)
{
        for (struct sandbox *s = *bucket_of(m, job); s; s = s->next)
                if (s->job == job)
                        return s;
        return NULL;
}

void monitor_add(struct monitor *m, struct sandbox *s)
{
        struct sandbox **bucket = bucket_of(m, s->job);

        s->next = *bucket;
        *bucket = s;
        m->n_sandboxes++;
        notify_changed(&m->notify);
}

static void free_outgoing(struct outgoing *o)
{
        io_close_all(o->fds, o->n_fds);
        free(o);
}

static void drop_outgoing(struct monitor *m)
{
        while (m->outgoing) {
                struct outgoing *o = m->outgoing;

                m->outgoing = o->next;
                free_outgoing(o);
        }
        m->outgoing_end = &m->outgoing;
}

/* Its death is seen on the pidfd, and handled there. One that was told to stop goes by itself. */
static void lose_frontend(struct monitor *m)
{
        if (m->state != MONITOR_STOPPING)
                supervisor_kill(&m->supervisor);
        m->channel_source = sd_event_source_disable_unref(m->channel_source);
        m->channel_fd = safe_close(m->channel_fd);
        drop_outgoing(m);
}

/* While there is a queue no request is read, so that it is bounded by the live sandboxes, each of which
 * sends three messages in its life, by the generations that there can be, by the one PING that is
 * not answered, and by BACKLOGs: it takes many sandboxes to change what they say. */
static int enqueue(struct monitor *m, const void *message, size_t size, const int *fds,
        size_t n_fds)
{
        struct outgoing *o = malloc(sizeof(*o) + size);

        if (!o)
                return -ENOMEM;
        *o = (struct outgoing) { .size = size };
        memcpy(o->data, message, size);
        while (o->n_fds < n_fds) {
                int fd = fcntl(fds[o->n_fds], F_DUPFD_CLOEXEC, 3);

                if (fd < 0) {
                        int r = -errno;

                        free_outgoing(o);
                        return r;
                }
                o->fds[o->n_fds++] = fd;
        }
        *m->outgoing_end = o;
        m->outgoing_end = &o->next;
        return sd_event_source_set_io_events(m->channel_source, EPOLLOUT);
}

void monitor_send_fds(struct monitor *m, const void *message, size_t size, const int *fds,
        size_t n_fds)
{
        int present[_CHANNEL_STARTED_FD_COUNT], r;
        size_t n = 0;

        ASSERT(n_fds <= ELEMENTSOF(present));
        if (m->channel_fd < 0)
                return;
        for (size_t i = 0; i < n_fds; i++)
                if (fds[i] >= 0)
                        present[n++] = fds[i];
        r = m->outgoing ? -EAGAIN : io_send_message(m->channel_fd, message, size, present, n);
        if (r == -EAGAIN)
                r = enqueue(m, message, size, present, n);
        if (r < 0) {
                if (m->state != MONITOR_STOPPING)
                        log_error("frontend: message not sent (%s), starting it again",
                                strerror(-r));
                lose_frontend(m);
        }
}

void monitor_send(struct monitor *m, const void *message, size_t size, int fd)
{
        monitor_send_fds(m, message, size, &fd, 1);
}

static int flush_outgoing(struct monitor *m)
{
        while (m->outgoing) {
                struct outgoing *o = m->outgoing;
                int r = io_send_message(m->channel_fd, o->data, o->size, o->fds, o->n_fds);

                if (r < 0)
                        return r == -EAGAIN ? 0 : r;
                m->outgoing = o->next;
                free_outgoing(o);
        }
        m->outgoing_end = &m->outgoing;
        return sd_event_source_set_io_events(m->channel_source, EPOLLIN);
}

/* How many messages are handled before timers and other sources get their turn. */
#define CHANNEL_BATCH 16

static int on_channel(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct monitor *m = userdata;
        int r = 1;

        if (events & EPOLLOUT)
                r = flush_outgoing(m) < 0 ? -EPIPE : 1;
        for (unsigned i = 0; i < CHANNEL_BATCH && r > 0 && m->channel_fd >= 0 && !m->outgoing; i++)
                r = operation_receive(m);
        if (r < 0)
                lose_frontend(m);
        return 0;
}

static void send_plain(struct monitor *m, enum channel_op op, uint64_t job)
{
        struct channel_header h;

        channel_header_init(&h, op, sizeof(h), job);
        monitor_send(m, &h, sizeof(h), -EBADF);
}

static void send_backlog(struct monitor *m)
{
        struct channel_backlog message = { .behind = m->host.backlog.behind };

        channel_header_init(&message.header, CHANNEL_OP_BACKLOG, sizeof(message), 0);
        monitor_send(m, &message, sizeof(message), -EBADF);
}

static void on_backlog(void *userdata)
{
        struct monitor *m = userdata;
        uint64_t now;

        send_backlog(m);
        notify_changed(&m->notify);
        if (!m->host.backlog.behind)
                return;
        now = io_now_usec();
        if (m->backlog_usec > 0 && now - m->backlog_usec < BACKLOG_LOG_USEC)
                return;
        m->backlog_usec = now;
        log_notice("%" PRIu32 " sandboxes are being taken down: new jobs wait", m->host.backlog.n);
}

static int start_frontend(struct monitor *m, struct error *ret_error)
{
        int r;

        m->frontend_usec = m->idle_since_usec = io_now_usec();
        r = supervisor_start(&m->supervisor, &m->channel_fd, ret_error);
        if (r < 0)
                return r;
        r = sd_event_add_io(m->event, &m->channel_source, m->channel_fd, EPOLLIN, on_channel, m);
        if (r < 0)
                return error_set(ret_error, r, "the frontend's channel cannot be watched (%s)",
                        strerror(-r));
        watchdog_reset(&m->watchdog);
        monitor_send_policy(m);
        if (m->host.backlog.behind)
                send_backlog(m);
        return 0;
}

static void kill_all(struct monitor *m)
{
        for (size_t i = 0; i < MONITOR_BUCKETS; i++)
                for (struct sandbox *s = m->buckets[i], *next; s; s = next) {
                        next = s->next;
                        sandbox_kill(s, JOB_STATUS_CANCELLED);
                }
}

static void stop_if_done(struct monitor *m)
{
        if (m->state == MONITOR_STOPPING && m->n_sandboxes == 0 && m->pool.n_sandboxes == 0 &&
                m->supervisor.pid == 0)
                (void) sd_event_exit(m->event, 0);
}

/* Sandboxes are left when a process cannot be killed, or systemd does not say what became of their
 * scopes: that can take forever. */
static int on_stop_given_up(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct monitor *m = userdata;

        log_warning("%" PRIu32 " sandboxes did not end in time: the next start looks for them",
                m->n_sandboxes + m->pool.n_sandboxes);
        m->result = -ETIMEDOUT;
        return sd_event_exit(m->event, 0);
}

static void set_stop_timeout(struct monitor *m, sd_event_time_handler_t handler)
{
        m->stop_source = sd_event_source_unref(m->stop_source);
        (void) sd_event_add_time_relative(m->event, &m->stop_source, CLOCK_MONOTONIC,
                STOP_TIMEOUT_USEC, 0, handler, m);
}

static int on_stop_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct monitor *m = userdata;

        if (m->supervisor.pid > 0) {
                log_warning("the frontend did not stop in time, killing it");
                supervisor_kill(&m->supervisor);
                lose_frontend(m);
        }
        set_stop_timeout(m, on_stop_given_up);
        return 0;
}

static void stop(struct monitor *m, int result)
{
        if (m->state != MONITOR_SERVING)
                return;
        monitor_set_state(m, MONITOR_STOPPING);
        m->result = result;
        notify_stopping(&m->notify);
        if (m->reload.state != RELOAD_IDLE)
                log_notice("the reload that was under way is given up: the next start reads the "
                           "policy");
        reload_cancel(&m->reload);
        control_close(&m->control);
        kill_all(m);
        pool_stop(&m->pool);
        spares_set(&m->spares, 0);
        send_plain(m, CHANNEL_OP_STOP, 0);
        set_stop_timeout(m, on_stop_timeout);
        stop_if_done(m);
}

void monitor_on_idle(struct monitor *m)
{
        if (m->state == MONITOR_SERVING)
                log_notice("nothing to do: stopping until somebody connects");
        stop(m, 0);
}

static int on_stop_signal(sd_event_source *source, const struct signalfd_siginfo *si,
        void *userdata)
{
        /* Said when the frontend has been told: whoever reads it can rely on no connection being accepted. */
        stop(userdata, 0);
        log_notice("stopping on signal %u", si->ssi_signo);
        return 0;
}

static int on_reload_signal(sd_event_source *source, const struct signalfd_siginfo *si,
        void *userdata)
{
        monitor_reload(userdata);
        return 0;
}

/* One that exits by itself while it should serve has a fault, whatever its exit code. */
static void report_death(const struct monitor *m, const siginfo_t *info)
{
        const char *how = info->si_code == CLD_EXITED ? "exit code" : "signal";

        if (m->state == MONITOR_SERVING)
                log_event(EVENT_FRONTEND_DIED, NULL,
                        "frontend ended with %s %d, and every job with it", how, info->si_status);
        else
                log_debug("frontend ended with %s %d", how, info->si_status);
}

/* The frontend records the ends of all others, and alone knew their runtimes. */
static void record_lost_job(const struct sandbox *s)
{
        char id[17], uid[16];
        const struct log_field fields[] = {
                { "SANDBOX_JOB", id },
                { "SANDBOX_UID", uid },
                { "SANDBOX_STATUS", job_status_name(JOB_STATUS_NONE) },
                {},
        };

        (void) snprintf(id, sizeof(id), "%016" PRIx64, s->job);
        (void) snprintf(uid, sizeof(uid), "%u", (unsigned) s->place.owner);
        log_event(EVENT_JOB_LOST, fields,
                "Job %s of uid %s was lost: the process that served its client has died", id, uid);
}

static void record_lost_jobs(const struct monitor *m)
{
        for (size_t i = 0; i < MONITOR_BUCKETS; i++)
                for (const struct sandbox *s = m->buckets[i]; s; s = s->next)
                        if (s->state < SANDBOX_ENDED)
                                record_lost_job(s);
}

static void on_frontend_died(void *userdata, const siginfo_t *info)
{
        struct monitor *m = userdata;
        struct error error = {};
        int r;

        report_death(m, info);
        record_lost_jobs(m);
        lose_frontend(m);
        /* Their output has nobody to read it. */
        kill_all(m);
        /* Nobody knows what the one that died had planned; the next one begins with the newest. */
        generations_retire_all_but_current(&m->generations);
        if (m->state == MONITOR_SERVING) {
                log_notice("starting the frontend again");
                r = start_frontend(m, &error);
                if (r < 0) {
                        log_error("%s", error.text);
                        stop(m, r);
                }
        }
        stop_if_done(m);
}

static void on_sandbox_started(void *userdata, struct sandbox *s)
{
        struct channel_started started = { .warm = s->warm, .sandbox = s->place.id };

        channel_header_init(&started.header, CHANNEL_OP_STARTED, sizeof(started), s->job);
        monitor_send_fds(userdata, &started, sizeof(started), s->own_fds, ELEMENTSOF(s->own_fds));
}

static void on_sandbox_ended(void *userdata, const struct channel_ended *message, int value_fd)
{
        struct monitor *m = userdata;

        operation_note_end(m, message->header.job);
        monitor_send(m, message, sizeof(*message), value_fd);
        pool_job_ended(&m->pool);
}

static void on_sandbox_parked(void *userdata, struct sandbox *s)
{
        struct monitor *m = userdata;

        pool_on_parked(&m->pool, s);
}

static void on_sandbox_lost(void *userdata, struct sandbox *s)
{
        struct monitor *m = userdata;

        pool_on_lost(&m->pool, s);
}

static void forget(struct monitor *m, struct sandbox *s)
{
        struct sandbox **at = bucket_of(m, s->job);

        while (*at && *at != s)
                at = &(*at)->next;
        ASSERT(*at);
        *at = s->next;
        m->n_sandboxes--;
}

/* The frontend does not hear of it. */
static void on_sandbox_replaced(void *userdata, struct sandbox *s, struct sandbox *by)
{
        struct monitor *m = userdata;

        forget(m, s);
        pool_on_replaced(&m->pool, s, by->generation);
        monitor_add(m, by);
}

static void on_job_gone(struct monitor *m, struct sandbox *s)
{
        uint64_t job = s->job;

        forget(m, s);
        m->n_done++;
        notify_changed(&m->notify);
        sandbox_free(s);
        send_plain(m, CHANNEL_OP_GONE, job);
}

static void on_sandbox_gone(void *userdata, struct sandbox *s)
{
        struct monitor *m = userdata;

        if (s->parks)
                pool_on_gone(&m->pool, s);
        else
                on_job_gone(m, s);
        stop_if_done(m);
}

static int watch_signals(struct monitor *m)
{
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(monitor_signals) && r >= 0; i++)
                r = sd_event_add_signal(m->event, NULL, monitor_signals[i],
                        monitor_signals[i] == SIGHUP ? on_reload_signal : on_stop_signal, m);
        return MIN(r, 0);
}

void monitor_abandon_sandboxes(struct monitor *m)
{
        backlog_done(&m->host.backlog);
        for (size_t i = 0; i < MONITOR_BUCKETS; i++)
                while (m->buckets[i]) {
                        struct sandbox *s = m->buckets[i];

                        m->buckets[i] = s->next;
                        sandbox_abandon(s);
                }
        m->n_sandboxes = 0;
        pool_done(&m->pool);
}

void monitor_describe(void *userdata, char *text, size_t size)
{
        const struct monitor *m = userdata;

        if (m->state == MONITOR_STARTING)
                (void) snprintf(text, size, "Starting: %s", m->step);
        else if (m->state == MONITOR_STOPPING)
                (void) snprintf(text, size, "Stopping, %" PRIu32 " jobs to end", m->n_sandboxes);
        else
                (void) snprintf(text, size, "%" PRIu32 " jobs running, %" PRIu64 " done%s%s%s",
                        m->n_sandboxes, m->n_done,
                        m->host.backlog.behind ? ", new jobs wait until ended ones are taken down"
                                               : "",
                        m->kept[0] ? ", policy kept: " : "", m->kept);
}

int monitor_run(struct monitor *m, struct error *ret_error)
{
        char sockets[LISTEN_TEXT_MAX];
        int r;

        m->outgoing_end = &m->outgoing;
        m->host.started = on_sandbox_started;
        m->host.ended = on_sandbox_ended;
        m->host.gone = on_sandbox_gone;
        m->host.parked = on_sandbox_parked;
        m->host.lost = on_sandbox_lost;
        m->host.replaced = on_sandbox_replaced;
        m->host.userdata = m;
        m->host.backlog.changed = on_backlog;
        m->host.backlog.userdata = m;
        m->supervisor.died = on_frontend_died;
        m->supervisor.userdata = m;
        r = monitor_plan_reload(m, ret_error);
        if (r < 0)
                return r;
        r = watch_signals(m);
        if (r < 0)
                return error_set(ret_error, r, "signals cannot be watched (%s)", strerror(-r));
        r = watchdog_start(m, ret_error);
        if (r < 0)
                return r;
        r = start_frontend(m, ret_error);
        if (r < 0)
                return r;
        monitor_set_state(m, MONITOR_SERVING);
        log_event(EVENT_DAEMON_STARTED, NULL, "serving on %s, %s",
                listen_show(&m->listeners, sockets), m->driver->description);
        notify_ready(&m->notify);
        pool_adopt(&m->pool, generations_current(&m->generations));
        spares_set(&m->spares, generations_current(&m->generations)->policy->pool.namespaces);
        r = sd_event_loop(m->event);
        monitor_set_state(m, MONITOR_STOPPED);
        log_event(EVENT_DAEMON_STOPPED, NULL, "stopped after %" PRIu64 " jobs", m->n_done);
        if (r == 0)
                r = m->result;
        return r < 0 ? error_set(ret_error, r, "stopped on an error (%s)", strerror(-r)) : 0;
}
