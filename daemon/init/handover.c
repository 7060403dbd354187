/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process that brings a parked command its job. Forked by init beside the payload, into the same leaf,
 * it sheds everything as the payload does, and waits for the one message that the monitor ever sends it.
 * Only then is there a byte of a client in this sandbox: it is opened here, with the payload's rights, and
 * charged to the job. When the files are written and the rest is in the command's pipe, this process ends,
 * and init, which has the pipe's other end too, lets the command go on: so the job is alone from the first.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemon/init/init.h"
#include "daemon/wire/spec.h"

void parking_open(struct parking *p)
{
        if (pipe2(p->claim, O_CLOEXEC) < 0 || pipe2(p->ready, O_CLOEXEC) < 0 ||
                pipe2(p->fault, O_CLOEXEC) < 0 || io_set_nonblock(p->fault[0]) < 0)
                init_fail(SETUP_STEP_PAYLOAD, -errno);
}

static void become_handover(struct init *i)
{
        const int keep[] = {
                LAUNCH_CONTROL_FD,
                i->run_fds[LAUNCH_FD_SPEC],
                i->run_fds[LAUNCH_FD_CLAIM],
                i->parking.claim[1],
                i->parking.meminfo_fd,
        };

        payload_join_leaf(i);
        (void) umask(022);
        (void) signal(SIGPIPE, SIG_IGN);
        if (io_close_except(keep, ELEMENTSOF(keep)) < 0)
                init_fail(SETUP_STEP_PAYLOAD, -errno);
        payload_set_rlimits(i);
        shed_privileges(LAUNCH_PAYLOAD_ID, LAUNCH_PAYLOAD_ID);
        load_job_filter(i);
}

/* What is called when there is a job must be in the profile's filter. Better to know it now: then none is
 * parked, and every job is started as if there were no such thing. What it takes to wait is called then, and
 * what files take is called for any job. */
static void try_calls(const struct init *i)
{
        struct rlimit limit;
        int r;

        if (prlimit(0, RLIMIT_NPROC, NULL, &limit) < 0)
                init_fail(SETUP_STEP_RLIMITS, -errno);
        /* What it says already. */
        r = proc_write_meminfo(i->parking.meminfo_fd, i->prepare.memory_bytes);
        if (r < 0)
                init_fail(SETUP_STEP_FILES, r);
}

static void receive_claim(struct init *i, struct launch_claim *c)
{
        static const uint32_t spec = 1U << LAUNCH_FD_SPEC, input = 1U << LAUNCH_FD_INPUT;
        int fds[2];
        size_t n_fds = 0;
        ssize_t n;

        n = io_receive_message(i->run_fds[LAUNCH_FD_CLAIM], c, sizeof(*c), fds, ELEMENTSOF(fds),
                &n_fds);
        if (n == 0)
                _exit(0); /* the monitor let this sandbox go */
        if (n != sizeof(*c) || c->kind != LAUNCH_CLAIM || c->version != LAUNCH_VERSION ||
                (c->fds & ~input) != spec || n_fds != (size_t) __builtin_popcount(c->fds))
                init_fail(SETUP_STEP_RECEIVE, n < 0 ? (int) n : -EBADMSG);
        i->run_fds[LAUNCH_FD_SPEC] = fds[0];
        if (n_fds > 1)
                i->run_fds[LAUNCH_FD_INPUT] = fds[1];
}

/* Those of the job that could not be set before. Safe because they can only be lowered, and the payload
 * has our own id. */
static void set_job_limits(const struct init *i, const struct launch_claim *c, pid_t payload)
{
        const struct rlimit processes = { c->processes, c->processes };
        int r;

        if (prlimit(payload, RLIMIT_NPROC, &processes, NULL) < 0)
                init_fail(SETUP_STEP_RLIMITS, -errno);
        r = proc_show_job_memory(i, c->memory_bytes);
        if (r < 0)
                init_fail(SETUP_STEP_FILES, r);
}

static bool is_among(const char *text, char *const *list)
{
        for (; *list; list++)
                if (streq(text, *list))
                        return true;
        return false;
}

/* A list of strings, as the command reads it: their number, and they. Those of except are left out. Returns
 * how many bytes that is; to is NULL to be told that alone. */
static size_t put_strings(char *to, char *const *strings, char *const *except)
{
        char number[16];
        size_t n = 0, used, size;

        for (char *const *s = strings; *s; s++)
                n += !is_among(*s, except);
        used = (size_t) snprintf(number, sizeof(number), "%zu", n) + 1;
        if (to)
                memcpy(to, number, used);
        for (char *const *s = strings; *s; s++) {
                if (is_among(*s, except))
                        continue;
                size = strlen(*s) + 1;
                if (to)
                        memcpy(to + used, *s, size);
                used += size;
        }
        return used;
}

/* All of argv that the command does not have yet, of the environment what differs from its own, and whether
 * there is something to be read from fd 0. */
static int make_record(const struct spec_view *parked, const struct spec_view *job,
        const struct launch_claim *claim, char **ret, size_t *ret_size)
{
        static char *const none[] = { NULL };
        const char *has_stdin = claim->no_stdin ? "0" : "1";
        char *const *arguments = job->argv;
        size_t size;

        for (uint32_t k = 0; k < claim->n_own_arguments; k++)
                if (!*arguments++)
                        return -EBADMSG;
        size = put_strings(NULL, arguments, none) + put_strings(NULL, job->envp, parked->envp) + 2;
        *ret = malloc(size);
        if (!*ret)
                return -ENOMEM;
        *ret_size = put_strings(*ret, arguments, none);
        *ret_size += put_strings(*ret + *ret_size, job->envp, parked->envp);
        memcpy(*ret + *ret_size, has_stdin, 2);
        *ret_size += 2;
        return 0;
}

_noreturn_ void handover_main(struct init *i, pid_t payload)
{
        struct spec_view parked, job;
        struct launch_claim claim;
        char *record = NULL;
        size_t size = 0;
        int r;

        become_handover(i);
        /* Monitor's bytes, and all that there are before a claim. */
        r = spec_view_open(&parked, i->run_fds[LAUNCH_FD_SPEC]);
        if (r < 0)
                init_fail(SETUP_STEP_RECEIVE, r);
        i->run_fds[LAUNCH_FD_SPEC] = safe_close(i->run_fds[LAUNCH_FD_SPEC]);
        try_calls(i);
        if (chdir("/box") < 0)
                init_fail(SETUP_STEP_FILES, -errno);
        receive_claim(i, &claim);
        set_job_limits(i, &claim, payload);
        /* From here on every byte is the client's. */
        r = spec_view_open(&job, i->run_fds[LAUNCH_FD_SPEC]);
        if (r == 0)
                r = payload_make_files(i, &job);
        if (r == 0)
                r = make_record(&parked, &job, &claim, &record, &size);
        if (r == 0)
                r = io_write_full(i->parking.claim[1], record, size);
        if (r < 0)
                init_fail(SETUP_STEP_FILES, r);
        _exit(claim.return_value ? HANDOVER_DONE_WITH_VALUE : HANDOVER_DONE);
}
