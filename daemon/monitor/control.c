/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket, both sides. Runs in the monitor, which reads nothing from it, and in `sandboxd
 * --reload`. Only the monitor's own user, root, can use it: the file's mode says so, and the peer is
 * asked for.
 */
#include "daemon/monitor/control.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "common/io.h"
#include "common/log.h"

static int make_address(const char *path, struct sockaddr_un *ret)
{
        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        return str_copy(ret->sun_path, sizeof(ret->sun_path), path);
}

/* Also of who listens at the other end, where a runtime directory is somebody else's. */
static bool peer_is_us(int fd)
{
        struct ucred peer = {};
        socklen_t size = sizeof(peer);

        return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

static void drop(struct control *c, size_t i)
{
        (void) close(c->waiters[i].fd);
        c->waiters[i] = c->waiters[--c->n_waiters];
        (void) sd_event_source_set_enabled(c->source, SD_EVENT_ON);
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        struct control *c = userdata;
        int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (peer < 0)
                return 0;
        if (!peer_is_us(peer)) {
                (void) close(peer);
                return 0;
        }
        c->waiters[c->n_waiters++] = (struct control_waiter) { .fd = peer };
        if (c->n_waiters == CONTROL_WAITERS_MAX)
                (void) sd_event_source_set_enabled(c->source, SD_EVENT_OFF);
        c->asked(c->userdata);
        return 0;
}

static int bind_and_listen(struct control *c, const struct sockaddr_un *address)
{
        c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        /* The file gets the mode of the socket: nobody can connect in between. */
        if (c->fd < 0 || fchmod(c->fd, 0600) < 0)
                return -errno;
        /* Safe because the runtime directory is locked: what is there is an earlier life's. */
        if (unlink(address->sun_path) < 0 && errno != ENOENT)
                return -errno;
        if (bind(c->fd, (const struct sockaddr *) address, sizeof(*address)) < 0 ||
                listen(c->fd, CONTROL_WAITERS_MAX) < 0)
                return -errno;
        return 0;
}

int control_open(struct control *c, sd_event *event, const char *path,
        void (*asked)(void *userdata), void *userdata, struct error *ret_error)
{
        struct sockaddr_un address;
        int r;

        *c = (struct control) { .fd = -EBADF, .asked = asked, .userdata = userdata };
        r = make_address(path, &address);
        if (r == 0)
                r = bind_and_listen(c, &address);
        if (r == 0)
                r = sd_event_add_io(event, &c->source, c->fd, EPOLLIN, on_connection, c);
        if (r < 0) {
                control_close(c);
                return error_set(ret_error, r,
                        "the control socket %s cannot be made (%s): name "
                        "another --runtime-dir",
                        path, strerror(-r));
        }
        return 0;
}

void control_begun(struct control *c)
{
        for (size_t i = 0; i < c->n_waiters; i++)
                c->waiters[i].begun = true;
}

void control_ended(struct control *c, bool done, const char *text)
{
        char answer[CONTROL_ANSWER_MAX];
        size_t i = 0;

        (void) snprintf(answer, sizeof(answer), "%c%s", done ? CONTROL_DONE : CONTROL_FAILED, text);
        while (i < c->n_waiters) {
                if (!c->waiters[i].begun) {
                        i++;
                        continue;
                }
                /* One that went away hears nothing. */
                (void) io_send_message(c->waiters[i].fd, answer, strlen(answer), NULL, 0);
                drop(c, i);
        }
}

void control_close(struct control *c)
{
        while (c->n_waiters > 0)
                drop(c, c->n_waiters - 1);
        c->source = sd_event_source_disable_unref(c->source);
        c->fd = safe_close(c->fd);
}

/* --- sandboxd --reload */

static int connect_to(const char *runtime_dir, int fd, struct error *ret_error)
{
        struct sockaddr_un address;

        /* A directory whose path is longer than a socket's may be is no obstacle that way. */
        if (chdir(runtime_dir) < 0)
                return error_set(ret_error, -errno,
                        "%s cannot be entered (%s): see that sandboxd runs there", runtime_dir,
                        strerror(errno));
        (void) make_address(CONTROL_NAME, &address);
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) == 0)
                return 0;
        if (errno == ENOENT || errno == ECONNREFUSED)
                return error_set(ret_error, -errno,
                        "no sandboxd runs in %s, or one that is too old to be asked: start it "
                        "again",
                        runtime_dir);
        return error_set(ret_error, -errno, "the sandboxd in %s cannot be asked (%s): be root",
                runtime_dir, strerror(errno));
}

static int read_answer(int fd, struct error *ret_error)
{
        char answer[CONTROL_ANSWER_MAX + 1] = "";
        ssize_t n = recv(fd, answer, sizeof(answer) - 1, 0);

        /* Reset, where it was not taken yet. */
        if (n == 0 || (n < 0 && errno == ECONNRESET))
                return error_set(ret_error, -ECONNRESET,
                        "sandboxd stopped before the policy was read: its next start reads it");
        if (n < 0)
                return error_set(ret_error, -ETIMEDOUT,
                        "sandboxd has not said in time what came of the reload: see its log");
        if (answer[0] != CONTROL_DONE)
                return error_set(ret_error, -EINVAL, "not reloaded, the policy stays as it was: %s",
                        answer + 1);
        return 0;
}

int control_reload(const char *runtime_dir, uint64_t timeout_usec, struct error *ret_error)
{
        const struct timeval timeout = {
                .tv_sec = (time_t) (timeout_usec / USEC_PER_SEC),
                .tv_usec = (suseconds_t) (timeout_usec % USEC_PER_SEC),
        };
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        int r;

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
                setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
                return error_set(ret_error, -errno, "no socket (%s)", strerror(errno));
        r = connect_to(runtime_dir, fd, ret_error);
        if (r < 0)
                return r;
        if (!peer_is_us(fd))
                return error_set(ret_error, -EPERM,
                        "who listens in %s is not of this user: name the --runtime-dir of sandboxd",
                        runtime_dir);
        return read_answer(fd, ret_error);
}
