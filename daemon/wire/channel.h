/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What frontend and monitor say to each other: one SOCK_SEQPACKET message an operation, a fixed
 * header, one struct per operation, fds by SCM_RIGHTS. Both ends are of one build; a message of
 * another version, size or fd count ends the channel. The monitor trusts nothing in it: numbers are
 * checked against the policy, fds are asked what they are without touching a file system.
 */

#include "common/limit.h"
#include "common/status.h"

#define CHANNEL_MAGIC UINT32_C(0x73627831)
#define CHANNEL_VERSION UINT16_C(7)

/* Ids with this bit are not of jobs: the monitor gives them to sandboxes that it makes ahead of time. */
#define CHANNEL_ID_PARKED (UINT64_C(1) << 63)

enum channel_op {
        /* frontend to monitor */
        CHANNEL_OP_START = 1,  /* struct channel_start; fds: CHANNEL_FD_* */
        CHANNEL_OP_KILL = 2,   /* struct channel_kill */
        CHANNEL_OP_RETIRE = 3, /* struct channel_generation: no START will name this one */
        CHANNEL_OP_PONG = 5,   /* no body: the answer to a PING */
        CHANNEL_OP_IDLE = 6, /* no body: nothing to do for IdleExitSec=, no socket is polled now */
        CHANNEL_OP_SIGNAL = 7, /* struct channel_signal: to the payload's own process, if it runs */
        CHANNEL_OP_USAGE = 8,  /* no body: answered by a USED, unless the job has ended */
        /* monitor to frontend */
        CHANNEL_OP_POLICY = 16,  /* struct channel_generation; fd: sealed memfd with struct policy.
                                 * The first message, and after each reload. */
        CHANNEL_OP_ENDED = 17,   /* struct channel_ended; fd: the return value's file, if any */
        CHANNEL_OP_GONE = 18,    /* no body: nothing of the sandbox is left */
        CHANNEL_OP_STOP = 19,    /* no body: finish what runs, answer the clients, exit */
        CHANNEL_OP_PING = 20,    /* no body: say that you are not stuck */
        CHANNEL_OP_USED = 21,    /* struct channel_used: what the job has used so far */
        CHANNEL_OP_STARTED = 22, /* struct channel_started: the sandbox is made; not when it ends
                                  * before. fds: CHANNEL_STARTED_FD_*, for a parked one */
        CHANNEL_OP_BACKLOG = 23, /* struct channel_backlog: whether too many sandboxes are being
                                  * taken down; when that changes. No, unless it was said */
};

struct channel_header {
        uint32_t magic;
        uint16_t version;
        uint16_t op;
        uint32_t size; /* of the whole message */
        uint32_t pad;
        uint64_t job; /* the job's id; 0 where the operation is about none */
};

/* The order of the fds of CHANNEL_OP_START. From STDIN on each is there when its flag says so. */
enum channel_start_fd {
        CHANNEL_FD_SPEC,   /* sealed memfd, see spec.h */
        CHANNEL_FD_STDOUT, /* write end of a pipe */
        CHANNEL_FD_STDERR, /* write end of a pipe */
        CHANNEL_FD_STDIN,  /* read end of a pipe */
        CHANNEL_FD_INPUT,  /* read end of a pipe: files that are not in the spec, see transfer.h */
        CHANNEL_FD_COLLECT, /* write end of a pipe: the files that the spec asks for, see transfer.h */
        _CHANNEL_FD_COUNT,
};

#define CHANNEL_FD_OPTIONAL CHANNEL_FD_STDIN /* the first that may be absent */

enum channel_start_flag {
        CHANNEL_START_RETURN_VALUE = 1 << 0, /* offer the payload the file for a return value */
        CHANNEL_START_STDIN = 1 << 1,
        CHANNEL_START_INPUT = 1 << 2,
        CHANNEL_START_COLLECT = 1 << 3,
        CHANNEL_START_WARM = 1 << 4, /* a parked sandbox of that runtime will do, if there is one */
        _CHANNEL_START_FLAGS = CHANNEL_START_RETURN_VALUE | CHANNEL_START_STDIN |
                               CHANNEL_START_INPUT | CHANNEL_START_COLLECT | CHANNEL_START_WARM,
};

/* Whether a START with these flags carries that fd. */
static inline bool channel_start_has(uint32_t flags, enum channel_start_fd fd)
{
        return fd < CHANNEL_FD_OPTIONAL || flags & (uint32_t) CHANNEL_START_STDIN
                                                           << (fd - CHANNEL_FD_STDIN);
}

