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

#include "common/io.h"
#include "daemon/bus/call.h"

#define SWEEP_USEC USEC_PER_SEC
/* While answers wait for it. */
#define SWEEP_SOON_USEC (50 * USEC_PER_MSEC)
/* How long they do: whoever keeps fds until all answers are there would wait for ever. */
#define WAIT_USEC (10 * USEC_PER_SEC)

struct loan {
        LIST_ENTRY(loan) entries;
        struct user *user;
        uint64_t size;
        uint64_t since; /* CLOCK_MONOTONIC */
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

static void give_up_late(struct call *c)
{
        if (io_now_usec() - c->since >= WAIT_USEC)
                call_fail(c, "Busy",
                        "the job has ended, and too many fds with output are still open: close "
                        "those of earlier answers");
}

static bool has_room(const struct loans *ls, uid_t uid, uint64_t age_usec)
{
        uint64_t now = io_now_usec();
        unsigned all = 0, of_user = 0;
        const struct loan *l;

        LIST_FOREACH (l, &ls->list, entries) {
                if (now - l->since < age_usec)
                        continue;
                all++;
                of_user += l->user->uid == uid;
        }
        return of_user <= LOANS_USER_MAX - LOANS_AT_ONCE && all <= LOANS_MAX - LOANS_AT_ONCE;
}

/* In the order in which they came; but nobody waits for what another user keeps. */
static void serve_waiting(struct service *s)
{
        struct call *c, *next;

        for (c = TAILQ_FIRST(&s->loans.waiting); c; c = next) {
                next = TAILQ_NEXT(c, waiting);
                if (!has_room(&s->loans, c->user->uid, 0)) {
                        give_up_late(c);
                        continue;
                }
                TAILQ_REMOVE(&s->loans.waiting, c, waiting);
                call_set_state(c, CALL_WORKING);
                c->step(c, NULL);
        }
}

/* Those that all have closed. */
static void sweep(struct loans *ls)
{
        struct loan *l = LIST_FIRST(&ls->list), *next;

        for (; l; l = next) {
                next = LIST_NEXT(l, entries);
                if (fcntl(l->fd, F_SETLEASE, F_WRLCK) < 0)
                        continue;
                loan_free(l);
        }
}

static int on_sweep(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct service *s = userdata;

        sweep(&s->loans);
        serve_waiting(s);
        if (LIST_EMPTY(&s->loans.list) && TAILQ_EMPTY(&s->loans.waiting))
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return sd_event_source_set_time_relative(source,
                TAILQ_EMPTY(&s->loans.waiting) ? SWEEP_USEC : SWEEP_SOON_USEC);
}

/* In that time, or before. */
static int sweep_within(struct service *s, uint64_t usec)
{
        uint64_t next = io_now_usec() + usec, planned;
        int enabled = SD_EVENT_OFF, r = 0;

        if (!s->loans.sweep)
                r = sd_event_add_time(s->event, &s->loans.sweep, CLOCK_MONOTONIC, next, 1, on_sweep,
                        s);
        else if (sd_event_source_get_enabled(s->loans.sweep, &enabled) < 0 ||
                 enabled == SD_EVENT_OFF ||
                 sd_event_source_get_time(s->loans.sweep, &planned) < 0 || planned > next)
                r = sd_event_source_set_time(s->loans.sweep, next);
        return r < 0 ? r : sd_event_source_set_enabled(s->loans.sweep, SD_EVENT_ON);
}

void loans_init(struct loans *ls)
{
        LIST_INIT(&ls->list);
        TAILQ_INIT(&ls->waiting);
}

int loans_check_room(struct loans *ls, uid_t uid, uint64_t age_usec)
{
        sweep(ls);
        return has_room(ls, uid, age_usec) ? 0 : -EDQUOT;
}

int loans_wait(struct service *s, struct call *c)
{
        call_set_state(c, CALL_LENDING);
        c->since = io_now_usec();
        TAILQ_INSERT_TAIL(&s->loans.waiting, c, waiting);
        return sweep_within(s, SWEEP_SOON_USEC);
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
        r = sweep_within(s, SWEEP_USEC);
        if (r < 0)
                return r;
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->fd = TAKE_FD(own);
        l->size = size;
        l->since = io_now_usec();
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
