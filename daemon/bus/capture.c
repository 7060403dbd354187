/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The output of a job on its way into an answer. Runs in sandboxd-bus.
 *
 * The pages of a memfd are ours as long as anybody has it open, which nobody tells us. A lease for writing
 * is: the kernel gives it for a file that nobody else has open.
 */
#include "daemon/bus/capture.h"

#include <fcntl.h>
#include <stdio.h>

#include "common/io.h"
#include "daemon/bus/service.h"

#define SWEEP_USEC USEC_PER_SEC

struct loan {
        LIST_ENTRY(loan) entries;
        struct user *user;
        uint64_t size;
        int fd;
};

int capture_init(struct capture *c, struct user *u, uint64_t most, bool memfd)
{
        *c = (struct capture) { .user = user_ref(u), .most = most, .fd = -EBADF };
        if (!memfd)
                return 0;
        c->fd = io_memfd_new("output");
        return c->fd < 0 ? c->fd : 0;
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

static int reopen(int fd)
{
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static void loan_free(struct loan *l)
{
        LIST_REMOVE(l, entries);
        user_release(l->user, l->size);
        (void) user_unref(l->user);
        (void) safe_close(l->fd);
        free(l);
}

static int on_sweep(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct service *s = userdata;
        struct loan *l = LIST_FIRST(&s->loans.list), *next;

        for (; l; l = next) {
                next = LIST_NEXT(l, entries);
                if (fcntl(l->fd, F_SETLEASE, F_WRLCK) < 0)
                        continue;
                loan_free(l);
        }
        if (LIST_EMPTY(&s->loans.list))
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return sd_event_source_set_time_relative(source, SWEEP_USEC);
}

static int start_sweep(struct service *s)
{
        int r;

        if (!s->loans.sweep)
                return sd_event_add_time_relative(s->event, &s->loans.sweep, CLOCK_MONOTONIC,
                        SWEEP_USEC, 1, on_sweep, s);
        r = sd_event_source_set_time_relative(s->loans.sweep, SWEEP_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(s->loans.sweep, SD_EVENT_ON);
}

int capture_lend(struct capture *c, struct service *s, int *ret)
{
        _cleanup_close_ int lent = -EBADF, own = -EBADF;
        struct loan *l;
        int r;

        r = io_memfd_seal(c->fd);
        if (r < 0)
                return r;
        lent = reopen(c->fd);
        if (lent < 0)
                return lent;
        own = reopen(c->fd);
        if (own < 0)
                return own;
        r = start_sweep(s);
        if (r < 0)
                return r;
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        c->fd = safe_close(c->fd);
        l->fd = TAKE_FD(own);
        l->size = c->room;
        l->user = user_ref(c->user);
        c->room = c->size = 0;
        LIST_INSERT_HEAD(&s->loans.list, l, entries);
        *ret = TAKE_FD(lent);
        return 0;
}

void loans_done(struct loans *ls)
{
        while (!LIST_EMPTY(&ls->list))
                loan_free(LIST_FIRST(&ls->list));
        ls->sweep = sd_event_source_disable_unref(ls->sweep);
}
