/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memfds that callers may have open. Runs in sandboxd-bus.
 *
 * Nobody tells us when the last of them is closed. A lease for writing does: the kernel gives one only for a
 * file that nobody else has open.
 */
#include "daemon/bus/loans.h"

#include <fcntl.h>
#include <stdio.h>

#include "daemon/bus/caller.h"

#define SWEEP_USEC USEC_PER_SEC

struct loan {
        LIST_ENTRY(loan) entries;
        struct user *user;
        uint64_t size;
        int fd;
};

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

int loans_check_room(const struct loans *ls, uid_t uid)
{
        unsigned all = 0, of_user = 0;
        const struct loan *l;

        LIST_FOREACH (l, &ls->list, entries) {
                all++;
                of_user += l->user->uid == uid;
        }
        return of_user >= LOANS_USER_MAX || all >= LOANS_MAX ? -EDQUOT : 0;
}

int loans_lend(struct service *s, struct user *u, int memfd, uint64_t size, int *ret)
{
        _cleanup_close_ int lent = -EBADF, own = -EBADF;
        struct loan *l;
        int r;

        lent = reopen(memfd);
        if (lent < 0)
                return lent;
        own = reopen(memfd);
        if (own < 0)
                return own;
        r = start_sweep(s);
        if (r < 0)
                return r;
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->fd = TAKE_FD(own);
        l->size = size;
        l->user = user_ref(u);
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
