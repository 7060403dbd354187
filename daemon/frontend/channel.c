/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The channel to the monitor. Runs in the frontend. What comes from the monitor is trusted in what
 * it says, but a message that is not of the table means that the two are not of one build, and ends
 * the frontend.
 */
#include "daemon/frontend/channel.h"

#include "common/io.h"
#include "common/log.h"
#include "daemon/frontend/admission.h"
#include "daemon/frontend/frontend.h"
#include "daemon/frontend/job.h"

/* Messages handled before clients get their turn again. */
#define MESSAGES_PER_TURN 64

/* Messages that wait for the monitor, above which no signal is taken: of all else there is a bounded
 * number for each job. */
#define PENDING_MANY 256

union message {
        struct channel_header header;
        struct channel_start start;
        struct channel_kill kill;
        struct channel_signal signal;
        struct channel_started started;
        struct channel_ended ended;
        struct channel_used used;
        struct channel_generation generation;
        struct channel_backlog backlog;
};

struct channel_message {
        TAILQ_ENTRY(channel_message) entries;
        union message body;
        int fds[_CHANNEL_FD_COUNT];
        size_t n_fds;
};

static void message_free(struct channel_message *m)
{
        io_close_all(m->fds, m->n_fds);
        free(m);
}

/* A parked sandbox with a command in it brings its pipes. */
static int on_started(struct frontend *f, const union message *m, int *fds)
{
        struct job *job = frontend_find_job(f, m->header.job);

        if (!m->started.warm && fds[CHANNEL_STARTED_FD_STDERR] >= 0)
                return -EBADMSG;
        if (job)
                job_on_started(job, &m->started, fds);
        return 0;
}

static int on_ended(struct frontend *f, const union message *m, int *fd)
{
        struct job *job = frontend_find_job(f, m->header.job);

        if (job)
                job_on_ended(job, &m->ended, fd);
        return 0;
}

static int on_gone(struct frontend *f, const union message *m, int *fd)
{
        struct job *job = frontend_find_job(f, m->header.job);

        if (job)
                job_on_gone(job);
        return 0;
}

static int on_used(struct frontend *f, const union message *m, int *fd)
{
        struct job *job = frontend_find_job(f, m->header.job);

        if (job)
                job_on_used(job, &m->used);
        return 0;
}

static int on_stop(struct frontend *f, const union message *m, int *fd)
{
        frontend_on_stop(f);
        return 0;
}

static int on_ping(struct frontend *f, const union message *m, int *fd)
{
        /* One that cannot be sent is not heard, and ends this process. */
        (void) channel_pong(&f->channel);
        return 0;
}

static int on_backlog(struct frontend *f, const union message *m, int *fd)
{
        admission_on_backlog(f, m->backlog.behind != 0);
        return 0;
}

/* Without the policy in force there is nothing to go by: the monitor starts another frontend. */
static int on_policy(struct frontend *f, const union message *m, int *fd)
{
        return frontend_on_policy(f, m->generation.generation, *fd);
}

/* A handler that keeps an fd leaves -EBADF behind; a negative errno ends the frontend. */
static const struct {
        enum channel_op op;
        size_t size;
        size_t max_fds;
        int (*handle)(struct frontend *f, const union message *m, int *fds);
} operations[] = {
        { CHANNEL_OP_STARTED, sizeof(struct channel_started), _CHANNEL_STARTED_FD_COUNT,
                on_started },
        { CHANNEL_OP_ENDED, sizeof(struct channel_ended), 1, on_ended },
        { CHANNEL_OP_GONE, sizeof(struct channel_header), 0, on_gone },
        { CHANNEL_OP_USED, sizeof(struct channel_used), 0, on_used },
        { CHANNEL_OP_STOP, sizeof(struct channel_header), 0, on_stop },
        { CHANNEL_OP_PING, sizeof(struct channel_header), 0, on_ping },
        { CHANNEL_OP_POLICY, sizeof(struct channel_generation), 1, on_policy },
        { CHANNEL_OP_BACKLOG, sizeof(struct channel_backlog), 0, on_backlog },
};

static int dispatch(struct channel *ch, const union message *m, size_t size, int *fds, size_t n_fds)
{
        if (!channel_header_valid(&m->header, size))
                return -EBADMSG;
        for (size_t i = 0; i < ELEMENTSOF(operations); i++) {
                if (operations[i].op != m->header.op)
                        continue;
                if (operations[i].size != size || n_fds > operations[i].max_fds)
                        return -EBADMSG;
                return operations[i].handle(ch->frontend, m, fds);
        }
        return -EBADMSG;
}

/* Receives what is there. 0, or a negative errno when the channel is of no use any more. */
static int receive(struct channel *ch)
{
        for (unsigned i = 0; i < MESSAGES_PER_TURN; i++) {
                int fds[_CHANNEL_STARTED_FD_COUNT] = { -EBADF, -EBADF, -EBADF };
                union message m;
                size_t n_fds = 0;
                ssize_t n;
                int r;

                n = io_receive_message(ch->fd, &m, sizeof(m), fds, ELEMENTSOF(fds), &n_fds);
                if (n == -EAGAIN)
                        return 0;
                if (n == 0)
                        return -EPIPE;
                if (n < 0)
                        return (int) n;
                r = dispatch(ch, &m, (size_t) n, fds, n_fds);
                io_close_all(fds, ELEMENTSOF(fds));
                if (r < 0)
                        return r;
        }
        return 0;
}

