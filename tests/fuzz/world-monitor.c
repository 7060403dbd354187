/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor and the sandboxes of the frontend under test. The monitor is of our build and keeps to the
 * rules; what sandboxes put into pipes and files is of jobs, and keeps to none.
 */
#include <fcntl.h>

#include "common/io.h"
#include "daemon/wire/transfer.h"
#include "tests/fuzz/world.h"

static uint8_t bytes[64 * KIB];

/* --- what it is asked for */

static void take_start(struct world *w, const struct channel_start *m, int *fds, size_t n_fds)
{
        struct world_sandbox *s = NULL;
        size_t n = 0;

        for (size_t i = 0; i < WORLD_SANDBOXES && !s; i++)
                if (w->sandboxes[i].job == 0)
                        s = &w->sandboxes[i];
        if (!s) {
                io_close_all(fds, n_fds);
                return;
        }
        *s = (struct world_sandbox) { .job = m->header.job };
        for (size_t i = 0; i < _CHANNEL_FD_COUNT; i++) {
                s->fds[i] = -EBADF;
                if (!channel_start_has(m->flags, (enum channel_start_fd) i))
                        continue;
                ASSERT(n < n_fds);
                s->fds[i] = fds[n++];
                if (i != CHANNEL_FD_SPEC)
                        ASSERT(io_set_nonblock(s->fds[i]) == 0);
        }
        ASSERT(n == n_fds);
}

void monitor_step(struct world *w)
{
        union {
                struct channel_header header;
                struct channel_start start;
        } m;
        int fds[_CHANNEL_FD_COUNT];
        size_t n_fds = 0;
        ssize_t n;

        while ((n = io_receive_message(w->channel, &m, sizeof(m), fds, ELEMENTSOF(fds), &n_fds)) >
                0) {
                ASSERT(channel_header_valid(&m.header, (size_t) n));
                if (m.header.op == CHANNEL_OP_START)
                        take_start(w, &m.start, fds, n_fds);
                else
                        ASSERT(n_fds == 0);
        }
}

/* --- what a sandbox does */

static void write_output(struct world *w, const int *fd)
{
        size_t n = input_below(&w->in, 4) == 3 ? 40 : 1;
        uint64_t most = input_number(&w->in), size = MIN(most, sizeof(bytes));

        /* What the frontend does in between may close it. */
        while (*fd >= 0 && n-- > 0) {
                (void) !write(*fd, bytes, size);
                if (n > 0)
                        world_turn(w);
        }
}

static void read_input(int fd)
{
        if (fd >= 0)
                (void) !read(fd, bytes, sizeof(bytes));
}

/* A record of files that are fetched, or whatever bytes. */
static void write_record(struct input *in, int fd)
{
        static const char *const names[] = { "a", "d", "d/b", "../x", "" };
        struct transfer_record r = { .kind = (uint32_t) input_below(in, _TRANSFER_KINDS + 1) };
        size_t size;
        const uint8_t *data;
        const char *name;

        if (fd < 0)
                return;
        if (r.kind == _TRANSFER_KINDS) {
                data = input_bytes(in, input_byte(in), &size);
                (void) !write(fd, data, size);
                return;
        }
        name = names[input_below(in, ELEMENTSOF(names))];
        if (r.kind == TRANSFER_REGULAR || r.kind == TRANSFER_DATA)
                r.size = input_number(in);
        if (r.kind == TRANSFER_FAILED)
                r.error = (uint32_t) input_below(in, _TRANSFER_ERRORS);
        if (r.kind != TRANSFER_DATA && r.kind != TRANSFER_END)
                r.name_size = (uint32_t) strlen(name);
        (void) !write(fd, &r, sizeof(r));
        (void) !write(fd, name, r.name_size);
        if (r.kind == TRANSFER_DATA)
                (void) !write(fd, bytes, MIN(r.size, sizeof(bytes)));
}

static void close_fds(struct world_sandbox *s)
{
        io_close_all(s->fds, ELEMENTSOF(s->fds));
}

/* --- what the monitor says of it */

static int take_value(struct input *in)
{
        size_t size;
        const uint8_t *data;
        int fd;

        if (input_below(in, 4) < 3)
                return -EBADF;
        fd = io_memfd_new("value");
        ASSERT(fd >= 0);
        data = input_bytes(in, input_below(in, 32), &size);
        (void) !write(fd, data, size);
        return fd;
}

