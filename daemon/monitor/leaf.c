/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits, usage and killing of a sandbox's leaf cgroups, on cgroup2 and on v1. Runs in the monitor;
 * writes only beneath directories that the driver made.
 */
#include "daemon/monitor/leaf.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/eventfd.h>

#include "common/io.h"
#include "common/parse.h"

/* The kernel's default cfs_period_us: a percent of it is 1000 us. */
#define CPU_PERIOD_USEC 100000
#define FILE_MAX 4096

void leaves_init(struct leaves *l)
{
        *l = (struct leaves) {};
        for (size_t i = 0; i < ELEMENTSOF(l->dirs); i++)
                l->dirs[i].sandbox_fd = l->dirs[i].init_fd = l->dirs[i].job_fd = -EBADF;
}

void leaves_close(struct leaves *l)
{
        for (size_t i = 0; i < l->n; i++) {
                l->dirs[i].sandbox_fd = safe_close(l->dirs[i].sandbox_fd);
                l->dirs[i].init_fd = safe_close(l->dirs[i].init_fd);
                l->dirs[i].job_fd = safe_close(l->dirs[i].job_fd);
        }
}

static const struct leaf_dir *find_dir(const struct leaves *l, unsigned controller)
{
        for (size_t i = 0; i < l->n; i++)
                if (l->dirs[i].controllers & controller)
                        return &l->dirs[i];
        return NULL;
}

const struct leaf_dir *leaves_find_v2(const struct leaves *l)
{
        for (size_t i = 0; i < l->n; i++)
                if (l->dirs[i].v2)
                        return &l->dirs[i];
        return NULL;
}

/* Reads a small file without allocating; it has no NUL in it. */
static int read_text(int dir, const char *name, char buf[static FILE_MAX])
{
        _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = read(fd, buf, FILE_MAX - 1);
        if (n < 0)
                return -errno;
        buf[n] = '\0';
        return 0;
}

static int read_number(int dir, const char *name, uint64_t *ret)
{
        char buf[FILE_MAX];
        int r;

        r = read_text(dir, name, buf);
        if (r < 0)
                return r;
        buf[strcspn(buf, "\n")] = '\0';
        return parse_u64(buf, ret);
}

/* The value of "key N" in a flat keyed file. */
static int find_key(const char *text, const char *key, uint64_t *ret)
{
        size_t n = strlen(key);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                char number[24];
                size_t digits;

                line += *line == '\n';
                if (strncmp(line, key, n) != 0 || line[n] != ' ')
                        continue;
                digits = strspn(line + n + 1, "0123456789");
                if (digits >= sizeof(number))
                        return -ERANGE;
                memcpy(number, line + n + 1, digits);
                number[digits] = '\0';
                return parse_u64(number, ret);
        }
        return -ENOENT;
}

static int write_number(int dir, const char *name, uint64_t value)
{
        char text[24];

        (void) snprintf(text, sizeof(text), "%" PRIu64, value);
        return io_write_file(dir, name, text);
}

static bool host_has_swap(void)
{
        _cleanup_free_ char *text = NULL;
        const char *line;

        if (io_read_file(AT_FDCWD, "/proc/swaps", MIB, &text, NULL) < 0)
                return true;
        line = strchr(text, '\n');
        return line && line[1] != '\0';
}

/* A job that could swap would not be held by its memory limit. Where the kernel does not account
 * swap, that is harmless only while the host has none. */
static int set_swap(const struct leaf_dir *d, const struct limits *limits)
{
        int r;

        if (d->v2)
                r = io_write_file(d->job_fd, "memory.swap.max", "0");
        else
                r = write_number(d->job_fd, "memory.memsw.limit_in_bytes",
                        limits->value[LIMIT_MEMORY]);
        return r == -ENOENT && !host_has_swap() ? 0 : r;
}

