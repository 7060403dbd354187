/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files in memory hold that the service has written. Runs in the service and in its relays; reads its own
 * cgroup, and nothing else.
 */
#include "daemon/bus/memory.h"

#include <fcntl.h>
#include <stdio.h>

#include "common/io.h"
#include "common/parse.h"

/* As the kernel writes it without a limit in version 1: the most pages that fit a long. */
#define V1_UNLIMITED (UINT64_C(1) << 62)

/* Where systemd has mounted them, and how their files and counters are called. */
static const struct memory_hierarchy {
        const char *mount, *limit, *usage;
        const char *anonymous, *cached; /* lines of memory.stat */
} v1 = {
        "/sys/fs/cgroup/memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "\nrss ",
        "\ncache ",
}, v2 = {
        "/sys/fs/cgroup",
        "memory.max",
        "memory.current",
        "\nanon ",
        "\nfile ",
};

/* Whether a list as "cpu,memory" has the name. */
static bool has_name(const char *list, const char *name)
{
        size_t length = strlen(name);

        for (; *list != ':'; list += *list == ',') {
                size_t n = strcspn(list, ",:");

                if (n == length && strncmp(list, name, n) == 0)
                        return true;
                list += n;
        }
        return false;
}

/* The path in a line of /proc/self/cgroup: "4:memory:/PATH", or for NULL "0::/PATH". NULL where there is none. */
static const char *find_path(const char *text, const char *controller, size_t *ret_length)
{
        for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line != '\0') {
                const char *list = strchr(line, ':'), *path = list ? strchr(list + 1, ':') : NULL;

                if (!path)
                        return NULL;
                if (controller ? !has_name(list + 1, controller) : path != list + 1)
                        continue;
                *ret_length = strcspn(path + 1, "\n");
                return path + 1;
        }
        return NULL;
}

static int find_directory(const struct memory_hierarchy **ret, char *path, size_t size)
{
        _cleanup_free_ char *text = NULL;
        const char *found;
        size_t length = 0;
        int r;

        r = io_read_file(AT_FDCWD, "/proc/self/cgroup", 64 * KIB, &text, NULL);
        if (r < 0)
                return r;
        *ret = &v1;
        found = find_path(text, "memory", &length);
        if (!found) {
                *ret = &v2;
                found = find_path(text, NULL, &length);
        }
        if (!found || length >= size)
                return -ENODATA;
        (void) snprintf(path, size, "%s%.*s", (*ret)->mount, (int) length, found);
        return 0;
}

static int read_limit(int dir_fd, const struct memory_hierarchy *h, uint64_t *ret)
{
        _cleanup_free_ char *text = NULL;
        int r;

        r = io_read_file(dir_fd, h->limit, 4096, &text, NULL);
        if (r == -ENOENT) { /* the root of all */
                *ret = UINT64_MAX;
                return 0;
        }
        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = '\0';
        if (streq(text, "max"))
                *ret = UINT64_MAX;
        else if (parse_u64(text, ret) < 0)
                return -ENODATA;
        else if (*ret >= V1_UNLIMITED)
                *ret = UINT64_MAX;
        return 0;
}

static int open_file(int dir_fd, const char *name)
{
        int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

int memory_open(struct memory *m)
{
        _cleanup_close_ int dir_fd = -EBADF, usage_fd = -EBADF, stat_fd = -EBADF;
        const struct memory_hierarchy *h;
        char path[4096];
        uint64_t limit;
        int r;

        *m = MEMORY_NONE;
        r = find_directory(&h, path, sizeof(path));
        if (r < 0)
                return r;
        dir_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;
        r = read_limit(dir_fd, h, &limit);
        if (r < 0 || limit == UINT64_MAX)
                return r;
        usage_fd = open_file(dir_fd, h->usage);
        if (usage_fd < 0)
                return usage_fd;
        stat_fd = open_file(dir_fd, "memory.stat");
        if (stat_fd < 0)
                return stat_fd;
        *m = (struct memory) {
                .hierarchy = h,
                .usage_fd = TAKE_FD(usage_fd),
                .stat_fd = TAKE_FD(stat_fd),
                .limit = limit,
        };
        return 0;
}

/* One that begins with a newline, so that every line of it does. */
static int read_text(int fd, char *text, size_t size)
{
        ssize_t n = pread(fd, text + 1, size - 2, 0);

        if (n < 0)
                return -errno;
        text[0] = '\n';
        text[n + 1] = '\0';
        return 0;
}

static uint64_t number_after(const char *text, const char *key)
{
        const char *found = strstr(text, key);

        return found ? strtoull(found + strlen(key), NULL, 10) : 0;
}

/* All but the cache of files on disks, which goes when it has to; and of that what processes have. */
static int read_usage(const struct memory *m, uint64_t *ret_held, uint64_t *ret_anonymous)
{
        char usage[64], text[8192];
        uint64_t all, cached;

        if (!m->hierarchy || read_text(m->usage_fd, usage, sizeof(usage)) < 0 ||
                read_text(m->stat_fd, text, sizeof(text)) < 0)
                return -ENODATA;
        all = number_after(usage, "\n") + number_after(text, "\nshmem ");
        cached = number_after(text, m->hierarchy->cached);
        *ret_held = all - MIN(cached, all);
        *ret_anonymous = number_after(text, m->hierarchy->anonymous);
        return 0;
}

/* Not "shmem" alone, which counts no page that is in a pipe or a socket when its file has gone. */
uint64_t memory_in_files(const struct memory *m)
{
        uint64_t held, anonymous;

        return read_usage(m, &held, &anonymous) < 0 ? 0 : held - MIN(anonymous, held);
}

bool memory_is_short(const struct memory *m)
{
        uint64_t held, anonymous;

        return read_usage(m, &held, &anonymous) >= 0 && held >= m->limit / 4 * 3;
}

void memory_done(struct memory *m)
{
        (void) safe_close(m->usage_fd);
        (void) safe_close(m->stat_fd);
        *m = MEMORY_NONE;
}
