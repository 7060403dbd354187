/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the daemon tells the journal with a MESSAGE_ID, so that it can be looked for by kind. The ids
 * are for ever: scripts and sandboxd.catalog, which explains each of them, know them.
 */

#include "common/log.h"

struct event_info {
        const char *message_id;     /* 128 random bits, as sd-id128(3) writes them */
        enum log_level level;       /* in the journal */
        enum log_level plain_level; /* on a plain stderr, where a daemon at work stays quiet */
};

extern const struct event_info event_table[_EVENT_COUNT];
