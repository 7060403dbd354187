/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memfds that callers may have open. Runs in sandboxd-bus.
 *
 * Nobody tells us when the last fd of one is closed. A watch does, when the file is gone: whoever has it open, be it with
 * O_PATH, mapped, or on its way in a socket, keeps it there. What is not seen so are pages of it in a pipe or socket
 * (splice(2), sendfile(2)): they are no file any more, but still our memory, of which the kernel has the sum.
 */
#include "daemon/bus/loans.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "common/io.h"
#include "daemon/bus/call.h"

/* How long answers wait: whoever keeps fds until all answers are there would wait for ever. */
#define WAIT_USEC (10 * USEC_PER_SEC)
/* While some do: the kernel tells of a file that has gone before it has freed its pages, and of those nothing. */
#define LOOK_USEC (100 * USEC_PER_MSEC)

/* In parts of what the service may use: files in memory that nobody has open, and that are there nevertheless. */
#define PARTS 16U
#define STRAYS_NONE 1U /* less is nobody's fault */
#define STRAYS_SOME 4U /* with more, whoever has closed as much as STRAYS_NONE is lent nothing */
#define STRAYS_MOST 6U /* with more, nobody is */

struct loan {
        LIST_ENTRY(loan) entries;
        struct user *user;
        uint64_t size;
        uint64_t since; /* CLOCK_MONOTONIC */
        int watch;      /* of inotify */
};

static void loan_free(struct loan *l)
{
        LIST_REMOVE(l, entries);
        user_release(l->user, l->size);
        (void) user_unref(l->user);
        free(l);
}

void loans_init(struct loans *ls)
{
        LIST_INIT(&ls->list);
        TAILQ_INIT(&ls->waiting);
        ls->inotify_fd = -EBADF;
}

void loans_done(struct loans *ls)
{
        while (!LIST_EMPTY(&ls->list))
                loan_free(LIST_FIRST(&ls->list));
        ls->look = sd_event_source_disable_unref(ls->look);
        ls->gone = sd_event_source_disable_unref(ls->gone);
        ls->inotify_fd = safe_close(ls->inotify_fd);
}

/* ---- Room ---------------------------------------------------------------------------------------- */

bool loans_have_room(const struct loans *ls, uid_t uid, uint64_t age_usec)
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

static uint64_t find_strays(const struct service *s)
{
        uint64_t files = memory_in_files(&s->memory);

        return files - MIN(files, s->n_bytes);
}

/* Who keeps their pages is not known; but those who were lent most are the first to get no more. */
static bool allows(const struct service *s, uint64_t strays, const struct account *a)
{
        uint64_t part = s->memory.limit / PARTS;

        return strays < STRAYS_SOME * part ||
               (strays < STRAYS_MOST * part && a->n_returned < STRAYS_NONE * part);
}

bool loans_allow(struct service *s, const struct account *a)
{
        uint64_t strays = find_strays(s);

        if (strays < STRAYS_NONE * (s->memory.limit / PARTS))
                accounts_forget_returned(s);
        return allows(s, strays, a);
}

bool loans_are_exhausted(const struct service *s)
{
        return find_strays(s) >= STRAYS_MOST * (s->memory.limit / PARTS);
}

/* ---- Calls that wait for it ------------------------------------------------------------------------ */

static void fail_late(struct service *s)
{
        uint64_t now = io_now_usec();
        struct call *c;

        while ((c = TAILQ_FIRST(&s->loans.waiting)) && now - c->since >= WAIT_USEC)
                call_fail(c, "Busy",
                        "the job has ended, and too many fds with output are still open, or too "
                        "much memory is held by what was in them: let go of those of earlier "
                        "answers");
}

/* In the order in which they came; but nobody waits for what another user keeps. */
static void serve_waiting(struct service *s)
{
        uint64_t strays = TAILQ_EMPTY(&s->loans.waiting) ? 0 : find_strays(s);
        struct call *c, *next;

        for (c = TAILQ_FIRST(&s->loans.waiting); c; c = next) {
                next = TAILQ_NEXT(c, waiting);
                if (!loans_have_room(&s->loans, c->user->uid, 0) ||
                        !allows(s, strays, c->user->account))
                        continue;
                TAILQ_REMOVE(&s->loans.waiting, c, waiting);
                call_set_state(c, CALL_WORKING);
                c->step(c, NULL);
        }
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct service *s = userdata;

        fail_late(s);
        serve_waiting(s);
        if (TAILQ_EMPTY(&s->loans.waiting))
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return sd_event_source_set_time_relative(source, LOOK_USEC);
}

int loans_wait(struct service *s, struct call *c)
{
        int enabled, r;

        call_set_state(c, CALL_LENDING);
        c->since = io_now_usec();
        TAILQ_INSERT_TAIL(&s->loans.waiting, c, waiting);
        r = sd_event_source_get_enabled(s->loans.look, &enabled);
        /* Not to put off the look that others wait for. */
        if (r < 0 || enabled != SD_EVENT_OFF)
                return MIN(r, 0);
        r = sd_event_source_set_time_relative(s->loans.look, LOOK_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(s->loans.look, SD_EVENT_ON);
}

/* ---- What is lent, and comes back -------------------------------------------------------------------- */

static struct loan *find(const struct loans *ls, int watch)
{
        struct loan *l;

        LIST_FOREACH (l, &ls->list, entries)
                if (l->watch == watch)
                        return l;
        return NULL;
}

/* Those that nobody has open any more: the kernel ends their watches. */
static int on_gone(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct service *s = userdata;
        struct inotify_event events[64]; /* without names */
        ssize_t n;

        n = read(fd, events, sizeof(events));
        for (ssize_t i = 0; i < n / (ssize_t) sizeof(events[0]); i++) {
                struct loan *l = events[i].mask & IN_IGNORED ? find(&s->loans, events[i].wd) : NULL;

                if (!l)
                        continue;
                l->user->account->n_returned += l->size;
                loan_free(l);
        }
        serve_waiting(s);
        return 0;
}

int loans_watch(struct service *s)
{
        struct loans *ls = &s->loans;
        int r;

        ls->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (ls->inotify_fd < 0)
                return -errno;
        r = sd_event_add_io(s->event, &ls->gone, ls->inotify_fd, EPOLLIN, on_gone, s);
        if (r < 0)
                return r;
        /* Whoever closes one, and calls then, finds room. */
        r = sd_event_source_set_priority(ls->gone, SD_EVENT_PRIORITY_IMPORTANT);
        if (r < 0)
                return r;
        r = sd_event_add_time_relative(s->event, &ls->look, CLOCK_MONOTONIC, LOOK_USEC, 1, on_look,
                s);
        return r < 0 ? r : sd_event_source_set_enabled(ls->look, SD_EVENT_OFF);
}

int loans_lend(struct service *s, struct user *u, int memfd, uint64_t size, int *ret)
{
        _cleanup_free_ struct loan *l = calloc(1, sizeof(*l));
        _cleanup_close_ int lent = -EBADF;
        char path[64];

        if (!l)
                return -ENOMEM;
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
        lent = open(path, O_RDONLY | O_CLOEXEC);
        if (lent < 0)
                return -errno;
        l->watch = inotify_add_watch(s->loans.inotify_fd, path, IN_DELETE_SELF);
        if (l->watch < 0)
                return -errno;
        l->size = size;
        l->since = io_now_usec();
        l->user = user_ref(u);
        LIST_INSERT_HEAD(&s->loans.list, l, entries);
        TAKE_PTR(l);
        *ret = TAKE_FD(lent);
        return 0;
}
