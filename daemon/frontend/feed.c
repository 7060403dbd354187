/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files by a pipe. Runs in the frontend; the bytes are hostile and are never looked at.
 */
#include "daemon/frontend/feed.h"

#include "daemon/wire/transfer.h"

/* Credit goes back in steps of this size: who has more than three of them left is not waiting. */
#define CREDIT_STEP (FEED_CREDIT / 4)

static uint64_t inline_bytes(const Sandboxd__V1__Run *run)
{
        uint64_t size = 0;

        for (size_t i = 0; i < run->n_files; i++)
                size += run->files[i]->data.len;
        return size;
}

uint64_t feed_memory(const struct plan *plan, const Sandboxd__V1__Run *run)
{
        return MIN(plan_data_size(plan), run->code.len + inline_bytes(run) + FEED_CREDIT);
}

/* Appends to the last record where that is of the same file and none of it was written yet, so that a
 * file that comes in small parts does not take more in the queue than it has. */
static bool extend_last(struct feed *f, uint32_t file, size_t size)
{
        struct transfer_part part = { .file = file, .size = (uint32_t) (f->last_size + size) };
        size_t whole = sizeof(part) + f->last_size;

        if (f->last_size == 0 || f->last_file != file || queue_size(&f->queue) < whole ||
                f->last_size + size > UINT32_MAX)
                return false;
        memcpy(f->queue.data + f->queue.end - whole, &part, sizeof(part));
        f->last_size += size;
        return true;
}

static int queue_part(struct feed *f, uint32_t file, const void *data, size_t size)
{
        struct transfer_part part = { .file = file, .size = (uint32_t) size };

        /* Room for all of it first: a record must not promise bytes that there is no memory for. */
        if (!queue_extend(&f->queue, sizeof(part) + size))
                return -ENOMEM;
        f->queue.end -= sizeof(part) + size;
        if (!extend_last(f, file, size)) {
                if (queue_size(&f->queue) > f->queue_max)
                        return -EDQUOT;
                (void) queue_push(&f->queue, &part, sizeof(part));
                f->last_file = file;
                f->last_size = size;
        }
        return queue_push(&f->queue, data, size);
}

static int take(struct feed *f, size_t file, const void *data, size_t size)
{
        int r;

        if (size > f->left[file])
                return -EFBIG;
        if (size > 0 && !f->closed) {
                r = queue_part(f, f->first + (uint32_t) file, data, size);
                if (r < 0)
                        return r;
        }
        f->left[file] -= size;
        f->left_all -= size;
        return 0;
}

int feed_init(struct feed *f, const struct plan *plan, const Sandboxd__V1__Run *run)
{
        int r = 0;

        *f = (struct feed) {
                .fd = -EBADF,
                .first = plan->has_code,
                .n_files = run->n_files,
                .credit = FEED_CREDIT,
                .queue_max = (size_t) inline_bytes(run) + 2 * FEED_CREDIT,
                .left = calloc(run->n_files + 1, sizeof(*f->left)),
        };
        if (!f->left)
                return -ENOMEM;
        for (size_t i = 0; i < run->n_files; i++) {
                f->left[i] = plan->files[f->first + i].size;
                f->left_all += f->left[i];
        }
        for (size_t i = 0; i < run->n_files && r >= 0; i++)
                r = take(f, i, run->files[i]->data.data, run->files[i]->data.len);
        if (r < 0)
                feed_done(f);
        return r;
}

void feed_done(struct feed *f)
{
        f->fd = safe_close(f->fd);
        queue_done(&f->queue);
        free(TAKE_PTR(f->left));
        f->left_all = 0;
}

int feed_push(struct feed *f, size_t file, const void *data, size_t size)
{
        int r;

        if (file >= f->n_files)
                return -ENOENT;
        if (size > f->credit)
                return -EDQUOT;
        r = take(f, file, data, size);
        if (r < 0)
                return r;
        f->credit -= size;
        feed_flush(f);
        return 0;
}

void feed_flush(struct feed *f)
{
        ssize_t n;

        if (f->fd < 0 || f->closed)
                return;
        n = queue_write(&f->queue, f->fd);
        if (n < 0 && n != -EAGAIN)
                feed_set_closed(f);
}

void feed_set_closed(struct feed *f)
{
        f->closed = true;
        queue_done(&f->queue);
}

/* What was sent and is not in the queue any more; the records' own bytes count as the client's until
 * they are out. */
uint64_t feed_take_credit(struct feed *f)
{
        uint64_t sent = FEED_CREDIT - f->credit, queued = queue_size(&f->queue), owed;

        owed = sent > queued ? sent - queued : 0;
        if (f->closed || !feed_is_owed(f) || owed < CREDIT_STEP)
                return 0;
        f->credit += owed;
        return owed;
}
