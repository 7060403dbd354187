/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The frontend's end of the channel to the monitor.
 */

#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "daemon/wire/channel.h"

struct frontend;
struct channel_message;

TAILQ_HEAD(channel_queue, channel_message);

struct channel {
        struct frontend *frontend;
        int fd;
        sd_event_source *source;
        struct channel_queue pending; /* messages that the socket has no room for yet */
        size_t n_pending;
};

/* Takes fd over. */
int channel_init(struct channel *ch, struct frontend *f, int fd);
void channel_done(struct channel *ch);

/* Asks for a sandbox; of the header only the job is needed. Takes the fds over, also on error: each is at
 * its place, and those that no flag speaks of are not there. */
int channel_start(struct channel *ch, const struct channel_start *start,
        int fds[static _CHANNEL_FD_COUNT]);
/* Asks for a job's end; cause is what its verdict will be. */
int channel_kill(struct channel *ch, uint64_t job, enum job_status cause);
/* Asks for a signal to be sent to the job's main process. -EBUSY when too much waits to be sent. */
int channel_signal(struct channel *ch, uint64_t job, uint32_t signal);
/* Asks what a job has used so far; the answer is a USED, unless it has ended. */
int channel_usage(struct channel *ch, uint64_t job);
/* Answers a PING. */
int channel_pong(struct channel *ch);
/* Says that no job will be started any more with this generation of the policy. */
int channel_retire(struct channel *ch, uint32_t generation);
/* Says that there is nothing to do, and that no socket is polled any more. The answer is STOP. */
int channel_idle(struct channel *ch);
