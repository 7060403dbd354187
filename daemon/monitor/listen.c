/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes or makes the listening sockets. Runs in the monitor at start and at the end; the frontend
 * accepts. A socket that systemd passed is shared with it: nothing here shuts one down or removes
 * its name, so that whoever connects when we are gone waits for our next life.
 */
#include "daemon/monitor/listen.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>

#include "common/io.h"

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

/* Clients pass none; one that does could have the frontend wait for the last close of it. The sockets of
 * connections inherit this. On older kernels they are dropped as they come: sandboxctl doctor says what
 * that means. */
static int refuse_fds(int fd)
{
        int r = io_refuse_fds(fd);

        return r == -ENOPROTOOPT ? 0 : r;
}

static int bind_and_listen(struct listen_socket *s, const struct sockaddr_un *address)
{
        struct stat st;
        int r;

        s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s->fd < 0 || bind(s->fd, (const struct sockaddr *) address, sizeof(*address)) < 0 ||
                lstat(s->path, &st) < 0)
                return -errno;
        s->device = st.st_dev;
        s->inode = st.st_ino;
        r = refuse_fds(s->fd);
        if (r < 0)
                return r;
        /* Safe because who may do what is decided by the peer's uid, not by who can connect. */
        return chmod(s->path, 0666) < 0 || listen(s->fd, BACKLOG) < 0 ? -errno : 0;
}

static void close_socket(struct listen_socket *s)
{
        struct stat st;

        if (s->inode != 0 && lstat(s->path, &st) == 0 && st.st_dev == s->device &&
                st.st_ino == s->inode)
                (void) unlink(s->path);
        s->inode = 0;
        s->fd = safe_close(s->fd);
}

static int open_socket(struct listen_socket *s, struct error *ret_error)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int r;

        (void) str_copy(address.sun_path, sizeof(address.sun_path), s->path);
        r = make_way(&address, ret_error);
        if (r < 0)
                return r;
        r = bind_and_listen(s, &address);
        if (r < 0) {
                close_socket(s);
                return error_set(ret_error, r,
                        "--socket %s cannot be made (%s): see that its directory exists", s->path,
                        strerror(-r));
        }
        return 0;
}

int listen_plan(struct listen_table *t, const char *path, struct error *ret_error)
{
        struct listen_socket *s = &t->sockets[0];

        ASSERT(t->n == 0);
        *s = (struct listen_socket) { .profile = POLICY_DEFAULT_PROFILE, .fd = -EBADF };
        if (strlen(path) >= LISTEN_PATH_SIZE)
                return error_set(ret_error, -ENAMETOOLONG,
                        "--socket %s is too long: a socket's path has at most %zu bytes", path,
                        LISTEN_PATH_SIZE - 1);
        (void) str_copy(s->path, sizeof(s->path), path);
        t->n = 1;
        return 0;
}

int listen_open(struct listen_table *t, struct error *ret_error)
{
        int r = 0;

        for (uint32_t i = 0; i < t->n && r == 0; i++)
                if (t->sockets[i].fd < 0)
                        r = open_socket(&t->sockets[i], ret_error);
        return r;
}

/* Where it listens, for the log; the first byte of an abstract name is shown as '@'. */
static void show_address(int fd, char *text, size_t size)
{
        struct sockaddr_un address = {};
        socklen_t length = sizeof(address);
        size_t n = 0;

        if (getsockname(fd, (struct sockaddr *) &address, &length) == 0)
                n = length - MIN(length, (socklen_t) offsetof(struct sockaddr_un, sun_path));
        if (n > 0 && address.sun_path[0] == '\0')
                address.sun_path[0] = '@';
        (void) snprintf(text, size, "%.*s", (int) n, address.sun_path);
}

/* Whether a name says nothing of a profile: what systemd calls a socket without FileDescriptorName=
 * (its unit) or without names at all, and what is natural to call ours. */
