/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl run: one job from its request to its result, in one loop over the socket, stdin,
 * stdout, stderr and signals. Runs in sandboxctl. At any time at most one piece of output waits to
 * be written; until it is, nothing more is read from the daemon, which then holds back the job. What
 * a cancelled job wrote is dropped when its reader does not take it.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "client/ctl/memory.h"
#include "client/ctl/run-report.h"
#include "client/ctl/run-request.h"
#include "common/io.h"
#include "common/parse.h"

/* Input is read as long as no more than this waits to be sent. */
#define QUEUE_MAX (256 * KIB)

/* How long the result of a cancelled job is waited for; when we leave, the daemon ends it. */
#define CANCEL_TIMEOUT_SEC 10
/* How long the output of a cancelled job waits for its reader. */
#define STALL_TIMEOUT_SEC 1

const char run_help[] =
        "Usage: sandboxctl run [OPTIONS] -l LANGUAGE (-c CODE | FILE | -) [ARG...]\n"
        "       sandboxctl run [OPTIONS] [--] COMMAND [ARG...]\n"
        "  -l, --language LANGUAGE   python, javascript, bash; see 'sandboxctl runtimes'\n"
        "  -c CODE                   the code itself, not a FILE; - is stdin\n"
        "Limits (defaults and maximums: 'sandboxctl profiles'):\n"
        "  -t, --timeout TIME        wall-clock time, such as 5s\n"
        "      --cpu-time TIME       CPU time, such as 2s, or none\n"
        "  -m, --memory SIZE         memory with files in /tmp and /box, such as 256M\n"
        "      --cpus NUMBER         CPUs, such as 0.5, or 50%\n"
        "      --pids NUMBER         processes and threads\n"
        "      --output-limit SIZE   what is kept of stdout, and of stderr\n"
        "      --strict-output       end the job when it writes more than that\n"
        "      --tmp-size SIZE       files in each of /tmp, /box and /dev/shm\n"
        "Surroundings:\n"
        "  -e, --env KEY=VALUE       set a variable; repeatable\n"
        "  -w, --workdir DIR         where to run, in the sandbox (default /box)\n"
        "  -f, --file SRC[:NAME]     copy a file into /box; repeatable\n"
        "      --no-stdin            give the job an empty stdin\n"
        "      --profile NAME        what the sandbox may do (default 'default')\n"
        "      --label TEXT          a text to know the job by\n"
        "Result:\n"
        "      --summary             print status, value, times and memory on stderr\n"
        "      --json                print one JSON object in place of the output\n"
        "Exits as the job did; 124 timeout, 125 refused, 137 no memory: sandboxctl(1).\n";

enum run_state {
        RUN_SENT,      /* no response yet */
        RUN_STARTED,   /* it runs */
        RUN_CANCELLED, /* we asked for its end */
        RUN_FINISHED,  /* the result or a refusal is here */
        _RUN_STATE_COUNT,
};

struct run {
        const struct ctl *ctl;
        const struct run_options *options;
        struct client *client;
        struct run_request request;
        uint8_t *piece; /* input on its way to the queue */
        size_t piece_max;
        uint64_t id;
        enum run_state state;
        sigset_t signals;       /* blocked outside of the loop's waiting */
        bool stdin_open;        /* there may be more to forward */
        uint64_t stdin_credit;  /* bytes that the daemon takes */
        uint64_t leave_at_usec; /* when RUN_CANCELLED */
        bool discard;           /* nobody reads the output any more */
        bool pipe_broken;       /* that is why */
        struct run_stream out;
        struct run_stream err;
        int exit_code; /* valid when finished */
        struct error error;
};

static volatile sig_atomic_t signals_received;

static void on_signal(int signal)
{
        /* The second one means: now. The daemon ends the job when the connection closes. */
        if (++signals_received > 1)
                _exit(CTL_EXIT_CANCELLED);
}

/* Signals act only while the loop waits, so that none is missed, and from prepare_end() on. */
static void catch_signals(sigset_t *ret_while_waiting)
{
        static const int caught[] = { SIGINT, SIGTERM, SIGHUP, SIGALRM };
        struct sigaction action = { .sa_handler = on_signal }, old;
        sigset_t blocked;

        (void) sigemptyset(&blocked);
        for (size_t i = 0; i < ELEMENTSOF(caught); i++) {
                /* What nohup or a shell has set to be ignored stays so. */
                if (sigaction(caught[i], NULL, &old) < 0 || old.sa_handler == SIG_IGN)
                        continue;
                (void) sigaction(caught[i], &action, NULL);
                (void) sigaddset(&blocked, caught[i]);
        }
        (void) sigprocmask(SIG_BLOCK, &blocked, ret_while_waiting);
        for (size_t i = 0; i < ELEMENTSOF(caught); i++)
                (void) sigdelset(ret_while_waiting, caught[i]);
}

