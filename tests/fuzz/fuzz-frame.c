/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames put together from pieces of any length. The first byte says how long the pieces are.
 */
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

#define MAX_FRAME 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(frame_reader_done) struct frame_reader reader;
        size_t piece, total = 0;

        frame_reader_init(&reader, MAX_FRAME);
        if (size < 1)
                return 0;
        piece = (size_t) data[0] + 1;
        for (size_t at = 1; at < size; at += piece) {
                const uint8_t *body;
                size_t n = MIN(piece, size - at), length;
                int r;

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
