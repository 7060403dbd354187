/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox's user and network namespace. Runs in init. After unshare() init has every capability
 * in the new user namespace and none outside; its kernel uid is still 0, which owns root's files,
 * so nothing of the job is read before that is gone too.
 */
#include "daemon/init/init.h"

#include <fcntl.h>
#include <linux/if.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/io.h"

/* The network namespace belongs to the new user namespace, so that CAP_NET_ADMIN there is enough to
 * bring lo up and the monitor needs none. */
static void bring_loopback_up(void)
{
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
                init_fail(SETUP_STEP_NETWORK, -errno);
}

static void request_maps(void)
{
        struct launch_event event = { .kind = LAUNCH_USERNS };
        int r;

        r = io_send_message(LAUNCH_CONTROL_FD, &event, sizeof(event), NULL, 0);
        if (r < 0)
                init_fail(SETUP_STEP_MAPS, r);
}

void init_userns(struct init *i)
{
        int r;

        /* Safe because it only takes rights away: nothing that was mounted before belongs to the
         * new namespace. */
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
                init_fail(SETUP_STEP_USERNS, -errno);
        request_maps();
        if (i->prepare.loopback)
                bring_loopback_up();
        /* The payload could otherwise make itself a user namespace with every capability in it. The
         * file is looked up only now, since the kernel gives the opener its own namespace's. */
        r = io_write_file(i->sys_fd, "user/max_user_namespaces", "0");
        if (r < 0)
                init_fail(SETUP_STEP_USERNS, r);
        i->sys_fd = safe_close(i->sys_fd);
}