/* Whether a line can be written to fd at once. */
static bool is_writable(int fd)
{
        struct pollfd p = { .fd = fd, .events = POLLOUT };

        return poll(&p, 1, 0) > 0;
}

static void set_state(struct run *r, enum run_state state)
{
        static const bool allowed[_RUN_STATE_COUNT][_RUN_STATE_COUNT] = {
                [RUN_SENT] = { [RUN_STARTED] = true,
                        [RUN_CANCELLED] = true,
                        [RUN_FINISHED] = true },
                [RUN_STARTED] = { [RUN_CANCELLED] = true, [RUN_FINISHED] = true },
                [RUN_CANCELLED] = { [RUN_FINISHED] = true },
        };

        ASSERT(allowed[r->state][state]);
        r->state = state;
}

/* What cannot be queued is told here: -EMSGSIZE of a response means something else. */
static int queue(struct run *r, Sandboxd__V1__Request *request)
{
        char text[FORMAT_MAX];
        int q;

        request->id = r->id;
        q = client_queue(r->client, request);
        if (q == -EMSGSIZE)
                return error_set(&r->error, q,
                        "the request is larger than the %s that sandboxd takes in one "
                        "(MaxFrameSize=): send code and arguments in files with --file",
                        format_size(text, client_max_request(r->client)));
        if (q < 0)
                return error_set(&r->error, q, "cannot send the request: %s", strerror(-q));
        return 0;
}

static int queue_run(struct run *r)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;

        request.body_case = SANDBOXD__V1__REQUEST__BODY_RUN;
        request.run = &r->request.message;
        return queue(r, &request);
}

static int cancel(struct run *r)
{
        Sandboxd__V1__Cancel body = SANDBOXD__V1__CANCEL__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;

        if (r->state == RUN_CANCELLED)
                return 0;
        set_state(r, RUN_CANCELLED);
        r->leave_at_usec = io_now_usec() + CANCEL_TIMEOUT_SEC * USEC_PER_SEC;
        r->stdin_open = false;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_CANCEL;
        request.cancel = &body;
        return queue(r, &request);
}

static int queue_stdin(struct run *r, const void *data, size_t size)
{
        Sandboxd__V1__StdinData body = SANDBOXD__V1__STDIN_DATA__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;

        body.data = (ProtobufCBinaryData) { .len = size, .data = (uint8_t *) data };
        body.eof = size == 0;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_STDIN_DATA;
        request.stdin_data = &body;
        return queue(r, &request);
}

/* Forwards what stdin has, after poll() said that read() will not block. */
static int forward_stdin(struct run *r)
{
        ssize_t n = read(STDIN_FILENO, r->piece, MIN(r->piece_max, r->stdin_credit));

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return 0;
        /* An stdin that cannot be read is an empty one. */
        n = MAX(n, (ssize_t) 0);
        r->stdin_credit -= (uint64_t) n;
        if (n == 0)
                r->stdin_open = false;
        return queue_stdin(r, r->piece, (size_t) n);
}

/* Queues what files still have, as far as the queue has room. */
static int feed_files(struct run *r)
{
        while (r->state != RUN_CANCELLED && client_queued(r->client) < QUEUE_MAX) {
                Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
                Sandboxd__V1__FileData body;
                int q;

                q = run_request_next(&r->request, r->options, r->piece, r->piece_max, &body,
                        &r->error);
                if (q <= 0)
                        return q;
                request.body_case = SANDBOXD__V1__REQUEST__BODY_FILE_DATA;
                request.file_data = &body;
                q = queue(r, &request);
                if (q < 0)
                        return q;
        }
        return 0;
}

static int take_started(struct run *r, const Sandboxd__V1__Response *response)
{
        r->stdin_credit += response->started->stdin_credit;
        if (r->state == RUN_CANCELLED)
                return 0;
        if (r->state != RUN_SENT)
                return -EPROTO;
        set_state(r, RUN_STARTED);
        return 0;
}

static int take_output(struct run *r, const Sandboxd__V1__Response *response)
{
        const Sandboxd__V1__Output *output = response->output;

        if (r->discard)
                return 0;
        switch (output->stream) {
        case SANDBOXD__V1__OUTPUT__STREAM__STDOUT:
                return run_stream_take(&r->out, output->data.data, output->data.len);
        case SANDBOXD__V1__OUTPUT__STREAM__STDERR:
                return run_stream_take(&r->err, output->data.data, output->data.len);
        default:
                return -EPROTO;
        }
}

