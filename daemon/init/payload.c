/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From fork to exec: the process that becomes the payload. It starts as a child of init with init's
 * rights, joins the job's cgroup leaf, sheds everything, and only then opens what the client sent. In a bare
 * sandbox it is forked before there is a job, and waits for that when it has shed.
 */
#include "daemon/init/init.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemon/wire/spec.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

void payload_join_leaf(struct init *i)
{
        for (uint32_t k = 0; k < i->join.n_join_job; k++)
                /* Safe because the fd was opened by the monitor, for the leaf it made for us. */
                if (write(i->join_job_fds[k], "0", 1) != 1)
                        init_fail(SETUP_STEP_JOIN, -errno);
        /* Now, so that the job's leaf is what the payload sees as "/". Safe because a cgroup
         * namespace only narrows what is seen. */
        if (unshare(CLONE_NEWCGROUP) < 0)
                init_fail(SETUP_STEP_CGROUPNS, -errno);
}

void payload_set_rlimits(const struct init *i)
{
        const struct {
                int resource;
                struct rlimit limit;
        } table[] = {
                { RLIMIT_NOFILE, { i->run.open_files, i->run.open_files } },
                /* 0 does not stop a core_pattern that is a pipe; 1 byte does. */
                { RLIMIT_CORE, { 1, 1 } },
                { RLIMIT_FSIZE, { i->run.file_size, i->run.file_size } },
                { RLIMIT_STACK, { 8 * MIB, 64 * MIB } },
                { RLIMIT_NPROC, { i->run.processes, i->run.processes } },
                { RLIMIT_MEMLOCK, { 64 * KIB, 64 * KIB } },
                /* What follows is not to depend on how the daemon was started. */
                { RLIMIT_SIGPENDING, { 1024, 1024 } },
                { RLIMIT_MSGQUEUE, { 800 * KIB, 800 * KIB } },
                { RLIMIT_NICE, { 0, 0 } },
                { RLIMIT_RTPRIO, { 0, 0 } },
        };

        for (size_t k = 0; k < ELEMENTSOF(table); k++) {
                struct rlimit limit;

                /* Where the daemon's own hard limit is lower, that one holds. */
                if (getrlimit(table[k].resource, &limit) < 0)
                        init_fail(SETUP_STEP_RLIMITS, -errno);
                limit.rlim_max = MIN(limit.rlim_max, table[k].limit.rlim_max);
                limit.rlim_cur = MIN(limit.rlim_max, table[k].limit.rlim_cur);
                /* A lower one for core would let a piped core_pattern run. */
                if (table[k].resource == RLIMIT_CORE && limit.rlim_max != 1)
                        init_fail(SETUP_STEP_RLIMITS, -EPERM);
                if (setrlimit(table[k].resource, &limit) < 0)
                        init_fail(SETUP_STEP_RLIMITS, -errno);
        }
}

/* For a command that waits for its job. None of our own fds is as high as these. */
static void arrange_park_fds(const struct parking *p)
{
        if (dup2(p->claim[0], LAUNCH_PARK_CLAIM_FD) < 0 ||
                dup2(p->ready[1], LAUNCH_PARK_READY_FD) < 0 ||
                dup2(p->fault[1], LAUNCH_PARK_FAULT_FD) < 0)
                init_fail(SETUP_STEP_PAYLOAD, -errno);
}

/* What a bare sandbox waits with: fds 0 to 2, so that none received becomes one of them, its two ways to and from the
 * monitor, and the file that is to show the job's memory. */
static void release_fds(const struct init *i)
{
        const int keep[] = {
                STDIN_FILENO,
                STDOUT_FILENO,
                STDERR_FILENO,
                LAUNCH_CONTROL_FD,
                i->run_fds[LAUNCH_FD_CLAIM],
                i->parking.meminfo_fd,
        };
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
                dup2(null, STDERR_FILENO) < 0 || io_close_except(keep, ELEMENTSOF(keep)) < 0)
                init_fail(SETUP_STEP_PAYLOAD, -errno);
}

/* All that does not depend on the job is done. Until RUN comes there is no byte of a client here. Waiting ends with
 * the monitor, whose end of the socket it is, and with init, as everything in this pid namespace does. */
static void await_job(struct init *i)
{
        int r;

        release_fds(i);
        payload_report(LAUNCH_PARKED);
        init_receive_run(i, i->run_fds[LAUNCH_FD_CLAIM]);
        if (i->run.kind != LAUNCH_RUN)
                init_fail(SETUP_STEP_RECEIVE, -EBADMSG);
        r = proc_show_job_memory(i, i->run.memory_bytes);
        if (r < 0)
                init_fail(SETUP_STEP_MASK, r);
}

/* Leaves fds 0 to 2, the control socket, the spec and the pipe with more files; all else is closed.
 * None of those received is below the control socket. */
