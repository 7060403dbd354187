/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of limits. Pure data and functions; runs in every process.
 */
#include "common/limit.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/parse.h"

/* The largest time a timer can hold without care: a year. */
#define TIME_MOST (365 * 24 * 3600 * USEC_PER_SEC)

const struct limit_info limit_table[_LIMIT_COUNT] = {
        [LIMIT_WALL_TIME] = { "WallTimeSec", "wall_time_usec", "--timeout", LIMIT_UNIT_USEC, 1000,
                TIME_MOST, false },
        [LIMIT_CPU_TIME] = { "CPUTimeSec", "cpu_time_usec", "--cpu-time", LIMIT_UNIT_USEC, 1000,
                TIME_MOST, true },
        /* Below 4 MiB the kernel kills most programs while they are still being loaded. */
        [LIMIT_MEMORY] = { "Memory", "memory_bytes", "--memory", LIMIT_UNIT_BYTES, 4 * MIB,
                1024 * GIB, false },
        /* The kernel's shortest quota is 1 ms; of the 100 ms period that is 1 %. */
        [LIMIT_CPU_QUOTA] = { "CPUQuota", "cpu_quota_percent", "--cpus", LIMIT_UNIT_PERCENT, 1,
                102400, false },
        [LIMIT_PIDS] = { "Pids", "pids", "--pids", LIMIT_UNIT_COUNT, 1, 4194304, false },
        [LIMIT_OUTPUT] = { "Output", "output_bytes", "--output-limit", LIMIT_UNIT_BYTES, 1,
                64 * GIB, false },
        [LIMIT_TMP_SIZE] = { "TmpSize", "tmp_size_bytes", "--tmp-size", LIMIT_UNIT_BYTES, 64 * KIB,
                1024 * GIB, false },
        [LIMIT_CODE_SIZE] = { "CodeSize", "code_size_bytes", NULL, LIMIT_UNIT_BYTES, 1, GIB,
                false },
        [LIMIT_FILES_SIZE] = { "FilesSize", "files_size_bytes", NULL, LIMIT_UNIT_BYTES, 0, 64 * GIB,
                false },
};

int limit_parse(enum limit_id id, const char *text, uint64_t *ret)
{
        const struct limit_info *info = &limit_table[id];
        uint64_t v = 0;
        int r = -EINVAL;

        if (text[0] == '\0') {
                if (!info->optional)
                        return -EINVAL;
                *ret = 0;
                return 0;
        }
        switch (info->unit) {
        case LIMIT_UNIT_USEC:
                r = parse_time(text, &v);
                break;
        case LIMIT_UNIT_BYTES:
                r = parse_size(text, &v);
                break;
        case LIMIT_UNIT_PERCENT:
                r = parse_percent(text, &v);
                break;
        case LIMIT_UNIT_COUNT:
                r = parse_u64(text, &v);
                break;
        }
        if (r < 0)
                return r;
        if (v < info->least || v > info->most)
                return -ERANGE;
        *ret = v;
        return 0;
}

char *limit_format(enum limit_id id, uint64_t value, char buf[static LIMIT_TEXT_MAX])
{
        const struct limit_info *info = &limit_table[id];

        if (info->optional && value == 0) {
                (void) snprintf(buf, LIMIT_TEXT_MAX, "none");
                return buf;
        }
        switch (info->unit) {
        case LIMIT_UNIT_USEC:
                return format_time(buf, value);
        case LIMIT_UNIT_BYTES:
                return format_size(buf, value);
        case LIMIT_UNIT_PERCENT:
                (void) snprintf(buf, LIMIT_TEXT_MAX, "%" PRIu64 "%%", value);
                break;
        case LIMIT_UNIT_COUNT:
                (void) snprintf(buf, LIMIT_TEXT_MAX, "%" PRIu64, value);
                break;
        }
        return buf;
}
