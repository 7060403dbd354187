/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Frames: a 4-byte big-endian length, then that many bytes of one protobuf message. The reader
 * takes bytes as they come and gives whole frames; it allocates only what has arrived, never what a
 * length promises. Knows nothing of the messages inside. Used by frontend and client.
 */

#include "common/macro.h"

#define FRAME_HEADER_SIZE 4
#define FRAME_MAX_DEFAULT (4 * MIB)

struct frame_reader {
        uint8_t *data;
        size_t start; /* of the first byte not yet consumed */
        size_t end;   /* of the bytes received */
        size_t room;
        size_t max_frame;
};

void frame_reader_init(struct frame_reader *r, size_t max_frame);
void frame_reader_done(struct frame_reader *r);

/* Reads from fd once, what is there up to a bounded amount. Returns the count, 0 at end of file,
 * -EAGAIN, or another errno. */
ssize_t frame_reader_fill(struct frame_reader *r, int fd);
/* The two halves of a fill, for who receives in another way: room for at most *ret_size bytes at *ret, and
 * how many of them came. Returns 0 or -ENOMEM. */
int frame_reader_reserve(struct frame_reader *r, void **ret, size_t *ret_size);
void frame_reader_advance(struct frame_reader *r, size_t size);
/* As fill, from memory. */
int frame_reader_push(struct frame_reader *r, const void *data, size_t size);

/* Gives the next whole frame's body: 1 with ret set (valid until the next call on the reader), 0
 * when there is none yet, -EBADMSG for a length of 0, -EMSGSIZE for one over max_frame. */
int frame_reader_next(struct frame_reader *r, const uint8_t **ret_body, size_t *ret_size);
/* Gives back the room of a large frame that is done with: its body is no longer valid. */
void frame_reader_trim(struct frame_reader *r);
/* Bytes received that were not given out yet. */
size_t frame_reader_size(const struct frame_reader *r);
/* Whether a frame has begun and not ended. */
bool frame_reader_partial(const struct frame_reader *r);

/* Writes the 4 bytes of the header. */
void frame_header(uint8_t header[static FRAME_HEADER_SIZE], size_t body_size);
