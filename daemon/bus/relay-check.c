/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be behind the fds that a caller passes for its job's streams. Runs in the service, as far as no file
 * system is asked, and whole in each relay process, before it copies a byte. Reads and writes nothing.
 */
#include "daemon/bus/relay-check.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Of pidfds; older headers lack it. */
#ifndef PID_FS_MAGIC
#define PID_FS_MAGIC 0x50494446
#endif

static int check_flags(int fd, enum relay_stream stream, struct error *e)
{
        const char *name = relay_stream_name(stream);
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0)
                return error_set(e, -EINVAL, "%s is no open file descriptor: pass one", name);
        if (flags & O_PATH)
                return error_set(e, -EINVAL,
                        "%s is open with O_PATH: open it for reading or writing", name);
        if (stream == RELAY_STDIN && (flags & O_ACCMODE) == O_WRONLY)
                return error_set(e, -EINVAL, "%s is open for writing only: open it for reading",
                        name);
        if (stream != RELAY_STDIN && (flags & O_ACCMODE) == O_RDONLY)
                return error_set(e, -EINVAL, "%s is open for reading only: open it for writing",
                        name);
        return 0;
}

int relay_socket_option(int fd, int option, int *ret)
{
        socklen_t size = sizeof(*ret);

        return getsockopt(fd, SOL_SOCKET, option, ret, &size) < 0 ? -errno : 0;
}

/* Services on Unix sockets ask who speaks to them, and would take what we write for ours: journald's
 * records, systemd's notifications. So the other end has to be the caller's own. */
static int check_peer(int fd, enum relay_stream stream, uid_t caller, struct error *e)
{
        struct ucred peer = { .uid = (uid_t) -1 };
        socklen_t size = sizeof(peer);

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.uid == (uid_t) -1)
                return error_set(e, -EINVAL, "%s is a socket without another end: connect it first",
                        relay_stream_name(stream));
        if (caller != 0 && peer.uid != caller)
                return error_set(e, -EINVAL,
                        "%s is a socket whose other end is user %u's: use a pipe, or a socket of "
                        "your own",
                        relay_stream_name(stream), (unsigned) peer.uid);
        return 0;
}

/* 1: it is a socket that may be used; 0: it is no socket. */
static int check_socket(int fd, enum relay_stream stream, uid_t caller, struct error *e)
{
        int domain, type, listens, q;

        q = relay_socket_option(fd, SO_DOMAIN, &domain);
        if (q == -ENOTSOCK)
                return 0;
        if (q < 0 || relay_socket_option(fd, SO_TYPE, &type) < 0 ||
                (domain != AF_UNIX && domain != AF_INET && domain != AF_INET6) ||
                (type != SOCK_STREAM && type != SOCK_SEQPACKET))
                return error_set(e, -EINVAL,
                        "%s is a socket that bytes cannot be copied with: use a stream socket or a "
                        "pipe",
                        relay_stream_name(stream));
        if (relay_socket_option(fd, SO_ACCEPTCONN, &listens) < 0 || listens)
                return error_set(e, -EINVAL, "%s is a socket that listens: pass a connection of it",
                        relay_stream_name(stream));
        if (domain == AF_UNIX) {
                q = check_peer(fd, stream, caller, e);
                if (q < 0)
                        return q;
        }
        return 1;
}

static const char *file_type(mode_t mode)
{
        switch (mode & S_IFMT) {
        case S_IFDIR:
                return "a directory";
        case S_IFBLK:
                return "a block device";
        default:
                return "nothing that bytes are read from or written to";
        }
}

static int check_file(int fd, enum relay_stream stream, struct error *e)
{
        struct stat st;
        struct statfs fs;

        if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
                return error_set(e, -EINVAL, "%s cannot be examined: %s", relay_stream_name(stream),
                        strerror(errno));
        if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode) && !S_ISCHR(st.st_mode))
                return error_set(e, -EINVAL,
                        "%s is %s: pass a file, a pipe, a terminal or a stream socket",
                        relay_stream_name(stream), file_type(st.st_mode));
        /* What is in /proc depends on who reads it, not on who has opened it: of our own processes we
         * would be told what the caller would not. */
        if (fs.f_type == PROC_SUPER_MAGIC)
                return error_set(e, -EINVAL, "%s is a file in /proc: copy it first",
                        relay_stream_name(stream));
        /* Namespaces and pidfds look like regular files. */
        if (fs.f_type == NSFS_MAGIC || fs.f_type == PID_FS_MAGIC)
                return error_set(e, -EINVAL,
                        "%s is %s: pass a file, a pipe, a terminal or a stream socket",
                        relay_stream_name(stream), file_type(0));
        return 0;
}

int relay_check_quick(int fd, enum relay_stream stream, uid_t caller, struct error *e)
{
        int q = check_flags(fd, stream, e);

        if (q >= 0)
                q = check_socket(fd, stream, caller, e);
        return MIN(q, 0);
}

int relay_check(int fd, enum relay_stream stream, uid_t caller, struct error *e)
{
        int q = check_flags(fd, stream, e);

        if (q >= 0)
                q = check_socket(fd, stream, caller, e);
        if (q != 0)
                return MIN(q, 0);
        return check_file(fd, stream, e);
}