static int set_memory(const struct leaf_dir *d, const struct limits *limits)
{
        uint64_t memory = limits->value[LIMIT_MEMORY];
        int r;

        r = write_number(d->job_fd, d->v2 ? "memory.max" : "memory.limit_in_bytes", memory);
        if (r == 0 && d->v2)
                r = io_write_file(d->job_fd, "memory.oom.group", "1");
        return r;
}

/* v1 counts the buffers of internet sockets by themselves, and not at all without this limit: over
 * its own loopback a job would fill the host's. A fraction, since it adds to the memory limit. */
#define SOCKET_MEMORY_FRACTION 4

static int set_socket_memory(const struct leaf_dir *d, const struct limits *limits)
{
        if (d->v2)
                return 0;
        return write_number(d->job_fd, "memory.kmem.tcp.limit_in_bytes",
                limits->value[LIMIT_MEMORY] / SOCKET_MEMORY_FRACTION);
}

static int set_cpu(const struct leaf_dir *d, const struct limits *limits)
{
        uint64_t quota = limits->value[LIMIT_CPU_QUOTA] * (CPU_PERIOD_USEC / 100);
        char text[48];

        if (!d->v2)
                return write_number(d->job_fd, "cpu.cfs_quota_us", quota);
        (void) snprintf(text, sizeof(text), "%" PRIu64 " %d", quota, CPU_PERIOD_USEC);
        return io_write_file(d->job_fd, "cpu.max", text);
}

static int set_pids(const struct leaf_dir *d, const struct limits *limits)
{
        return write_number(d->job_fd, "pids.max", limits->value[LIMIT_PIDS]);
}

/* allowable is what AllowMissing= must list for the limit to be left out. */
static const struct {
        const char *name;
        enum limit_id limit;
        enum cgroup_controller controller;
        unsigned allowable;
        int (*set)(const struct leaf_dir *d, const struct limits *limits);
} limit_setters[] = {
        { "memory", LIMIT_MEMORY, CGROUP_MEMORY, CGROUP_MEMORY, set_memory },
        { "socket memory", LIMIT_MEMORY, CGROUP_MEMORY, CGROUP_MEMORY, set_socket_memory },
        { "swap", LIMIT_MEMORY, CGROUP_MEMORY, CGROUP_MEMORY | CGROUP_SWAP, set_swap },
        { "cpu", LIMIT_CPU_QUOTA, CGROUP_CPU, CGROUP_CPU, set_cpu },
        { "pids", LIMIT_PIDS, CGROUP_PIDS, CGROUP_PIDS, set_pids },
};

static int set_limit(const struct leaves *l, size_t setter, const struct limits *limits,
        unsigned allowed, struct error *ret_error)
{
        const struct leaf_dir *d = find_dir(l, limit_setters[setter].controller);
        int r = d ? limit_setters[setter].set(d, limits) : -EOPNOTSUPP;

        if ((r == -EOPNOTSUPP || r == -ENOENT) && allowed & limit_setters[setter].allowable)
                return 0;
        return r < 0 ? error_set(ret_error, r, "%s", limit_setters[setter].name) : 0;
}

int leaves_set_limits(const struct leaves *l, const struct limits *limits, unsigned allowed,
        struct error *ret_error)
{
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(limit_setters) && r == 0; i++)
                r = set_limit(l, i, limits, allowed, ret_error);
        return r;
}

int leaves_change_limits(const struct leaves *l, const struct limits *before,
        const struct limits *limits, unsigned allowed, struct error *ret_error)
{
        bool more = limits->value[LIMIT_MEMORY] > before->value[LIMIT_MEMORY];
        size_t n = ELEMENTSOF(limit_setters);
        int r = 0;

        for (size_t i = 0; i < n && r == 0; i++) {
                /* v1 keeps memory within memory and swap: of the two the larger goes first. */
                size_t k = more ? n - 1 - i : i;
                enum limit_id id = limit_setters[k].limit;

                if (limits->value[id] != before->value[id])
                        r = set_limit(l, k, limits, allowed, ret_error);
        }
        return r;
}

