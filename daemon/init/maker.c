/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes user and network namespaces that are for no sandbox yet. Runs as root, in a process of its own that the
 * monitor starts for a batch; reads nothing but its orders, and ends when there are no more.
 */
#include <sys/resource.h>

#include "common/io.h"
#include "daemon/init/init.h"

/* Nobody waits for what is made here. But not SCHED_IDLE: the locks that it takes are everybody's, and with that it
 * could hold them for as long as others want the CPU. */
static void stand_back(void)
{
        if (setpriority(PRIO_PROCESS, 0, 19) < 0)
                init_fail(SETUP_STEP_RECEIVE, -errno);
}

/* False when there are no more. */
static bool receive_order(struct launch_namespaces *ret)
{
        size_t n_fds = 0;
        ssize_t n;

        n = io_receive_message(LAUNCH_CONTROL_FD, ret, sizeof(*ret), NULL, 0, &n_fds);
        if (n == 0)
                return false;
        if (n != sizeof(*ret) || ret->kind != LAUNCH_NAMESPACES || ret->version != LAUNCH_VERSION)
                init_fail(SETUP_STEP_RECEIVE, n < 0 ? (int) n : -EBADMSG);
        return true;
}

static void make(const struct launch_namespaces *order)
{
        const struct launch_event made = { .kind = LAUNCH_MADE };
        struct userns_holder holder;
        int fds[2], r;

        userns_begin(order->init_id, true, &holder);
        init_die_with_monitor(SETUP_STEP_USERNS);
        userns_finish(&holder, order->init_id, order->payload_id, &fds[0], &fds[1]);
        userns_await_holder(&holder);
        r = io_send_message(LAUNCH_CONTROL_FD, &made, sizeof(made), fds, ELEMENTSOF(fds));
        if (r < 0)
                init_fail(SETUP_STEP_RECEIVE, r);
        io_close_all(fds, ELEMENTSOF(fds));
}

_noreturn_ void maker_main(void)
{
        struct launch_namespaces order;

        stand_back();
        while (receive_order(&order))
                make(&order);
        _exit(0);
}
