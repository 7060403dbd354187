/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What init is for once the payload is forked: it gives up everything, reaps, passes signals on, and
 * reports the payload's end. Runs as pid 1 of the sandbox, without privilege.
 */
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/io.h"
#include "daemon/init/init.h"

/* The scheduler lets whoever has our effective id, the job that is, change our priority within these
 * limits, and they are not to depend on how the daemon was started: down, and no way up. */
static void forbid_priorities(void)
{
        static const struct rlimit none = { 0, 0 };

        if (setrlimit(RLIMIT_NICE, &none) < 0 || setrlimit(RLIMIT_RTPRIO, &none) < 0)
                init_fail(SETUP_STEP_RLIMITS, -errno);
}

/* Deaths are polled for, beside orders. Only now, since a blocked signal would be the payload's too. */
static int watch_children(void)
{
        sigset_t set;
        int fd;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGCHLD);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (fd < 0)
                init_fail(SETUP_STEP_CREDENTIALS, -errno);
        return fd;
}

/* From here on init holds the way to report, and what was asked for at the end. */
static void become_reaper(struct init *i)
{
        int keep[] = {
                LAUNCH_CONTROL_FD,
                i->return_fd,
                i->run_fds[LAUNCH_FD_COLLECT],
                i->run_fds[LAUNCH_FD_COLLECT] >= 0 ? i->run_fds[LAUNCH_FD_SPEC] : -EBADF,
        };

        if (io_close_except(keep, ELEMENTSOF(keep)) < 0)
                init_fail(SETUP_STEP_CREDENTIALS, -errno);
        i->signal_fd = watch_children();
        forbid_priorities();
        shed_privileges(i, LAUNCH_INIT_ID, LAUNCH_PAYLOAD_ID);
        init_die_with_monitor(SETUP_STEP_CREDENTIALS);
}

/* Reaps who is dead. Whether the payload's own process was among them; what that left running dies
 * with pid 1. */
static bool reap(pid_t payload, struct launch_event *event)
{
        for (;;) {
                siginfo_t info = {};

                if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG) < 0) {
                        if (errno == EINTR)
                                continue;
                        init_fail(SETUP_STEP_LOST, -errno);
                }
                if (info.si_pid == 0)
                        return false;
                if (info.si_pid != payload)
                        continue;
                event->code = info.si_code;
                event->status = info.si_status;
                return true;
        }
}

/* An order of the monitor's. False when there will be none any more. It is read, and not received,
 * since the job's filter is ours too and need not have a call for sockets. */
static bool take_order(pid_t payload)
{
        struct launch_signal order = {};
        ssize_t n;

        n = read(LAUNCH_CONTROL_FD, &order, sizeof(order));
        if (n < 0 && errno == EINTR)
                return true;
        if (n != sizeof(order) || order.kind != LAUNCH_SIGNAL || order.version != LAUNCH_VERSION)
                return false;
        /* It is not reaped yet, so that the pid is its own. */
        (void) kill(payload, (int) order.signal);
        return true;
}

static void await_end(struct init *i, pid_t payload, struct launch_event *event)
{
        struct pollfd p[] = {
                { .fd = i->signal_fd, .events = POLLIN },
                { .fd = LAUNCH_CONTROL_FD, .events = POLLIN },
        };

        while (!reap(payload, event)) {
                struct signalfd_siginfo info;

                if (poll(p, ELEMENTSOF(p), -1) < 0) {
                        if (errno != EINTR)
                                init_fail(SETUP_STEP_LOST, -errno);
                        continue;
                }
                if (p[0].revents)
                        (void) !read(i->signal_fd, &info, sizeof(info));
                if (p[1].revents && !take_order(payload))
                        p[1].fd = -EBADF;
        }
}

static void report_end(struct init *i, struct launch_event *event)
{
        bool value;
        struct stat st;

        event->usec = io_now_usec();
        value = i->run.return_value && fstat(i->return_fd, &st) == 0 && st.st_size > 0;
        (void) io_send_message(LAUNCH_CONTROL_FD, event, sizeof(*event), &i->return_fd, value);
}

/* systemd removes a scope's cgroups when the last process has left, and with them what the job used:
 * the monitor closes its end when it has asked. Orders that came too late are left unheeded. */
static void await_release(void)
{
        struct launch_signal order;
        ssize_t n;

        do
                n = read(LAUNCH_CONTROL_FD, &order, sizeof(order));
        while (n > 0 || (n < 0 && errno == EINTR));
}

_noreturn_ void reaper_main(struct init *i, pid_t payload)
{
        struct launch_event event = { .kind = LAUNCH_EXITED };

        become_reaper(i);
        await_end(i, payload, &event);
        report_end(i, &event);
        if (i->run_fds[LAUNCH_FD_COLLECT] >= 0)
                collect_files(i);
        if (i->prepare.join_late)
                await_release();
        _exit(0);
}
