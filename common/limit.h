/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The limits a job can have, as one table: its policy key, its field on the wire, its option on the
 * command line, its unit and range. Whatever handles limits walks this table, so that a new limit
 * is a row here, a field in the .proto, and the code that enforces it.
 */

#include "common/macro.h"

enum limit_id {
        LIMIT_WALL_TIME,  /* usec, from the payload's exec to its end */
        LIMIT_CPU_TIME,   /* usec of user and system time of the whole job; 0: no limit */
        LIMIT_MEMORY,     /* bytes charged to the job's cgroup, tmpfs files included */
        LIMIT_CPU_QUOTA,  /* percent of one CPU */
        LIMIT_PIDS,       /* processes and threads at one time */
        LIMIT_OUTPUT,     /* bytes kept of stdout, and of stderr */
        LIMIT_TMP_SIZE,   /* bytes in each of /tmp, /box and /dev/shm */
        LIMIT_CODE_SIZE,  /* bytes of code in a request */
        LIMIT_FILES_SIZE, /* bytes of all files in a request */
        _LIMIT_COUNT,
};

enum limit_unit {
        LIMIT_UNIT_USEC,
        LIMIT_UNIT_BYTES,
        LIMIT_UNIT_PERCENT,
        LIMIT_UNIT_COUNT,
};

struct limit_info {
        const char *key;    /* in a profile: "WallTimeSec"; its maximum is "Max" + key */
        const char *field;  /* in the .proto, errors and JSON: "wall_time_usec" */
        const char *option; /* of sandboxctl run, NULL where there is none */
        enum limit_unit unit;
        uint64_t least; /* smallest value that makes sense; smaller ones are refused */
        uint64_t most;  /* largest value that the enforcing code can handle */
        bool optional;  /* 0 or an empty value means "no limit" */
};

extern const struct limit_info limit_table[_LIMIT_COUNT];

struct limits {
        uint64_t value[_LIMIT_COUNT];
};

/* Reads a value in the limit's unit ("256M", "30s", "150%", "64"). -EINVAL not of that form,
 * -ERANGE outside least..most. An empty text is 0 for an optional limit, -EINVAL for others. */
int limit_parse(enum limit_id id, const char *text, uint64_t *ret);

#define LIMIT_TEXT_MAX 32
/* The value as limit_parse() reads it; "none" for the 0 of an optional limit. Returns buf. */
char *limit_format(enum limit_id id, uint64_t value, char buf[static LIMIT_TEXT_MAX]);

/* Output beyond this multiple of LIMIT_OUTPUT ends the job as OUTPUT_LIMIT. */
#define LIMIT_OUTPUT_KILL_FACTOR 64
