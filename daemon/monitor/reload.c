/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child that reads the policy again, and its end. Runs in the monitor; the child has its
 * privileges, reads what the system administrator installed, and keeps nothing of any job's.
 */
#include "daemon/monitor/reload.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/io.h"
#include "common/log.h"

static const bool transitions[][RELOAD_AGAIN + 1] = {
        [RELOAD_IDLE] = { [RELOAD_READING] = true },
        [RELOAD_READING] = { [RELOAD_AGAIN] = true, [RELOAD_IDLE] = true },
        [RELOAD_AGAIN] = { [RELOAD_READING] = true, [RELOAD_IDLE] = true },
};

static void set_state(struct reload *r, enum reload_state state)
{
        ASSERT(transitions[r->state][state]);
        r->state = state;
}

/* The child's fd that is no standard one. */
#define CHILD_SOCKET 3

static _noreturn_ void run_child(const struct reload *r, int socket, pid_t parent)
{
        _cleanup_(generation_unrefp) struct generation *g = NULL;
        struct error error = {};
        int k;

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* It may have died before that. */
        if (getppid() != parent)
                _exit(EXIT_FAILURE);
        log_close();
        /* Locks, and what ends when its last fd is closed, are the monitor's to let go of. */
        if (dup2(socket, CHILD_SOCKET) < 0 || io_close_from(CHILD_SOCKET + 1) < 0)
                _exit(EXIT_FAILURE);
        k = r->make(r->userdata, &g, &error);
        k = generation_send(CHILD_SOCKET, k < 0 ? NULL : g, &error);
        _exit(k < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static void kill_child(const struct reload *r)
{
        /* Safe because r->pid is our child and not yet reaped. */
        if (r->pid > 0)
                (void) kill(r->pid, SIGKILL);
}

/* How long the daemon's end waits for it. */
#define REAP_TIMEOUT_MSEC 1000

/* One that waits for a file system which does not answer outlives SIGKILL: it is left to whoever
 * reaps our children after us. */
static void reap_child(const struct reload *r)
{
        struct pollfd p = { .fd = r->pidfd, .events = POLLIN };

        if (r->pid == 0)
                return;
        /* Without a pidfd there is nothing to wait for that has a limit. */
        if (r->pidfd >= 0)
                (void) poll(&p, 1, REAP_TIMEOUT_MSEC);
        (void) waitpid(r->pid, NULL, WNOHANG);
}

static void drop_child(struct reload *r)
{
        r->pid = 0;
        r->source = sd_event_source_disable_unref(r->source);
        r->deadline = sd_event_source_disable_unref(r->deadline);
        r->pidfd = safe_close(r->pidfd);
        r->socket = safe_close(r->socket);
}

static void start(struct reload *r);

static void end(struct reload *r, struct generation *g, const struct error *error)
{
        bool again = r->state == RELOAD_AGAIN;

        drop_child(r);
        set_state(r, RELOAD_IDLE);
        r->ended(r->userdata, g, error);
        if (again)
                start(r);
}

static int on_exit_of_child(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct generation *g = NULL;
        struct reload *r = userdata;
        struct error error = {};
        siginfo_t info = {};

        if (waitid(P_PIDFD, (id_t) r->pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
                return 0;
        (void) generation_receive(r->socket, &g, &error);
        end(r, g, &error);
        return 0;
}

static int on_exit_of_late_child(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        siginfo_t info = {};

        if (waitid(P_PIDFD, (id_t) fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
                return 0;
        /* Closes the fd, and frees the source once this returns. */
        (void) sd_event_source_set_io_fd_own(source, true);
        return sd_event_source_set_floating(source, false);
}

/* Its death can take as long as the files did: it is reaped whenever it comes. */
static void leave_child(struct reload *r)
{
        kill_child(r);
        r->source = sd_event_source_disable_unref(r->source);
        if (sd_event_add_io(r->event, NULL, r->pidfd, EPOLLIN, on_exit_of_late_child, NULL) >= 0)
                r->pidfd = -EBADF;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct reload *r = userdata;
        struct error error = {};

        leave_child(r);
        (void) error_set(&error, -ETIMEDOUT,
                "the policy could not be read in time: see that its folders can be read, and "
                "reload again");
        end(r, NULL, &error);
        return 0;
}

static int watch(struct reload *r)
{
        int k;

        r->pidfd = (int) syscall(SYS_pidfd_open, r->pid, 0);
        if (r->pidfd < 0)
                return -errno;
        k = sd_event_add_io(r->event, &r->source, r->pidfd, EPOLLIN, on_exit_of_child, r);
        if (k >= 0)
                k = sd_event_add_time_relative(r->event, &r->deadline, CLOCK_MONOTONIC,
                        r->timeout_usec, 0, on_deadline, r);
        return MIN(k, 0);
}

static int start_child(struct reload *r)
{
        pid_t parent = getpid();
        int pair[2], k;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return -errno;
        r->socket = pair[0];
        r->pid = fork();
        if (r->pid == 0)
                run_child(r, pair[1], parent);
        k = r->pid < 0 ? -errno : 0;
        (void) close(pair[1]);
        if (k < 0) {
                r->pid = 0;
                return k;
        }
        return watch(r);
}

static void start(struct reload *r)
{
        struct error error = {};
        int k;

        set_state(r, RELOAD_READING);
        r->begun(r->userdata);
        k = start_child(r);
        if (k == 0)
                return;
        kill_child(r);
        reap_child(r);
        (void) error_set(&error, k, "no process to read the policy (%s): reload again",
                strerror(-k));
        end(r, NULL, &error);
}

void reload_request(struct reload *r)
{
        if (r->state == RELOAD_IDLE)
                start(r);
        else if (r->state == RELOAD_READING)
                set_state(r, RELOAD_AGAIN);
}

void reload_cancel(struct reload *r)
{
        if (r->state == RELOAD_AGAIN)
                set_state(r, RELOAD_READING);
        kill_child(r);
}

void reload_done(struct reload *r)
{
        kill_child(r);
        reap_child(r);
        drop_child(r);
}
