/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to tell somebody whose connect() failed. Runs in sandboxctl as any user, asks only which
 * files there are.
 */
#include "client/ctl/reach.h"

#include <fcntl.h>
#include <stdio.h>

static bool has_systemd(int root_fd)
{
        return faccessat(root_fd, "run/systemd/system", F_OK, 0) == 0;
}

static bool is_enabled(int root_fd)
{
        return faccessat(root_fd, "etc/systemd/system/sockets.target.wants/sandboxd.socket", F_OK,
                       AT_SYMLINK_NOFOLLOW) == 0;
}

/* A socket unit that is active, but whose file was removed, is not helped by being started. */
static bool needs_restart(int root_fd, const char *path, int error)
{
        return error == -ENOENT && streq(path, REACH_SOCKET) && has_systemd(root_fd) &&
               is_enabled(root_fd);
}

const char *reach_command(int root_fd, const char *path, char buf[static REACH_COMMAND_MAX])
{
        if (!streq(path, REACH_SOCKET))
                (void) snprintf(buf, REACH_COMMAND_MAX, "sudo sandboxd --standalone --socket %s",
                        path);
        else if (!has_systemd(root_fd))
                (void) snprintf(buf, REACH_COMMAND_MAX, "sudo sandboxd --standalone");
        else if (is_enabled(root_fd))
                (void) snprintf(buf, REACH_COMMAND_MAX, "sudo systemctl restart sandboxd.socket");
        else
                (void) snprintf(buf, REACH_COMMAND_MAX,
                        "sudo systemctl enable --now sandboxd.socket");
        return buf;
}

static int explain_absence(int root_fd, const char *path, int error, struct error *e)
{
        char command[REACH_COMMAND_MAX];

        (void) reach_command(root_fd, path, command);
        if (!streq(path, REACH_SOCKET))
                return error_set(e, error,
                        "sandboxd is not running at %s: check --socket and SANDBOXD_SOCKET, or "
                        "start one there with '%s'",
                        path, command);
        if (needs_restart(root_fd, path, error))
                return error_set(e, error, "there is no socket %s: make it with '%s'", path,
                        command);
        return error_set(e, error, "sandboxd is not running at %s: start it with '%s'", path,
                command);
}

int reach_explain(int root_fd, const char *path, int error, struct error *ret_error)
{
        switch (-error) {
        case ENOENT:
        case ECONNREFUSED:
                return explain_absence(root_fd, path, error, ret_error);
        case EACCES:
        case EPERM:
                return error_set(ret_error, error,
                        "you may not use the socket %s: ask its administrator for access%s", path,
                        has_systemd(root_fd) ? ", which SocketMode= and SocketGroup= of its "
                                               "socket unit give"
                                             : "");
        case ENOTSOCK:
        case EPROTOTYPE:
                return error_set(ret_error, error,
                        "%s is not the socket of sandboxd: check --socket", path);
        case ENAMETOOLONG:
                return error_set(ret_error, error,
                        "--socket '%s' is too long for a "
                        "socket: use a path of at most 107 bytes",
                        path);
        default:
                return error_set(ret_error, error,
                        "cannot connect to sandboxd at %s "
                        "(%s): check that the path is right",
                        path, strerror(-error));
        }
}
