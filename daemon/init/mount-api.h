/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The kernel's mount calls, by their numbers: the libc that init is linked with may be older than the
 * kernel headers. All return -1 with errno, as system calls do.
 */

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>

#include "common/macro.h"

#define MS_BIND_FLAG 4096UL

static inline int sys_fsopen(const char *type)
{
        return (int) syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

static inline int sys_fsset(int fs, const char *key, const char *value)
{
        return (int) syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0);
}

static inline int sys_fsmount(int fs, unsigned attributes)
{
        if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return -1;
        return (int) syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
}

static inline int sys_move_mount(int mount, const char *target)
{
        return (int) syscall(SYS_move_mount, mount, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
}

static inline int sys_bind(const char *source, const char *target)
{
        return (int) syscall(SYS_mount, source, target, NULL, MS_BIND_FLAG, NULL);
}
