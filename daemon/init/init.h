/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * sandboxd-init: pid 1 of one sandbox. Started by the monitor as root in new pid, ipc and uts
 * namespaces; makes the rest, sheds root step by step, starts the payload, reaps, reports.
 *
 * Two processes run this code: init itself, and its child, which becomes the payload by exec. What
 * each may still do at a step is written beside the step.
 */

#include <linux/filter.h>
#include <sys/types.h>

#include "common/macro.h"
#include "common/status.h"
#include "daemon/wire/launch.h"

#define INIT_FILTER_MAX 4096 /* instructions; the kernel's own maximum (BPF_MAXINSNS) */

struct init {
        struct launch_prepare prepare;
        struct launch_join join;
        struct launch_run run;
        int mntns_fd;
        int job_dir_fd;
        int control_fd; /* cgroup.subtree_control */
        int join_init_fds[LAUNCH_JOIN_MAX];
        int join_job_fds[LAUNCH_JOIN_MAX];
        int run_fds[_LAUNCH_RUN_FD_COUNT];
        pid_t holder;  /* the process that holds the user namespace, see userns.c */
        int holder_fd; /* to it */
        int sys_fd;    /* O_PATH on this pid namespace's real /proc/sys */
        int return_fd; /* the return value's file */
        int signal_fd; /* of the reaper: SIGCHLD */
        struct sock_filter filter[INIT_FILTER_MAX];
        unsigned short filter_size; /* instructions */
};

/* Reports a failed step over the control socket and ends the process. error is a negative errno. */
_noreturn_ void init_fail(enum setup_step step, int error);

/* Any change of ids or user namespace takes the signal away that comes when the monitor dies: sets it
 * anew, and sees whether the monitor went meanwhile. */
void init_die_with_monitor(enum setup_step step);

/* mounts.c: the file system, in the initial user namespace; all fail by init_fail(). */
void init_mounts(struct init *i);

/* Puts a file of this sandbox alone over target. Returns the fd to write it through. */
int mounts_bind_private(const char *name, const char *target, mode_t mode, unsigned attributes);

/* proc.c: /proc, once the places for it and for private files are there. */
void init_proc(struct init *i);

/* userns.c: user and network namespace, id maps, no nested user namespaces. The first begins to
 * make them, beside what follows; the second waits for them and enters. */
void userns_prepare(struct init *i);
void userns_enter(struct init *i);

/* payload.c: the child's way from fork to exec. */
_noreturn_ void payload_main(struct init *i);

/* reaper.c: init's way from the fork to its end. */
_noreturn_ void reaper_main(struct init *i, pid_t payload);

/* credentials.c: what init and payload both end with: the given id, or another one as the effective
 * one, no capability in any set, locked securebits, no new privileges, not dumpable, the system-call
 * filter. */
void shed_privileges(struct init *i, uint32_t id, uint32_t effective);

/* files.c: writes the job's files below /box with the payload's rights: those in the spec, and those
 * that come through a pipe. 0 or a negative errno. */
struct spec_view;
int files_write(const struct spec_view *spec);
int files_receive(const struct spec_view *spec, int fd);

/* collect.c: ends what is left of the job, and hands over the files that were asked for. */
void collect_files(struct init *i);
