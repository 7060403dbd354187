/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A fuzz target: one function that takes any bytes and must neither crash, leak nor hang. Built
 * with libFuzzer by --enable-fuzzers; `make check` replays the corpus through replay.c without it.
 */

#include "common/macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