static int take_credit(struct run *r, const Sandboxd__V1__Response *response)
{
        if (__builtin_add_overflow(r->stdin_credit, response->stdin_credit->bytes,
                    &r->stdin_credit))
                return -EPROTO;
        if (response->stdin_credit->closed)
                r->stdin_open = false;
        return 0;
}

/* There is nothing left to cancel: from here on the first signal ends the program, which may be
 * writing to a pipe that nobody reads. A user who has cancelled need not send a second one. */
static void prepare_end(struct run *r)
{
        if (r->state == RUN_CANCELLED)
                (void) alarm(CANCEL_TIMEOUT_SEC);
        set_state(r, RUN_FINISHED);
        /* One that came while the result was on its way is the first, and comes too late. */
        (void) sigprocmask(SIG_SETMASK, &r->signals, NULL);
        signals_received = MAX(signals_received, 1);
}

static int take_result(struct run *r, const Sandboxd__V1__Response *response)
{
        const Sandboxd__V1__Result *result = response->result;
        bool cancelled = r->state == RUN_CANCELLED;

        prepare_end(r);
        r->exit_code = run_report_exit_code(result);
        if (r->discard)
                r->exit_code = r->pipe_broken ? CTL_EXIT_PIPE : CTL_EXIT_REFUSED;
        else if (r->ctl->json)
                run_report_show_json(result, &r->out, &r->err, stdout);
        else if (!cancelled || is_writable(STDERR_FILENO))
                run_report_text(r->ctl, r->options, result, &r->out, &r->err);
        return 0;
}

static int take_error(struct run *r, const Sandboxd__V1__Response *response)
{
        prepare_end(r);
        r->exit_code = ctl_refused(r->ctl, response->error);
        return 0;
}

static int take_response(struct run *r, const Sandboxd__V1__Response *response)
{
        static int (*const handlers[])(struct run * r, const Sandboxd__V1__Response *response) = {
                [SANDBOXD__V1__RESPONSE__BODY_STARTED] = take_started,
                [SANDBOXD__V1__RESPONSE__BODY_OUTPUT] = take_output,
                [SANDBOXD__V1__RESPONSE__BODY_STDIN_CREDIT] = take_credit,
                [SANDBOXD__V1__RESPONSE__BODY_RESULT] = take_result,
                [SANDBOXD__V1__RESPONSE__BODY_ERROR] = take_error,
        };
        size_t body = (size_t) response->body_case;

        /* Id 0 is about the connection. What we do not know, a newer daemon may say. */
        if (response->id != r->id && response->id != 0)
                return 0;
        if (body >= ELEMENTSOF(handlers) || !handlers[body])
                return 0;
        return handlers[body](r, response);
}

static struct run_stream *pending_stream(struct run *r)
{
        if (r->out.pending_size > 0)
                return &r->out;
        return r->err.pending_size > 0 ? &r->err : NULL;
}

/* Takes responses until one has output that must be written first, or none is left. */
static int receive(struct run *r)
{
        while (r->state != RUN_FINISHED && !pending_stream(r)) {
                const Sandboxd__V1__Response *response;
                int q;

                q = client_receive(r->client, &response);
                if (q <= 0)
                        return q;
                q = take_response(r, response);
                if (q < 0)
                        return q;
        }
        return 0;
}

/* Output that cannot be written has no reader: then the job has no purpose either. */
static int write_pending(struct run *r, struct run_stream *stream)
{
        int q;

        q = run_stream_write(stream);
        if (q >= 0)
                return 0;
        r->discard = true;
        r->pipe_broken = q == -EPIPE;
        if (!r->pipe_broken)
                (void) fprintf(stderr, "sandboxctl: cannot write the job's output: %s\n",
                        strerror(-q));
        return cancel(r);
}

/* The reader of a cancelled job's output may have stopped for good, by the same Ctrl-C. */
static void close_stalled(struct run_stream *stream)
{
        const char *name = stream->fd == STDOUT_FILENO ? "stdout" : "stderr";

        run_stream_close(stream);
        if (is_writable(STDERR_FILENO))
                (void) fprintf(stderr,
                        "sandboxctl: nobody reads %s: the rest of the job's output there is left "
                        "out\n",
                        name);
}

