/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stdin by credit. Runs in the frontend.
 */
#include "daemon/frontend/input.h"

/* Credit goes back in steps of this size, or when nothing is left to write. */
#define CREDIT_STEP (INPUT_CREDIT / 4)

void input_init(struct input *in, int fd, uint64_t credit)
{
        *in = (struct input) { .fd = fd, .credit = credit, .waits = fd < 0 };
}

void input_open(struct input *in, int fd)
{
        in->fd = fd;
        in->waits = false;
        input_flush(in);
}

void input_done(struct input *in)
{
        in->fd = safe_close(in->fd);
        in->waits = false;
        queue_done(&in->queue);
}

int input_push(struct input *in, const void *data, size_t size, bool eof)
{
        int r;

        if (in->eof && (size > 0 || eof))
                return -EBADE;
        if (size > in->credit)
                return -EDQUOT;
        in->credit -= size;
        in->eof = eof;
        if ((in->fd < 0 && !in->waits) || in->closed)
                return 0;
        r = queue_push(&in->queue, data, size);
        if (r < 0)
                return r;
        input_flush(in);
        return 0;
}

void input_flush(struct input *in)
{
        ssize_t n;

        if (in->fd < 0 || in->closed)
                return;
        n = queue_write(&in->queue, in->fd);
        if (n > 0)
                in->owed += (uint64_t) n;
        else if (n < 0 && n != -EAGAIN)
                input_set_closed(in);
}

void input_set_closed(struct input *in)
{
        in->closed = true;
        queue_done(&in->queue);
}

bool input_is_over(const struct input *in)
{
        return in->closed || (in->eof && !in->waits && queue_size(&in->queue) == 0);
}

uint64_t input_take_credit(struct input *in)
{
        uint64_t bytes = in->owed;

        if (in->closed || in->eof || (queue_size(&in->queue) > 0 && bytes < CREDIT_STEP))
                return 0;
        in->credit += bytes;
        in->owed = 0;
        return bytes;
}
