/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipes and sockets of a job: their making, and stdin. Runs in the frontend.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/frontend/admission.h"
#include "daemon/frontend/job.h"
#include "daemon/frontend/reply.h"

/* A stream with a socket is one for many bytes, and gets a larger pipe, so that we and the job take fewer
 * turns: as long as there are few jobs. All our pipes together may have a limited size, beyond which the
 * kernel makes each new one tiny (/proc/sys/fs/pipe-user-pages-soft). */
#define LARGE_PIPE_SIZE (256 * KIB)
#define LARGE_PIPE_JOBS_MAX 32

/* The ends of the three pipes; the job's ends in the order of the channel. */
struct pipes {
        int job[_CHANNEL_FD_COUNT];
        int own_output[_JOB_STREAMS];
        int own_input;
        int own_sockets[_STREAM_SOCKETS];
};

static void pipes_done(struct pipes *p)
{
        io_close_all(p->job, ELEMENTSOF(p->job));
        io_close_all(p->own_output, ELEMENTSOF(p->own_output));
        io_close_all(p->own_sockets, ELEMENTSOF(p->own_sockets));
        p->own_input = safe_close(p->own_input);
}

static bool has_socket(const struct job *j, enum stream_socket stream)
{
        return j->stream_sockets & 1U << stream;
}

/* Opens a pipe of which we keep one end, non-blocking. */
static int open_pipe(int *ret_read, int *ret_write, bool keep_read)
{
        int fds[2], own, r = 0;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        own = keep_read ? fds[0] : fds[1];
        /* The payload has another uid, and programs open /dev/stdout anew. */
        if (fchmod(own, 0666) < 0)
                r = -errno;
        if (r >= 0)
                r = io_set_nonblock(own);
        if (r < 0) {
                io_close_all(fds, 2);
                return r;
        }
        *ret_read = fds[0];
        *ret_write = fds[1];
        return 0;
}

static void enlarge_pipe(const struct job *j, enum stream_socket stream, int fd)
{
        /* Where it may not be it is as large as any. */
        if (has_socket(j, stream) &&
                j->frontend->accounts.total[ACCOUNT_JOBS] <= LARGE_PIPE_JOBS_MAX)
                (void) fcntl(fd, F_SETPIPE_SZ, LARGE_PIPE_SIZE);
}

static int open_pipes(struct pipes *p, struct job *j)
{
        static const enum channel_start_fd ends[_JOB_STREAMS] = {
                [JOB_STDOUT] = CHANNEL_FD_STDOUT,
                [JOB_STDERR] = CHANNEL_FD_STDERR,
        };
        int r = 0;

        for (size_t i = 0; i < _JOB_STREAMS; i++) {
                r = open_pipe(&p->own_output[i], &p->job[ends[i]], true);
                if (r < 0)
                        return r;
        }
        /* What goes to stderr is little. */
        enlarge_pipe(j, STREAM_SOCKET_STDOUT, p->own_output[JOB_STDOUT]);
        if (!j->wants_stdin && !has_socket(j, STREAM_SOCKET_STDIN))
                return 0;
        r = open_pipe(&p->job[CHANNEL_FD_STDIN], &p->own_input, false);
        if (r >= 0)
                enlarge_pipe(j, STREAM_SOCKET_STDIN, p->own_input);
        return r;
}

/* Fds on their way to all clients together: the kernel has a limit for those of one sender, which is ours
 * for open files. */
static uint64_t max_sockets_of_all(struct frontend *f)
{
        return MIN(UINT64_C(2048), f->max_open_files / 2);
}

/* What a user's sockets can be for that he has not received: all the jobs that he can have asked for. */
static uint64_t max_sockets(struct frontend *f, uid_t uid)
{
        const struct policy_server *server = &f->policy->server;

        return MIN(account_share(&f->accounts, uid, ACCOUNT_SOCKETS, max_sockets_of_all(f)),
                _STREAM_SOCKETS *
                        ((uint64_t) server->max_jobs_per_user + server->max_queued_per_user));
}

static int charge_socket(struct frontend *f, uid_t uid)
{
        int r;

        r = account_charge(&f->accounts, uid, ACCOUNT_SOCKETS, 1, max_sockets(f, uid),
                max_sockets_of_all(f));
        if (r >= 0)
                return r;
        /* That those which were sent have been received we are not told. */
        connections_settle_sockets(f);
        return account_charge(&f->accounts, uid, ACCOUNT_SOCKETS, 1, max_sockets(f, uid),
                max_sockets_of_all(f));
}

