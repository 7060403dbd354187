/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The sentence that tells a person why a job ended as it did.
 */

#include "common/error.h"
#include "common/policy.h"
#include "daemon/wire/channel.h"

/* Its files, or its turn, came too late for the policy that it was accepted under. */
#define RESULT_POLICY_REPLACED                                                                     \
        "the policy was replaced before the job could be started: send the job again"

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
