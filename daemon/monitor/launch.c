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
#include <sys/socket.h>
#include <sys/syscall.h>

#include "common/io.h"
#include "daemon/monitor/spawn.h"

static uint32_t visible_cpus(const struct sandbox *s)
{
        uint64_t n = ROUND_UP(s->limits.value[LIMIT_CPU_QUOTA], UINT64_C(100));

        return (uint32_t) MIN(MAX(n, UINT64_C(1)), (uint64_t) s->host->template->n_cpus);
}

/* Opens "tasks" of a leaf for each v1 hierarchy that has one: a process that writes "0" there moves
 * itself in microseconds, and the right to do so is the opener's. */
static int open_tasks(const struct sandbox *s, bool job, int *fds, size_t *n_fds, uint32_t *ret_n)
{
        uint32_t n = 0;

        for (size_t i = 0; i < s->leaves.n; i++) {
                const struct leaf_dir *d = &s->leaves.dirs[i];
                int dir = job ? d->job_fd : d->init_fd;
                int fd;

                if (d->v2 || dir < 0)
                        continue;
                fd = openat(dir, "tasks", O_WRONLY | O_CLOEXEC);
                if (fd < 0)
                        return -errno;
                fds[(*n_fds)++] = fd;
                n++;
        }
        *ret_n = n;
        return 0;
}

static int send_prepare(const struct sandbox *s, const struct policy_profile *profile,
        uint32_t profile_index, int socket)
{
        const struct leaf_dir *v2 = leaves_find_v2(&s->leaves);
        struct launch_prepare m = {
                .kind = LAUNCH_PREPARE,
                .version = LAUNCH_VERSION,
                .job_dir = v2 != NULL,
                .init_id = s->ids.init,
                .payload_id = s->ids.payload,
                .memory_bytes = s->limits.value[LIMIT_MEMORY],
                .cpus = visible_cpus(s),
                .loopback = profile->loopback,
                .tmp_size = s->limits.value[LIMIT_TMP_SIZE],
                .tmp_inodes = profile->tmp_inodes,
        };
        int fds[IO_FDS_MAX] = { s->host->template->mntns_fd, s->host->filter_fds[profile_index] };
        size_t n_fds = _LAUNCH_FD_FIXED, borrowed;
        int r;

        if (v2)
                fds[n_fds++] = v2->job_fd;
        borrowed = n_fds;
        r = open_tasks(s, false, fds, &n_fds, &m.n_join_init);
        if (r == 0)
                r = open_tasks(s, true, fds, &n_fds, &m.n_join_job);
        if (r == 0)
                r = io_send_message(socket, &m, sizeof(m), fds, n_fds);
        io_close_all(fds + borrowed, n_fds - borrowed);
        return r;
}

static int send_run(const struct sandbox *s, const struct policy_profile *profile,
        const struct channel_start *start, const int *fds, int socket)
{
        const struct launch_run m = {
                .kind = LAUNCH_RUN,
                .version = LAUNCH_VERSION,
                .return_value = (start->flags & CHANNEL_START_RETURN_VALUE) != 0,
                .open_files = profile->open_files,
                /* One more than the cgroup allows, so that the refusal is the cgroup's, which
                 * counts it. */
                .processes = s->limits.value[LIMIT_PIDS] + 1,
                /* A page more than a tmpfs holds, so that a full one says ENOSPC and does not
                 * send SIGXFSZ. */
                .file_size = s->limits.value[LIMIT_TMP_SIZE] + 4096,
        };

        return io_send_message(socket, &m, sizeof(m), fds,
                fds[CHANNEL_FD_STDIN] >= 0 ? _CHANNEL_FD_COUNT : CHANNEL_FD_STDIN);
}

struct exec_orders {
        int init_fd;
        int control_fd;
};

/* The child's side of spawn(): it still has the monitor's memory, so system calls and nothing else.
 * The sanitizers do not know its stack. */
__attribute__((no_sanitize("address"))) static void exec_init(void *userdata)
{
        static char *const argv[] = { (char *) "init", NULL };
        static char *const envp[] = { NULL };
        const struct exec_orders *o = userdata;

        if (o->control_fd == LAUNCH_CONTROL_FD)
                (void) fcntl(o->control_fd, F_SETFD, 0);
        else
                (void) dup2(o->control_fd, LAUNCH_CONTROL_FD);
        (void) syscall(SYS_execveat, o->init_fd, "", argv, envp, AT_EMPTY_PATH);
        (void) syscall(SYS_exit_group, 1);
}

static int clone_init(struct sandbox *s, int control)
{
        struct exec_orders orders = { .init_fd = s->host->init_fd, .control_fd = control };
        const struct leaf_dir *v2 = leaves_find_v2(&s->leaves);
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

int launch_init(struct sandbox *s, const struct channel_start *m, const int *fds,
        enum setup_step *ret_step)
{
        const struct policy_profile *profile = &s->host->policy->profiles[m->profile];
        _cleanup_close_ int child = -EBADF;
        int pair[2], r;

        *ret_step = SETUP_STEP_CLONE;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        s->control_fd = pair[0];
        child = pair[1];
        r = io_set_nonblock(s->control_fd);
        if (r == 0)
                r = send_prepare(s, profile, m->profile, s->control_fd);
        if (r == 0)
                r = send_run(s, profile, m, fds, s->control_fd);
        if (r == 0)
                r = clone_init(s, child);
        return r;
}