static int open_sockets(struct pipes *p, struct job *j, const char **ret_refusal)
{
        struct frontend *f = j->frontend;
        int r;

        if (j->stream_sockets && linger_is_excessive(f, j->uid)) {
                *ret_refusal = "too much that your ended jobs wrote is unread in their sockets: "
                               "read them or close them";
                return 1;
        }
        for (enum stream_socket s = 0; s < _STREAM_SOCKETS; s++) {
                if (!has_socket(j, s))
                        continue;
                r = charge_socket(f, j->uid);
                if (r == -EDQUOT || r == -EUSERS) {
                        *ret_refusal = "too many sockets wait for you to receive them: read your "
                                       "connections";
                        return 1;
                }
                if (r < 0)
                        return r;
                r = stream_socket_open(s, &p->own_sockets[s], &j->client_sockets[s]);
                if (r < 0) {
                        account_release(&f->accounts, j->uid, ACCOUNT_SOCKETS, 1);
                        return r;
                }
        }
        return 0;
}

size_t job_take_client_sockets(struct job *j, int ret[static _STREAM_SOCKETS])
{
        size_t n = 0;

        for (size_t i = 0; i < _STREAM_SOCKETS; i++)
                if (j->client_sockets[i] >= 0)
                        ret[n++] = TAKE_FD(j->client_sockets[i]);
        return n;
}

static void close_client_sockets(struct job *j)
{
        int fds[_STREAM_SOCKETS];
        size_t n = job_take_client_sockets(j, fds);

        io_close_all(fds, n);
        account_release(&j->frontend->accounts, j->uid, ACCOUNT_SOCKETS, n);
}

/* Out of the event loop first, then closed. */
static void close_input(struct job *j)
{
        j->input_source = sd_event_source_disable_unref(j->input_source);
        input_done(&j->input);
        account_release(&j->frontend->accounts, j->uid, ACCOUNT_INPUT, j->input_charge);
        j->input_charge = 0;
}

/* A job that does not read its stdin keeps what its client has credit for. */
static uint64_t take_input_credit(struct job *j)
{
        if (account_charge(&j->frontend->accounts, j->uid, ACCOUNT_INPUT, INPUT_CREDIT,
                    INPUT_CREDIT_MOST, ACCOUNT_UNLIMITED) < 0)
                return INPUT_CREDIT_LEAST;
        j->input_charge = INPUT_CREDIT;
        return INPUT_CREDIT;
}

/* Tells the client what came of its bytes, and waits for room while there are more of them. */
static void update_input(struct job *j)
{
        struct input *in = &j->input;
        uint64_t credit = input_take_credit(in);

        if (j->connection && (credit > 0 || in->closed))
                reply_stdin_credit(j->connection, j->request, credit, in->closed);
        if (input_is_over(in))
                close_input(j);
        else
                (void) sd_event_source_set_io_events(j->input_source,
                        input_pending(in) ? EPOLLOUT : 0);
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct job *j = userdata;

        /* Writing would say that the job has closed its end, but there may be nothing to write. */
        if (revents & EPOLLERR)
                input_set_closed(&j->input);
        else
                input_flush(&j->input);
        update_input(j);
        return 0;
}

int job_push_stdin(struct job *j, const void *data, size_t size, bool eof)
{
        bool was_open = j->input.fd >= 0 || j->input.waits;
        int r;

        if (!j->wants_stdin)
                return -EBADE;
        if (j->state < JOB_RUNNING)
                return -EDQUOT;
        r = input_push(&j->input, data, size, eof);
        if (r >= 0 && was_open)
                update_input(j);
        return r;
}

/* Our ends of stdin, which are there and go on from here. */
static int open_input(struct job *j, int fd, int socket)
{
        int r;

        if (socket >= 0)
                return relay_begin(&j->stdin_relay, j->frontend->event, socket, fd);
        input_open(&j->input, fd);
        r = sd_event_add_io(j->frontend->event, &j->input_source, fd, 0, on_input, j);
        if (r >= 0)
                update_input(j);
        return r;
}

