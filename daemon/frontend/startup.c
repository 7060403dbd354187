/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frontend's start. Everything here runs before the first client's byte is read; what is wrong
 * here is wrong in the monitor or the installation, and the frontend refuses to run.
 */
#include "daemon/frontend/startup.h"

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/io.h"
#include "daemon/wire/channel.h"
#include "daemon/wire/frontend.h"

#define POLICY_WAIT_MSEC 10000

static bool has_capabilities(void)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

        if (syscall(SYS_capget, &header, sets) < 0)
                return true;
        for (size_t i = 0; i < ELEMENTSOF(sets); i++)
                if (sets[i].effective || sets[i].permitted || sets[i].inheritable)
                        return true;
        return false;
}

int startup_check_privileges(struct error *ret_error)
{
        uid_t uids[3];
        gid_t gids[3];

        if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 ||
                getresgid(&gids[0], &gids[1], &gids[2]) < 0)
                return error_set(ret_error, -errno, "cannot read my own ids: %s", strerror(errno));
        for (size_t i = 0; i < ELEMENTSOF(uids); i++)
                if (uids[i] == 0 || gids[i] == 0)
                        return error_set(ret_error, -EPERM,
                                "refusing to run as root: sandboxd starts this program, as "
                                "user sandboxd or nobody");
        if (has_capabilities())
                return error_set(ret_error, -EPERM,
                        "refusing to run with capabilities: sandboxd must drop them first");
        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
                return error_set(ret_error, -EPERM,
                        "refusing to run without no_new_privs: sandboxd must set it first");
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return error_set(ret_error, -errno, "cannot give up being dumpable: %s",
                        strerror(errno));
        return 0;
}

static bool socket_has(int fd, int option, int value)
{
        int v = 0;
        socklen_t size = sizeof(v);

        return getsockopt(fd, SOL_SOCKET, option, &v, &size) >= 0 && v == value;
}

int startup_check_fds(struct error *ret_error)
{
        struct stat st;

        if (!socket_has(FRONTEND_FD_CHANNEL, SO_TYPE, SOCK_SEQPACKET))
                return error_set(ret_error, -EBADF,
                        "fd %d is not the monitor's channel: let sandboxd start this "
                        "program",
                        FRONTEND_FD_CHANNEL);
        if (fstat(FRONTEND_FD_FILTER, &st) < 0 || !S_ISREG(st.st_mode))
                return error_set(ret_error, -EBADF,
                        "fd %d is not the system-call filter: let sandboxd start this "
                        "program",
                        FRONTEND_FD_FILTER);
        return 0;
}

int startup_check_listeners(const struct policy *policy, struct error *ret_error)
{
        if (policy->n_listeners == 0)
                return error_set(ret_error, -EBADMSG,
                        "there is no socket to serve: let sandboxd start this program");
        for (int fd = FRONTEND_FD_LISTEN; fd < FRONTEND_FD_LISTEN + (int) policy->n_listeners; fd++)
                if (!socket_has(fd, SO_DOMAIN, AF_UNIX) || !socket_has(fd, SO_TYPE, SOCK_STREAM) ||
                        !socket_has(fd, SO_ACCEPTCONN, 1))
                        return error_set(ret_error, -EBADF,
                                "fd %d is not a listening stream socket: let sandboxd start this "
                                "program",
                                fd);
        return 0;
}

static int wait_for_message(int channel_fd)
{
        struct pollfd p = { .fd = channel_fd, .events = POLLIN };
        int r;

        do
                r = poll(&p, 1, POLICY_WAIT_MSEC);
        while (r < 0 && errno == EINTR);
        if (r < 0)
                return -errno;
        return r == 0 ? -ETIMEDOUT : 0;
}

/* Receives the first message, which must be a policy. */
static int receive_policy(int channel_fd, struct policies *ret)
{
        _cleanup_close_ int fd = -EBADF;
        struct channel_generation message;
        size_t n_fds = 0;
        ssize_t n;
        int r;

        r = wait_for_message(channel_fd);
        if (r < 0)
                return r;
        n = io_receive_message(channel_fd, &message, sizeof(message), &fd, 1, &n_fds);
        if (n < 0)
                return (int) n;
        if ((size_t) n != sizeof(message) || !channel_header_valid(&message.header, (size_t) n) ||
                message.header.op != CHANNEL_OP_POLICY)
                return -EBADMSG;
        return policies_add(ret, message.generation, fd);
}

int startup_receive_policy(int channel_fd, struct policies *ret, struct error *ret_error)
{
        struct policies policies = {};
        int r;

        r = receive_policy(channel_fd, &policies);
        if (r == -EBADMSG)
                return error_set(ret_error, r,
                        "the policy from sandboxd is not of this build: reinstall both");
        if (r < 0)
                return error_set(ret_error, r, "cannot receive the policy from sandboxd: %s",
                        strerror(-r));
        *ret = policies;
        return 0;
}

int startup_load_filter(int filter_fd, struct error *ret_error)
{
        _cleanup_close_ int fd = filter_fd;
        _cleanup_free_ struct sock_filter *code = NULL;
        struct sock_fprog program;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_set(ret_error, -errno, "cannot read the filter: %s", strerror(errno));
        if (st.st_size == 0 || st.st_size % sizeof(*code) != 0 ||
                st.st_size / sizeof(*code) > BPF_MAXINSNS)
                return error_set(ret_error, -EBADMSG, "the filter from sandboxd is not one");
        code = malloc((size_t) st.st_size);
        if (!code || lseek(fd, 0, SEEK_SET) < 0 ||
                io_read_full(fd, code, (size_t) st.st_size) != st.st_size)
                return error_set(ret_error, -EIO, "cannot read the filter");
        program = (struct sock_fprog) {
                .len = (unsigned short) ((size_t) st.st_size / sizeof(*code)),
                .filter = code,
        };
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
                return error_set(ret_error, -errno, "cannot install the filter: %s",
                        strerror(errno));
        return 0;
}