static struct channel_message *take_first(struct channel *ch)
{
        struct channel_message *m = TAILQ_FIRST(&ch->pending);

        if (!m)
                return NULL;
        TAILQ_REMOVE(&ch->pending, m, entries);
        ch->n_pending--;
        return m;
}

/* Sends what has been waiting, as far as the socket takes it. */
static int flush(struct channel *ch)
{
        struct channel_message *m;

        while ((m = TAILQ_FIRST(&ch->pending))) {
                int r = io_send_message(ch->fd, &m->body, m->body.header.size, m->fds, m->n_fds);

                if (r == -EAGAIN)
                        return 0;
                if (r < 0)
                        return r;
                take_first(ch);
                message_free(m);
        }
        return sd_event_source_set_io_events(ch->source, EPOLLIN);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct channel *ch = userdata;
        int r = 0;

        if (revents & EPOLLOUT)
                r = flush(ch);
        if (r >= 0 && revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
                r = receive(ch);
        if (r < 0) {
                if (r != -EPIPE && r != -ECONNRESET)
                        log_error("the channel to the monitor failed: %s", strerror(-r));
                (void) sd_event_source_set_enabled(ch->source, SD_EVENT_OFF);
                frontend_on_monitor_lost(ch->frontend);
        }
        return 0;
}

static int put_off(struct channel *ch, const union message *body, int *fds, size_t n_fds)
{
        struct channel_message *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        m->body = *body;
        m->n_fds = n_fds;
        for (size_t i = 0; i < n_fds; i++)
                m->fds[i] = TAKE_FD(fds[i]);
        TAILQ_INSERT_TAIL(&ch->pending, m, entries);
        ch->n_pending++;
        return sd_event_source_set_io_events(ch->source, EPOLLIN | EPOLLOUT);
}

/* Sends now, or later when the socket is full; messages keep their order. */
static int post(struct channel *ch, const union message *body, int *fds, size_t n_fds)
{
        int r = -EAGAIN;

        if (TAILQ_EMPTY(&ch->pending))
                r = io_send_message(ch->fd, body, body->header.size, fds, n_fds);
        if (r == -EAGAIN)
                r = put_off(ch, body, fds, n_fds);
        return r;
}

int channel_start(struct channel *ch, const struct channel_start *start,
        int fds[static _CHANNEL_FD_COUNT])
{
        union message m = { .start = *start };
        int sent[_CHANNEL_FD_COUNT], r;
        size_t n = 0;

        for (size_t i = 0; i < _CHANNEL_FD_COUNT; i++)
                if (channel_start_has(start->flags, i))
                        sent[n++] = TAKE_FD(fds[i]);
        channel_header_init(&m.header, CHANNEL_OP_START, sizeof(m.start), start->header.job);
        r = post(ch, &m, sent, n);
        io_close_all(sent, n);
        return r;
}

int channel_kill(struct channel *ch, uint64_t job, enum job_status cause)
{
        union message m = { .kill = { .cause = cause } };

        channel_header_init(&m.header, CHANNEL_OP_KILL, sizeof(m.kill), job);
        return post(ch, &m, NULL, 0);
}

int channel_signal(struct channel *ch, uint64_t job, uint32_t signal)
{
        union message m = { .signal = { .signal = signal } };

        if (ch->n_pending > PENDING_MANY)
                return -EBUSY;
        channel_header_init(&m.header, CHANNEL_OP_SIGNAL, sizeof(m.signal), job);
        return post(ch, &m, NULL, 0);
}

int channel_usage(struct channel *ch, uint64_t job)
{
        union message m = {};

        channel_header_init(&m.header, CHANNEL_OP_USAGE, sizeof(m.header), job);
        return post(ch, &m, NULL, 0);
}

int channel_pong(struct channel *ch)
{
        union message m = {};

        channel_header_init(&m.header, CHANNEL_OP_PONG, sizeof(m.header), 0);
        return post(ch, &m, NULL, 0);
}

int channel_retire(struct channel *ch, uint32_t generation)
{
        union message m = { .generation = { .generation = generation } };

        channel_header_init(&m.header, CHANNEL_OP_RETIRE, sizeof(m.generation), 0);
        return post(ch, &m, NULL, 0);
}

int channel_idle(struct channel *ch)
{
        union message m = {};

        channel_header_init(&m.header, CHANNEL_OP_IDLE, sizeof(m.header), 0);
        return post(ch, &m, NULL, 0);
}

int channel_init(struct channel *ch, struct frontend *f, int fd)
{
        int r;

        *ch = (struct channel) { .frontend = f, .fd = fd };
        TAILQ_INIT(&ch->pending);
        r = io_set_nonblock(fd);
        if (r < 0)
                return r;
        r = sd_event_add_io(f->event, &ch->source, fd, EPOLLIN, on_io, ch);
        if (r < 0)
                return r;
        /* Verdicts and the order to stop go before new work. */
        return sd_event_source_set_priority(ch->source, SD_EVENT_PRIORITY_IMPORTANT);
}

void channel_done(struct channel *ch)
{
        struct channel_message *m;

        while ((m = take_first(ch)))
                message_free(m);
        ch->source = sd_event_source_disable_unref(ch->source);
        ch->fd = safe_close(ch->fd);
}
