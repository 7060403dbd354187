/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bytes that wait for an fd to take them: frames for a client, stdin for a job. The queue itself
 * has no bound; its owner looks at queue_size() and stops feeding it.
 */

#include "common/macro.h"

struct queue {
        uint8_t *data;
        size_t start; /* of the first byte not yet written */
        size_t end;
        size_t room;
};

void queue_done(struct queue *q);

static inline size_t queue_size(const struct queue *q)
{
        return q->end - q->start;
}

/* Appends size bytes that the caller fills in before anything else is done with the queue. NULL
 * when there is no memory. */
uint8_t *queue_extend(struct queue *q, size_t size);
int queue_push(struct queue *q, const void *data, size_t size);

/* Drops that many bytes from the front. */
void queue_skip(struct queue *q, size_t size);

/* Writes as much as fd takes. Returns how much; -EAGAIN when it took nothing, or another errno. */
ssize_t queue_write(struct queue *q, int fd);
