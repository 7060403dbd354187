/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What init is told of a sandbox that is made before there is a job, and of the job that it gets. Runs in
 * the monitor; the command is the policy's, and of the job only fds and checked numbers are passed on.
 */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemon/monitor/launch.h"
#include "daemon/wire/interpreter.h"
#include "daemon/wire/spec.h"

/* Those of the runtime: as every job of it has them, and then those for who is parked. */
static const char *runtime_variable(const struct policy_runtime *rt, uint32_t i)
{
        if (i < rt->n_environment)
                return rt->environment[i];
        i -= rt->n_environment;
        return i < rt->n_park_environment ? rt->park_environment[i] : NULL;
}

/* Whether the runtime has its own value for a variable, which is as "KEY=VALUE". */
static bool has_variable(const struct policy_runtime *rt, const char *variable)
{
        size_t n = strcspn(variable, "=") + 1;
        const char *own;

        for (uint32_t i = 0; (own = runtime_variable(rt, i)); i++)
                if (strncmp(own, variable, n) == 0)
                        return true;
        return false;
}

/* The command as a job's would be: the interpreter with its own arguments, and an environment that says
 * that it is to wait. */
static int write_command(int fd, const struct policy_runtime *rt)
{
        char *argv[1 + POLICY_ARGS_MAX] = {}, *envp[2 * POLICY_ARGS_MAX] = {};
        const char *environment[INTERPRETER_ENVIRONMENT_N + 2 * POLICY_ARGS_MAX + 1];
        struct spec spec = {
                .workdir = "/box",
                .exec = rt->interpreter,
                .argc = 1 + rt->n_arguments,
                .argv = (const char *const *) argv,
                .envp = environment,
        };
        int r = 0;

        argv[0] = strdup(interpreter_name(rt));
        for (uint32_t i = 0; i < rt->n_arguments; i++)
                argv[1 + i] = interpreter_expand(rt, rt->arguments[i]);
        for (uint32_t i = 0; runtime_variable(rt, i); i++)
                envp[i] = interpreter_expand(rt, runtime_variable(rt, i));
        for (size_t i = 0; i < INTERPRETER_ENVIRONMENT_N; i++)
                if (!has_variable(rt, interpreter_environment[i]))
                        environment[spec.envc++] = interpreter_environment[i];
        for (uint32_t i = 0; runtime_variable(rt, i); i++)
                environment[spec.envc++] = envp[i];
        environment[spec.envc++] = LAUNCH_PARK_VARIABLE;
        for (size_t i = 0; i < spec.argc; i++)
                r = argv[i] ? r : -ENOMEM;
        for (size_t i = 0; i < spec.envc; i++)
                r = environment[i] ? r : -ENOMEM;
        if (r == 0)
                r = spec_write_head(fd, &spec);
        for (size_t i = 0; i < ELEMENTSOF(argv); i++)
                free(argv[i]);
        for (size_t i = 0; i < ELEMENTSOF(envp); i++)
                free(envp[i]);
        return r;
}

static int make_command(const struct policy_runtime *rt)
{
        _cleanup_close_ int fd = io_memfd_new("sandbox-command");
        int r = fd;

        if (r >= 0)
                r = write_command(fd, rt);
        if (r >= 0)
                r = io_memfd_seal(fd);
        return r < 0 ? r : TAKE_FD(fd);
}

/* A pipe of which the frontend will have one end: non-blocking, and any program of the job's may open its
 * own end anew, as /dev/stdout. */
static int make_pipe(int *ret_own, int *ret_job, bool own_reads)
{
        int fds[2], r = 0;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        *ret_own = fds[own_reads ? 0 : 1];
        *ret_job = fds[own_reads ? 1 : 0];
        if (fchmod(*ret_own, 0666) < 0)
                r = -errno;
        return r < 0 ? r : io_set_nonblock(*ret_own);
}

/* What a command has beside its orders. */
static int prepare_command(struct sandbox *s)
{
        int r;

        r = make_pipe(&s->own_fds[CHANNEL_STARTED_FD_STDOUT], &s->start_fds[CHANNEL_FD_STDOUT],
                true);
        if (r == 0)
                r = make_pipe(&s->own_fds[CHANNEL_STARTED_FD_STDERR],
                        &s->start_fds[CHANNEL_FD_STDERR], true);
        if (r == 0)
                r = make_pipe(&s->own_fds[CHANNEL_STARTED_FD_STDIN],
                        &s->start_fds[CHANNEL_FD_STDIN], false);
        if (r == 0)
                s->start_fds[CHANNEL_FD_SPEC] = r =
                        make_command(&s->generation->policy->runtimes[s->runtime]);
        return MIN(r, 0);
}

int launch_prepare_parking(struct sandbox *s)
{
        int pair[2], r;

        r = s->bare ? 0 : prepare_command(s);
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        s->handover_fd = pair[0];
        s->handover_end_fd = pair[1];
        return io_set_nonblock(s->handover_fd);
}

static int send_park_bare(const struct sandbox *s)
{
        const struct launch_run m = {
                .kind = LAUNCH_PARK_BARE,
                .version = LAUNCH_VERSION,
                .fds = LAUNCH_FDS_OF_PARK_BARE,
        };

        return io_send_message(s->control_fd, &m, sizeof(m), &s->handover_end_fd, 1);
}

