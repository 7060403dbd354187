/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What init is for once the payload is forked: it gives up everything, reaps, passes signals on, and
 * reports the payload's end. Runs as pid 1 of the sandbox, without privilege.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/inotify.h>
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

/* Wakes us when the command has said its last words. Made while all calls are allowed: our filter does not
 * have these. Where it cannot be, the end is known when the command has ended. Safe because the path is in
 * our own mount namespace, where the monitor's template put that file, and only the opening of it is seen. */
static void watch_return_file(struct parking *p)
{
        p->wake_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (p->wake_fd >= 0 && inotify_add_watch(p->wake_fd, LAUNCH_RETURN_FILE, IN_OPEN) < 0)
                p->wake_fd = safe_close(p->wake_fd);
}

/* From here on init holds the way to report, and what was asked for at the end. */
static void become_reaper(struct init *i)
{
        int keep[] = {
                LAUNCH_CONTROL_FD,
                i->return_fd,
                i->run_fds[LAUNCH_FD_COLLECT],
                i->run_fds[LAUNCH_FD_COLLECT] >= 0 ? i->run_fds[LAUNCH_FD_SPEC] : -EBADF,
                i->parking.claim[1],
                i->parking.ready[0],
                i->parking.fault[0],
                init_is_parked(i) ? i->parking.loadavg_fd : -EBADF,
                i->parking.wake_fd,
        };
        int r;

        if (io_close_except(keep, ELEMENTSOF(keep)) < 0)
                init_fail(SETUP_STEP_CREDENTIALS, -errno);
        i->signal_fd = watch_children();
        forbid_priorities();
        /* Whoever reads files that we hand over may go away. */
        (void) signal(SIGPIPE, SIG_IGN);
        shed_privileges(LAUNCH_INIT_ID, LAUNCH_PAYLOAD_ID);
        init_die_with_monitor(SETUP_STEP_CREDENTIALS);
        r = own_filter_load();
        if (r < 0)
                init_fail(SETUP_STEP_SECCOMP, r);
}

/* The job is there, and the command goes on: it waits for the end of its pipe. Its time begins. */
static void let_go(struct init *i, bool return_value)
{
        struct launch_event started = { .kind = LAUNCH_STARTED, .usec = io_now_usec() };
        int r;

        i->run.return_value = return_value;
        i->parking.claim[1] = safe_close(i->parking.claim[1]);
        r = io_send_message(LAUNCH_CONTROL_FD, &started, sizeof(started), NULL, 0);
        if (r < 0)
                init_fail(SETUP_STEP_PAYLOAD, r);
}

/* Without it there is no job, and the command is of no use. */
static void note_handover(struct init *i, pid_t payload, const siginfo_t *info)
{
        i->parking.handover = 0;
        if (info->si_code == CLD_EXITED &&
                (info->si_status == HANDOVER_DONE || info->si_status == HANDOVER_DONE_WITH_VALUE)) {
                let_go(i, info->si_status == HANDOVER_DONE_WITH_VALUE);
                return;
        }
        init_report_failure(SETUP_STEP_FILES, -ECHILD);
        /* Not ours to kill while it is on its way to its own id: then all ends with us. */
        if (kill(payload, SIGKILL) < 0)
                _exit(1);
}

/* The parked command has ended. What it did without a job is none of a job's. */
static void finish_command(struct init *i)
{
        uint8_t fault;

        if (!init_is_parked(i))
                return;
        if (read(i->parking.fault[0], &fault, 1) == 1)
                init_report_failure(SETUP_STEP_EXEC, -(int) fault);
        if (i->parking.claim[1] < 0)
                return;
        init_report_failure(SETUP_STEP_LOST, -ECHILD);
        /* Another sandbox may get that job: its files are not ours. */
        i->run_fds[LAUNCH_FD_COLLECT] = safe_close(i->run_fds[LAUNCH_FD_COLLECT]);
}