/* Hands our ends of the pipes and sockets to the job's streams. */
static int attach(struct job *j, struct pipes *p)
{
        static const enum stream_socket sockets[_JOB_STREAMS] = {
                [JOB_STDOUT] = STREAM_SOCKET_STDOUT,
                [JOB_STDERR] = STREAM_SOCKET_STDERR,
        };
        int fd = TAKE_FD(p->own_input), socket = TAKE_FD(p->own_sockets[STREAM_SOCKET_STDIN]), r;

        j->made = !j->may_be_warm;
        j->held_input = fd;
        j->held_socket = socket;
        if (fd >= 0 && socket < 0)
                input_init(&j->input, -EBADF, take_input_credit(j));
        for (size_t i = 0; i < _JOB_STREAMS; i++) {
                r = job_open_stream(j, (enum job_stream_id) i, TAKE_FD(p->own_output[i]),
                        TAKE_FD(p->own_sockets[sockets[i]]));
                if (r < 0)
                        return r;
        }
        if (!j->made || fd < 0)
                return 0;
        return open_input(j, TAKE_FD(j->held_input), TAKE_FD(j->held_socket));
}

/* Those that the sandbox brought, in place of our own. */
static int replace_pipes(struct job *j, int fds[static _CHANNEL_STARTED_FD_COUNT])
{
        int r;

        enlarge_pipe(j, STREAM_SOCKET_STDOUT, fds[CHANNEL_STARTED_FD_STDOUT]);
        r = job_replace_output(j, JOB_STDOUT, TAKE_FD(fds[CHANNEL_STARTED_FD_STDOUT]));
        if (r >= 0)
                r = job_replace_output(j, JOB_STDERR, TAKE_FD(fds[CHANNEL_STARTED_FD_STDERR]));
        if (r < 0 || j->held_input < 0)
                return r;
        enlarge_pipe(j, STREAM_SOCKET_STDIN, fds[CHANNEL_STARTED_FD_STDIN]);
        (void) close(j->held_input);
        j->held_input = TAKE_FD(fds[CHANNEL_STARTED_FD_STDIN]);
        return 0;
}

void job_begin_streams(struct job *j, int fds[static _CHANNEL_STARTED_FD_COUNT])
{
        int r = 0;

        if (j->made)
                return;
        j->made = true;
        if (fds[CHANNEL_STARTED_FD_STDOUT] >= 0)
                r = replace_pipes(j, fds);
        if (r >= 0 && j->held_input >= 0)
                r = open_input(j, TAKE_FD(j->held_input), TAKE_FD(j->held_socket));
        if (r < 0) {
                log_warning("job %016" PRIx64 ": its streams cannot be watched: %s", j->id,
                        strerror(-r));
                job_kill(j, JOB_STATUS_CANCELLED);
                job_close_streams(j);
                return;
        }
        job_update_output(j);
}

int job_start(struct job *j, const char **ret_refusal)
{
        _cleanup_(pipes_done) struct pipes p = {
                .job = { [0 ... _CHANNEL_FD_COUNT - 1] = -EBADF },
                .own_output = { -EBADF, -EBADF },
                .own_input = -EBADF,
                .own_sockets = { [0 ... _STREAM_SOCKETS - 1] = -EBADF },
        };
        struct channel_start start = {
                .header.job = j->id,
                .generation = j->policy->generation,
                .profile = (uint32_t) (j->profile - j->policy->policy->profiles),
                .runtime = (uint32_t) (j->runtime - j->policy->policy->runtimes),
                .flags = (j->runtime->returns_value ? CHANNEL_START_RETURN_VALUE : 0) |
                         (j->may_be_warm ? CHANNEL_START_WARM : 0) |
                         (j->wants_stdin || has_socket(j, STREAM_SOCKET_STDIN) ? CHANNEL_START_STDIN
                                                                               : 0),
                .owner = j->uid,
                .limits = j->result->limits,
        };
        int r;

        r = open_pipes(&p, j);
        if (r < 0)
                return r;
        r = open_sockets(&p, j, ret_refusal);
        if (r != 0)
                return r;
        r = attach(j, &p);
        if (r < 0)
                return r;
        r = job_open_files(j, &start.flags, p.job);
        if (r < 0)
                return r;
        r = upload_finish(&j->upload);
        if (r < 0)
                return r;
        p.job[CHANNEL_FD_SPEC] = r;
        j->result->queued_usec = io_now_usec() - j->complete_usec;
        j->result->started_at_usec = io_realtime_usec();
        return channel_start(&j->frontend->channel, &start, p.job);
}

void job_close_streams(struct job *j)
{
        job_close_output(j);
        close_input(j);
        job_close_files(j);
        relay_done(&j->stdin_relay);
        j->held_input = safe_close(j->held_input);
        j->held_socket = safe_close(j->held_socket);
        close_client_sockets(j);
}