static bool is_plain_name(const char *name)
{
        static const char ending[] = ".socket";
        size_t n = strlen(name), n_ending = sizeof(ending) - 1;

        return n == 0 || streq(name, "unknown") || streq(name, "sandboxd") ||
               (n > n_ending && streq(name + n - n_ending, ending));
}

static int take_socket(struct listen_table *t, int fd, const char *name, struct error *ret_error)
{
        struct listen_socket s = { .fd = fd };
        int r;

        if (sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0)
                return error_set(ret_error, -EBADF,
                        "fd %d, which was passed as '%.64s', is no AF_UNIX stream socket that "
                        "listens: give its unit ListenStream= with a path, and Accept=no",
                        fd, name);
        if (str_copy(s.profile, sizeof(s.profile),
                    is_plain_name(name) ? POLICY_DEFAULT_PROFILE : name) < 0)
                return error_set(ret_error, -ENAMETOOLONG,
                        "fd %d was passed with FileDescriptorName=%.64s, which is too long for a "
                        "profile: name one, or leave it out",
                        fd, name);
        r = refuse_fds(fd);
        if (r < 0)
                return error_set(ret_error, r,
                        "fd %d, which was passed as '%.64s', cannot refuse fds: %s", fd, name,
                        strerror(-r));
        show_address(fd, s.path, sizeof(s.path));
        t->sockets[t->n++] = s;
        return 0;
}

static void free_names(char ***names)
{
        for (char **n = *names; n && *n; n++)
                free(*n);
        free(*names);
}

int listen_take(struct listen_table *t, struct error *ret_error)
{
        _cleanup_(free_names) char **names = NULL;
        int n = sd_listen_fds_with_names(1, &names), r = 0;

        if (n < 0)
                return error_set(ret_error, n,
                        "LISTEN_FDS in the environment is not usable (%s): leave it to systemd",
                        strerror(-n));
        if (n > POLICY_LISTENERS_MAX)
                return error_set(ret_error, -E2BIG,
                        "%d sockets were passed: sandboxd takes at most %d, drop some Sockets=", n,
                        POLICY_LISTENERS_MAX);
        t->passed = n > 0;
        for (int i = 0; i < n && r == 0; i++)
                r = take_socket(t, SD_LISTEN_FDS_START + i, names[i], ret_error);
        return r;
}

int listen_describe(const struct listen_table *t, struct policy *p, struct error *ret_error)
{
        for (uint32_t i = 0; i < t->n; i++) {
                const struct listen_socket *s = &t->sockets[i];
                const struct policy_profile *profile = policy_find_profile(p, s->profile);

                if (!profile)
                        return error_set(ret_error, -ENOENT,
                                "the socket %s was passed with FileDescriptorName=%s, which is no "
                                "profile: add profiles/%s.profile, or name another",
                                s->path, s->profile, s->profile);
                p->listener_profiles[i] = (uint32_t) (profile - p->profiles);
        }
        p->n_listeners = t->n;
        /* Nobody would start us again. */
        if (!t->passed)
                p->server.idle_exit_usec = 0;
        return 0;
}

char *listen_show(const struct listen_table *t, char buf[static LISTEN_TEXT_MAX])
{
        size_t n = 0;

        buf[0] = '\0';
        for (uint32_t i = 0; i < t->n && n < LISTEN_TEXT_MAX; i++) {
                const struct listen_socket *s = &t->sockets[i];
                bool plain = streq(s->profile, POLICY_DEFAULT_PROFILE);

                n += (size_t) snprintf(buf + n, LISTEN_TEXT_MAX - n, "%s%s%s%s%s",
                        i > 0 ? ", " : "", s->path, plain ? "" : " (profile ",
                        plain ? "" : s->profile, plain ? "" : ")");
        }
        return buf;
}

void listen_close(struct listen_table *t)
{
        for (uint32_t i = 0; i < t->n; i++)
                close_socket(&t->sockets[i]);
        t->n = 0;
}
