/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes between a job and our own stdin, stdout and stderr: over the connection, or by sockets of its
 * own. Runs in sandboxctl. Of each stream no more than the credit, or a socket's, waits to
 * be written; until it is, no more of it comes, and the job is held back. What a cancelled job wrote is
 * dropped when its reader does not take it.
 */
#include <poll.h>

#include "client/ctl/memory.h"
#include "client/ctl/run-loop.h"
#include "common/io.h"

/* How long the output of a cancelled job waits for its reader. */
#define STALL_TIMEOUT_SEC 1
/* Moves of one pipe before the others have their turn. */
#define MOVES_MAX 16
/* Turns of all the pipes before the connection has its own. */
#define TURNS_MAX 16

/* Whether a line can be written to fd at once. */
bool is_writable(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLOUT };

        return poll(&p, 1, 0) > 0;
}

void run_set_state(struct run *r, enum run_state state)
{
        static const bool allowed[_RUN_STATE_COUNT][_RUN_STATE_COUNT] = {
                [RUN_SENT] = { [RUN_STARTED] = true, [RUN_CANCELLED] = true, [RUN_ENDED] = true },
                [RUN_STARTED] = { [RUN_CANCELLED] = true, [RUN_ENDED] = true },
                [RUN_CANCELLED] = { [RUN_ENDED] = true, [RUN_FINISHED] = true },
                [RUN_ENDED] = { [RUN_FINISHED] = true },
        };

        ASSERT(allowed[r->state][state]);
        r->state = state;
}

static struct run_stream *stream_of(struct run *r, enum sandbox_stream stream)
{
        return stream == SANDBOX_STDOUT ? &r->out : &r->err;
}

/* Bytes of a stream are done with: as many may come. After the end there is none to tell. */
static void consume(struct run *r, enum sandbox_stream stream, size_t size)
{
        if (r->job && size > 0)
                (void) sandbox_job_consume(r->job, stream, size);
}

void run_cancel(struct run *r)
{
        if (r->state != RUN_SENT && r->state != RUN_STARTED)
                return;
        run_set_state(r, RUN_CANCELLED);
        progress_done(&r->progress);
        r->stdin_open = false;
        run_pipe_done(&r->pipes[SANDBOX_STDIN]);
        r->leave_at_usec = io_now_usec() + CANCEL_TIMEOUT_SEC * USEC_PER_SEC;
        if (sandbox_job_cancel(r->job) < 0)
                (void) must(NULL);
}

static void close_stream(struct run *r, enum sandbox_stream stream)
{
        run_pipe_done(&r->pipes[stream]);
        consume(r, stream, run_stream_close(stream_of(r, stream)));
}

/* Output that goes nowhere has no purpose, and neither has the job. */
static void discard(struct run *r)
{
        r->discard = true;
        close_stream(r, SANDBOX_STDOUT);
        close_stream(r, SANDBOX_STDERR);
        run_cancel(r);
}

/* Forwards what stdin has, after poll() said that read() will not block. */
static void forward_stdin(struct run *r)
{
        size_t room = sandbox_job_get_stdin_room(r->job);
        ssize_t n = read(STDIN_FILENO, r->piece, MIN(room, (size_t) RUN_PIECE_SIZE));

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        /* Who types ends a line, and the cursor is at the beginning of the next. */
        progress_wrote(&r->progress, STDIN_FILENO, '\n');
        /* An stdin that cannot be read is an empty one. */
        if (n <= 0) {
                r->stdin_open = false;
                (void) sandbox_job_close_stdin(r->job);
                return;
        }
        if (sandbox_job_send_stdin(r->job, r->piece, (size_t) n) == -EPIPE)
                r->stdin_open = false;
}

static void output_failed(struct run *r, int error)
{
        progress_done(&r->progress);
        r->pipe_broken = error == -EPIPE;
        if (!r->pipe_broken)
                (void) fprintf(stderr, "sandboxctl: cannot write the job's output: %s\n",
                        strerror(-error));
        discard(r);
}