/* Waits for whatever can go on next, and moves output and input. */
static int wait_and_move(struct run *r)
{
        struct run_stream *pending = pending_stream(r);
        bool forward = r->stdin_open && r->state == RUN_STARTED && r->stdin_credit > 0 &&
                       client_queued(r->client) < QUEUE_MAX;
        bool sending = client_queued(r->client) > 0 ||
                       (r->state != RUN_CANCELLED && run_request_unfinished(&r->request));
        short events = (short) ((pending ? 0 : POLLIN) | (sending ? POLLOUT : 0));
        struct pollfd fds[] = {
                { .fd = events ? client_fd(r->client) : -EBADF, .events = events },
                { .fd = forward ? STDIN_FILENO : -EBADF, .events = POLLIN },
                { .fd = pending ? pending->fd : -EBADF, .events = POLLOUT },
        };
        const struct timespec left = {
                .tv_sec = pending ? STALL_TIMEOUT_SEC : CANCEL_TIMEOUT_SEC,
        };
        bool cancelled = r->state == RUN_CANCELLED;
        int q;

        if (cancelled && io_now_usec() >= r->leave_at_usec)
                return -ETIMEDOUT;
        q = ppoll(fds, ELEMENTSOF(fds), cancelled ? &left : NULL, &r->signals);
        if (q < 0)
                return errno == EINTR ? 0 : -errno;
        if (q == 0 && pending)
                close_stalled(pending);
        if (fds[2].revents) {
                q = write_pending(r, pending);
                if (q < 0)
                        return q;
        }
        return fds[1].revents ? forward_stdin(r) : 0;
}

static int run_step(struct run *r)
{
        int q;

        if (signals_received > 0) {
                q = cancel(r);
                if (q < 0)
                        return q;
        }
        q = receive(r);
        if (q < 0 || r->state == RUN_FINISHED)
                return q;
        q = feed_files(r);
        if (q < 0)
                return q;
        q = client_flush(r->client);
        if (q < 0)
                return q;
        return wait_and_move(r);
}

/* The end of a cancelled job whose result does not come. */
static int leave(struct run *r)
{
        prepare_end(r);
        if (is_writable(STDERR_FILENO))
                (void) ctl_error(r->ctl, "UNREACHABLE", NULL,
                        "the job was cancelled, and sandboxd did not tell how it ended: "
                        "see its log");
        return r->pipe_broken ? CTL_EXIT_PIPE : CTL_EXIT_CANCELLED;
}

/* Whether stdin has anything to forward at all. */
static bool stdin_wanted(const struct run_options *o)
{
        struct stat st;

        if (o->no_stdin || o->source == RUN_SOURCE_STDIN || fstat(STDIN_FILENO, &st) < 0)
                return false;
        return !(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)); /* /dev/null */
}

static int run_job(struct run *r)
{
        bool with_stdin = stdin_wanted(r->options);
        const char *field = NULL;
        int q;

        q = run_request_init(&r->request, r->options, with_stdin, client_max_request(r->client),
                &field, &r->error);
        if (q < 0)
                return ctl_error(r->ctl, "INVALID_ARGUMENT", field, r->error.text);
        r->id = client_next_id(r->client);
        r->piece_max = client_max_piece(r->client);
        r->piece = must(malloc(r->piece_max));
        r->stdin_open = with_stdin;
        run_stream_init(&r->out, r->ctl->json ? -EBADF : STDOUT_FILENO);
        run_stream_init(&r->err, r->ctl->json ? -EBADF : STDERR_FILENO);
        catch_signals(&r->signals);
        q = queue_run(r);
        while (q == 0 && r->state != RUN_FINISHED)
                q = run_step(r);
        if (r->error.text[0] != '\0')
                return ctl_error(r->ctl, "INVALID_ARGUMENT", field, r->error.text);
        if (q == -ETIMEDOUT)
                return leave(r);
        return q < 0 ? ctl_lost(r->ctl, q) : r->exit_code;
}

int verb_run(struct ctl *ctl, int argc, char **argv)
{
        _cleanup_(client_freep) struct client *client = NULL;
        _cleanup_(run_options_done) struct run_options options = {};
        struct run r = { .ctl = ctl, .options = &options };
        const char *field;
        int q;

        q = run_options_parse(&options, ctl, argc, argv, &field, &r.error);
        if (q > 0) {
                (void) fputs(run_help, stdout);
                return CTL_EXIT_OK;
        }
        if (q < 0)
                return ctl_error(ctl, "INVALID_ARGUMENT", field, r.error.text);
        q = ctl_connect(ctl, &client);
        if (q != 0)
                return q;
        r.client = client;
        q = run_job(&r);
        run_request_done(&r.request);
        run_stream_done(&r.out);
        run_stream_done(&r.err);
        free(r.piece);
        return q;
}
