/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client connections. Runs in the frontend; everything read here is hostile. No client can make the
 * loop wait or the memory grow: reads are incremental and counted, one request is handled a turn, the
 * queue of responses has a high-water mark beyond which neither requests nor job output are read, and
 * a frame begun must end in time.
 */
#include "daemon/frontend/connection.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/parse.h"
#include "daemon/frontend/job.h"
#include "daemon/frontend/reply.h"
#include "daemon/frontend/request.h"
#include "daemon/frontend/watch-jobs.h"
#include "daemon/frontend/watch.h"

#define QUEUE_HIGH (1 * MIB)

/* A user is charged for what waits to be read, by steps, so that who reads is not concerned. Of one who
 * leaves much unread on many connections, each is congested from the first step on. A single response can
 * be larger than that by far: the one that would make it too much in all ends its connection. */
#define QUEUE_STEP (256 * KIB)
#define UNREAD_MANY (16 * MIB)
#define UNREAD_MOST (64 * MIB)

/* What one user may have in frames that are not whole, or two of the largest. */
#define BUFFERED_MAX (32 * MIB)

static const struct {
        unsigned next;
} states[_CONNECTION_STATE_COUNT] = {
        [CONNECTION_NEW] = { 1U << CONNECTION_READY | 1U << CONNECTION_CLOSING },
        [CONNECTION_READY] = { 1U << CONNECTION_CLOSING },
        [CONNECTION_CLOSING] = { 0 },
};

static void set_state(struct connection *c, enum connection_state state)
{
        ASSERT(states[c->state].next & 1U << state);
        c->state = state;
}

void connection_set_ready(struct connection *c)
{
        set_state(c, CONNECTION_READY);
}

struct job *connection_find_job(struct connection *c, uint64_t request)
{
        struct table_entry *e = table_find(&c->under_way, request);

        return e ? container_of(e, struct under_way, entry)->job : NULL;
}

struct watch *connection_find_watch(struct connection *c, uint64_t request)
{
        struct table_entry *e = table_find(&c->under_way, request);

        return e ? container_of(e, struct under_way, entry)->watch : NULL;
}

struct job_watch *connection_find_job_watch(struct connection *c, uint64_t request)
{
        struct table_entry *e = table_find(&c->under_way, request);

        return e ? container_of(e, struct under_way, entry)->jobs : NULL;
}

bool connection_has_unread(const struct connection *c)
{
        int unread = 0;

        if (frame_reader_size(&c->reader) > 0)
                return true;
        return ioctl(c->fd, FIONREAD, &unread) == 0 && unread > 0;
}

/* Its client no longer hears of jobs: its own end, and those not yet started are gone at once. */
static void abandon_jobs(struct connection *c)
{
        struct job *job;

        watches_abandon(c);
        job_watches_abandon(c);
        while ((job = LIST_FIRST(&c->jobs)))
                job_abandon(job);
}

static void set_congested(struct connection *c, bool congested)
{
        struct job *job, *next;

        if (c->congested == congested)
                return;
        c->congested = congested;
        for (job = LIST_FIRST(&c->jobs); job; job = next) {
                next = LIST_NEXT(job, of_connection);
                /* Resuming may finish and free the job; its result may congest us again. */
                if (c->congested)
                        job_pause(job);
                else
                        job_resume(job);
        }
        if (c->congested)
                return;
        watches_resume(c);
        job_watches_resume(c);
}

/* One that is too large for a frame, a list of a policy with many profiles, is an Error instead. */
static int queue_response(struct connection *c, const Sandboxd__V1__Response *response)
{
        size_t max = c->max_frame_bytes;
        struct error text;
        int r;

        r = reply_pack(&c->out.bytes, max, response);
        if (r != -EMSGSIZE)
                return r;
        (void) error_set(&text, r,
                "the response is over MaxFrameSize= (%zu bytes): raise it in sandboxd.conf", max);
        return reply_pack_error(&c->out.bytes, response->id, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                text.text);
}

static void drop_fds(struct connection *c, int *fds, size_t n_fds)
{
        for (size_t i = 0; i < n_fds; i++) {
                if (fds[i] >= 0)
                        account_release(&c->frontend->accounts, c->uid, ACCOUNT_SOCKETS, 1);
                fds[i] = safe_close(fds[i]);
        }
}

