/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts the init process of a sandbox. Runs in the monitor; what it sends is made of the policy
 * and of checked numbers, and the job's own bytes are only passed on as an fd.
 */
#include "daemon/monitor/launch.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "common/io.h"
#include "daemon/monitor/spawn.h"

_Static_assert((int) _LAUNCH_RUN_FD_COUNT == (int) _CHANNEL_FD_COUNT,
        "the fds of a START are passed on in their order");

static uint32_t visible_cpus(const struct sandbox *s)
{
        uint64_t n = ROUND_UP(s->limits.value[LIMIT_CPU_QUOTA], UINT64_C(100));

        return (uint32_t) MIN(MAX(n, UINT64_C(1)), (uint64_t) s->generation->template.n_cpus);
}

static int send_prepare(struct sandbox *s)
{
        const struct policy_profile *profile = &s->generation->policy->profiles[s->profile];
        const struct limits *limits = &s->limits;
        const struct launch_prepare m = {
                .kind = LAUNCH_PREPARE,
                .version = LAUNCH_VERSION,
                .join_late = s->host->driver->ops->needs_init,
                .init_id = s->ids.init,
                .payload_id = s->ids.payload,
                .memory_bytes = limits->value[LIMIT_MEMORY],
                .cpus = visible_cpus(s),
                .loopback = profile->loopback,
                .tmp_size = limits->value[LIMIT_TMP_SIZE],
                .tmp_inodes = profile->tmp_inodes,
                .has_namespaces = s->userns_fd >= 0,
        };
        const int fds[_LAUNCH_PREPARE_FD_COUNT] = {
                [LAUNCH_FD_MNTNS] = s->generation->template.mntns_fd,
                [LAUNCH_FD_FILTER] = s->generation->filter_fds[s->profile],
                [LAUNCH_FD_USERNS] = s->userns_fd,
                [LAUNCH_FD_NETNS] = s->netns_fd,
        };
        int r;

        r = io_send_message(s->control_fd, &m, sizeof(m), fds,
                m.has_namespaces ? _LAUNCH_PREPARE_FD_COUNT : LAUNCH_FD_USERNS);
        s->userns_fd = safe_close(s->userns_fd);
        s->netns_fd = safe_close(s->netns_fd);
        return r;
}

