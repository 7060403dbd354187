/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts and watches the frontend. Runs in the monitor, and for a few lines in the child that
 * becomes the frontend. Exec and not just fork: the frontend gets fresh memory and the fds that are
 * named here, and nothing else of the monitor's.
 */
#include "daemon/monitor/supervisor.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/monitor/privilege.h"
#include "daemon/wire/frontend.h"

/* As many starts as the ring holds within this time are too many. */
#define RATE_INTERVAL_USEC (10 * USEC_PER_SEC)

int supervisor_find_user(uid_t *ret_uid, gid_t *ret_gid, const char **ret_name,
        struct error *ret_error)
{
        static const char *const names[] = { "sandboxd", "nobody" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                const struct passwd *pw = getpwnam(names[i]);

                if (!pw || pw->pw_uid == 0)
                        continue;
                *ret_uid = pw->pw_uid;
                *ret_gid = pw->pw_gid;
                *ret_name = names[i];
                return 0;
        }
        return error_set(ret_error, -ENOENT,
                "there is no user 'sandboxd' or 'nobody' for the frontend: create one with "
                "'useradd --system sandboxd'");
}

#define FDS_MAX (FRONTEND_FD_LISTEN + POLICY_LISTENERS_MAX)

/* Moves the fds out of the way of the numbers they shall have, then to those numbers. The one that
 * exec needs follows them, and is closed by it. */
static int place_fds(const int *fds, size_t n, int *program)
{
        int high[FDS_MAX];

        ASSERT(n <= FDS_MAX);
        *program = fcntl(*program, F_DUPFD_CLOEXEC, 64);
        if (*program < 0)
                return -errno;

        for (size_t i = 0; i < n; i++) {
                high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 64);
                if (high[i] < 0)
                        return -errno;
        }
        for (size_t i = 0; i < n; i++)
                if (dup2(high[i], (int) i) < 0)
                        return -errno;
        if (dup3(*program, (int) n, O_CLOEXEC) < 0)
                return -errno;
        *program = (int) n;
        return io_close_from((int) n + 1);
}

static char *environment_of(const char *name)
{
        const char *value = getenv(name);
        char *text = NULL;

        if (value && asprintf(&text, "%s=%s", name, value) < 0)
                return NULL;
        return text;
}

static _noreturn_ void become_frontend(const struct supervisor *s, int channel)
{
        static const char *const passed[] = {
                "SANDBOXD_LOG_LEVEL",
                "JOURNAL_STREAM",
#ifdef WITH_SANITIZERS
                "ASAN_OPTIONS",
                "UBSAN_OPTIONS",
                "LSAN_OPTIONS",
#endif
        };
        char *const argv[] = { (char *) "sandboxd-frontend", NULL };
        char *envp[ELEMENTSOF(passed) + 1] = {};
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC), program = s->program_fd, r;
        int fds[FDS_MAX] = {
                null,
                STDERR_FILENO,
                STDERR_FILENO,
                [FRONTEND_FD_CHANNEL] = channel,
                [FRONTEND_FD_FILTER] = s->filter_fd,
        };
        size_t n = 0, n_fds = FRONTEND_FD_LISTEN;
        sigset_t none;

        log_close();
        for (uint32_t i = 0; i < s->listeners->n; i++)
                fds[n_fds++] = s->listeners->sockets[i].fd;
        for (size_t i = 0; i < ELEMENTSOF(passed); i++)
                if ((envp[n] = environment_of(passed[i])))
                        n++;
        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) signal(SIGPIPE, SIG_DFL);
        r = null < 0 || chdir("/") < 0 || setsid() < 0 ? -errno : 0;
        if (r == 0)
                r = place_fds(fds, n_fds, &program);
        if (r == 0)
                r = privilege_drop_all(s->uid, s->gid);
        if (r == 0) {
                (void) syscall(SYS_execveat, program, "", argv, envp, AT_EMPTY_PATH);
                r = -errno;
        }
        log_error("frontend: sandboxd-frontend cannot be started (%s)", strerror(-r));
        _exit(127);
}

static int on_death(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct supervisor *s = userdata;
        siginfo_t info = {};

        if (waitid(P_PIDFD, (id_t) s->pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0)
                return 0;
        s->pid = 0;
        /* In this order: a child that was forked a moment ago may hold the fd too, and an fd that is
         * closed while it is watched would stay in epoll for as long. */
        s->source = sd_event_source_disable_unref(s->source);
        s->pidfd = safe_close(s->pidfd);
        s->died(s->userdata, &info);
        return 0;
}

static bool too_often(struct supervisor *s)
{
        uint64_t oldest = s->starts[s->next], now = io_now_usec();

        return oldest > 0 && now - oldest < RATE_INTERVAL_USEC;
}

int supervisor_start(struct supervisor *s, int *ret_channel, struct error *ret_error)
{
        _cleanup_close_ int ours = -EBADF, theirs = -EBADF;
        int pair[2], r;
        pid_t pid;

        ASSERT(s->pid == 0);
        if (too_often(s))
                return error_set(ret_error, -EAGAIN, "the frontend died too often: see the log");
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return error_set(ret_error, -errno, "socketpair failed (%s)", strerror(errno));
        ours = pair[0];
        theirs = pair[1];
        pid = fork();
        if (pid < 0)
                return error_set(ret_error, -errno, "fork failed (%s)", strerror(errno));
        if (pid == 0)
                become_frontend(s, theirs);
        s->starts[s->next] = io_now_usec();
        s->next = (s->next + 1) % ELEMENTSOF(s->starts);
        s->pid = pid;
        s->pidfd = (int) syscall(SYS_pidfd_open, pid, 0);
        r = s->pidfd < 0 ? -errno
                         : sd_event_add_io(s->event, &s->source, s->pidfd, EPOLLIN, on_death, s);
        if (r < 0) {
                supervisor_kill(s);
                (void) waitpid(pid, NULL, 0);
                s->pid = 0;
                s->pidfd = safe_close(s->pidfd);
                return error_set(ret_error, r, "the frontend cannot be watched (%s)", strerror(-r));
        }
        *ret_channel = TAKE_FD(ours);
        return 0;
}

void supervisor_kill(struct supervisor *s)
{
        /* Safe because s->pid is our child and not yet reaped. */
        if (s->pid > 0)
                (void) kill(s->pid, SIGKILL);
}

void supervisor_done(struct supervisor *s)
{
        supervisor_kill(s);
        if (s->pid > 0)
                (void) waitpid(s->pid, NULL, 0);
        s->pid = 0;
        s->source = sd_event_source_disable_unref(s->source);
        s->pidfd = safe_close(s->pidfd);
}