static int charge_unread(struct connection *c)
{
        struct account_book *accounts = &c->frontend->accounts;
        uint64_t size = out_queue_size(&c->out) / QUEUE_STEP * QUEUE_STEP;
        int r = 0;

        if (size > c->unread)
                r = account_charge(accounts, c->uid, ACCOUNT_UNREAD, size - c->unread, UNREAD_MOST,
                        ACCOUNT_UNLIMITED);
        else
                account_release(accounts, c->uid, ACCOUNT_UNREAD, c->unread - size);
        if (r >= 0)
                c->unread = size;
        return r;
}

/* From which size on it is congested. */
static size_t high_mark(const struct connection *c)
{
        if (out_queue_size(&c->out) <= QUEUE_STEP ||
                account_held(&c->frontend->accounts, c->uid, ACCOUNT_UNREAD) <= UNREAD_MANY)
                return QUEUE_HIGH;
        return QUEUE_STEP;
}

void connection_send_fds(struct connection *c, const Sandboxd__V1__Response *response, uint64_t job,
        int *fds, size_t n_fds)
{
        size_t before = out_queue_size(&c->out);
        int r = 0;

        if (c->state == CONNECTION_CLOSING)
                return drop_fds(c, fds, n_fds);
        r = queue_response(c, response);
        if (r >= 0 && n_fds > 0)
                r = out_queue_attach(&c->out, job, out_queue_size(&c->out) - before, fds, n_fds);
        if (r >= 0)
                r = charge_unread(c);
        /* Out of memory, nothing can be told any more. The jobs stay until the connection's next
         * event closes it: one of them may be what is speaking. */
        if (r < 0) {
                log_debug("dropping a connection of uid %u with %zu bytes unread: %s",
                        (unsigned) c->uid, out_queue_size(&c->out), strerror(-r));
                drop_fds(c, fds, n_fds);
                out_queue_drop(&c->out);
                (void) charge_unread(c);
                set_state(c, CONNECTION_CLOSING);
                c->blocked = false;
        }
        if (out_queue_size(&c->out) > high_mark(c))
                set_congested(c, true);
        if (!c->blocked)
                (void) sd_event_source_set_enabled(c->flush, SD_EVENT_ONESHOT);
}

void connection_send(struct connection *c, const Sandboxd__V1__Response *response)
{
        connection_send_fds(c, response, 0, NULL, 0);
}

void connection_fail(struct connection *c, uint64_t id, Sandboxd__V1__ErrorCode code,
        const char *format, ...)
{
        struct error text;
        va_list ap;

        if (c->state == CONNECTION_CLOSING)
                return;
        va_start(ap, format);
        (void) vsnprintf(text.text, sizeof(text.text), format, ap);
        va_end(ap);
        log_debug("closing a connection of uid %u: %s", (unsigned) c->uid, text.text);
        reply_error(c, id, code, "", text.text);
        if (c->state != CONNECTION_CLOSING)
                set_state(c, CONNECTION_CLOSING);
        abandon_jobs(c);
}

/* Whether the client owes the rest of something, and not we. */
static bool is_waiting(const struct connection *c)
{
        if (c->state != CONNECTION_READY)
                return true;
        return !c->congested && !c->next && frame_reader_partial(&c->reader);
}

/* Arms the deadline when a wait begins; progress begins it anew. */
static void update_deadline(struct connection *c, bool progress)
{
        int enabled = SD_EVENT_OFF;

        (void) sd_event_source_get_enabled(c->deadline, &enabled);
        if (!is_waiting(c)) {
                (void) sd_event_source_set_enabled(c->deadline, SD_EVENT_OFF);
                return;
        }
        if (enabled != SD_EVENT_OFF && !progress)
                return;
        (void) sd_event_source_set_time_relative(c->deadline,
                c->frontend->policy->server.frame_timeout_usec);
        (void) sd_event_source_set_enabled(c->deadline, SD_EVENT_ONESHOT);
}

static void update_io(struct connection *c)
{
        uint32_t events = 0;

        if (c->state != CONNECTION_CLOSING && !c->congested)
                events |= EPOLLIN;
        if (c->blocked)
                events |= EPOLLOUT;
        (void) sd_event_source_set_io_events(c->io, events);
}

