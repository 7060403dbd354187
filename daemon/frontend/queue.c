/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The byte queue. Runs in the frontend; SIGPIPE is ignored there, so that write(2) serves sockets
 * and pipes alike.
 */
#include "daemon/frontend/queue.h"

#define ROOM_MIN (4 * KIB)
/* An empty queue keeps at most this much memory. */
#define KEEP_MAX (64 * KIB)

void queue_done(struct queue *q)
{
        free(q->data);
        *q = (struct queue) {};
}

uint8_t *queue_extend(struct queue *q, size_t size)
{
        size_t used = queue_size(q), need, room;
        uint8_t *p;

        if (__builtin_add_overflow(used, size, &need))
                return NULL;
        if (q->start > 0 && q->end + size > q->room) {
                memmove(q->data, q->data + q->start, used);
                q->start = 0;
                q->end = used;
        }
        if (need > q->room) {
                room = MAX(q->room, (size_t) ROOM_MIN);
                while (room < need)
                        if (__builtin_mul_overflow(room, 2, &room))
                                return NULL;
                p = realloc(q->data, room);
                if (!p)
                        return NULL;
                q->data = p;
                q->room = room;
        }
        p = q->data + q->end;
        q->end += size;
        return p;
}

int queue_push(struct queue *q, const void *data, size_t size)
{
        uint8_t *p;

        if (size == 0)
                return 0;
        p = queue_extend(q, size);
        if (!p)
                return -ENOMEM;
        memcpy(p, data, size);
        return 0;
}

void queue_skip(struct queue *q, size_t size)
{
        ASSERT(size <= queue_size(q));
        q->start += size;
        if (q->start < q->end)
                return;
        q->start = q->end = 0;
        if (q->room > KEEP_MAX)
                queue_done(q);
}

ssize_t queue_write(struct queue *q, int fd)
{
        size_t done = 0;

        while (queue_size(q) > 0) {
                ssize_t n = write(fd, q->data + q->start, queue_size(q));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN && done > 0)
                        break;
                if (n < 0)
                        return -errno;
                queue_skip(q, (size_t) n);
                done += (size_t) n;
        }
        return (ssize_t) done;
}
