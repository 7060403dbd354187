/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the program begins; as the maker it goes on in maker.c. Else it is pid 1 of a sandbox: takes its orders
 * from the monitor over fd 3, builds the sandbox around itself, starts the payload, and goes on in reaper.c.
 * Until the payload is forked it has root's rights and reads only what the monitor wrote; the job it reads, if
 * at all, when those are gone and the payload has ended.
 */
#include "daemon/init/init.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "common/io.h"

void init_report_failure(enum setup_step step, int error)
{
        struct launch_event event = {
                .kind = LAUNCH_FAILED,
                .step = step,
                .error = -error,
        };

        /* When the monitor is gone there is nobody left to tell. */
        (void) io_send_message(LAUNCH_CONTROL_FD, &event, sizeof(event), NULL, 0);
}

_noreturn_ void init_fail(enum setup_step step, int error)
{
        init_report_failure(step, error);
        _exit(1);
}

static void take_fds(int *dst, const int **src, size_t n)
{
        memcpy(dst, *src, n * sizeof(int));
        *src += n;
}

static void read_filter(struct init *i, int fd)
{
        ssize_t n = pread(fd, i->filter, sizeof(i->filter), 0);

        if (n <= 0 || (size_t) n % sizeof(i->filter[0]) != 0)
                init_fail(SETUP_STEP_RECEIVE, n < 0 ? -errno : -EBADMSG);
        i->filter_size = (unsigned short) ((size_t) n / sizeof(i->filter[0]));
}

static void receive_prepare(struct init *i)
{
        struct launch_prepare *p = &i->prepare;
        int fds[_LAUNCH_PREPARE_FD_COUNT];
        size_t n_fds = 0;
        ssize_t n;

        n = io_receive_message(LAUNCH_CONTROL_FD, p, sizeof(*p), fds, ELEMENTSOF(fds), &n_fds);
        if (n < 0)
                init_fail(SETUP_STEP_RECEIVE, (int) n);
        if (n != sizeof(*p) || p->kind != LAUNCH_PREPARE || p->version != LAUNCH_VERSION ||
                n_fds != (p->has_namespaces ? _LAUNCH_PREPARE_FD_COUNT : LAUNCH_FD_USERNS))
                init_fail(SETUP_STEP_RECEIVE, -EBADMSG);
        i->mntns_fd = fds[LAUNCH_FD_MNTNS];
        if (p->has_namespaces) {
                i->userns_fd = fds[LAUNCH_FD_USERNS];
                i->netns_fd = fds[LAUNCH_FD_NETNS];
        }
        read_filter(i, fds[LAUNCH_FD_FILTER]);
        (void) close(fds[LAUNCH_FD_FILTER]);
}

static bool join_is_valid(const struct launch_join *j, ssize_t n, size_t n_fds)
{
        return n == sizeof(*j) && j->kind == LAUNCH_JOIN && j->version == LAUNCH_VERSION &&
               j->job_dir <= 1 && j->n_join_init <= LAUNCH_JOIN_MAX &&
               j->n_join_job <= LAUNCH_JOIN_MAX && j->has_control <= 1 &&
               memchr(j->enable, '\0', sizeof(j->enable)) &&
               n_fds == j->job_dir + j->n_join_init + j->n_join_job + j->has_control;
}

static void receive_join(struct init *i)
{
        struct launch_join *j = &i->join;
        int fds[IO_FDS_MAX];
        const int *next = fds;
        size_t n_fds = 0;
        ssize_t n;

        n = io_receive_message(LAUNCH_CONTROL_FD, j, sizeof(*j), fds, IO_FDS_MAX, &n_fds);
        if (n == 0)
                _exit(0); /* the monitor let this sandbox go */
        if (n < 0 || !join_is_valid(j, n, n_fds))
                init_fail(SETUP_STEP_RECEIVE, n < 0 ? (int) n : -EBADMSG);
        take_fds(&i->job_dir_fd, &next, j->job_dir);
        take_fds(i->join_init_fds, &next, j->n_join_init);
        take_fds(i->join_job_fds, &next, j->n_join_job);
        take_fds(&i->control_fd, &next, j->has_control);
}

static bool run_is_valid(const struct launch_run *r, ssize_t n, size_t n_fds)
{
        if (n != sizeof(*r) || r->version != LAUNCH_VERSION ||
                n_fds != (size_t) __builtin_popcount(r->fds))
                return false;
        if (r->kind == LAUNCH_PARK)
                return r->fds == LAUNCH_FDS_OF_PARK;
        if (r->kind == LAUNCH_PARK_BARE)
                return r->fds == LAUNCH_FDS_OF_PARK_BARE;
        return r->kind == LAUNCH_RUN && (r->fds & LAUNCH_FDS_NEEDED) == LAUNCH_FDS_NEEDED &&
               r->fds >> _LAUNCH_RUN_FD_COUNT == 0;
}

void init_receive_run(struct init *i, int socket)
{
        int fds[_LAUNCH_PARK_FD_COUNT];
        const int *next = fds;
        size_t n_fds = 0;
        ssize_t n;

        n = io_receive_message(socket, &i->run, sizeof(i->run), fds, ELEMENTSOF(fds), &n_fds);
        if (n == 0)
                _exit(0); /* the monitor let this sandbox go */
        if (n < 0 || !run_is_valid(&i->run, n, n_fds))
                init_fail(SETUP_STEP_RECEIVE, n < 0 ? (int) n : -EBADMSG);
        for (size_t k = 0; k < _LAUNCH_PARK_FD_COUNT; k++) {
                i->run_fds[k] = -EBADF;
                take_fds(&i->run_fds[k], &next, i->run.fds >> k & 1);
        }
}

