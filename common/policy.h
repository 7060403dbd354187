/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The policy in force: server settings, profiles, runtimes. One flat structure without pointers:
 * the monitor fills it from the policy files and hands it to the frontend in a sealed memfd, so
 * that the frontend plans with exactly what the monitor enforces and opens no file.
 */

#include "common/limit.h"

#define POLICY_VERSION 9
#define POLICY_PROFILES_MAX 16
#define POLICY_RUNTIMES_MAX 32
#define POLICY_NAME_MAX 32
#define POLICY_DEFAULT_PROFILE "default" /* must exist */
#define POLICY_TEXT_MAX 160
#define POLICY_ALIASES_MAX 4
#define POLICY_ARGS_MAX 16
#define POLICY_ARG_MAX 128
#define POLICY_PATH_MAX 256
#define POLICY_LISTENERS_MAX 16
#define POLICY_IDS_MAX 64
#define POLICY_COLD_MAX 64

struct policy_server {
        uint32_t max_frame_bytes;          /* MaxFrameSize=, one protocol frame */
        uint32_t max_connections;          /* MaxConnections= */
        uint32_t max_connections_per_user; /* MaxConnectionsPerUser= */
        uint32_t max_jobs;                 /* MaxJobs=, running at one time, in all */
        uint32_t max_jobs_per_user;        /* MaxJobsPerUser= */
        uint32_t max_queued;               /* MaxQueued=, that wait for others to end, in all */
        uint32_t max_queued_per_user;      /* MaxQueuedPerUser= */
        uint32_t max_upload_per_user;      /* MaxUploadPerUser=, bytes of jobs not yet started */
        uint32_t max_results_per_user;     /* MaxResultsPerUser=, of jobs that have ended */
        uint32_t max_kept;                 /* MaxKept=, bytes that jobs left, in all */
        uint32_t max_kept_per_user;        /* MaxKeptPerUser= */
        uint64_t result_retention_usec;    /* ResultRetentionSec= */
        uint64_t frame_timeout_usec;       /* FrameTimeoutSec=, for a frame begun but not ended */
        uint64_t idle_exit_usec;           /* IdleExitSec=; 0: never, as without passed sockets */
        uint32_t job_uid_base;             /* [UserNamespaces] Base=, kernel ids of jobs: */
        uint32_t job_uid_size;             /* Size=, no client comes from among them */
};

struct policy_ids {
        uint32_t n;
        uint32_t ids[POLICY_IDS_MAX];
};

/* [Access]: who may connect. Names are numbers already. */
struct policy_access {
        struct policy_ids allow_users;
        struct policy_ids allow_groups;
        struct policy_ids deny_users;
};

/* [Bus]: the user of the bus service, who may act for others. */
struct policy_bus {
        uint32_t has_user; /* else nobody may */
        uint32_t user;
};

/* [Pool]: sandboxes that are made before there is a job for them. */
struct policy_pool {
        uint32_t maximum;          /* Maximum=, in all; 0: none are made */
        uint32_t maximum_per_user; /* MaximumPerUser= */
        uint32_t minimum;          /* Minimum=, for what a user has asked for of late */
        uint32_t max_memory;       /* MaxMemory=, bytes that they may hold together */
        uint32_t namespaces;     /* Namespaces=, pairs for those that are made when the job comes */
        uint64_t idle_usec;      /* IdleSec=, without a job they are given back */
        struct policy_ids users; /* Users=, who have some before they ask */
};

struct policy_profile {
        char name[POLICY_NAME_MAX];
        char description[POLICY_TEXT_MAX];
        struct limits defaults;
        struct limits maximums;
        char filter[POLICY_NAME_MAX]; /* SystemCallFilter=, a file in seccomp/ without its ending */
        uint32_t open_files;          /* OpenFiles=, RLIMIT_NOFILE */
        uint32_t tmp_inodes;          /* TmpInodes=, files in each tmpfs */
        uint8_t loopback;             /* Loopback=, whether lo is up */
        uint8_t pad[7];
};

/* In an argument of a runtime: "%l" is the launcher's path in the sandbox, "%f" the code's file. */
struct policy_runtime {
        char name[POLICY_NAME_MAX];
        char description[POLICY_TEXT_MAX];
        char aliases[POLICY_ALIASES_MAX][POLICY_NAME_MAX];
        char interpreter[POLICY_PATH_MAX]; /* below /usr; empty for the command runtime */
        char package[POLICY_NAME_MAX];     /* the Debian package to name when it is missing */
        char file_name[POLICY_NAME_MAX];   /* the code's file in /box: "main.py" */
        char launcher[POLICY_NAME_MAX];    /* file in launchers/, empty for none */
        char arguments[POLICY_ARGS_MAX][POLICY_ARG_MAX];
        char environment[POLICY_ARGS_MAX][POLICY_ARG_MAX];       /* "KEY=VALUE" */
        char park_environment[POLICY_ARGS_MAX][POLICY_ARG_MAX];  /* the same, where it is parked */
        char cold_environment[POLICY_COLD_MAX][POLICY_NAME_MAX]; /* patterns of keys, and */
        char cold_files[POLICY_COLD_MAX][POLICY_NAME_MAX]; /* of files, that it must start with */
        uint32_t n_arguments;
        uint32_t n_environment;
        uint32_t n_park_environment;
        uint32_t n_cold_environment;
        uint32_t n_cold_files;
        uint32_t park_minimum; /* ParkMinimum= and ParkMaximum=, or what [Pool] has for all */
        uint32_t park_maximum;
        uint8_t available;     /* the interpreter is on this host */
        uint8_t returns_value; /* the launcher reports the last expression's value */
        uint8_t park;          /* the launcher can wait for its job */
        uint8_t pad[5];
};

struct policy {
        uint32_t version; /* POLICY_VERSION: both programs are of one build */
        uint32_t n_profiles;
        uint32_t n_runtimes;
        uint32_t n_listeners; /* sockets on which the frontend accepts, in the order of its fds */
        uint32_t listener_profiles[POLICY_LISTENERS_MAX]; /* for a Run there that names none */
        struct policy_server server;
        struct policy_access access;
        struct policy_bus bus;
        struct policy_pool pool;
        struct policy_profile profiles[POLICY_PROFILES_MAX];
        struct policy_runtime runtimes[POLICY_RUNTIMES_MAX];
        char driver[POLICY_NAME_MAX];  /* "cgroupfs" and the layout found, for doctor */
        char missing[POLICY_TEXT_MAX]; /* controllers missing and allowed to be, for doctor */
};

/* A policy in a sealed memfd, and such a memfd mapped. -EBADMSG for one that is not of this build. */
int policy_publish(const struct policy *p, int *ret_fd);
int policy_map(int fd, const struct policy **ret);
void policy_unmap(const struct policy *p);

/* Find by name; runtimes by alias too. NULL when there is none. */
const struct policy_profile *policy_find_profile(const struct policy *p, const char *name);
const struct policy_runtime *policy_find_runtime(const struct policy *p, const char *name);
