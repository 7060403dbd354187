/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces made ahead of time: when, how many, and by whom. Runs in the monitor. The maker is the init
 * program, started for a batch and gone after it; what it sends is fds and an errno.
 */
#include "daemon/monitor/spares.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/monitor/launch.h"

/* The jobs that took some come first, and those after them. */
#define REFILL_USEC (20 * USEC_PER_MSEC)
/* What a batch may take on a host that has no CPU to spare, before it is given up. */
#define PATIENCE_USEC (300 * USEC_PER_SEC)
/* Most of the kernel ids are for sandboxes that have a job. */
#define IDS_FRACTION 8

static void schedule(struct spares *s, uint64_t usec)
{
        int on;

        /* One that is set stays: a stream of jobs is not to put it off for ever. */
        if (!s->refill || s->pid > 0 || s->n >= s->wanted ||
                (sd_event_source_get_enabled(s->refill, &on) >= 0 && on != SD_EVENT_OFF))
                return;
        (void) sd_event_source_set_time(s->refill, MAX(io_now_usec() + usec, s->pause.end_usec));
        (void) sd_event_source_set_enabled(s->refill, SD_EVENT_ONESHOT);
}

static struct spare take_oldest(struct spares *s)
{
        struct spare oldest = s->ready[0];

        ASSERT(s->n > 0);
        memmove(s->ready, s->ready + 1, --s->n * sizeof(s->ready[0]));
        return oldest;
}

static void drop_oldest(struct spares *s)
{
        struct spare oldest = take_oldest(s);

        (void) close(oldest.userns_fd);
        (void) close(oldest.netns_fd);
        uid_pool_release(s->uids, oldest.ids);
}

/* Whatever it was asked for and did not make it will not. */
static void forget_maker(struct spares *s)
{
        s->fd_source = sd_event_source_disable_unref(s->fd_source);
        s->pidfd_source = sd_event_source_disable_unref(s->pidfd_source);
        s->patience = sd_event_source_disable_unref(s->patience);
        s->fd = safe_close(s->fd);
        s->pidfd = safe_close(s->pidfd);
        s->pid = 0;
        while (s->n_asked > 0)
                uid_pool_release(s->uids, s->asked[--s->n_asked]);
}