/* Reaps who is dead. Whether the payload's own process was among them; what that left running dies
 * with pid 1. */
static bool reap(struct init *i, pid_t payload, struct launch_event *event)
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
                if (i->parking.handover > 0 && info.si_pid == i->parking.handover)
                        note_handover(i, payload, &info);
                if (info.si_pid != payload)
                        continue;
                finish_command(i);
                event->code = info.si_code;
                event->status = info.si_status;
                return true;
        }
}

/* What init is to know of a job: files that are fetched, and of a bare one whether it returns a value. Whether a parked
 * command does is known when the job has been handed to it: until then there is no value but its own. */
static void take_claim(struct init *i, const struct launch_claim *c, const int *fds, size_t n_fds)
{
        if (init_is_bare(i))
                i->run.return_value = c->return_value;
        if (n_fds == 0)
                return;
        i->run_fds[LAUNCH_FD_SPEC] = fds[0];
        i->run_fds[LAUNCH_FD_COLLECT] = fds[1];
        i->run.collect_max = c->collect_max;
}

union order {
        struct launch_signal signal;
        struct launch_claim claim;
};

/* An order of the monitor's. False when there will be none any more. */
static bool take_order(struct init *i, pid_t payload)
{
        union order order = {};
        size_t n_fds = 0;
        int fds[2];
        ssize_t n;

        n = io_receive_message(LAUNCH_CONTROL_FD, &order, sizeof(order), fds, 2, &n_fds);
        if (n == sizeof(order.signal) && order.signal.kind == LAUNCH_SIGNAL &&
                order.signal.version == LAUNCH_VERSION) {
                /* It is not reaped yet, so that the pid is its own; or it is, and is none. */
                if (payload > 0)
                        (void) kill(payload, (int) order.signal.signal);
                return true;
        }
        if (n == sizeof(order.claim) && order.claim.kind == LAUNCH_CLAIM &&
                order.claim.version == LAUNCH_VERSION &&
                (n_fds == 2 || (n_fds == 0 && init_is_bare(i)))) {
                take_claim(i, &order.claim, fds, n_fds);
                return true;
        }
        /* The monitor let a sandbox go that has no job. */
        if (i->parking.claim[1] >= 0)
                _exit(0);
        return false;
}

static void forget_wakeups(const struct parking *p)
{
        char events[256];

        (void) !read(p->wake_fd, events, sizeof(events));
}

/* So that the command's last words are heard, and none that were said before. */
static void await_last_words(struct parking *p, pid_t payload)
{
        char path[32];

        (void) snprintf(path, sizeof(path), "/proc/%d/comm", (int) payload);
        p->comm_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (p->comm_fd < 0)
                p->wake_fd = safe_close(p->wake_fd);
        forget_wakeups(p);
}

/* The command says that it waits, or never will. */
static void take_primed(struct init *i, pid_t payload)
{
        const struct launch_event parked = { .kind = LAUNCH_PARKED };
        char byte = 0;
        int r;

        if (read(i->parking.ready[0], &byte, 1) != 1 || byte != LAUNCH_PRIMED) {
                init_report_failure(SETUP_STEP_EXEC, -EPROTO);
                (void) kill(payload, SIGKILL);
                return;
        }
        i->parking.last_pid = proc_read_last_pid(i->parking.loadavg_fd);
        await_last_words(&i->parking, payload);
        r = io_send_message(LAUNCH_CONTROL_FD, &parked, sizeof(parked), NULL, 0);
        if (r < 0)
                init_fail(SETUP_STEP_EXEC, r);
}

