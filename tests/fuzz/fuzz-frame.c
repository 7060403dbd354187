/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames put together from pieces of any length. The first byte says how long the pieces are: all the
 * same, or each another length.
 */
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

#define MAX_FRAME 4096

/* Lengths follow from the first byte, and are short: a header is four bytes. */
static size_t next_piece(uint8_t how, uint32_t *state)
{
        if (how < 128)
                return (size_t) how + 1;
        *state = *state * 1664525 + 1013904223;
        return (*state >> 24) % (how % 8 ? 8 : 200) + 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(frame_reader_done) struct frame_reader reader;
        size_t total = 0;
        uint32_t state;

        frame_reader_init(&reader, MAX_FRAME);
        if (size < 1)
                return 0;
        state = data[0];
        for (size_t at = 1, n; at < size; at += n) {
                const uint8_t *body;
                size_t length;
                int r;

                n = next_piece(data[0], &state);
                n = MIN(n, size - at);
                if (frame_reader_push(&reader, data + at, n) < 0)
                        return 0;
                while ((r = frame_reader_next(&reader, &body, &length)) > 0) {
                        ASSERT(length > 0 && length <= MAX_FRAME);
                        total += FRAME_HEADER_SIZE + length;
                        /* Every byte given out was put in. */
                        ASSERT(total <= at + n - 1);
                        ASSERT(body[0] == data[1 + total - length]);
                }
                if (r < 0)
                        return 0;
        }
        return 0;
}
