/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes between us and a job. Runs in sandboxctl. Our own end never blocks; stdin, stdout and stderr
 * are shared with who knows whom and stay as they are, so they are asked before, and then no more is
 * written than is sure to fit.
 */
#include "client/ctl/run-pipe.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "client/ctl/memory.h"
#include "common/io.h"

/* As much as an ordinary user's pipe may hold. */
#define PIPE_SIZE (1 * MIB)
#define BUFFER_SIZE (64 * KIB)

/* To what else splice(2) writes, a socket or a terminal, it may have to wait. */
static bool never_blocks(const struct stat *st)
{
        return S_ISREG(st->st_mode) ||
               (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3)); /* /dev/null */
}

/* Of pipes and files SPLICE_F_NONBLOCK is all that counts; of others also what they are set to. */
static bool heeds_splice(const struct stat *st)
{
        return S_ISFIFO(st->st_mode) || never_blocks(st);
}

static int make_pipe(int fds[static 2])
{
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        /* What the user's pipes may hold in all is limited: then it is a smaller one. */
        (void) fcntl(fds[0], F_SETPIPE_SZ, PIPE_SIZE);
        return 0;
}

int run_pipe_in(struct run_pipe *p, int fd, int *ret_far)
{
        struct stat st;
        int fds[2], r;

        r = make_pipe(fds);
        if (r < 0)
                return r;
        /* The job opens /dev/stdin anew under an id that is not ours. */
        if (fchmod(fds[0], 0666) < 0 || fstat(fd, &st) < 0)
                r = -errno;
        else
                r = io_set_nonblock(fds[1]);
        if (r < 0) {
                io_close_all(fds, ELEMENTSOF(fds));
                return r;
        }
        *p = (struct run_pipe) {
                .in = fd,
                .out = fds[1],
                .ours = fds[1],
                .splices = true,
                .eager = heeds_splice(&st),
                .wait_fd = -EBADF,
        };
        *ret_far = fds[0];
        return 0;
}

int run_pipe_out(struct run_pipe *p, int fd, int *ret_far)
{
        struct stat st;
        int fds[2], r;

        r = make_pipe(fds);
        if (r < 0)
                return r;
        r = fstat(fd, &st) < 0 ? -errno : io_set_nonblock(fds[0]);
        if (r < 0) {
                io_close_all(fds, ELEMENTSOF(fds));
                return r;
        }
        *p = (struct run_pipe) {
                .in = fds[0],
                .out = fd,
                .ours = fds[0],
                .splices = heeds_splice(&st),
                .eager = heeds_splice(&st),
                .small = !never_blocks(&st),
                .wait_fd = -EBADF,
        };
        *ret_far = fds[1];
        return 0;
}

void run_pipe_init(struct run_pipe *p)
{
        *p = (struct run_pipe) { .in = -EBADF, .out = -EBADF, .ours = -EBADF, .wait_fd = -EBADF };
}

void run_pipe_done(struct run_pipe *p)
{
        uint64_t moved = p->moved;

        safe_close(p->ours);
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

static ssize_t move_some(struct run_pipe *p)
{
        ssize_t n;

        if (!p->splices)
                return move_buffered(p);
        n = splice(p->in, NULL, p->out, NULL, PIPE_SIZE, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (n >= 0 || errno != EINVAL)
                return n < 0 ? -errno : n;
        /* A file that is only appended to, a terminal: not within the kernel. */
        p->splices = p->eager = false;
        return is_ready(p) ? move_buffered(p) : -EAGAIN;
}

int run_pipe_move(struct run_pipe *p)
{
        ssize_t n;

        if (!p->eager && !is_ready(p))
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
