/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the listening socket. Runs in the monitor at start and at the end; the frontend accepts.
 */
#include "daemon/monitor/listen.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define BACKLOG 1024

/* Refused is what the kernel says when nobody listens. A full backlog, another type, no right to
 * connect: all of these are somebody's. */
static bool somebody_listens(const struct sockaddr_un *address)
{
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        return fd < 0 || connect(fd, (const struct sockaddr *) address, sizeof(*address)) == 0 ||
               errno != ECONNREFUSED;
}

/* What an earlier life left is removed, and nothing else. */
static int make_way(const struct sockaddr_un *address, struct error *ret_error)
{
        const char *path = address->sun_path;
        struct stat st;

        if (lstat(path, &st) < 0)
                return errno == ENOENT ? 0
                                       : error_set(ret_error, -errno,
                                                 "--socket %s cannot be used (%s): name another",
                                                 path, strerror(errno));
        if (!S_ISSOCK(st.st_mode))
                return error_set(ret_error, -EEXIST,
                        "--socket %s is a file of another kind: remove it, or name another path",
                        path);
        if (somebody_listens(address))
                return error_set(ret_error, -EADDRINUSE,
                        "--socket %s is in use by another program: stop it, or name another path",
                        path);
        /* Safe because it is a socket, and nobody listens on it. */
        if (unlink(path) < 0)
                return error_set(ret_error, -errno, "--socket %s cannot be replaced (%s)", path,
                        strerror(errno));
        return 0;
}

static int bind_and_listen(struct listen_socket *l, const struct sockaddr_un *address)
{
        struct stat st;

        l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (l->fd < 0 || bind(l->fd, (const struct sockaddr *) address, sizeof(*address)) < 0 ||
                lstat(l->path, &st) < 0)
                return -errno;
        l->device = st.st_dev;
        l->inode = st.st_ino;
        /* Safe because who may do what is decided by the peer's uid, not by who can connect. */
        return chmod(l->path, 0666) < 0 || listen(l->fd, BACKLOG) < 0 ? -errno : 0;
}

int listen_open(struct listen_socket *l, const char *path, struct error *ret_error)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int r;

        *l = (struct listen_socket) { .path = path, .fd = -EBADF };
        if (str_copy(address.sun_path, sizeof(address.sun_path), path) < 0)
                return error_set(ret_error, -ENAMETOOLONG,
                        "--socket %s is too long: a socket's path has at most %zu bytes", path,
                        sizeof(address.sun_path) - 1);
        r = make_way(&address, ret_error);
        if (r < 0)
                return r;
        r = bind_and_listen(l, &address);
        if (r < 0) {
                listen_close(l);
                return error_set(ret_error, r,
                        "--socket %s cannot be made (%s): see that its directory exists", path,
                        strerror(-r));
        }
        return 0;
}

void listen_close(struct listen_socket *l)
{
        struct stat st;

        if (l->inode != 0 && lstat(l->path, &st) == 0 && st.st_dev == l->device &&
                st.st_ino == l->inode)
                (void) unlink(l->path);
        l->inode = 0;
        l->fd = safe_close(l->fd);
}
