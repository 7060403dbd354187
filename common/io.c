/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small file and socket helpers. Runs in every process; knows nothing of jobs or policy.
 */
#include "common/io.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

/* Since Linux 6.16. */
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define MEMFD_SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

int io_write_full(int fd, const void *data, size_t size)
{
        const uint8_t *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

ssize_t io_read_full(int fd, void *data, size_t size)
{
        uint8_t *p = data;
        size_t done = 0;

        while (done < size) {
                ssize_t n = read(fd, p + done, size - done);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        break;
                done += (size_t) n;
        }
        return (ssize_t) done;
}

int io_set_nonblock(int fd)
{
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0)
                return -errno;
        return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

size_t io_socket_unread(int fd)
{
        int left;

        /* While it frees something, the kernel counts 1 for that, and tells who waits for room. */
        if (ioctl(fd, SIOCOUTQ, &left) < 0 || left < IO_SOCKET_SEND_MIN)
                return 0;
        return (size_t) left;
}

int io_refuse_fds(int fd)
{
        const int off = 0;

        return setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &off, sizeof(off)) < 0 ? -errno : 0;
}

int io_read_fd(int fd, size_t max, char **ret_text, size_t *ret_size)
{
        _cleanup_free_ char *text = NULL;
        size_t size = 0, room = 4096;
        ssize_t n;

        for (;;) {
                char *grown = realloc(text, room + 1);

                if (!grown)
                        return -ENOMEM;
                text = grown;
                n = io_read_full(fd, text + size, room - size);
                if (n < 0)
                        return (int) n;
                size += (size_t) n;
                if (size < room)
                        break;
                if (room > max)
                        return -EFBIG;
                room *= 2;
        }
        if (size > max)
                return -EFBIG;
        text[size] = '\0';
        *ret_text = TAKE_PTR(text);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int io_read_file(int dir_fd, const char *path, size_t max, char **ret_text, size_t *ret_size)
{
        _cleanup_close_ int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

        if (fd < 0)
                return -errno;
        return io_read_fd(fd, max, ret_text, ret_size);
}

int io_write_file(int dir_fd, const char *path, const char *text)
{
        _cleanup_close_ int fd = openat(dir_fd, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        size_t size = strlen(text);
        ssize_t n;

        if (fd < 0)
                return -errno;
        /* A v1 memory.limit_in_bytes gives way to any signal, a tracer's also. */
        do
                n = write(fd, text, size);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EIO;
}

int io_send_message(int fd, const void *data, size_t size, const int *fds, size_t n_fds)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(IO_FDS_MAX * sizeof(int))];
        } control = {};
        struct iovec iov = { .iov_base = (void *) data, .iov_len = size };
        struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        ASSERT(n_fds <= IO_FDS_MAX);
        if (n_fds > 0) {
                struct cmsghdr *c;

                message.msg_control = control.space;
                message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                c = CMSG_FIRSTHDR(&message);
                c->cmsg_level = SOL_SOCKET;
                c->cmsg_type = SCM_RIGHTS;
                c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
        }
        do
                n = sendmsg(fd, &message, MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t) n == size ? 0 : -EMSGSIZE;
}

int io_address_init(struct io_address *a, const char *name)
{
        int r;

        if (name[0] != '/' && name[0] != '@')
                return -EINVAL;
        *a = (struct io_address) { .un.sun_family = AF_UNIX };
        r = str_copy(a->un.sun_path, sizeof(a->un.sun_path), name);
        if (r < 0)
                return r;
        a->size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + strlen(name));
        if (name[0] == '@')
                a->un.sun_path[0] = '\0';
        else
                a->size++;
        return 0;
}

int io_datagram_socket(void)
{
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        return fd < 0 ? -errno : fd;
}

int io_send_datagram(int fd, const struct io_address *to, const void *data, size_t size)
{
        struct iovec iov = { .iov_base = (void *) data, .iov_len = size };
        struct msghdr message = {
                .msg_name = (void *) &to->un,
                .msg_namelen = to->size,
                .msg_iov = &iov,
                .msg_iovlen = 1,
        };
        ssize_t n;

        do
                n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        while (n < 0 && errno == EINTR);
        return n < 0 ? -errno : 0;
}

void io_close_all(int *fds, size_t n_fds)
{
        for (size_t i = 0; i < n_fds; i++)
                fds[i] = safe_close(fds[i]);
}

ssize_t io_receive_message(int fd, void *data, size_t size, int *ret_fds, size_t max_fds,
        size_t *ret_n_fds)
{
        union {
                struct cmsghdr align;
                char space[CMSG_SPACE(IO_FDS_MAX * sizeof(int))];
        } control;
        struct iovec iov = { .iov_base = data, .iov_len = size };
        struct msghdr message = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = control.space,
                .msg_controllen = sizeof(control.space),
        };
        int fds[IO_FDS_MAX];
        size_t n_fds = 0;
        ssize_t n;

        do
                n = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
                size_t count;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < count && n_fds < IO_FDS_MAX; i++)
                        memcpy(&fds[n_fds++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        }
        if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || n_fds > max_fds ||
                (n == 0 && n_fds > 0)) {
                io_close_all(fds, n_fds);
                /* Fewer than fit our buffer means that our table had no room for more. */
                return message.msg_flags & MSG_CTRUNC && n_fds < max_fds ? -EMFILE : -EBADMSG;
        }
        if (n_fds > 0)
                memcpy(ret_fds, fds, n_fds * sizeof(int));
        if (ret_n_fds)
                *ret_n_fds = n_fds;
        return n;
}

int io_close_from(int first)
{
        return syscall(SYS_close_range, first, ~0U, 0) < 0 ? -errno : 0;
}

int io_close_except(const int *keep, size_t n_keep)
{
        unsigned first = 0;

        for (;;) {
                unsigned kept = ~0U;

                for (size_t i = 0; i < n_keep; i++)
                        if (keep[i] >= 0 && (unsigned) keep[i] >= first &&
                                (unsigned) keep[i] < kept)
                                kept = (unsigned) keep[i];
                if (kept > first &&
                        syscall(SYS_close_range, first, kept == ~0U ? kept : kept - 1, 0) < 0)
                        return -errno;
                if (kept == ~0U)
                        return 0;
                first = kept + 1;
        }
}

int io_memfd_new(const char *name)
{
        int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

        return fd < 0 ? -errno : fd;
}

int io_memfd_seal(int fd)
{
        return fcntl(fd, F_ADD_SEALS, MEMFD_SEALS) < 0 ? -errno : 0;
}

bool io_memfd_is_sealed(int fd)
{
        int seals = fcntl(fd, F_GET_SEALS);

        return seals >= 0 && (seals & MEMFD_SEALS) == MEMFD_SEALS;
}

static uint64_t clock_usec(clockid_t clock)
{
        struct timespec ts;

        (void) clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

uint64_t io_now_usec(void)
{
        return clock_usec(CLOCK_MONOTONIC);
}

uint64_t io_realtime_usec(void)
{
        return clock_usec(CLOCK_REALTIME);
}