/* Where the group is that competes with others. */
static int cpu_dir(const struct leaf_dir *d)
{
        return d->sandbox_fd >= 0 ? d->sandbox_fd : d->job_fd;
}

int leaves_set_idle(const struct leaves *l, bool idle)
{
        const struct leaf_dir *d = find_dir(l, CGROUP_CPU);
        int r;

        if (!d)
                return 0;
        r = io_write_file(cpu_dir(d), "cpu.idle", idle ? "1" : "0");
        if (r != -ENOENT)
                return r;
        /* Before Linux 5.15. */
        if (d->v2)
                return io_write_file(cpu_dir(d), "cpu.weight", idle ? "1" : "100");
        return io_write_file(cpu_dir(d), "cpu.shares", idle ? "2" : "1024");
}

static void read_memory(const struct leaf_dir *d, struct leaf_usage *u)
{
        (void) read_number(d->job_fd, d->v2 ? "memory.peak" : "memory.max_usage_in_bytes",
                &u->memory_peak_bytes);
}

static void read_pids(const struct leaf_dir *d, struct leaf_usage *u)
{
        char text[FILE_MAX];
        uint64_t hits = 0;

        (void) read_number(d->job_fd, "pids.peak", &u->pids_peak);
        if (read_text(d->job_fd, "pids.events", text) == 0)
                (void) find_key(text, "max", &hits);
        u->n_pids_hits = hits;
}

/* CPU time comes from cgroup2's cpu.stat, which is there without the controller too; on a host with
 * v1 alone from cpuacct, in nanoseconds. */
static int read_cpu_times(const struct leaves *l, uint64_t *ret_user, uint64_t *ret_system)
{
        const struct leaf_dir *d = leaves_find_v2(l);
        char text[FILE_MAX];
        int r;

        if (d) {
                r = read_text(d->job_fd, "cpu.stat", text);
                if (r == 0)
                        r = find_key(text, "user_usec", ret_user);
                if (r == 0)
                        r = find_key(text, "system_usec", ret_system);
                return r;
        }
        d = find_dir(l, CGROUP_CPUACCT);
        if (!d)
                return -EOPNOTSUPP;
        r = read_number(d->job_fd, "cpuacct.usage_user", ret_user);
        if (r == 0)
                r = read_number(d->job_fd, "cpuacct.usage_sys", ret_system);
        if (r < 0)
                return r;
        *ret_user /= 1000;
        *ret_system /= 1000;
        return 0;
}

int leaves_read_cpu(const struct leaves *l, uint64_t *ret_usec)
{
        uint64_t user, system;
        int r;

        r = read_cpu_times(l, &user, &system);
        if (r < 0)
                return r;
        *ret_usec = user + system;
        return 0;
}

static void read_throttling(const struct leaf_dir *d, struct leaf_usage *u)
{
        char text[FILE_MAX];
        uint64_t n = 0;

        if (read_text(d->job_fd, "cpu.stat", text) == 0)
                (void) find_key(text, "nr_throttled", &n);
        u->n_throttled = n;
}

uint64_t leaves_oom_kills(const struct leaves *l)
{
        const struct leaf_dir *d = find_dir(l, CGROUP_MEMORY);
        char text[FILE_MAX];
        uint64_t n = 0;

        if (d && read_text(d->job_fd, d->v2 ? "memory.events" : "memory.oom_control", text) == 0)
                (void) find_key(text, "oom_kill", &n);
        return n;
}

int leaves_read_usage(const struct leaves *l, struct leaf_usage *ret)
{
        struct leaf_usage u = {};
        const struct leaf_dir *d;
        int r;

        r = read_cpu_times(l, &u.cpu_user_usec, &u.cpu_system_usec);
        if (r < 0)
                return r;
        if ((d = find_dir(l, CGROUP_MEMORY)))
                read_memory(d, &u);
        if ((d = find_dir(l, CGROUP_PIDS)))
                read_pids(d, &u);
        if ((d = find_dir(l, CGROUP_CPU)))
                read_throttling(d, &u);
        u.oom_kills = leaves_oom_kills(l);
        *ret = u;
        return 0;
}

