/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between us and the sockets of a job. Runs in sandboxctl. The sockets never block; stdin, stdout and stderr
 * are shared with who knows whom and stay as they are, so they are asked before, and then no more is
 * written than is sure to fit.
 */
#include "client/ctl/run-pipe.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "client/ctl/memory.h"

#define MOVE_MAX (1 * MIB)
#define PIPE_SIZE ((int) (256 * KIB))
#define BUFFER_SIZE (64 * KIB)

/* Of what else is written to, a pipe, a socket or a terminal, only so much is sure to fit. */
static bool never_blocks(const struct stat *st)
{
        return S_ISREG(st->st_mode) ||
               (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3)); /* /dev/null */
}

/* Of our own stdin or stdout, when it is a pipe: fewer turns for all who are in the pipeline. Where the
 * user may not it stays as it is, and one that is larger does too. */
static void enlarge(int fd)
{
        int size = fcntl(fd, F_GETPIPE_SZ);

        if (size >= 0 && size < PIPE_SIZE)
                (void) fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

void run_pipe_in(struct run_pipe *p, int fd, int socket)
{
        struct stat st = {};

        (void) fstat(fd, &st);
        *p = (struct run_pipe) {
                .in = fd,
                .out = socket,
                .socket = socket,
                .way = S_ISFIFO(st.st_mode)  ? RUN_PIPE_SPLICE
                       : S_ISREG(st.st_mode) ? RUN_PIPE_SENDFILE
                                             : RUN_PIPE_BUFFER,
                .wait_fd = -EBADF,
        };
        p->eager = p->way != RUN_PIPE_BUFFER;
        enlarge(fd);
}

void run_pipe_out(struct run_pipe *p, int fd, int socket)
{
        struct stat st = {};

        (void) fstat(fd, &st);
        *p = (struct run_pipe) {
                .in = socket,
                .out = fd,
                .socket = socket,
                .way = S_ISFIFO(st.st_mode) ? RUN_PIPE_SPLICE : RUN_PIPE_BUFFER,
                .eager = S_ISFIFO(st.st_mode),
                .small = !never_blocks(&st),
                .wait_fd = -EBADF,
        };
        enlarge(fd);
}

void run_pipe_init(struct run_pipe *p)
{
        *p = (struct run_pipe) { .in = -EBADF, .out = -EBADF, .socket = -EBADF, .wait_fd = -EBADF };
}

void run_pipe_done(struct run_pipe *p)
{
        uint64_t moved = p->moved;

        safe_close(p->socket);
        free(p->buffer);
        run_pipe_init(p);
        p->moved = moved;
}

bool run_pipe_open(const struct run_pipe *p)
{
        return p->in >= 0;
}

static bool poll_now(struct run_pipe *p, int fd, short events)
{
        struct pollfd pfd = { .fd = fd, .events = events };

        bool ready = poll(&pfd, 1, 0) > 0;

        p->wait_fd = ready ? -EBADF : fd;
        p->wait_events = events;
        return ready;
}

/* Whether bytes can be moved now; else what for to wait. Where they go to is asked second, so that a
 * reader that has gone shows with the next byte for it, as it does with any pipe. */
static bool is_ready(struct run_pipe *p)
{
        if (p->end == p->start && !poll_now(p, p->in, POLLIN))
                return false;
        return poll_now(p, p->out, POLLOUT);
}

static ssize_t fill_buffer(struct run_pipe *p)
{
        ssize_t n;

        if (!p->buffer)
                p->buffer = must(malloc(BUFFER_SIZE));
        n = read(p->in, p->buffer, BUFFER_SIZE);
        if (n < 0)
                return -errno;
        p->start = 0;
        p->end = (size_t) n;
        return n;
}

static ssize_t move_buffered(struct run_pipe *p)
{
        ssize_t n;

        if (p->start == p->end) {
                n = fill_buffer(p);
                if (n <= 0)
                        return n;
        }
        n = write(p->out, p->buffer + p->start,
                p->small ? MIN(p->end - p->start, (size_t) PIPE_BUF) : p->end - p->start);
        if (n < 0)
                return -errno;
        p->start += (size_t) n;
        return n;
}

static ssize_t move_within_kernel(struct run_pipe *p)
{
        if (p->way == RUN_PIPE_SENDFILE)
                return sendfile(p->out, p->in, NULL, MOVE_MAX);
        return splice(p->in, NULL, p->out, NULL, MOVE_MAX, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
}

static ssize_t move_some(struct run_pipe *p)
{
        ssize_t n;

        if (p->way == RUN_PIPE_BUFFER)
                return move_buffered(p);
        n = move_within_kernel(p);
        if (n >= 0 || errno != EINVAL)
                return n < 0 ? -errno : n;
        /* A file of a kind that it cannot be done with. */
        p->way = RUN_PIPE_BUFFER;
        p->eager = false;
        return is_ready(p) ? move_buffered(p) : -EAGAIN;
}

int run_pipe_move(struct run_pipe *p)
{
        ssize_t n;

        if (!p->eager && !is_ready(p))
                return 0;
        /* splice(2) fails for want of a reader also when there is nothing to read. */
        if (p->eager && p->in == p->socket && !poll_now(p, p->in, POLLIN))
                return 0;
        n = move_some(p);
        if (n > 0) {
                p->moved += (uint64_t) n;
                return 1;
        }
        if (n == 0) {
                run_pipe_done(p);
                return 1;
        }
        if (n != -EAGAIN && n != -EINTR)
                return (int) n;
        return is_ready(p);
}
