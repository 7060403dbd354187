/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Directories of the cgroup file systems, by fd. For the drivers.
 */

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/macro.h"

/* An O_PATH fd, or a negative errno. */
static inline int cgroup_open_dir(int at, const char *path)
{
        int fd = openat(at, path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        return fd < 0 ? -errno : fd;
}

/* Makes and opens it. */
static inline int cgroup_make_dir(int at, const char *path)
{
        if (mkdirat(at, path, 0755) < 0)
                return -errno;
        return cgroup_open_dir(at, path);
}

/* One that is gone already is no error. */
static inline int cgroup_remove_dir(int at, const char *path)
{
        if (unlinkat(at, path, AT_REMOVEDIR) < 0 && errno != ENOENT)
                return -errno;
        return 0;
}