static int send_park(const struct sandbox *s)
{
        const struct policy_profile *profile = &s->generation->policy->profiles[s->profile];
        const struct launch_run m = {
                .kind = LAUNCH_PARK,
                .version = LAUNCH_VERSION,
                .fds = LAUNCH_FDS_OF_PARK,
                .open_files = profile->open_files,
                /* It has two processes then, and some interpreters begin with many threads. The job's
                 * own is set by the handover. */
                .processes = launch_max_processes(&profile->maximums) + 1,
                .file_size = launch_max_file_size(&s->limits),
                .memory_bytes = s->limits.value[LIMIT_MEMORY],
        };
        const int fds[] = {
                s->start_fds[CHANNEL_FD_SPEC],
                s->start_fds[CHANNEL_FD_STDOUT],
                s->start_fds[CHANNEL_FD_STDERR],
                s->start_fds[CHANNEL_FD_STDIN],
                s->handover_end_fd,
        };

        return io_send_message(s->control_fd, &m, sizeof(m), fds, ELEMENTSOF(fds));
}

int launch_park(struct sandbox *s, enum setup_step *ret_step)
{
        int r;

        *ret_step = SETUP_STEP_RECEIVE;
        r = s->bare ? send_park_bare(s) : send_park(s);
        io_close_all(s->start_fds, _CHANNEL_FD_COUNT);
        s->handover_end_fd = safe_close(s->handover_end_fd);
        /* It keeps no policy alive: who gives it a job knows which it is of. */
        s->generation = generation_unref(s->generation);
        return r;
}

static struct launch_claim make_claim(const struct sandbox *s, const struct channel_start *start)
{
        return (struct launch_claim) {
                .kind = LAUNCH_CLAIM,
                .version = LAUNCH_VERSION,
                .return_value = (start->flags & CHANNEL_START_RETURN_VALUE) != 0,
                .n_own_arguments = s->n_own_arguments,
                .no_stdin = !(start->flags & CHANNEL_START_STDIN),
                .processes = launch_max_processes(&start->limits),
                .collect_max = start->limits.value[LIMIT_FILES_SIZE],
                .memory_bytes = start->limits.value[LIMIT_MEMORY],
        };
}

static int send_claim(int socket, const struct launch_claim *claim, enum launch_run_fd second,
        const int *fds)
{
        struct launch_claim m = *claim;
        const int sent[] = { fds[CHANNEL_FD_SPEC], fds[second] };
        size_t n = sent[1] >= 0 ? 2 : 1;

        m.fds = 1U << LAUNCH_FD_SPEC | (n > 1 ? 1U << second : 0);
        return io_send_message(socket, &m, sizeof(m), sent, n);
}

/* Init first: it must know of the job before that can end. */
int launch_claim(struct sandbox *s, const struct channel_start *start, const int *fds)
{
        const struct launch_claim m = make_claim(s, start);
        int r = 0;

        if (fds[CHANNEL_FD_COLLECT] >= 0)
                r = send_claim(s->control_fd, &m, LAUNCH_FD_COLLECT, fds);
        if (r < 0)
                return r;
        if (!(start->flags & CHANNEL_START_STDIN))
                s->own_fds[CHANNEL_STARTED_FD_STDIN] =
                        safe_close(s->own_fds[CHANNEL_STARTED_FD_STDIN]);
        r = send_claim(s->handover_fd, &m, LAUNCH_FD_INPUT, fds);
        s->handover_fd = safe_close(s->handover_fd);
        return r;
}

/* What init is to know of a job that its payload gets. */
static int tell_init(struct sandbox *s, const struct launch_claim *m, const int *fds)
{
        if (fds[CHANNEL_FD_COLLECT] >= 0)
                return send_claim(s->control_fd, m, LAUNCH_FD_COLLECT, fds);
        return m->return_value ? io_send_message(s->control_fd, m, sizeof(*m), NULL, 0) : 0;
}

int launch_run_bare(struct sandbox *s, const struct generation *g,
        const struct channel_start *start, const int *fds)
{
        const struct launch_claim m = make_claim(s, start);
        struct pollfd payload = { .fd = s->handover_fd };
        int of_payload[_CHANNEL_FD_COUNT], r;

        /* It may have been killed, and init not have said so yet. */
        if (poll(&payload, 1, 0) != 0)
                return -ESRCH;
        r = tell_init(s, &m, fds);
        if (r < 0)
                return r;
        memcpy(of_payload, fds, sizeof(of_payload));
        of_payload[CHANNEL_FD_COLLECT] = -EBADF;
        r = launch_send_run(s->handover_fd, &g->policy->profiles[s->profile], &start->limits,
                m.return_value, of_payload);
        /* It was at this moment: then init has the job's pipe for files and may write there already. How it ended
         * is for init to tell. */
        if (r == -EPIPE && fds[CHANNEL_FD_COLLECT] >= 0)
                r = 0;
        /* On error the payload still waits, so that init does not begin with that before it is killed. */
        if (r == 0)
                s->handover_fd = safe_close(s->handover_fd);
        return r;
}