static void say_ended(struct world *w, struct world_sandbox *s)
{
        struct channel_ended m = {};
        int fd;

        if (s->ended)
                return;
        m.status = 1 + (uint32_t) input_below(&w->in, _JOB_STATUS_COUNT - 1);
        m.exit_code = input_byte(&w->in);
        fd = take_value(&w->in);
        if (m.status == JOB_STATUS_SETUP_ERROR)
                m.step = 1 + (uint32_t) input_below(&w->in, _SETUP_STEP_COUNT - 1);
        s->ended = true;
        channel_header_init(&m.header, CHANNEL_OP_ENDED, sizeof(m), s->job);
        (void) io_send_message(w->channel, &m, sizeof(m), &fd, fd >= 0);
        (void) safe_close(fd);
}

static void say(struct world *w, enum channel_op op, uint64_t job)
{
        struct channel_header h;

        channel_header_init(&h, op, sizeof(h), job);
        (void) io_send_message(w->channel, &h, sizeof(h), NULL, 0);
}

/* When all processes are gone, so are their ends of the pipes. */
static void say_gone(struct world *w, struct world_sandbox *s)
{
        close_fds(s);
        if (!s->ended && input_below(&w->in, 8) < 7)
                say_ended(w, s);
        say(w, CHANNEL_OP_GONE, s->job);
        *s = (struct world_sandbox) {};
}

static void say_used(struct world *w, struct world_sandbox *s)
{
        struct channel_used m = { .wall_usec = input_number(&w->in) };

        if (s->ended)
                return;
        channel_header_init(&m.header, CHANNEL_OP_USED, sizeof(m), s->job);
        (void) io_send_message(w->channel, &m, sizeof(m), NULL, 0);
}

static struct world_sandbox *choose(struct world *w)
{
        size_t first = input_below(&w->in, WORLD_SANDBOXES);

        for (size_t i = 0; i < WORLD_SANDBOXES; i++) {
                struct world_sandbox *s = &w->sandboxes[(first + i) % WORLD_SANDBOXES];

                if (s->job != 0)
                        return s;
        }
        return NULL;
}

void monitor_sandbox(struct world *w)
{
        struct world_sandbox *s = choose(w);
        size_t what = input_below(&w->in, 10), i;

        if (!s)
                return;
        switch (what) {
        case 0:
                write_output(w, &s->fds[CHANNEL_FD_STDOUT]);
                break;
        case 1:
                write_output(w, &s->fds[CHANNEL_FD_STDERR]);
                break;
        case 2:
                read_input(s->fds[CHANNEL_FD_STDIN]);
                break;
        case 3:
                read_input(s->fds[CHANNEL_FD_INPUT]);
                break;
        case 4:
        case 5:
                write_record(&w->in, s->fds[CHANNEL_FD_COLLECT]);
                break;
        case 6:
                i = input_below(&w->in, _CHANNEL_FD_COUNT);
                s->fds[i] = safe_close(s->fds[i]);
                break;
        case 7:
                say_ended(w, s);
                break;
        case 8:
                say_used(w, s);
                break;
        default:
                say_gone(w, s);
        }
}

/* --- what it says of itself */

static void say_policy(struct world *w)
{
        struct channel_generation m = { .generation = ++w->generation };
        int fd = world_policy(input_below(&w->in, WORLD_POLICIES));

        channel_header_init(&m.header, CHANNEL_OP_POLICY, sizeof(m), 0);
        (void) io_send_message(w->channel, &m, sizeof(m), &fd, 1);
}

static void say_backlog(struct world *w)
{
        struct channel_backlog m = { .behind = input_below(&w->in, 2) };

        channel_header_init(&m.header, CHANNEL_OP_BACKLOG, sizeof(m), 0);
        (void) io_send_message(w->channel, &m, sizeof(m), NULL, 0);
}

void monitor_message(struct world *w)
{
        switch (input_below(&w->in, 16)) {
        case 0:
                w->stopped = true;
                say(w, CHANNEL_OP_STOP, 0);
                break;
        case 1:
                say(w, CHANNEL_OP_PING, 0);
                break;
        case 2:
                say(w, CHANNEL_OP_GONE, input_number(&w->in));
                break;
        case 3:
                say_backlog(w);
                break;
        default:
                say_policy(w);
        }
}

void monitor_done(struct world *w)
{
        monitor_step(w);
        for (size_t i = 0; i < WORLD_SANDBOXES; i++)
                if (w->sandboxes[i].job != 0)
                        close_fds(&w->sandboxes[i]);
        w->channel = safe_close(w->channel);
}