/* Safe because a pidfd never names another process than the one it was made for. */
static void kill_maker(struct spares *s)
{
        (void) syscall(SYS_pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
}

/* One more is made. */
static void keep(struct spares *s, const int fds[static 2])
{
        ASSERT(s->n_asked > 0 && s->n < SPARES_MAX);
        s->ready[s->n++] = (struct spare) {
                .ids = s->asked[0],
                .userns_fd = fds[0],
                .netns_fd = fds[1],
        };
        memmove(s->asked, s->asked + 1, --s->n_asked * sizeof(s->asked[0]));
        if (s->n > s->wanted)
                drop_oldest(s);
}

/* Whether there may be more to hear. */
static bool hear(struct spares *s)
{
        struct launch_event event = {};
        size_t n_fds = 0;
        int fds[2];
        ssize_t n;

        n = io_receive_message(s->fd, &event, sizeof(event), fds, ELEMENTSOF(fds), &n_fds);
        if (n == -EAGAIN)
                return false;
        /* It ended with orders unread. What it said before is still there: the kernel reports the reset
         * first, and once. */
        if (n == -ECONNRESET)
                return true;
        if (n == sizeof(event) && event.kind == LAUNCH_MADE && n_fds == ELEMENTSOF(fds) &&
                s->n_asked > 0) {
                keep(s, fds);
                return true;
        }
        io_close_all(fds, n_fds);
        if (n == sizeof(event) && event.kind == LAUNCH_FAILED)
                log_warning("no namespaces can be made ahead of time (step %s, %s)",
                        setup_step_name(
                                event.step < _SETUP_STEP_COUNT ? event.step : SETUP_STEP_LOST),
                        strerror(event.error));
        else if (n != 0) {
                /* Without its fds it is of no use; whatever else it may say is a bug of ours. */
                log_warning("no namespaces can be made ahead of time (%s)",
                        n < 0 ? strerror((int) -n) : "the answer is none that there is");
                kill_maker(s);
        }
        s->fd_source = sd_event_source_disable_unref(s->fd_source);
        return false;
}

static int on_made(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct spares *s = userdata;

        while (hear(s))
                continue;
        return 0;
}

static int on_maker_gone(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct spares *s = userdata;
        siginfo_t info = {};

        while (s->fd_source && hear(s))
                continue;
        (void) waitid(P_PIDFD, (id_t) s->pidfd, &info, WEXITED);
        if (s->n_asked == 0) {
                pool_pause_reset(&s->pause);
        } else if (s->wanted > 0) {
                pool_pause_begin(&s->pause, io_now_usec());
                log_warning("%u namespaces that were to be made ahead of time were not: the next "
                            "are made in %" PRIu64 " s",
                        s->n_asked, s->pause.usec / USEC_PER_SEC);
        }
        forget_maker(s);
        schedule(s, REFILL_USEC);
        return 0;
}

static int on_patience_lost(sd_event_source *source, uint64_t usec, void *userdata)
{
        kill_maker(userdata);
        return 0;
}

/* All orders, and after them the end. Where ids are short, as many as there are. */
static int send_orders(struct spares *s, int fd)
{
        while (s->n + s->n_asked < s->wanted) {
                struct uid_pair *ids = &s->asked[s->n_asked];
                struct launch_namespaces m = {
                        .kind = LAUNCH_NAMESPACES,
                        .version = LAUNCH_VERSION,
                };
                int r = uid_pool_acquire(s->uids, ids);

                if (r == -EUSERS && s->n_asked > 0)
                        break;
                if (r < 0)
                        return r;
                s->n_asked++;
                m.init_id = ids->init;
                m.payload_id = ids->payload;
                r = io_send_message(fd, &m, sizeof(m), NULL, 0);
                if (r < 0)
                        return r;
        }
        return shutdown(fd, SHUT_WR) < 0 ? -errno : 0;
}

static int watch(struct spares *s)
{
        int r;

        r = sd_event_add_io(s->event, &s->fd_source, s->fd, EPOLLIN, on_made, s);
        if (r >= 0)
                r = sd_event_add_io(s->event, &s->pidfd_source, s->pidfd, EPOLLIN, on_maker_gone,
                        s);
        if (r >= 0)
                r = sd_event_add_time_relative(s->event, &s->patience, CLOCK_MONOTONIC,
                        PATIENCE_USEC, USEC_PER_SEC, on_patience_lost, s);
        return MIN(r, 0);
}

static int start_maker(struct spares *s)
{
        _cleanup_close_ int child = -EBADF;
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        s->fd = pair[0];
        child = pair[1];
        r = io_set_nonblock(s->fd);
        if (r == 0)
                r = send_orders(s, s->fd);
        if (r < 0)
                return r;
        r = launch_maker(s->init_fd, child, &s->pidfd);
        if (r < 0)
                return r;
        s->pid = r;
        return watch(s);
}

static void end_maker(struct spares *s)
{
        siginfo_t info = {};

        if (s->pid > 0) {
                kill_maker(s);
                (void) waitid(P_PIDFD, (id_t) s->pidfd, &info, WEXITED);
        }
        forget_maker(s);
}

static int on_refill(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct spares *s = userdata;
        int r;

        if (s->pid > 0 || s->n >= s->wanted)
                return 0;
        r = start_maker(s);
        if (r < 0) {
                end_maker(s);
                pool_pause_begin(&s->pause, io_now_usec());
                log_warning("no namespaces can be made ahead of time (%s)", strerror(-r));
                schedule(s, REFILL_USEC);
        }
        return 0;
}

int spares_init(struct spares *s, sd_event *event, struct uid_pool *uids, int init_fd)
{
        int r;

        *s = (struct spares) {
                .event = event,
                .uids = uids,
                .init_fd = init_fd,
                .pidfd = -EBADF,
                .fd = -EBADF,
        };
        r = sd_event_add_time(event, &s->refill, CLOCK_MONOTONIC, 0, 10 * USEC_PER_MSEC, on_refill,
                s);
        if (r >= 0)
                r = sd_event_source_set_enabled(s->refill, SD_EVENT_OFF);
        /* After whatever jobs need. */
        if (r >= 0)
                r = sd_event_source_set_priority(s->refill, SD_EVENT_PRIORITY_IDLE);
        return MIN(r, 0);
}

void spares_done(struct spares *s)
{
        if (!s->event)
                return;
        s->wanted = 0;
        s->refill = sd_event_source_disable_unref(s->refill);
        end_maker(s);
        while (s->n > 0)
                drop_oldest(s);
        s->event = NULL;
}

void spares_set(struct spares *s, unsigned n)
{
        if (!s->event)
                return;
        s->wanted = MIN(MIN(n, SPARES_MAX), s->uids->n_pairs / IDS_FRACTION);
        while (s->n > 0)
                drop_oldest(s);
        /* It ends beside whatever else is being ended. */
        if (s->wanted == 0 && s->pid > 0)
                kill_maker(s);
        schedule(s, 0);
}

int spares_take(struct spares *s, struct spare *ret)
{
        if (s->n == 0) {
                schedule(s, REFILL_USEC);
                return -ENOENT;
        }
        *ret = take_oldest(s);
        /* A few at a time: each start of the maker takes as long as making one. */
        if (s->n <= s->wanted / 2)
                schedule(s, REFILL_USEC);
        return 0;
}