/* Since Linux 6.12 the peak that a reader of cgroup2 sees begins with what he writes. */
static int begin_peak(const struct leaf_dir *d)
{
        int fd;

        if (!d->v2) {
                (void) io_write_file(d->job_fd, "memory.max_usage_in_bytes", "0");
                return -EBADF;
        }
        fd = openat(d->job_fd, "memory.peak", O_RDWR | O_CLOEXEC);
        if (fd >= 0 && write(fd, "0", 1) != 1)
                fd = safe_close(fd);
        return fd < 0 ? -EBADF : fd;
}

int leaves_begin_usage(const struct leaves *l, struct leaf_usage *ret_before, int *ret_peak_fd)
{
        const struct leaf_dir *d = find_dir(l, CGROUP_MEMORY);
        int r;

        r = leaves_read_usage(l, ret_before);
        if (r < 0)
                return r;
        *ret_peak_fd = d ? begin_peak(d) : -EBADF;
        return 0;
}

static uint64_t less(uint64_t a, uint64_t b)
{
        return a > b ? a - b : 0;
}

void leaves_subtract(struct leaf_usage *usage, const struct leaf_usage *before, int peak_fd,
        bool grew)
{
        char text[32];
        ssize_t n;

        usage->cpu_user_usec = less(usage->cpu_user_usec, before->cpu_user_usec);
        usage->cpu_system_usec = less(usage->cpu_system_usec, before->cpu_system_usec);
        usage->oom_kills = less(usage->oom_kills, before->oom_kills);
        usage->n_pids_hits = less(usage->n_pids_hits, before->n_pids_hits);
        usage->n_throttled = less(usage->n_throttled, before->n_throttled);
        /* The process that handed the job over was one more. A peak that was not passed since is of then,
         * unless another process came in its place. */
        if (!grew && before->pids_peak > 1 && usage->pids_peak == before->pids_peak)
                usage->pids_peak--;
        if (peak_fd < 0)
                return;
        n = pread(peak_fd, text, sizeof(text) - 1, 0);
        if (n <= 0)
                return;
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        (void) parse_u64(text, &usage->memory_peak_bytes);
}

void leaves_read_state(const struct leaves *l, struct leaf_state *ret)
{
        const struct leaf_dir *d;

        *ret = (struct leaf_state) {};
        (void) read_cpu_times(l, &ret->cpu_user_usec, &ret->cpu_system_usec);
        if ((d = find_dir(l, CGROUP_MEMORY)))
                (void) read_number(d->job_fd, d->v2 ? "memory.current" : "memory.usage_in_bytes",
                        &ret->memory_bytes);
        if ((d = find_dir(l, CGROUP_PIDS)))
                (void) read_number(d->job_fd, "pids.current", &ret->pids);
}

int leaves_oom_eventfd(const struct leaves *l)
{
        const struct leaf_dir *d = find_dir(l, CGROUP_MEMORY);
        _cleanup_close_ int control = -EBADF, event = -EBADF;
        char text[32];
        int r;

        if (!d || d->v2)
                return -EOPNOTSUPP;
        control = openat(d->job_fd, "memory.oom_control", O_RDONLY | O_CLOEXEC);
        event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (control < 0 || event < 0)
                return -errno;
        (void) snprintf(text, sizeof(text), "%d %d", event, control);
        r = io_write_file(d->job_fd, "cgroup.event_control", text);
        return r < 0 ? r : TAKE_FD(event);
}

int leaves_kill(const struct leaves *l, enum leaf_which which)
{
        const struct leaf_dir *d = leaves_find_v2(l);

        if (!d)
                return -EOPNOTSUPP;
        /* Safe because the directory is one that the driver made for this sandbox. */
        return io_write_file(which == LEAF_JOB ? d->job_fd : d->sandbox_fd, "cgroup.kill", "1");
}
