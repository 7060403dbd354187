/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The relay processes there are. Runs in the service (sandboxd-bus). A relay that is killed may be slow to go, as when
 * the caller's file system does not answer: it stays charged until it has. The caller's fds are handed on,
 * and never read from, written to or asked anything of here.
 */
#include "daemon/bus/relays.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/wait.h>

struct relay {
        struct relays *relays;
        LIST_ENTRY(relay) entries;
        uid_t uid;
        enum relay_stream stream;
        int reason_fd;
        char first; /* byte that it said; NUL: nothing yet */
        bool ready;
        sd_event_source *reason;
        sd_event_source *child;
        relay_ready_handler on_ready; /* may be NULL */
        relay_end_handler on_end;     /* NULL: it was stopped */
        void *userdata;
};

void relays_init(struct relays *rs, sd_event *event, const char *program)
{
        *rs = (struct relays) {
                .event = sd_event_ref(event),
                .program = program ? program : "/proc/self/exe",
        };
        LIST_INIT(&rs->list);
}

static void relay_free(struct relay *r)
{
        LIST_REMOVE(r, entries);
        r->child = sd_event_source_disable_unref(r->child);
        r->reason = sd_event_source_disable_unref(r->reason);
        r->reason_fd = safe_close(r->reason_fd);
        free(r);
}

bool relay_is_ready(const struct relay *r)
{
        return r->ready;
}

void relay_stop(struct relay *r)
{
        if (!r)
                return;
        r->on_end = NULL;
        (void) sd_event_source_set_enabled(r->reason, SD_EVENT_OFF);
        (void) sd_event_source_send_child_signal(r->child, SIGKILL, NULL, 0);
}

void relays_done(struct relays *rs)
{
        while (!LIST_EMPTY(&rs->list)) {
                struct relay *r = LIST_FIRST(&rs->list);

                relay_stop(r);
                relay_free(r);
        }
        rs->event = sd_event_unref(rs->event);
}

static int check_room(const struct relays *rs, uid_t uid)
{
        const struct relay *r;
        unsigned all = 0, of_user = 0;

        LIST_FOREACH (r, &rs->list, entries) {
                all++;
                of_user += r->uid == uid;
        }
        /* Half of what the others leave: something is left for the next one. */
        if (of_user >= MIN(RELAYS_USER_MAX, (RELAYS_MAX - (all - of_user)) / 2))
                return -EDQUOT;
        return all >= RELAYS_MAX ? -EUSERS : 0;
}

/* The first byte, and it alone: what follows is read when the process has ended. */
static void take_ready(struct relay *r)
{
        if (r->first || read(r->reason_fd, &r->first, 1) != 1)
                return;
        r->ready = r->first == RELAY_READY;
        if (r->ready && r->on_ready)
                r->on_ready(r, r->userdata);
}

static int on_reason(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
        take_ready(userdata);
        return 0;
}

/* Whatever the process has become, what it says is one line of text. */
static void read_reason(const struct relay *r, char text[static RELAY_REASON_MAX])
{
        size_t had = r->first && !r->ready ? 1 : 0;
        ssize_t n = read(r->reason_fd, text + had, RELAY_REASON_MAX - 1 - had);

        if (had)
                text[0] = r->first;
        text[had + (size_t) MAX(n, 0)] = '\0';
        for (char *p = text; *p; p++)
                if (*p < ' ' || *p > '~')
                        *p = '?';
}

static enum relay_end judge(const struct relay *r, const siginfo_t *si,
        char reason[static RELAY_REASON_MAX])
{
        read_reason(r, reason);
        if (si->si_code == CLD_EXITED && si->si_status == RELAY_ENDED) {
                reason[0] = '\0';
                return RELAY_ENDED;
        }
        if (si->si_code == CLD_EXITED && reason[0] &&
                (si->si_status == RELAY_REFUSED || si->si_status == RELAY_FAILED))
                return si->si_status;
        (void) snprintf(reason, RELAY_REASON_MAX,
                "%s is no longer copied: its relay ended with %s %d, see the log of sandboxd-bus",
                relay_stream_name(r->stream), si->si_code == CLD_EXITED ? "exit status" : "signal",
                si->si_status);
        return RELAY_FAILED;
}

static int on_child(sd_event_source *source, const siginfo_t *si, void *userdata)
{
        struct relay *r = userdata;
        char reason[RELAY_REASON_MAX];

        if (r->on_end)
                take_ready(r);
        /* Which may have had it stopped. */
        if (r->on_end) {
                enum relay_end end = judge(r, si, reason);

                r->on_end(r, end, r->ready, reason, r->userdata);
        }
        relay_free(r);
        return 0;
}

/* An fd that lies where another one belongs in the relay is duplicated, and ret_copy to be closed. No other is:
 * to close an fd of the caller's can take as long as its file system wishes. */
static int move_up(int *fd, int *ret_copy)
{
        if (*fd > RELAY_REASON_FD)
                return 0;
        *ret_copy = fcntl(*fd, F_DUPFD_CLOEXEC, RELAY_REASON_FD + 1);
        if (*ret_copy < 0)
                return -errno;
        *fd = *ret_copy;
        return 0;
}

