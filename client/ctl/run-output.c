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
        free(s->kept);
        *s = (struct run_stream) { .fd = -EBADF };
}

static int keep(struct run_stream *s, const void *data, size_t size)
{
        if (s->kept_room - s->kept_size < size) {
                size_t room = MAX(2 * s->kept_room, s->kept_size + size);
                uint8_t *grown = realloc(s->kept, room);

                if (!grown)
                        return -ENOMEM;
                s->kept = grown;
                s->kept_room = room;
        }
        memcpy(s->kept + s->kept_size, data, size);
        s->kept_size += size;
        return 0;
}

int run_stream_take(struct run_stream *s, const void *data, size_t size)
{
        ASSERT(s->pending_size == 0);
        s->received += size;
        if (size == 0 || s->closed)
                return 0;
        if (s->fd < 0)
                return keep(s, data, size);
        s->pending = data;
        s->pending_size = size;
        return 0;
}

int run_stream_write(struct run_stream *s)
{
        size_t size = s->small ? MIN(s->pending_size, (size_t) PIPE_BUF) : s->pending_size;
        ssize_t n = write(s->fd, s->pending, size);

        if (n < 0) {
                if (errno == EINTR || errno == EAGAIN)
                        return 0;
                s->pending_size = 0;
                return -errno;
        }
        s->pending += n;
        s->pending_size -= (size_t) n;
        return 0;
}

void run_stream_close(struct run_stream *s)
{
        s->pending_size = 0;
        s->closed = true;
}
