/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output streams of a job in sandboxctl. The fds are the caller's own and shared with who knows
 * whom, so they stay in blocking mode: poll() says when some can be written, and then no more is
 * written than is sure to fit.
 */
#include "client/ctl/run-output.h"

#include <limits.h>
#include <sys/stat.h>

void run_stream_init(struct run_stream *s, int fd)
{
        struct stat st;

        *s = (struct run_stream) { .fd = fd };
        /* A pipe that poll() calls writable has room for PIPE_BUF. A file always takes all. */
        s->small = fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode));
}

void run_stream_done(struct run_stream *s)
{
        free(s->data);
        *s = (struct run_stream) { .fd = -EBADF };
}

static int reserve(struct run_stream *s, size_t size)
{
        size_t room;
        char *grown;

        if (s->written > 0) {
                s->size -= s->written;
                memmove(s->data, s->data + s->written, s->size);
                s->written = 0;
        }
        if (s->room - s->size >= size)
                return 0;
        room = MAX(2 * s->room, s->size + size);
        grown = realloc(s->data, room);
        if (!grown)
                return -ENOMEM;
        s->data = grown;
        s->room = room;
        return 0;
}

int run_stream_take(struct run_stream *s, const void *data, size_t size)
{
        s->received += size;
        if (size == 0 || s->closed)
                return 0;
        if (reserve(s, size) < 0)
                return -ENOMEM;
        memcpy(s->data + s->size, data, size);
        s->size += size;
        return 0;
}

size_t run_stream_pending(const struct run_stream *s)
{
        return s->fd < 0 ? 0 : s->size - s->written;
}

ssize_t run_stream_write(struct run_stream *s)
{
        size_t pending = run_stream_pending(s);
        ssize_t n;

        n = write(s->fd, s->data + s->written,
                s->small ? MIN(pending, (size_t) PIPE_BUF) : pending);
        if (n < 0)
                return errno == EINTR || errno == EAGAIN ? 0 : -errno;
        s->written += (size_t) n;
        return n;
}

size_t run_stream_close(struct run_stream *s)
{
        size_t pending = run_stream_pending(s);

        s->written = s->size;
        s->closed = true;
        return pending;
}