/* Names of fds in the order of their numbers in the relay. */
struct places {
        int fds[RELAY_REASON_FD + 1 - RELAY_CALLER_FD];
};

/* What is not close-on-exec the relay closes itself, since we would wait until it has. */
static int describe_fds(posix_spawn_file_actions_t *actions, const struct places *places)
{
        int q = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

        if (q == 0)
                q = posix_spawn_file_actions_adddup2(actions, STDIN_FILENO, STDOUT_FILENO);
        for (size_t i = 0; q == 0 && i < ELEMENTSOF(places->fds); i++)
                q = posix_spawn_file_actions_adddup2(actions, places->fds[i],
                        RELAY_CALLER_FD + (int) i);
        return q;
}

static int describe_signals(posix_spawnattr_t *attributes)
{
        sigset_t all, none;
        int q;

        (void) sigfillset(&all);
        (void) sigemptyset(&none);
        q = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (q == 0)
                q = posix_spawnattr_setsigmask(attributes, &none);
        if (q == 0)
                q = posix_spawnattr_setsigdefault(attributes, &all);
        return q;
}

static int spawn_program(const char *program, char *const argv[], const struct places *places,
        pid_t *ret)
{
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        char *no_environment[] = { NULL };
        int q;

        q = posix_spawn_file_actions_init(&actions);
        if (q != 0)
                return -q;
        q = posix_spawnattr_init(&attributes);
        if (q == 0) {
                q = describe_fds(&actions, places);
                if (q == 0)
                        q = describe_signals(&attributes);
                if (q == 0)
                        q = posix_spawn(ret, program, &actions, &attributes, argv, no_environment);
                (void) posix_spawnattr_destroy(&attributes);
        }
        (void) posix_spawn_file_actions_destroy(&actions);
        return -q;
}

static int spawn_relay(const struct relay *r, const struct places *places, pid_t *ret)
{
        char uid[sizeof("4294967295")], stream[sizeof("stdout")];
        char name[] = "sandboxd-bus", mode[] = "--relay", option[] = "--uid";
        char *argv[] = { name, mode, stream, option, uid, NULL };

        (void) snprintf(uid, sizeof(uid), "%u", (unsigned) r->uid);
        (void) str_copy(stream, sizeof(stream), relay_stream_name(r->stream));
        return spawn_program(r->relays->program, argv, places, ret);
}

/* Of what it opens, only the end of the pipe that is read from stays open. */
static int start_process(struct relay *r, int caller_fd, int socket_fd, pid_t *ret)
{
        _cleanup_close_ int reason_fd = -EBADF, caller_copy = -EBADF, socket_copy = -EBADF,
                            reason_copy = -EBADF;
        struct places places;
        int ends[2], q;

        if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
                return -errno;
        r->reason_fd = ends[0];
        reason_fd = ends[1];
        places = (struct places) { { caller_fd, socket_fd, reason_fd } };
        q = move_up(&places.fds[0], &caller_copy);
        if (q >= 0)
                q = move_up(&places.fds[1], &socket_copy);
        if (q >= 0)
                q = move_up(&places.fds[2], &reason_copy);
        return q < 0 ? q : spawn_relay(r, &places, ret);
}

static int watch_process(struct relay *r, pid_t pid)
{
        int q = sd_event_add_io(r->relays->event, &r->reason, r->reason_fd, EPOLLIN, on_reason, r);

        if (q >= 0)
                q = sd_event_add_child(r->relays->event, &r->child, pid, WEXITED, on_child, r);
        /* Our bug: SIGCHLD is not blocked. */
        ASSERT(q != -EBUSY);
        if (q < 0) {
                /* It is ours, and not reaped: the pid is its own. Where it has not gone by the time of
                 * the second call, which does not wait, a zombie is left. */
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, WNOHANG);
        }
        return q;
}

int relays_start(struct relays *rs, uid_t uid, int caller_fd, int socket_fd,
        enum relay_stream stream, relay_ready_handler on_ready, relay_end_handler on_end,
        void *userdata, struct relay **ret)
{
        struct relay *r;
        pid_t pid = 0;
        int q;

        ASSERT(on_end);
        q = check_room(rs, uid);
        if (q < 0)
                return q;
        r = malloc(sizeof(*r));
        if (!r)
                return -ENOMEM;
        *r = (struct relay) {
                .relays = rs,
                .uid = uid,
                .stream = stream,
                .reason_fd = -EBADF,
                .on_ready = on_ready,
                .on_end = on_end,
                .userdata = userdata,
        };
        LIST_INSERT_HEAD(&rs->list, r, entries);
        q = start_process(r, caller_fd, socket_fd, &pid);
        if (q >= 0)
                q = watch_process(r, pid);
        if (q < 0) {
                relay_free(r);
                return q;
        }
        if (ret)
                *ret = r;
        return 0;
}
