/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A protobuf-c allocator with a budget: decoding a hostile message cannot use more memory than the
 * budget, however it is packed (a 1 MiB frame of empty repeated fields can unpack to 39 MiB).
 *
 *      struct budget b;
 *      budget_init(&b, 16 * MIB);
 *      m = sandboxd__v1__request__unpack(&b.allocator, size, data);   NULL when malformed or over
 *      sandboxd__v1__request__free_unpacked(m, &b.allocator);
 */

#include <protobuf-c/protobuf-c.h>

#include "common/macro.h"

struct budget {
        ProtobufCAllocator allocator;
        size_t used;
        size_t max;
        bool exceeded; /* an allocation was refused since init */
};

void budget_init(struct budget *b, size_t max);