static void arrange_fds(struct init *i)
{
        int *fds = i->run_fds, parked = init_is_parked(i) ? 0 : -1;
        const int keep[] = {
                STDIN_FILENO,
                STDOUT_FILENO,
                STDERR_FILENO,
                LAUNCH_CONTROL_FD,
                fds[LAUNCH_FD_SPEC],
                fds[LAUNCH_FD_INPUT],
                parked | LAUNCH_PARK_CLAIM_FD,
                parked | LAUNCH_PARK_READY_FD,
                parked | LAUNCH_PARK_FAULT_FD,
        };

        if (fds[LAUNCH_FD_STDIN] < 0)
                fds[LAUNCH_FD_STDIN] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (fds[LAUNCH_FD_STDIN] < 0 || dup2(fds[LAUNCH_FD_STDIN], STDIN_FILENO) < 0 ||
                dup2(fds[LAUNCH_FD_STDOUT], STDOUT_FILENO) < 0 ||
                dup2(fds[LAUNCH_FD_STDERR], STDERR_FILENO) < 0)
                init_fail(SETUP_STEP_PAYLOAD, -errno);
        if (init_is_parked(i))
                arrange_park_fds(&i->parking);
        if (io_close_except(keep, ELEMENTSOF(keep)) < 0)
                init_fail(SETUP_STEP_PAYLOAD, -errno);
}

static const char *find_path(char *const *envp)
{
        for (; *envp; envp++)
                if (strncmp(*envp, "PATH=", 5) == 0)
                        return *envp + 5;
        return DEFAULT_PATH;
}

/* execve() along PATH, as a shell does it: goes on after ENOENT and the like, and prefers to say
 * EACCES where one candidate could not be run. Returns a negative errno. */
static int exec_search(const struct spec_view *spec)
{
        const char *path = find_path(spec->envp);
        int error = -ENOENT;

        for (;;) {
                size_t n = strcspn(path, ":");
                char candidate[4096];

                if (n + 1 + strlen(spec->exec) < sizeof(candidate)) {
                        memcpy(candidate, path, n);
                        candidate[n] = '/';
                        strcpy(candidate + n + (n > 0), spec->exec);
                        (void) execve(candidate, spec->argv, spec->envp);
                        if (errno == EACCES)
                                error = -EACCES;
                        else if (errno != ENOENT && errno != ENOTDIR)
                                return -errno;
                }
                if (path[n] == '\0')
                        return error;
                path += n + 1;
        }
}

static int exec_payload(const struct spec_view *spec)
{
        if (spec->search_path && !strchr(spec->exec, '/'))
                return exec_search(spec);
        (void) execve(spec->exec, spec->argv, spec->envp);
        return -errno;
}

void payload_report(enum launch_kind kind)
{
        struct launch_event event = { .kind = kind, .usec = io_now_usec() };
        int r;

        r = io_send_message(LAUNCH_CONTROL_FD, &event, sizeof(event), NULL, 0);
        if (r < 0)
                init_fail(SETUP_STEP_PAYLOAD, r);
}

/* From so many on it takes the job's share of the CPU long enough to be told. */
#define MANY_FILES 8

/* Those in the spec, and those that are not. */
int payload_make_files(const struct init *i, const struct spec_view *spec)
{
        int fd = i->run_fds[LAUNCH_FD_INPUT], r;

        if (fd >= 0 || spec->n_files >= MANY_FILES)
                payload_report(LAUNCH_READY);
        r = files_write(spec);
        if (r < 0)
                return r;
        if (fd >= 0)
                return files_receive(spec, fd);
        return spec->n_inline == spec->n_files ? 0 : -EBADMSG;
}

_noreturn_ void payload_main(struct init *i)
{
        /* Loading it is most of what is left to be done when there is a job. But a profile's need not allow what it
         * takes to receive one. */
        bool filter_first = init_is_bare(i) && job_filter_lets_wait(i);
        struct spec_view spec;
        int r = 0;

        payload_join_leaf(i);
        if (setsid() < 0)
                init_fail(SETUP_STEP_PAYLOAD, -errno);
        (void) umask(022);
        shed_privileges(LAUNCH_PAYLOAD_ID, LAUNCH_PAYLOAD_ID);
        if (filter_first)
                load_job_filter(i);
        if (init_is_bare(i))
                await_job(i);
        arrange_fds(i);
        payload_set_rlimits(i);
        if (!filter_first)
                load_job_filter(i);
        /* From here on every byte is the client's, and this process holds nothing but what the
         * payload may have. A parked command's are the monitor's, and it has no files. */
        r = spec_view_open(&spec, i->run_fds[LAUNCH_FD_SPEC]);
        if (r < 0)
                init_fail(SETUP_STEP_FILES, r);
        if (chdir("/box") < 0)
                init_fail(SETUP_STEP_FILES, -errno);
        if (!init_is_parked(i))
                r = payload_make_files(i, &spec);
        if (r < 0)
                init_fail(SETUP_STEP_FILES, r);
        if (chdir(spec.workdir) < 0)
                init_fail(SETUP_STEP_FILES, -errno);
        /* The job's time runs from here: what making the sandbox took, on a busy host too, is not its. */
        if (!init_is_parked(i))
                payload_report(LAUNCH_STARTED);
        init_fail(SETUP_STEP_EXEC, exec_payload(&spec));
}