/* How long a sandbox that ended may take to hand over the files that were asked for, and how long the
 * files of a START with INPUT may be on their way. */
#define CHANNEL_COLLECT_USEC (10 * 60 * USEC_PER_SEC)
#define CHANNEL_INPUT_USEC (3600 * USEC_PER_SEC)

/* How long, once a policy was replaced, jobs that were accepted under it may still be started. The
 * frontend keeps to the first; after the second the monitor starts none, whatever the frontend says. */
#define CHANNEL_PLAN_GRACE_USEC (60 * USEC_PER_SEC)
#define CHANNEL_RETIRE_USEC (CHANNEL_PLAN_GRACE_USEC + 15 * USEC_PER_SEC)

/* The monitor numbers the policies that it loads from 1 on. */
struct channel_generation {
        struct channel_header header;
        uint32_t generation;
        uint32_t pad;
};

struct channel_start {
        struct channel_header header;
        uint32_t generation; /* of the policy that the job was planned with */
        uint32_t profile;    /* index in that policy */
        uint32_t flags;
        uint32_t owner;   /* the client's uid: whose slice the job's scope is in */
        uint32_t runtime; /* index in that policy; asked for with WARM alone */
        struct limits limits;
};

struct channel_kill {
        struct channel_header header;
        uint32_t cause; /* JOB_STATUS_CANCELLED or JOB_STATUS_OUTPUT_LIMIT */
        uint32_t pad;
};

#define CHANNEL_SIGNAL_MAX 64

struct channel_signal {
        struct channel_header header;
        uint32_t signal; /* 1 to CHANNEL_SIGNAL_MAX */
        uint32_t pad;
};

struct channel_used {
        struct channel_header header;
        uint64_t wall_usec; /* since the exec; 0: not yet */
        uint64_t cpu_user_usec;
        uint64_t cpu_system_usec;
        uint64_t memory_bytes; /* now; 0 where the host does not tell, as is pids */
        uint64_t pids;         /* now */
};

/* The ends of a parked sandbox's pipes, in place of those that the START brought. */
enum channel_started_fd {
        CHANNEL_STARTED_FD_STDOUT, /* read end */
        CHANNEL_STARTED_FD_STDERR, /* read end */
        CHANNEL_STARTED_FD_STDIN,  /* write end; where the START had STDIN */
        _CHANNEL_STARTED_FD_COUNT,
};

struct channel_started {
        struct channel_header header;
        uint32_t
                warm; /* a parked sandbox took the job; where a command waited in it there are fds */
        uint32_t pad;
        uint64_t sandbox; /* its id, by which its scope and its cgroups are named */
};

struct channel_backlog {
        struct channel_header header;
        uint32_t behind; /* it is better to start none for now */
        uint32_t pad;
};

enum channel_ended_flag {
        CHANNEL_ENDED_PIDS_LIMIT_HIT = 1 << 0,
        CHANNEL_ENDED_CPU_THROTTLED = 1 << 1,
        CHANNEL_ENDED_SCOPE_STOPPED = 1 << 2, /* CANCELLED by whoever stopped the scope */
        CHANNEL_ENDED_WARM = 1 << 3,          /* its sandbox was parked before */
};

struct channel_ended {
        struct channel_header header;
        uint32_t status;   /* enum job_status */
        int32_t exit_code; /* EXITED and OK */
        int32_t signal;    /* SIGNALED and VIOLATION, else 0 */
        uint32_t step;     /* enum setup_step, for SETUP_ERROR */
        int32_t error;     /* positive errno, for SETUP_ERROR */
        uint32_t flags;
        uint64_t wall_usec;  /* from exec to end; 0 when there was no exec */
        uint64_t setup_usec; /* from START to exec */
        uint64_t cpu_user_usec;
        uint64_t cpu_system_usec;
        uint64_t memory_peak_bytes;
        uint64_t pids_peak;
        char detail[64]; /* what SETUP_ERROR is about: the controller, the limit */
};

/* Fills the header of a message of size bytes. */
static inline void channel_header_init(struct channel_header *h, enum channel_op op, size_t size,
        uint64_t job)
{
        *h = (struct channel_header) {
                .magic = CHANNEL_MAGIC,
                .version = CHANNEL_VERSION,
                .op = (uint16_t) op,
                .size = (uint32_t) size,
                .job = job,
        };
}

/* Whether size received bytes are a well-formed message as far as the header says. */
static inline bool channel_header_valid(const struct channel_header *h, size_t size)
{
        return size >= sizeof(*h) && h->magic == CHANNEL_MAGIC && h->version == CHANNEL_VERSION &&
               h->size == size;
}
