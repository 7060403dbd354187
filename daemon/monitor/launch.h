/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Making a sandbox's init process: its orders and the clone. On error ret_step says where.
 */

#include "common/status.h"
#include "daemon/monitor/sandbox.h"

/* Clones init with its orders, and fills s->pid, pidfd, control_fd. Where the leaves are there
 * already, its orders are complete; else it waits for the following. */
int launch_init(struct sandbox *s, enum setup_step *ret_step);
/* Tells init its leaves. 1: it will answer JOINED, and then can have its limits; 0: they can be set
 * now, and launch_run() called. */
int launch_join(struct sandbox *s, enum setup_step *ret_step);
/* Lets it run; the job's fds are closed here. */
int launch_run(struct sandbox *s, enum setup_step *ret_step);
/* launch-park.c. Makes what a sandbox without a job has beside its orders: pipes, the command, the way on
 * which the job will come. */
int launch_prepare_parking(struct sandbox *s);
/* In place of launch_run(): lets the command run, until it waits. */
int launch_park(struct sandbox *s, enum setup_step *ret_step);
/* Hands the job over, of which the fds are borrowed. On error nobody has anything of it. */
int launch_claim(struct sandbox *s, const struct channel_start *m, const int *fds);
/* The same where the job brings the command: for it, all is as in a sandbox that is made now. On error nothing was
 * begun that another sandbox could not begin anew. */
int launch_run_bare(struct sandbox *s, const struct generation *g,
        const struct channel_start *start, const int *fds);
/* launch.c: sends what a job is run with to who waits for it; of fds_of_start those that are there. */
int launch_send_run(int socket, const struct policy_profile *profile, const struct limits *limits,
        bool return_value, const int *fds_of_start);
/* Has init send a signal to the payload's process, which it has said is there. */
int launch_signal(struct sandbox *s, uint32_t number);

/* Starts the maker of namespaces, with its end of the pair; that may have its orders already. Returns its pid,
 * or a negative errno. */
int launch_maker(int init_fd, int control, int *ret_pidfd);

/* RLIMIT_NPROC: one more than the cgroup allows, so that the refusal is the cgroup's, which counts it. */
static inline uint64_t launch_max_processes(const struct limits *limits)
{
        return limits->value[LIMIT_PIDS] + 1;
}

/* RLIMIT_FSIZE: a page more than a tmpfs holds, so that a full one says ENOSPC and does not send SIGXFSZ. */
static inline uint64_t launch_max_file_size(const struct limits *limits)
{
        return limits->value[LIMIT_TMP_SIZE] + 4096;
}
