/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An input as a program: bytes are taken from its front, and 0 when there are none left.
 */

#include "common/macro.h"

struct input {
        const uint8_t *data;
        size_t left;
};

static inline uint8_t input_byte(struct input *in)
{
        if (in->left == 0)
                return 0;
        in->left--;
        return *in->data++;
}

static inline size_t input_below(struct input *in, size_t n)
{
        return input_byte(in) % n;
}

/* At most so many bytes, borrowed. */
static inline const uint8_t *input_bytes(struct input *in, size_t most, size_t *ret_size)
{
        const uint8_t *data = in->data;
        size_t n = MIN(most, in->left);

        in->data += n;
        in->left -= n;
        *ret_size = n;
        return data;
}

/* A number of any size, most of them small or near an edge. */
static inline uint64_t input_number(struct input *in)
{
        uint8_t b = input_byte(in);

        if (b < 128)
                return b;
        if (b == 255)
                return UINT64_MAX;
        /* A power of two, or one less. */
        return (UINT64_C(1) << (b % 64)) - (b >= 192);
}