/* Charges the user for what waits here for the rest of its frame. */
static void account_buffered(struct connection *c)
{
        struct account_book *accounts = &c->frontend->accounts;
        uint64_t max = MAX(BUFFERED_MAX, UINT64_C(2) * c->max_frame_bytes);
        uint64_t size = frame_reader_size(&c->reader);
        char text[FORMAT_MAX];
        int r = 0;

        /* Also of one that is congested, and so not asked for its next frame: what it holds on to is
         * not in the books. */
        frame_reader_trim(&c->reader);
        if (size > c->buffered)
                r = account_charge(accounts, c->uid, ACCOUNT_BUFFERED, size - c->buffered, max,
                        ACCOUNT_UNLIMITED);
        else
                account_release(accounts, c->uid, ACCOUNT_BUFFERED, c->buffered - size);
        if (r >= 0)
                c->buffered = size;
        else
                connection_fail(c, 0, SANDBOXD__V1__ERROR_CODE__BUSY,
                        "your connections have more than %s of requests that are not whole: end "
                        "each one before you begin the next",
                        format_size(text, max));
        if (c->state != CONNECTION_CLOSING)
                return;
        /* Nothing of it will be handled. */
        frame_reader_done(&c->reader);
        account_release(accounts, c->uid, ACCOUNT_BUFFERED, c->buffered);
        c->buffered = 0;
}

static int on_next(sd_event_source *source, void *userdata);

/* Has the next frame handled in a later turn of the loop, behind the other clients that are waiting.
 * That takes a new source: one that is enabled again has the place in the queue of its first time. */
static void schedule_next(struct connection *c)
{
        if (sd_event_add_defer(c->frontend->event, &c->next, on_next, c) < 0)
                connection_fail(c, 0, SANDBOXD__V1__ERROR_CODE__INTERNAL,
                        "sandboxd is out of memory: try again later");
}

/* Handles one frame, if there is a whole one that may be: a client with much to ask does not hold up
 * the rest. */
static void handle_frame(struct connection *c)
{
        enum connection_state before = c->state;
        const uint8_t *body;
        size_t size;
        int r = 0;

        if (c->state != CONNECTION_CLOSING && !c->congested) {
                r = frame_reader_next(&c->reader, &body, &size);
                if (r > 0)
                        request_handle(c, body, size);
        }
        if (r == -EMSGSIZE)
                connection_fail(c, 0, SANDBOXD__V1__ERROR_CODE__BAD_FRAME,
                        "the frame is over MaxFrameSize= (%u bytes): send input in parts",
                        c->max_frame_bytes);
        else if (r < 0)
                connection_fail(c, 0, SANDBOXD__V1__ERROR_CODE__BAD_FRAME,
                        "the frame is empty: put one Request into each frame");
        c->next = sd_event_source_disable_unref(c->next);
        if (r > 0)
                schedule_next(c);
        account_buffered(c);
        update_deadline(c, r > 0 || c->state != before);
        update_io(c);
}

static int on_next(sd_event_source *source, void *userdata)
{
        handle_frame(userdata);
        return 0;
}

void connections_settle_sockets(struct frontend *f)
{
        struct connection *c;

        LIST_FOREACH (c, &f->connections, entries)
                out_queue_settle(&c->out, c->fd);
}

/* The sockets of a job cannot be sent. */
static void lose_sockets(struct connection *c, uint64_t id)
{
        struct result *r = registry_find(&c->frontend->registry, id);

        log_warning("sockets for a job of uid %u cannot be sent: too many wait to be received",
                (unsigned) c->uid);
        /* It may have ended meanwhile. */
        if (r && r->job && r->job->connection == c)
                job_lose_sockets(r->job);
}

static ssize_t send_frames(struct connection *c)
{
        uint64_t job;
        ssize_t n;

        while ((n = out_queue_send(&c->out, c->fd, &job)) == -ETOOMANYREFS)
                lose_sockets(c, job);
        return n;
}

/* Sends what the socket takes; that may have been the last of it. */
static void send_queued(struct connection *c)
{
        ssize_t n = send_frames(c);

        (void) charge_unread(c);
        c->blocked = out_queue_size(&c->out) > 0;
        if ((n < 0 && n != -EAGAIN) || (!c->blocked && c->state == CONNECTION_CLOSING)) {
                connection_free(c);
                return;
        }
        if (c->congested && out_queue_size(&c->out) < high_mark(c) / 2) {
                set_congested(c, false);
                handle_frame(c);
        } else
                update_io(c);
        frontend_check_stopped(c->frontend);
}

static int on_flush(sd_event_source *source, void *userdata)
{
        send_queued(userdata);
        return 0;
}

/* Takes bytes alone. Fds are refused by the kernel where it can (see io_refuse_fds()); where it cannot it
 * drops them, and -EBADMSG says so. */
