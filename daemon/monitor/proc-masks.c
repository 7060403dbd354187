/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides what is masked in a sandbox's /proc. Runs in the monitor at start.
 *
 * An allow-list: an entry at the top of /proc stays only if it is about the reader's own processes
 * and namespaces, says nothing about the host, or is synthesised. Whatever else the running kernel
 * offers to everyone is masked; what only root may read needs no mask, since no id in the sandbox
 * is root's.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/monitor/template.h"

static const char *const kept[] = {
        "self", "thread-self", "mounts", "net",         /* links to the reader's own */
        "sysvipc",                                      /* of the ipc namespace */
        "filesystems", "version", "uptime",             /* what uname and sysinfo tell anyway */
        "cpuinfo", "meminfo", "stat", "loadavg", "sys", /* synthesised */
};

static bool is_kept(const char *name)
{
        if (name[0] == '.' || (name[0] >= '0' && name[0] <= '9'))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(kept); i++)
                if (streq(name, kept[i]))
                        return true;
        return false;
}

int proc_masks_collect(char masks[static LAUNCH_MASKS_MAX], uint32_t *ret_size,
        struct error *ret_error)
{
        DIR *dir = opendir("/proc");
        uint32_t size = 0;
        struct dirent *e;
        int r = 0;

        if (!dir)
                return error_set(ret_error, -errno, "/proc cannot be read: mount proc on it");
        while (r == 0 && (e = readdir(dir))) {
                struct stat st;
                size_t n = strlen(e->d_name) + 2;

                if (is_kept(e->d_name) ||
                        fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                if ((!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) || !(st.st_mode & 0007))
                        continue;
                if (n > LAUNCH_MASKS_MAX - size) {
                        r = error_set(ret_error, -E2BIG, "/proc has too many entries to mask");
                        break;
                }
                (void) snprintf(masks + size, n, "%c%s", S_ISDIR(st.st_mode) ? 'd' : 'f',
                        e->d_name);
                size += (uint32_t) n;
        }
        (void) closedir(dir);
        if (r == 0)
                *ret_size = size;
        return r;
}
