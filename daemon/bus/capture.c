/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output of a job on its way into an answer. Runs in sandboxd-bus.
 */
#include "daemon/bus/capture.h"

#include "common/io.h"
#include "daemon/bus/service.h"

#define MEMFD_COST (32 * KIB)

int capture_init(struct capture *c, struct user *u, uint64_t most, bool memfd)
{
        *c = (struct capture) { .user = user_ref(u), .most = most, .fd = -EBADF };
        if (!memfd)
                return 0;
        c->fd = io_memfd_new("output");
        if (c->fd < 0)
                return c->fd;
        /* So that of these, too, there is a bound. */
        if (user_charge(u, MEMFD_COST) < 0)
                return -EDQUOT;
        c->room = MEMFD_COST;
        return 0;
}

void capture_done(struct capture *c)
{
        if (!c->user)
                return;
        free(c->data);
        c->fd = safe_close(c->fd);
        user_release(c->user, c->room);
        c->user = user_unref(c->user);
}

/* Room for size bytes in all; less when the user may not hold so much. */
static void grow(struct capture *c, uint64_t size)
{
        uint64_t room = MAX(MAX(c->room * 2, size), 4 * KIB);

        if (size <= c->room)
                return;
        room = MIN(room, MAX(c->most, size));
        if (user_charge(c->user, room - c->room) < 0) {
                room = size;
                if (user_charge(c->user, room - c->room) < 0)
                        return;
        }
        if (c->fd < 0) {
                uint8_t *grown = realloc(c->data, room);

                if (!grown) {
                        user_release(c->user, room - c->room);
                        return;
                }
                c->data = grown;
        }
        c->room = room;
}

int capture_put(struct capture *c, const void *data, size_t size)
{
        uint64_t fits;
        int r;

        grow(c, MIN(c->size + size, c->most));
        fits = MIN(size, c->room - c->size);
        c->cut = c->cut || fits < size;
        if (fits == 0)
                return 0;
        if (c->fd >= 0) {
                r = io_write_full(c->fd, data, fits);
                if (r < 0)
                        return r;
        } else
                memcpy(c->data + c->size, data, fits);
        c->size += fits;
        return 0;
}

int capture_lend(struct capture *c, struct service *s, int *ret)
{
        int r;

        r = io_memfd_seal(c->fd);
        if (r < 0)
                return r;
        r = loans_lend(s, c->user, c->fd, c->room, ret);
        if (r < 0)
                return r;
        c->fd = safe_close(c->fd);
        c->room = c->size = 0;
        return 0;
}