static void write_pending(struct run *r, enum sandbox_stream stream)
{
        struct run_stream *s = stream_of(r, stream);
        ssize_t n;

        progress_make_room(&r->progress, s->fd);
        n = run_stream_write(s);
        if (n > 0)
                progress_wrote(&r->progress, s->fd, s->data[s->written - 1]);
        if (n >= 0) {
                consume(r, stream, (size_t) n);
                return;
        }
        output_failed(r, (int) n);
}

/* Moves what one pipe can move at once: whether that was anything. */
static bool move_pipe(struct run *r, enum sandbox_stream stream)
{
        struct run_pipe *p = &r->pipes[stream];
        int q = 1, moves = 0;

        while (q > 0 && moves < MOVES_MAX && run_pipe_open(p)) {
                q = run_pipe_move(p);
                moves++;
        }
        if (q >= 0) {
                if (q > 0 || r->state != RUN_ENDED || p->wait_fd != p->in)
                        return q > 0 || moves > 1;
                /* Nothing comes after the end, also where somebody else still holds the pipe: there is
                 * nothing to wait for. */
                run_pipe_done(p);
                return true;
        }
        /* A job that reads no more of its stdin is in its right, and what cannot be read is empty. */
        if (stream == SANDBOX_STDIN)
                run_pipe_done(p);
        else
                output_failed(r, q);
        return true;
}

static bool move_pipes(struct run *r)
{
        bool moved = false;

        for (enum sandbox_stream s = SANDBOX_STDIN; s <= SANDBOX_STDERR; s++)
                /* One that waits is looked at again when its time has come. */
                if (run_pipe_open(&r->pipes[s]) && r->pipes[s].wait_fd < 0)
                        moved |= move_pipe(r, s);
        return moved;
}

/* Whether a stream waits for its reader. */
static bool is_held_up(const struct run *r, enum sandbox_stream stream)
{
        const struct run_pipe *p = &r->pipes[stream];

        return run_stream_pending(stream == SANDBOX_STDOUT ? &r->out : &r->err) > 0 ||
               (run_pipe_open(p) && p->wait_fd == p->out);
}

/* The reader of a cancelled job's output may have stopped for good, by the same Ctrl-C. */
static void close_stalled(struct run *r, enum sandbox_stream stream)
{
        if (!is_held_up(r, stream))
                return;
        close_stream(r, stream);
        if (is_writable(STDERR_FILENO))
                (void) fprintf(stderr,
                        "sandboxctl: nobody reads %s: the rest of the job's output there is left "
                        "out\n",
                        stream == SANDBOX_STDOUT ? "stdout" : "stderr");
}

bool run_output_pending(const struct run *r)
{
        return run_stream_pending(&r->out) > 0 || run_stream_pending(&r->err) > 0 ||
               run_pipe_open(&r->pipes[SANDBOX_STDOUT]) || run_pipe_open(&r->pipes[SANDBOX_STDERR]);
}

/* How long to wait at most: NULL for as long as it takes. */
static const struct timespec *longest_wait(const struct run *r, struct timespec *left)
{
        bool held_up = is_held_up(r, SANDBOX_STDOUT) || is_held_up(r, SANDBOX_STDERR);
        uint64_t usec = progress_timeout(&r->progress);

        if (r->interrupted || r->state == RUN_CANCELLED)
                usec = (held_up ? STALL_TIMEOUT_SEC : CANCEL_TIMEOUT_SEC) * USEC_PER_SEC;
        if (usec == SANDBOX_FOREVER)
                return NULL;
        left->tv_sec = (time_t) (usec / USEC_PER_SEC);
        left->tv_nsec = (long) (usec % USEC_PER_SEC * 1000);
        return left;
}

static struct pollfd poll_pipe(const struct run_pipe *p)
{
        return (struct pollfd) {
                .fd = run_pipe_open(p) ? p->wait_fd : -EBADF,
                .events = p->wait_events,
        };
}

static void wake_pipe(struct run_pipe *p, const struct pollfd *fd)
{
        if (fd->revents)
                p->wait_fd = -EBADF;
}

/* Responses that are here already, and no longer held up: no socket will tell of them. */
static bool has_more(const struct run *r)
{
        return r->job && sandbox_client_get_timeout(r->client) == 0;
}

