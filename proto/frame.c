/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames out of a byte stream. Runs in frontend and client. Never allocates what a length promises:
 * the buffer grows with the bytes that have arrived, and shrinks when a large frame is done.
 */
#include "proto/frame.h"

/* What one fill takes at most, so that one busy peer does not hold up the others. */
#define READ_MAX (64 * KIB)
/* A buffer that grew past this is given back once it is empty. */
#define KEEP_MAX (64 * KIB)
#define ROOM_MIN (4 * KIB)

void frame_reader_init(struct frame_reader *r, size_t max_frame)
{
        *r = (struct frame_reader) { .max_frame = max_frame };
}

void frame_reader_done(struct frame_reader *r)
{
        free(r->data);
        *r = (struct frame_reader) {};
}

static void compact(struct frame_reader *r)
{
        if (r->start == 0)
                return;
        memmove(r->data, r->data + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
}

/* Gives back what a large frame needed, so that an idle connection does not hold on to it. */
static void drop_if_large(struct frame_reader *r)
{
        if (r->room <= KEEP_MAX)
                return;
        free(TAKE_PTR(r->data));
        r->start = r->end = r->room = 0;
}

/* Makes room for size bytes after end. Doubling keeps the copying linear in the bytes received. */
static int reserve(struct frame_reader *r, size_t size)
{
        size_t need, room;
        uint8_t *grown;

        compact(r);
        if (__builtin_add_overflow(r->end, size, &need))
                return -ENOMEM;
        if (need <= r->room)
                return 0;
        room = MAX(r->room, (size_t) ROOM_MIN);
        while (room < need)
                if (__builtin_mul_overflow(room, 2, &room))
                        return -ENOMEM;
        grown = realloc(r->data, room);
        if (!grown)
                return -ENOMEM;
        r->data = grown;
        r->room = room;
        return 0;
}

int frame_reader_reserve(struct frame_reader *r, void **ret, size_t *ret_size)
{
        int e;

        /* A small read first: most frames are small, and an idle connection should cost little. */
        e = reserve(r, r->end - r->start < ROOM_MIN ? ROOM_MIN / 2 : READ_MAX);
        if (e < 0)
                return e;
        *ret = r->data + r->end;
        *ret_size = MIN(r->room - r->end, (size_t) READ_MAX);
        return 0;
}

void frame_reader_advance(struct frame_reader *r, size_t size)
{
        ASSERT(size <= r->room - r->end);
        r->end += size;
}

ssize_t frame_reader_fill(struct frame_reader *r, int fd)
{
        size_t size;
        ssize_t n;
        void *p;
        int e;

        e = frame_reader_reserve(r, &p, &size);
        if (e < 0)
                return e;
        do
                n = read(fd, p, size);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        frame_reader_advance(r, (size_t) n);
        return n;
}

int frame_reader_push(struct frame_reader *r, const void *data, size_t size)
{
        int e;

        if (size == 0)
                return 0;
        e = reserve(r, size);
        if (e < 0)
                return e;
        memcpy(r->data + r->end, data, size);
        r->end += size;
        return 0;
}

int frame_reader_next(struct frame_reader *r, const uint8_t **ret_body, size_t *ret_size)
{
        size_t have = r->end - r->start, size;
        const uint8_t *p;

        if (have == 0)
                drop_if_large(r);
        if (have < FRAME_HEADER_SIZE)
                return 0;
        p = r->data + r->start;
        size = (size_t) p[0] << 24 | (size_t) p[1] << 16 | (size_t) p[2] << 8 | p[3];
        if (size == 0)
                return -EBADMSG;
        if (size > r->max_frame)
                return -EMSGSIZE;
        if (have - FRAME_HEADER_SIZE < size)
                return 0;
        r->start += FRAME_HEADER_SIZE + size;
        *ret_body = p + FRAME_HEADER_SIZE;
        *ret_size = size;
        return 1;
}

void frame_reader_trim(struct frame_reader *r)
{
        if (r->start == r->end)
                drop_if_large(r);
}

size_t frame_reader_size(const struct frame_reader *r)
{
        return r->end - r->start;
}

bool frame_reader_partial(const struct frame_reader *r)
{
        return frame_reader_size(r) > 0;
}

void frame_header(uint8_t header[static FRAME_HEADER_SIZE], size_t body_size)
{
        ASSERT(body_size > 0 && body_size <= UINT32_MAX);
        header[0] = (uint8_t) (body_size >> 24);
        header[1] = (uint8_t) (body_size >> 16);
        header[2] = (uint8_t) (body_size >> 8);
        header[3] = (uint8_t) body_size;
}
