/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The count of sandboxes that are being taken down. Runs in the monitor. Knows nothing of them, and decides
 * nothing but whether there are too many.
 */
#include "daemon/monitor/backlog.h"

#include <unistd.h>

#include "common/io.h"
#include "common/log.h"

/* It takes the kernel a millisecond or two each, on all CPUs at once: as many are gone in a fraction of a second,
 * and are no more than what many short jobs that end together leave behind. */
#define BACKLOG_LEAST UINT32_C(64)
#define BACKLOG_PER_CPU UINT32_C(16)
/* What takes longer waits for something else than its turn. */
#define BACKLOG_WINDOW_USEC (2 * USEC_PER_SEC)
#define BACKLOG_ACCURACY_USEC (1 * USEC_PER_MSEC)

void backlog_init(struct backlog *b, sd_event *event)
{
        uint32_t n_cpus = (uint32_t) MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);

        *b = (struct backlog) {
                .event = event,
                .max = BACKLOG_LEAST + BACKLOG_PER_CPU * n_cpus,
                .window_usec = BACKLOG_WINDOW_USEC,
        };
        TAILQ_INIT(&b->entries);
}

static void drop(struct backlog *b, struct backlog_entry *e)
{
        TAILQ_REMOVE(&b->entries, e, entries);
        e->counted = false;
        b->n--;
}

static void drop_all(struct backlog *b)
{
        struct backlog_entry *e;

        while ((e = TAILQ_FIRST(&b->entries)))
                drop(b, e);
}

void backlog_done(struct backlog *b)
{
        b->timer = sd_event_source_disable_unref(b->timer);
        drop_all(b);
}

static void drop_old(struct backlog *b, uint64_t now)
{
        struct backlog_entry *e;

        while ((e = TAILQ_FIRST(&b->entries)) && now - e->since_usec >= b->window_usec)
                drop(b, e);
}

static int on_old(sd_event_source *source, uint64_t usec, void *userdata);

/* Nobody else may come by to see that the oldest is one no more. */
static int wait_for_oldest(struct backlog *b)
{
        b->timer = sd_event_source_disable_unref(b->timer);
        return sd_event_add_time(b->event, &b->timer, CLOCK_MONOTONIC,
                TAILQ_FIRST(&b->entries)->since_usec + b->window_usec, BACKLOG_ACCURACY_USEC,
                on_old, b);
}

static void set_behind(struct backlog *b, bool behind)
{
        b->behind = behind;
        if (b->changed)
                b->changed(b->userdata);
}

static void look(struct backlog *b)
{
        if (b->behind && b->n < (b->max + 1) / 2) {
                b->timer = sd_event_source_disable_unref(b->timer);
                set_behind(b, false);
        } else if (!b->behind && b->n > b->max) {
                int r = wait_for_oldest(b);

                /* What could stay true for ever is not said. */
                if (r < 0)
                        log_warning("no timer for the sandboxes that are being taken down (%s)",
                                strerror(-r));
                else
                        set_behind(b, true);
        }
}

static int on_old(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct backlog *b = userdata;

        drop_old(b, io_now_usec());
        if (b->n > 0 && wait_for_oldest(b) < 0)
                drop_all(b);
        look(b);
        return 0;
}

void backlog_add(struct backlog *b, struct backlog_entry *e)
{
        uint64_t now;

        if (e->since_usec > 0)
                return;
        now = io_now_usec();
        drop_old(b, now);
        e->since_usec = now;
        e->counted = true;
        TAILQ_INSERT_TAIL(&b->entries, e, entries);
        b->n++;
        look(b);
}

void backlog_remove(struct backlog *b, struct backlog_entry *e)
{
        if (!e->counted)
                return;
        drop(b, e);
        look(b);
}
