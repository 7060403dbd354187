/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The sentence that tells a person why a job ended as it did.
 */

#include "common/error.h"
#include "common/policy.h"
#include "daemon/wire/channel.h"

struct result_message {
        const struct channel_ended *ended;
        const struct policy_profile *profile;
        const struct limits *limits;
        const char *command; /* what was to be executed */
        const char *workdir;
        bool strict_output;
};

/* Writes the sentence; an empty one for a status that needs none. Returns text->text. */
const char *result_message_format(const struct result_message *v, struct error *text);