/* Whether the name that the command gave itself says that it is about to exit. */
static bool has_last_words(const struct init *i, struct launch_event *event)
{
        static const size_t n = sizeof(LAUNCH_LAST_WORDS) - 1;
        char text[32], *end;
        unsigned long code;
        ssize_t size;

        if (i->parking.claim[1] >= 0)
                return false; /* it has no job yet, whose end that could be */
        size = pread(i->parking.comm_fd, text, sizeof(text) - 1, 0);
        if (size <= (ssize_t) n || memcmp(text, LAUNCH_LAST_WORDS, n) != 0)
                return false;
        text[size] = '\0';
        code = strtoul(text + n, &end, 10);
        if (end == text + n || *end != '\n' || code > UINT8_MAX)
                return false;
        event->code = CLD_EXITED;
        event->status = (int) code;
        /* What it does not do any more it may have left to others, and their time is not to go unmeasured. */
        event->done = i->parking.last_pid > 0 &&
                      proc_read_last_pid(i->parking.loadavg_fd) == i->parking.last_pid;
        return true;
}

/* As often as a command opens the file for something else; a job is not to keep us busy. */
#define WAKES_MAX 16

static bool take_wakeup(struct init *i, struct launch_event *event)
{
        struct parking *p = &i->parking;

        forget_wakeups(p);
        if (has_last_words(i, event))
                return true;
        if (++p->n_wakes == WAKES_MAX)
                p->wake_fd = safe_close(p->wake_fd);
        return false;
}

/* A bare sandbox's payload may have had its job, and ended, before we came to look at the order that was sent to us
 * first. That of a parked command cannot, and what there is for it then is another sandbox's. */
static void take_orders_left(struct init *i)
{
        struct pollfd p = { .fd = LAUNCH_CONTROL_FD, .events = POLLIN };

        while (init_is_bare(i) && poll(&p, 1, 0) > 0 && take_order(i, 0))
                continue;
}

static void await_end(struct init *i, pid_t payload, struct launch_event *event)
{
        struct pollfd p[] = {
                { .fd = i->signal_fd, .events = POLLIN },
                { .fd = LAUNCH_CONTROL_FD, .events = POLLIN },
                { .fd = i->parking.ready[0], .events = POLLIN },
                { .fd = -EBADF, .events = POLLIN },
        };

        while (!reap(i, payload, event)) {
                struct signalfd_siginfo info;

                if (poll(p, ELEMENTSOF(p), -1) < 0) {
                        if (errno != EINTR)
                                init_fail(SETUP_STEP_LOST, -errno);
                        continue;
                }
                if (p[0].revents)
                        (void) !read(i->signal_fd, &info, sizeof(info));
                if (p[1].revents && !take_order(i, payload))
                        p[1].fd = -EBADF;
                if (p[2].revents) {
                        take_primed(i, payload);
                        p[2].fd = -EBADF;
                        i->parking.ready[0] = safe_close(i->parking.ready[0]);
                }
                if (p[3].revents && take_wakeup(i, event))
                        return;
                p[3].fd = p[2].fd < 0 ? i->parking.wake_fd : -EBADF;
        }
        take_orders_left(i);
}

/* What was left of the job was adopted by us. */
static bool has_children(void)
{
        siginfo_t info;

        return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 || errno != ECHILD;
}

static void report_end(struct init *i, struct launch_event *event)
{
        bool value;
        struct stat st;

        event->usec = io_now_usec();
        event->done = event->done || !has_children();
        if (i->parking.last_pid > 0)
                event->grew = proc_read_last_pid(i->parking.loadavg_fd) != i->parking.last_pid;
        value = i->run.return_value && fstat(i->return_fd, &st) == 0 && st.st_size > 0;
        (void) io_send_message(LAUNCH_CONTROL_FD, event, sizeof(*event), &i->return_fd, value);
}

/* The monitor closes its end: when it has asked what the job used, since systemd removes a scope's cgroups
 * when the last process has left; and when the result is out, since taking a sandbox down keeps the CPU that
 * its way needs. Orders that came too late are left unheeded. */
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

        if (init_is_parked(i))
                watch_return_file(&i->parking);
        become_reaper(i);
        await_end(i, payload, &event);
        report_end(i, &event);
        if (i->run_fds[LAUNCH_FD_COLLECT] >= 0)
                collect_files(i);
        await_release();
        _exit(0);
}