/* Only looks, with moved: there may be more to move. */
static int wait_some(struct run *r, bool moved)
{
        static const struct timespec at_once = {};
        bool out = run_stream_pending(&r->out) > 0, err = run_stream_pending(&r->err) > 0;
        bool forward = r->stdin_open && sandbox_job_get_stdin_room(r->job) > 0;
        short events = (short) (r->job ? sandbox_client_get_events(r->client) : 0);
        struct pollfd fds[] = {
                { .fd = events ? sandbox_client_get_fd(r->client) : -EBADF, .events = events },
                { .fd = forward ? STDIN_FILENO : -EBADF, .events = POLLIN },
                { .fd = out ? STDOUT_FILENO : -EBADF, .events = POLLOUT },
                { .fd = err ? STDERR_FILENO : -EBADF, .events = POLLOUT },
                poll_pipe(&r->pipes[SANDBOX_STDIN]),
                poll_pipe(&r->pipes[SANDBOX_STDOUT]),
                poll_pipe(&r->pipes[SANDBOX_STDERR]),
        };
        struct timespec left;
        int q;

        moved |= has_more(r);
        q = ppoll(fds, ELEMENTSOF(fds), moved ? &at_once : longest_wait(r, &left), &r->signals);
        if (q < 0)
                return errno == EINTR ? 0 : -errno;
        r->client_due = fds[0].revents || (q == 0 && !moved);
        if (q == 0 && !moved && (r->interrupted || r->state == RUN_CANCELLED)) {
                close_stalled(r, SANDBOX_STDOUT);
                close_stalled(r, SANDBOX_STDERR);
        }
        for (enum sandbox_stream s = SANDBOX_STDIN; s <= SANDBOX_STDERR; s++)
                wake_pipe(&r->pipes[s], &fds[4 + s]);
        if (fds[1].revents)
                forward_stdin(r);
        if (fds[2].revents)
                write_pending(r, SANDBOX_STDOUT);
        if (fds[3].revents)
                write_pending(r, SANDBOX_STDERR);
        r->client_due |= has_more(r);
        return 0;
}

int run_wait_and_move(struct run *r)
{
        if (r->state == RUN_CANCELLED && io_now_usec() >= r->leave_at_usec)
                return -ETIMEDOUT;
        if (!move_pipes(r)) {
                r->moves = 0;
                return wait_some(r, false);
        }
        /* Not for every piece. */
        return ++r->moves % TURNS_MAX == 0 ? wait_some(r, true) : 0;
}

void run_take_output(struct run *r, enum sandbox_stream stream, const void *data, size_t size)
{
        struct run_stream *s = stream_of(r, stream);

        if (run_stream_take(s, data, size) < 0) {
                r->without_memory = true;
                discard(r);
        }
        if (s->fd < 0 || s->closed)
                consume(r, stream, size);
}

void run_ask_sockets(struct run *r, sandbox_spec *spec)
{
        bool able = !r->ctl->json && sandbox_client_has_feature(r->client, "stream-sockets");

        for (enum sandbox_stream s = SANDBOX_STDIN; s <= SANDBOX_STDERR; s++) {
                bool wanted = s != SANDBOX_STDIN || r->stdin_open;

                run_pipe_init(&r->pipes[s]);
                /* At a terminal there is a person, for whom the connection is fast enough. */
                r->sockets[s] = able && wanted && !isatty((int) s) &&
                                sandbox_spec_set_stream_socket(spec, s, 1) == 0;
        }
        if (r->sockets[SANDBOX_STDIN]) {
                r->stdin_open = false;
                sandbox_spec_set_stdin_stream(spec, 0);
        }
}

void run_take_sockets(struct run *r)
{
        for (enum sandbox_stream s = SANDBOX_STDIN; s <= SANDBOX_STDERR; s++) {
                int fd = r->sockets[s] ? sandbox_job_take_fd(r->job, s) : -EBADF;

                if (fd < 0)
                        continue;
                if (s == SANDBOX_STDIN)
                        run_pipe_in(&r->pipes[s], STDIN_FILENO, fd);
                else
                        run_pipe_out(&r->pipes[s], (int) s, fd);
        }
}