static ssize_t receive(struct connection *c)
{
        struct iovec iov = {};
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;
        int r;

        r = frame_reader_reserve(&c->reader, &iov.iov_base, &iov.iov_len);
        if (r < 0)
                return r;
        do
                n = recvmsg(c->fd, &msg, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if (msg.msg_flags & MSG_CTRUNC)
                return -EBADMSG;
        frame_reader_advance(&c->reader, (size_t) n);
        return n;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct connection *c = userdata;
        ssize_t n;

        if (revents & (EPOLLHUP | EPOLLERR)) {
                connection_free(c);
                return 0;
        }
        if (revents & EPOLLOUT) {
                send_queued(c);
                return 0;
        }
        if (c->next || c->state == CONNECTION_CLOSING)
                return 0;
        n = receive(c);
        if (n == -EAGAIN)
                return 0;
        if (n == -EBADMSG)
                connection_fail(c, 0, SANDBOXD__V1__ERROR_CODE__BAD_REQUEST,
                        "file descriptors came: send none, sandboxd takes none of a client");
        else if (n <= 0) {
                connection_free(c);
                return 0;
        }
        handle_frame(c);
        return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct connection *c = userdata;
        char text[FORMAT_MAX];

        if (c->state == CONNECTION_CLOSING) {
                connection_free(c);
                return 0;
        }
        connection_fail(c, 0, SANDBOXD__V1__ERROR_CODE__BAD_FRAME,
                "no whole %s came within FrameTimeoutSec= (%s): connect again",
                c->state == CONNECTION_NEW ? "Hello" : "frame",
                format_time(text, c->frontend->policy->server.frame_timeout_usec));
        account_buffered(c);
        update_deadline(c, true);
        update_io(c);
        return 0;
}

static int add_sources(struct connection *c)
{
        sd_event *event = c->frontend->event;
        int r;

        r = sd_event_add_io(event, &c->io, c->fd, EPOLLIN, on_io, c);
        if (r < 0)
                return r;
        r = sd_event_add_defer(event, &c->flush, on_flush, c);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(c->flush, SD_EVENT_OFF);
        if (r < 0)
                return r;
        return sd_event_add_time_relative(event, &c->deadline, CLOCK_MONOTONIC,
                c->frontend->policy->server.frame_timeout_usec, FRONTEND_TIMER_ACCURACY,
                on_deadline, c);
}

static void drop_sources(struct connection *c)
{
        c->io = sd_event_source_disable_unref(c->io);
        c->flush = sd_event_source_disable_unref(c->flush);
        c->next = sd_event_source_disable_unref(c->next);
        c->deadline = sd_event_source_disable_unref(c->deadline);
}

int connection_new(struct frontend *f, int fd, uid_t uid, enum account_kind charge,
        uint32_t listener)
{
        struct connection *c = calloc(1, sizeof(*c));
        int r;

        if (!c)
                return -ENOMEM;
        c->frontend = f;
        c->fd = fd;
        c->uid = uid;
        c->of_bus = charge == ACCOUNT_BUS;
        c->charge = charge;
        c->listener = listener;
        LIST_INIT(&c->jobs);
        LIST_INIT(&c->watches);
        LIST_INIT(&c->job_watches);
        c->max_frame_bytes = f->policy->server.max_frame_bytes;
        frame_reader_init(&c->reader, c->max_frame_bytes);
        out_queue_init(&c->out, &f->accounts, uid);
        r = add_sources(c);
        if (r < 0) {
                drop_sources(c);
                free(c);
                return r;
        }
        LIST_INSERT_HEAD(&f->connections, c, entries);
        idle_update(f);
        return 0;
}

void connection_act_for(struct connection *c, uid_t uid)
{
        struct account_book *accounts = &c->frontend->accounts;

        /* It was sent nothing yet, and has nothing under way. What came is charged anew. */
        ASSERT(c->state == CONNECTION_NEW && out_queue_size(&c->out) == 0 && c->unread == 0);
        account_release(accounts, c->uid, ACCOUNT_BUFFERED, c->buffered);
        account_release(accounts, c->uid, c->charge, 1);
        c->buffered = 0;
        c->uid = uid;
        c->out.uid = uid;
        c->of_bus = false;
}

void connection_free(struct connection *c)
{
        struct frontend *f = c->frontend;

        abandon_jobs(c);
        table_done(&c->under_way);
        drop_sources(c);
        LIST_REMOVE(c, entries);
        frame_reader_done(&c->reader);
        linger(f, c->uid, TAKE_FD(c->fd), out_queue_done(&c->out));
        account_release(&f->accounts, c->uid, ACCOUNT_BUFFERED, c->buffered);
        account_release(&f->accounts, c->uid, ACCOUNT_UNREAD, c->unread);
        account_release(&f->accounts, c->uid, c->charge, 1);
        free(c);
        idle_update(f);
        frontend_check_stopped(f);
}