static int append_fd(int dir, const char *file, int *fds, size_t *n_fds)
{
        int fd = openat(dir, file, O_WRONLY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        fds[(*n_fds)++] = fd;
        return 0;
}

/* Opens, for each hierarchy that has the leaf, the file in which a process writes "0" to move itself
 * there; the right to do so is the opener's. On v1 that is "tasks", which takes microseconds. On
 * cgroup2 init's own move, from the scope to its leaf, takes a grace period; the payload is born in
 * its leaf. */
static int open_joins(const struct leaves *l, bool job, int *fds, size_t *n_fds, uint32_t *ret_n)
{
        size_t before = *n_fds;

        for (size_t i = 0; i < l->n; i++) {
                const struct leaf_dir *d = &l->dirs[i];
                int dir = job ? d->job_fd : d->init_fd, r;

                if (dir < 0 || (d->v2 && (job || !d->enable)))
                        continue;
                r = append_fd(dir, d->v2 ? "cgroup.procs" : "tasks", fds, n_fds);
                if (r < 0)
                        return r;
        }
        *ret_n = (uint32_t) (*n_fds - before);
        return 0;
}

static void format_enable(unsigned controllers, char *buf, size_t size)
{
        size_t n = 0;

        for (unsigned c = CGROUP_MEMORY; c <= CGROUP_PIDS; c <<= 1)
                if (controllers & c)
                        n += (size_t) snprintf(buf + n, size - n, "%s+%s", n > 0 ? " " : "",
                                cgroup_controller_name(c));
        ASSERT(n < size);
}

/* Opens what the message carries beside its first, borrowed fd. */
static int fill_join(const struct leaves *l, struct launch_join *m, int *fds, size_t *n_fds)
{
        const struct leaf_dir *v2 = leaves_find_v2(l);
        int r;

        r = open_joins(l, false, fds, n_fds, &m->n_join_init);
        if (r == 0)
                r = open_joins(l, true, fds, n_fds, &m->n_join_job);
        if (r < 0 || !v2 || !v2->enable)
                return r;
        m->has_control = 1;
        format_enable(v2->enable, m->enable, sizeof(m->enable));
        return append_fd(v2->sandbox_fd, "cgroup.subtree_control", fds, n_fds);
}

int launch_join(struct sandbox *s, enum setup_step *ret_step)
{
        const struct leaf_dir *v2 = leaves_find_v2(&s->place.leaves);
        struct launch_join m = {
                .kind = LAUNCH_JOIN,
                .version = LAUNCH_VERSION,
                .job_dir = v2 != NULL,
        };
        int fds[IO_FDS_MAX], r;
        size_t n_fds = 0, borrowed;

        *ret_step = SETUP_STEP_JOIN;
        if (v2)
                fds[n_fds++] = v2->job_fd;
        borrowed = n_fds;
        r = fill_join(&s->place.leaves, &m, fds, &n_fds);
        if (r == 0)
                r = io_send_message(s->control_fd, &m, sizeof(m), fds, n_fds);
        io_close_all(fds + borrowed, n_fds - borrowed);
        return r < 0 ? r : (int) m.has_control;
}

int launch_send_run(int socket, const struct policy_profile *profile, const struct limits *limits,
        bool return_value, const int *fds_of_start)
{
        struct launch_run m = {
                .kind = LAUNCH_RUN,
                .version = LAUNCH_VERSION,
                .return_value = return_value,
                .open_files = profile->open_files,
                .processes = launch_max_processes(limits),
                .file_size = launch_max_file_size(limits),
                .collect_max = limits->value[LIMIT_FILES_SIZE],
                .memory_bytes = limits->value[LIMIT_MEMORY],
        };
        int fds[_LAUNCH_RUN_FD_COUNT];
        size_t n = 0;

        for (size_t i = 0; i < _LAUNCH_RUN_FD_COUNT; i++)
                if (fds_of_start[i] >= 0) {
                        m.fds |= 1U << i;
                        fds[n++] = fds_of_start[i];
                }
        return io_send_message(socket, &m, sizeof(m), fds, n);
}

int launch_run(struct sandbox *s, enum setup_step *ret_step)
{
        int r;

        *ret_step = SETUP_STEP_RECEIVE;
        r = launch_send_run(s->control_fd, &s->generation->policy->profiles[s->profile], &s->limits,
                s->return_value, s->start_fds);
        io_close_all(s->start_fds, _CHANNEL_FD_COUNT);
        /* Init has what it needs of the policy: a long job does not keep it. */
        s->generation = generation_unref(s->generation);
        return r;
}

int launch_signal(struct sandbox *s, uint32_t number)
{
        const struct launch_signal m = {
                .kind = LAUNCH_SIGNAL,
                .version = LAUNCH_VERSION,
                .signal = number,
        };

        return s->control_fd < 0 ? -EPIPE : io_send_message(s->control_fd, &m, sizeof(m), NULL, 0);
}

struct exec_orders {
        int init_fd;
        int control_fd;
        const char *name; /* argv[0], which tells it what to be */
};

/* The child's side of spawn(): it still has the monitor's memory, so system calls and nothing else.
 * The sanitizers do not know its stack. */
__attribute__((no_sanitize("address"))) static void exec_init(void *userdata)
{
        static char *const envp[] = { NULL };
        const struct exec_orders *o = userdata;
        char *const argv[] = { (char *) o->name, NULL };

        if (o->control_fd == LAUNCH_CONTROL_FD)
                (void) fcntl(o->control_fd, F_SETFD, 0);
        else
                (void) dup2(o->control_fd, LAUNCH_CONTROL_FD);
        (void) syscall(SYS_execveat, o->init_fd, "", argv, envp, AT_EMPTY_PATH);
        (void) syscall(SYS_exit_group, 1);
}

static int clone_init(struct sandbox *s, int control)
{
        struct exec_orders orders = {
                .init_fd = s->host->init_fd,
                .control_fd = control,
                .name = "init",
        };
        const struct leaf_dir *v2 = leaves_find_v2(&s->place.leaves);
        struct clone_args args = {
                .flags = CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_PIDFD |
                         CLONE_CLEAR_SIGHAND,
                .pidfd = (uint64_t) (uintptr_t) &s->pidfd,
                .exit_signal = SIGCHLD,
        };
        pid_t pid;

        if (v2) {
                args.flags |= CLONE_INTO_CGROUP;
                args.cgroup = (uint64_t) v2->init_fd;
        }
        /* Safe because the child becomes the init program before anything else of ours can run in
         * it, and gets what it needs as messages. The namespaces are its own. */
        pid = spawn(&args, exec_init, &orders);
        if (pid < 0) {
                s->pidfd = -EBADF;
                return pid;
        }
        s->pid = pid;
        return 0;
}

int launch_maker(int init_fd, int control, int *ret_pidfd)
{
        struct exec_orders orders = {
                .init_fd = init_fd,
                .control_fd = control,
                .name = LAUNCH_MAKER_NAME,
        };
        int pidfd = -EBADF;
        struct clone_args args = {
                .flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
                .pidfd = (uint64_t) (uintptr_t) &pidfd,
                .exit_signal = SIGCHLD,
        };
        pid_t pid;

        /* Safe because the child becomes the init program before anything else of ours can run in it, and
         * all that it gets are messages of ours. No sandbox is near it. */
        pid = spawn(&args, exec_init, &orders);
        if (pid >= 0)
                *ret_pidfd = pidfd;
        return pid;
}

/* All that init needs, so that a sandbox whose leaves are there never waits for the monitor. */
static int send_orders(struct sandbox *s, enum setup_step *ret_step)
{
        int r;

        r = send_prepare(s);
        if (r < 0 || s->host->driver->ops->needs_init)
                return r;
        r = launch_join(s, ret_step);
        /* Drivers that make leaves beforehand leave nothing to init. */
        ASSERT(r <= 0);
        if (r < 0)
                return r;
        return s->parks ? launch_park(s, ret_step) : launch_run(s, ret_step);
}

int launch_init(struct sandbox *s, enum setup_step *ret_step)
{
        _cleanup_close_ int child = -EBADF;
        int pair[2], r;

        *ret_step = SETUP_STEP_CLONE;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        s->control_fd = pair[0];
        child = pair[1];
        r = io_set_nonblock(s->control_fd);
        if (r == 0)
                r = send_orders(s, ret_step);
        if (r < 0)
                return r;
        *ret_step = SETUP_STEP_CLONE;
        return clone_init(s, child);
}
