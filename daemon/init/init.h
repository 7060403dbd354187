/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * sandboxd-init: pid 1 of one sandbox. Started by the monitor as root in new pid, ipc and uts
 * namespaces; makes the rest, sheds root step by step, starts the payload, reaps, reports. Started by another name, in
 * the monitor's own namespaces, it makes some for sandboxes to come (maker.c).
 *
 * In a sandbox two processes run this code: init itself, and its child, which becomes the payload by exec; three in a
 * sandbox whose command is started before there is a job, the handover beside them. What each may still do at a
 * step is written beside the step.
 */

#include <linux/audit.h>
#include <linux/filter.h>
#include <sys/types.h>

#include "common/macro.h"
#include "common/status.h"
#include "daemon/wire/launch.h"

#if defined(__x86_64__)
#define INIT_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define INIT_ARCHITECTURE AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define INIT_ARCHITECTURE AUDIT_ARCH_RISCV64
#else
#error "init would have no filter here: say which AUDIT_ARCH this is, and which calls it has instead of these"
#endif

#define INIT_FILTER_MAX 4096 /* instructions; the kernel's own maximum (BPF_MAXINSNS) */

/* What the handover exits with when the job is in the command's pipe. Nothing else does: 0 is for when there
 * will be no job, 1 for a failure. */
enum handover_exit {
        HANDOVER_DONE = 2,
        HANDOVER_DONE_WITH_VALUE = 3, /* and it is offered the return value's file */
};

/* What a sandbox has that waits for its job. fds are -EBADF where they are not. */
struct parking {
        int claim[2]; /* the pipes to and from the parked command: read end, write end */
        int ready[2];
        int fault[2];
        int meminfo_fd;    /* the file that is /proc/meminfo */
        int loadavg_fd;    /* the real /proc/loadavg, which tells the last pid that was given out */
        uint64_t last_pid; /* when the command was waiting; 0: not known */
        int comm_fd;       /* of the command's name, for its last words */
        int wake_fd;       /* inotify: somebody opened the return file */
        unsigned n_wakes;  /* how often for nothing */
        pid_t handover;    /* 0: there is none, or it was reaped */
};

/* The process that holds a user namespace while it is made, see userns.c. */
struct userns_holder {
        pid_t pid; /* 0: there is none */
        int fd;    /* to it */
};

struct init {
        struct launch_prepare prepare;
        struct launch_join join;
        struct launch_run run;
        int mntns_fd;
        int job_dir_fd;
        int control_fd; /* cgroup.subtree_control */
        int join_init_fds[LAUNCH_JOIN_MAX];
        int join_job_fds[LAUNCH_JOIN_MAX];
        int run_fds[_LAUNCH_PARK_FD_COUNT];
        struct parking parking;
        int userns_fd; /* made ahead of time, else -EBADF */
        int netns_fd;
        struct userns_holder holder;
        int sys_fd;    /* O_PATH on this pid namespace's real /proc/sys */
        int return_fd; /* the return value's file */
        int signal_fd; /* of the reaper: SIGCHLD */
        struct sock_filter filter[INIT_FILTER_MAX]; /* the profile's, for the payload */
        unsigned short filter_size;                 /* instructions */
};

/* Reports a failed step over the control socket and ends the process. error is a negative errno. */
_noreturn_ void init_fail(enum setup_step step, int error);
/* The same, but goes on. */
void init_report_failure(enum setup_step step, int error);

/* Whether a command is started before there is a job. */
static inline bool init_is_parked(const struct init *i)
{
        return i->run.kind == LAUNCH_PARK;
}

/* Whether the payload's process is, and waits for a job that brings its command. To itself it no longer is when it
 * has that. */
static inline bool init_is_bare(const struct init *i)
{
        return i->run.kind == LAUNCH_PARK_BARE;
}

/* Waits for RUN, or what there is in its place, from the monitor. Ends the process when none will come. */
void init_receive_run(struct init *i, int socket);

/* Any change of ids or user namespace takes the signal away that comes when the monitor dies: sets it
 * anew, and sees whether the monitor went meanwhile. */
void init_die_with_monitor(enum setup_step step);

/* mounts.c: the file system, in the initial user namespace; all fail by init_fail(). */
void init_mounts(struct init *i);

/* Puts a file of this sandbox alone over target. Returns the fd to write it through. */
int mounts_bind_private(const char *name, const char *target, mode_t mode, unsigned attributes);

/* proc.c: /proc, once the places for it and for private files are there. */
void init_proc(struct init *i);
/* Has /proc/meminfo, as the fd of its file, show so much. 0 or a negative errno. */
int proc_write_meminfo(int fd, uint64_t memory_bytes);
/* The same for a job's limit, where it shows something else. */
int proc_show_job_memory(const struct init *i, uint64_t memory_bytes);

/* The last pid given out in this sandbox, from the real /proc/loadavg; 0 when it cannot be read. */
uint64_t proc_read_last_pid(int loadavg_fd);

/* userns.c: user and network namespace, id maps, no nested user namespaces. The first begins to
 * make them, beside what follows, if there are none yet; the second waits for them and enters. */
void userns_prepare(struct init *i);
void userns_enter(struct init *i);
/* Waits for the end of who held them meanwhile: no process but init is left. */
void userns_await_holder(const struct userns_holder *h);

/* What is made for a sandbox that is not there yet: begun, and had. */
void userns_begin(uint32_t owner, bool loopback, struct userns_holder *ret);
void userns_finish(struct userns_holder *h, uint32_t init_id, uint32_t payload_id, int *ret_userns,
        int *ret_netns);

/* maker.c: makes those, for as long as the monitor asks for more. */
_noreturn_ void maker_main(void);

/* payload.c: the child's way from fork to exec. */
_noreturn_ void payload_main(struct init *i);
/* Its steps that the handover takes too. */
void payload_join_leaf(struct init *i);
void payload_set_rlimits(const struct init *i);
void payload_report(enum launch_kind kind);
struct spec_view;
int payload_make_files(const struct init *i, const struct spec_view *spec);

/* handover.c: what is between a parked command and its job. */
void parking_open(struct parking *p);
_noreturn_ void handover_main(struct init *i, pid_t payload);

/* reaper.c: init's way from the fork to its end. */
_noreturn_ void reaper_main(struct init *i, pid_t payload);

/* credentials.c: what init and payload both end with: the given id, or another one as the effective
 * one, no capability in any set, locked securebits, no new privileges, not dumpable. The bounding set
 * was emptied before they parted. A system-call filter comes after it: the profile's, for the payload
 * and who has its id, or init's own. */
void drop_bounding_set(void);
void shed_privileges(uint32_t id, uint32_t effective);
void load_job_filter(struct init *i);

/* job-filter.c: whether the profile's filter allows a call whatever its arguments are; and whether it allows all that
 * is called by a process which waits for its job, and then takes it. */
bool job_filter_allows(const struct sock_filter *filter, size_t size, long call);
bool job_filter_lets_wait(const struct init *i);

/* own-filter.c: init's own filter, which allows what init calls after that, and nothing else. 0 or a
 * negative errno. */
int own_filter_load(void);

/* files.c: writes the job's files below /box with the payload's rights: those in the spec, and those
 * that come through a pipe. 0 or a negative errno. */
int files_write(const struct spec_view *spec);
int files_receive(const struct spec_view *spec, int fd);

/* collect.c: ends what is left of the job, and hands over the files that were asked for. */
void collect_files(struct init *i);
