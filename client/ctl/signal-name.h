/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signals as people write them.
 */

#include "common/macro.h"

#define SIGNAL_NUMBER_MAX 64

/* "TERM", "SIGTERM", "15", "RTMIN+3", in any case. -EINVAL for what is none of `kill -l`. */
int signal_parse(const char *text, int *ret);