/* Safe because it widens nothing: the controllers of the scope around us are handed to the two
 * leaves in it, through a file that the monitor opened. */
static void enable_controllers(struct init *i)
{
        const struct launch_event joined = { .kind = LAUNCH_JOINED };
        size_t size = strlen(i->join.enable);
        int r;

        /* It may have been born in the scope, where no process is allowed then. */
        userns_await_holder(&i->holder);
        if (write(i->control_fd, i->join.enable, size) != (ssize_t) size)
                init_fail(SETUP_STEP_JOIN, -errno);
        r = io_send_message(LAUNCH_CONTROL_FD, &joined, sizeof(joined), NULL, 0);
        if (r < 0)
                init_fail(SETUP_STEP_JOIN, r);
}

static void join_init_leaf(struct init *i)
{
        receive_join(i);
        for (uint32_t k = 0; k < i->join.n_join_init; k++)
                /* Safe because the fd was opened by the monitor, for the leaf it made for us: "0"
                 * moves the writer and nobody else. */
                if (write(i->join_init_fds[k], "0", 1) != 1)
                        init_fail(SETUP_STEP_JOIN, -errno);
        if (i->join.has_control)
                enable_controllers(i);
}

/* Forks the payload's process, or the one beside it, on cgroup2 straight into the job's leaf: joining later by writing
 * cgroup.procs would wait for an RCU grace period. Safe because the fd is the monitor's, of the
 * leaf it made for us. */
static pid_t fork_payload(struct init *i)
{
        struct clone_args args = { .exit_signal = SIGCHLD };
        long pid;

        if (i->join.job_dir) {
                args.flags = CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t) i->job_dir_fd;
        }
        pid = syscall(SYS_clone3, &args, sizeof(args));
        if (pid < 0)
                init_fail(SETUP_STEP_PAYLOAD, -errno);
        return (pid_t) pid;
}

/* Any change of ids or user namespace takes this signal away, so it is set anew after each; then see
 * whether the monitor went meanwhile. */
void init_die_with_monitor(enum setup_step step)
{
        struct pollfd monitor = { .fd = LAUNCH_CONTROL_FD };

        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                init_fail(step, -errno);
        if (poll(&monitor, 1, 0) > 0 && monitor.revents & POLLHUP)
                _exit(1);
}

/* What the daemon's starter ignored, jobs would ignore too: nohup, a shell's background, and make, whose
 * posix_spawn() leaves libc's own two ignored. sigaction() does not take those, so the kernel is asked.
 */
static void reset_signals(void)
{
        static const unsigned long by_default[4]; /* its struct sigaction, with a mask of 64 bits */
        sigset_t none;

        (void) sigemptyset(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        for (int i = 1; i < _NSIG; i++)
                (void) syscall(SYS_rt_sigaction, i, by_default, NULL, sizeof(uint64_t));
}

static _noreturn_ void become_init(void)
{
        static struct init i = { .mntns_fd = -EBADF,
                .userns_fd = -EBADF,
                .netns_fd = -EBADF,
                .holder = { .fd = -EBADF },
                .job_dir_fd = -EBADF,
                .control_fd = -EBADF,
                .sys_fd = -EBADF,
                .return_fd = -EBADF,
                .signal_fd = -EBADF,
                .parking = {
                        .claim = { -EBADF, -EBADF },
                        .ready = { -EBADF, -EBADF },
                        .fault = { -EBADF, -EBADF },
                        .meminfo_fd = -EBADF,
                        .loadavg_fd = -EBADF,
                        .comm_fd = -EBADF,
                        .wake_fd = -EBADF,
                } };
        pid_t payload;

        receive_prepare(&i);
        if (!i.prepare.join_late)
                join_init_leaf(&i);
        userns_prepare(&i);
        init_die_with_monitor(SETUP_STEP_USERNS);
        init_mounts(&i);
        userns_enter(&i);
        init_die_with_monitor(SETUP_STEP_USERNS);
        if (i.prepare.join_late)
                join_init_leaf(&i);
        init_receive_run(&i, LAUNCH_CONTROL_FD);
        if (init_is_parked(&i))
                parking_open(&i.parking);
        if (init_is_bare(&i))
                /* Until there is a job nothing is here but us and the payload's process. */
                userns_await_holder(&i.holder);
        payload = fork_payload(&i);
        if (payload == 0)
                payload_main(&i);
        if (init_is_parked(&i)) {
                i.parking.handover = fork_payload(&i);
                if (i.parking.handover == 0)
                        handover_main(&i, payload);
        }
        reaper_main(&i, payload);
}

int main(int argc, char **argv)
{
        if (prctl(PR_SET_DUMPABLE, 0) < 0 || fcntl(LAUNCH_CONTROL_FD, F_SETFD, FD_CLOEXEC) < 0 ||
                io_close_from(LAUNCH_CONTROL_FD + 1) < 0)
                init_fail(SETUP_STEP_RECEIVE, -errno);
        reset_signals();
        init_die_with_monitor(SETUP_STEP_RECEIVE);
        if (argc == 1 && streq(argv[0], LAUNCH_MAKER_NAME))
                maker_main();
        become_init();
}
