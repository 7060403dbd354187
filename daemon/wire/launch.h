/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What monitor and init say to each other over the SEQPACKET pair that is init's fd 3. The monitor
 * sends PREPARE (everything that does not depend on a job), JOIN (the cgroup leaves) and RUN (the
 * job). Where the leaves are made before init, all three are in the socket before it starts; where
 * systemd makes a scope around init, JOIN and RUN follow when that is there. Init answers with
 * events.
 *
 *      monitor                     init
 *      PREPARE, JOIN ------------>
 *                    <------------ JOINED   (where JOIN asked for it)
 *      RUN           ------------>
 *                    <------------ STARTED  (the payload's process is about to exec)
 *      SIGNAL        ------------>          (any number of them, after STARTED)
 *                    <------------ FAILED   (a step of init's or of the payload's went wrong)
 *                    <------------ EXITED   (always the last; fd: the return value's file, if any)
 *      closes its end ----------->          (init ends, and with it whatever is left)
 *
 * A sandbox that is made ahead of time gets PARK in place of RUN: the command to be started, which is the
 * monitor's own, and no job. The payload's process starts it; a second one, the handover, waits for
 * the job on a socket of its own.
 *
 *      monitor                     init and handover
 *      PARK          ------------>
 *                    <------------ PARKED   (the command has said that it waits)
 *      CLAIM to init ------------>          (with COLLECT alone: what it needs for that)
 *      CLAIM to handover -------->          (the job, unread; from here on as above)
 *                    <------------ STARTED  (the command goes on, with the job)
 *
 * Where it is the job that brings the command, no command is made ahead of time: the sandbox gets PARK_BARE, and
 * the payload's process waits itself, on a socket of its own, for a RUN.
 *
 *      monitor                     init and payload
 *      PARK_BARE     ------------>
 *                    <------------ PARKED   (the payload's process waits)
 *      CLAIM to init ------------>          (with COLLECT or return_value alone: what it needs for that)
 *      RUN to payload ----------->          (the job; from here on as above)
 *
 * Namespaces that are for no sandbox yet are made by the same program, started as LAUNCH_MAKER_NAME: it gets
 * NAMESPACES any number of times, answers each with MADE, or FAILED once, and ends with its socket.
 *
 * With COLLECT, init then ends what is left of the job and writes the files that were asked for into
 * that pipe, before it ends itself.
 */

#include "common/macro.h"

#define LAUNCH_VERSION 8
#define LAUNCH_CONTROL_FD 3
#define LAUNCH_MAKER_NAME "namespaces" /* its argv[0] */
#define LAUNCH_JOIN_MAX 4              /* v1 hierarchies of one leaf */

/* Ids inside the sandbox's user namespace. */
#define LAUNCH_PAYLOAD_ID 1000
#define LAUNCH_INIT_ID 1

enum launch_kind {
        LAUNCH_PREPARE = 1,     /* struct launch_prepare */
        LAUNCH_RUN = 2,         /* struct launch_run */
        LAUNCH_STARTED = 3,     /* struct launch_event: usec */
        LAUNCH_FAILED = 4,      /* struct launch_event: step, error */
        LAUNCH_EXITED = 5,      /* struct launch_event: the rest */
        LAUNCH_JOIN = 6,        /* struct launch_join */
        LAUNCH_JOINED = 7,      /* struct launch_event: nothing else */
        LAUNCH_SIGNAL = 8,      /* struct launch_signal */
        LAUNCH_READY = 9,       /* struct launch_event: nothing else; files are what is left */
        LAUNCH_PARK = 10,       /* struct launch_run, of what no job has a say in */
        LAUNCH_PARKED = 11,     /* struct launch_event: nothing else */
        LAUNCH_CLAIM = 12,      /* struct launch_claim */
        LAUNCH_NAMESPACES = 13, /* struct launch_namespaces */
        LAUNCH_MADE = 14, /* struct launch_event: nothing else; fds: user and network namespace */
        LAUNCH_PARK_BARE = 15, /* struct launch_run, of which nothing is heeded but its fd */
};

enum launch_prepare_fd {
        LAUNCH_FD_MNTNS,  /* the template's mount namespace */
        LAUNCH_FD_FILTER, /* memfd with struct sock_filter[] */
        LAUNCH_FD_USERNS, /* with has_namespaces: the sandbox's, with its ids mapped */
        LAUNCH_FD_NETNS,  /* and this one belongs to it; lo is up */
        _LAUNCH_PREPARE_FD_COUNT,
};

struct launch_prepare {
        uint32_t kind;
        uint32_t version;
        uint32_t join_late;      /* JOIN comes when the mounts are made, not at once */
        uint32_t init_id;        /* kernel uid and gid of init, owner of the user namespace */
        uint32_t payload_id;     /* kernel uid and gid of the payload, owner of /box */
        uint32_t cpus;           /* what cpuinfo and stat show */
        uint32_t loopback;       /* whether lo is up */
        uint32_t tmp_inodes;     /* files in each tmpfs */
        uint32_t has_namespaces; /* whether they were made ahead of time */
        uint32_t pad;
        uint64_t tmp_size;     /* bytes of each tmpfs */
        uint64_t memory_bytes; /* what meminfo shows */
};

/* Its fds: with job_dir, the job leaf's directory on cgroup2, for CLONE_INTO_CGROUP; n_join_init
 * files that move init when it writes "0" to them, "tasks" of v1 or cgroup.procs; n_join_job of
 * them for the payload; with has_control, the scope's cgroup.subtree_control. */
struct launch_join {
        uint32_t kind;
        uint32_t version;
        uint32_t job_dir;
        uint32_t n_join_init;
        uint32_t n_join_job;
        uint32_t has_control; /* whether cgroup.subtree_control is there */
        /* What init writes to it once it is out of the scope's own group, such as "+memory +pids";
         * then it says JOINED. So it is init that waits for the kernel's grace periods, and not the
         * monitor. NUL-terminated. */
        char enable[40];
};

/* The same as those of a START. From STDIN on each is there when its bit is in launch_run.fds. */
enum launch_run_fd {
        LAUNCH_FD_SPEC,
        LAUNCH_FD_STDOUT,
        LAUNCH_FD_STDERR,
        LAUNCH_FD_STDIN,   /* absent: /dev/null */
        LAUNCH_FD_INPUT,   /* files for the job, see transfer.h */
        LAUNCH_FD_COLLECT, /* files of the job, see transfer.h */
        _LAUNCH_RUN_FD_COUNT,
        LAUNCH_FD_CLAIM = _LAUNCH_RUN_FD_COUNT, /* PARK and PARK_BARE: the socket for who waits */
        _LAUNCH_PARK_FD_COUNT,
};

#define LAUNCH_FDS_NEEDED (1U << LAUNCH_FD_SPEC | 1U << LAUNCH_FD_STDOUT | 1U << LAUNCH_FD_STDERR)
#define LAUNCH_FDS_OF_PARK (LAUNCH_FDS_NEEDED | 1U << LAUNCH_FD_STDIN | 1U << LAUNCH_FD_CLAIM)
#define LAUNCH_FDS_OF_PARK_BARE (1U << LAUNCH_FD_CLAIM)

struct launch_run {
        uint32_t kind;
        uint32_t version;
        uint32_t fds;          /* which there are: bits of enum launch_run_fd */
        uint32_t return_value; /* whether to offer the return value's file */
        uint32_t open_files;   /* RLIMIT_NOFILE */
        uint32_t pad;
        uint64_t processes;    /* RLIMIT_NPROC */
        uint64_t file_size;    /* RLIMIT_FSIZE */
        uint64_t collect_max;  /* bytes of files written to COLLECT, together */
        uint64_t memory_bytes; /* what meminfo shows from then on */
};

/* To the handover: the spec, and with INPUT that pipe. To init, before: the spec and the pipe of COLLECT, or, of a
 * bare one, neither. */
struct launch_claim {
        uint32_t kind;
        uint32_t version;
        uint32_t fds;          /* bits of enum launch_run_fd */
        uint32_t return_value; /* as in launch_run */
        uint32_t
                n_own_arguments; /* of the spec's argv, those that the parked command has already */
        uint32_t no_stdin;       /* fd 0 is to be /dev/null */
        uint64_t processes;      /* as in launch_run */
        uint64_t collect_max;    /* as in launch_run */
        uint64_t memory_bytes;   /* what meminfo shows */
};

struct launch_namespaces {
        uint32_t kind;
        uint32_t version;
        uint32_t init_id;    /* as in launch_prepare */
        uint32_t payload_id; /* as in launch_prepare */
};

struct launch_signal {
        uint32_t kind;
        uint32_t version;
        uint32_t signal; /* to the payload's own process */
        uint32_t pad;
};

struct launch_event {
        uint32_t kind;
        uint32_t step;  /* enum setup_step */
        int32_t error;  /* positive errno */
        int32_t code;   /* CLD_EXITED, CLD_KILLED, CLD_DUMPED of the payload; 0: none ran */
        int32_t status; /* exit code or signal */
        uint16_t
                grew; /* of a job that was handed over: there were more processes than at that time */
        uint16_t done; /* of the end: nothing of the job is left, or it waits to be ended */
        uint64_t usec; /* CLOCK_MONOTONIC of what is reported: the exec, the end */
};

/* What a parked command finds beside stdio: where it reads its job from, up to the end of file; where it
 * writes LAUNCH_PRIMED when it waits for that; and where, if it cannot take the job over, it writes an
 * errno as one byte before it exits. It is told by LAUNCH_PARK_VARIABLE, and closes all three, before
 * anything of the job runs. */
#define LAUNCH_PARK_CLAIM_FD 60
#define LAUNCH_PARK_READY_FD 61
#define LAUNCH_PARK_FAULT_FD 62
#define LAUNCH_PARK_VARIABLE "SANDBOXD_PARK=1"
#define LAUNCH_PRIMED 'P'
/* A command that was parked may have its end told before its memory is freed, which takes an interpreter
 * longer than most jobs do. When nothing is left to be done it closes its stdio, writes these words and its
 * exit code, 0 to 255, into /proc/self/comm, and opens the return file, which wakes init. No other process
 * can write that: so it says no more than exit() would. It is ended soon after; should it not be, it exits. */
#define LAUNCH_LAST_WORDS ".exited "

/* In the template: the tree that becomes the root, and an empty directory beside it. */
#define LAUNCH_TEMPLATE_TREE "/tree"
#define LAUNCH_TEMPLATE_EMPTY "/empty"

/* Where things are in the sandbox that the monitor's template and init must agree on. */
#define LAUNCH_PRIVATE_DIR "/.sandbox"
#define LAUNCH_LAUNCHER_DIR LAUNCH_PRIVATE_DIR "/launchers"
#define LAUNCH_RETURN_FILE LAUNCH_PRIVATE_DIR "/return" /* a mount point in the template */
#define LAUNCH_PROC_DIR LAUNCH_PRIVATE_DIR "/proc"      /* cpuinfo.N, stat.N, loadavg, sys/ */
#define LAUNCH_EMPTY_FILE LAUNCH_PRIVATE_DIR "/empty-file"
#define LAUNCH_EMPTY_DIR LAUNCH_PRIVATE_DIR "/empty-dir"
