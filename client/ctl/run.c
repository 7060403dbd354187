/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl run: one job from its request to its result, in one loop over the socket, stdin,
 * stdout, stderr and signals. Runs in sandboxctl. Of each stream no more than the credit waits to be
 * written; until it is, the daemon sends no more of it, and holds back the job. What a cancelled job
 * wrote is dropped when its reader does not take it.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "client/ctl/memory.h"
#include "client/ctl/progress.h"
#include "client/ctl/result-report.h"
#include "client/ctl/run-detach.h"
#include "client/ctl/run-request.h"
#include "common/io.h"

/* What is read of stdin at one time. */
#define PIECE_SIZE (64 * KIB)

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
        "  -f, --file SRC[:NAME]     copy a file or folder into /box\n"
        "      --no-stdin            give the job an empty stdin\n"
        "  -d, --detach              print the job's id and leave: see 'sandboxctl help'\n"
        "      --profile NAME        what the sandbox may do (default 'default')\n"
        "      --label TEXT          a text to know the job by\n"
        "Result:\n"
        "      --get NAME[:DEST]     fetch a file, folder or pattern from /box; repeatable\n"
        "      --no-progress         no line on a terminal that says how far it is\n"
        "      --summary             print status, value, times and memory on stderr\n"
        "      --json                print one JSON object in place of the output\n"
        "Exits as the job did; 124 timeout, 125 refused, 137 no memory: sandboxctl(1).\n";

enum run_state {
        RUN_SENT,      /* no response yet */
        RUN_STARTED,   /* it runs */
        RUN_CANCELLED, /* we asked for its end */
        RUN_ENDED,     /* it has ended; output may still wait to be written */
        RUN_FINISHED,
        _RUN_STATE_COUNT,
};

struct run {
        const struct ctl *ctl;
        struct run_options *options;
        sandbox_client *client;
        sandbox_job *job; /* until it has ended */
        enum run_state state;
        sigset_t signals;       /* blocked outside of the loop's waiting */
        bool stdin_open;        /* there may be more to forward */
        bool interrupted;       /* by the user: nobody is waited for any more */
        uint64_t leave_at_usec; /* when interrupted */
        bool discard;           /* nobody reads the output any more */
        bool pipe_broken;       /* that is why */
        bool without_memory;    /* that is why */
        struct run_stream out;
        struct run_stream err;
        struct progress progress;
        sandbox_result *result;
        int exit_code; /* of a job that has no result */
        char *piece;   /* input on its way */
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
                [RUN_SENT] = { [RUN_STARTED] = true, [RUN_CANCELLED] = true, [RUN_ENDED] = true },
                [RUN_STARTED] = { [RUN_CANCELLED] = true, [RUN_ENDED] = true },
                [RUN_CANCELLED] = { [RUN_ENDED] = true, [RUN_FINISHED] = true },
                [RUN_ENDED] = { [RUN_FINISHED] = true },
        };

        ASSERT(allowed[r->state][state]);
        r->state = state;
}

static struct run_stream *stream_of(struct run *r, enum sandbox_stream stream)
{
        return stream == SANDBOX_STDOUT ? &r->out : &r->err;
}

/* Bytes of a stream are done with: as many may come. After the end there is none to tell. */
static void consume(struct run *r, enum sandbox_stream stream, size_t size)
{
        if (r->job && size > 0)
                (void) sandbox_job_consume(r->job, stream, size);
}

static void cancel(struct run *r)
{
        if (r->state != RUN_SENT && r->state != RUN_STARTED)
                return;
        set_state(r, RUN_CANCELLED);
        progress_done(&r->progress);
        r->stdin_open = false;
        r->leave_at_usec = io_now_usec() + CANCEL_TIMEOUT_SEC * USEC_PER_SEC;
        if (sandbox_job_cancel(r->job) < 0)
                (void) must(NULL);
}

static void close_stream(struct run *r, enum sandbox_stream stream)
{
        consume(r, stream, run_stream_close(stream_of(r, stream)));
}

/* Output that goes nowhere has no purpose, and neither has the job. */
static void discard(struct run *r)
{
        r->discard = true;
        close_stream(r, SANDBOX_STDOUT);
        close_stream(r, SANDBOX_STDERR);
        cancel(r);
}

static void on_started(sandbox_job *job, void *userdata)
{
        struct run *r = userdata;

        if (r->state == RUN_SENT)
                set_state(r, RUN_STARTED);
}

static void on_output(sandbox_job *job, enum sandbox_stream stream, const void *data, size_t size,
        void *userdata)
{
        struct run *r = userdata;
        struct run_stream *s = stream_of(r, stream);

        if (run_stream_take(s, data, size) < 0) {
                r->without_memory = true;
                discard(r);
        }
        if (s->fd < 0 || s->closed)
                consume(r, stream, size);
}

static void on_file(sandbox_job *job, const sandbox_file_piece *piece, void *userdata)
{
        struct run *r = userdata;

        if (downloads_put(&r->options->downloads, piece) < 0)
                (void) must(NULL);
        consume(r, SANDBOX_FILES, piece->data_size);
}

static void on_end(sandbox_job *job, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        struct run *r = userdata;

        set_state(r, RUN_ENDED);
        progress_done(&r->progress);
        r->job = NULL;
        r->stdin_open = false;
        if (result)
                r->result = sandbox_result_ref(result);
        else
                r->exit_code = ctl_failed(r->ctl, error);
}

/* Forwards what stdin has, after poll() said that read() will not block. */
static void forward_stdin(struct run *r)
{
        size_t room = sandbox_job_get_stdin_room(r->job);
        ssize_t n = read(STDIN_FILENO, r->piece, MIN(room, (size_t) PIECE_SIZE));

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return;
        /* Who types ends a line, and the cursor is at the beginning of the next. */
        progress_wrote(&r->progress, STDIN_FILENO, '\n');
        /* An stdin that cannot be read is an empty one. */
        if (n <= 0) {
                r->stdin_open = false;
                (void) sandbox_job_close_stdin(r->job);
                return;
        }
        if (sandbox_job_send_stdin(r->job, r->piece, (size_t) n) == -EPIPE)
                r->stdin_open = false;
}

static void write_pending(struct run *r, enum sandbox_stream stream)
{
        struct run_stream *s = stream_of(r, stream);
        ssize_t n;

        progress_make_room(&r->progress, s->fd);
        n = run_stream_write(s);
        if (n > 0)
                progress_wrote(&r->progress, s->fd, s->data[s->written - 1]);
        if (n >= 0) {
                consume(r, stream, (size_t) n);
                return;
        }
        progress_done(&r->progress);
        r->pipe_broken = n == -EPIPE;
        if (!r->pipe_broken)
                (void) fprintf(stderr, "sandboxctl: cannot write the job's output: %s\n",
                        strerror((int) -n));
        discard(r);
}

/* The reader of a cancelled job's output may have stopped for good, by the same Ctrl-C. */
static void close_stalled(struct run *r, enum sandbox_stream stream)
{
        if (run_stream_pending(stream_of(r, stream)) == 0)
                return;
        close_stream(r, stream);
        if (is_writable(STDERR_FILENO))
                (void) fprintf(stderr,
                        "sandboxctl: nobody reads %s: the rest of the job's output there is left "
                        "out\n",
                        stream == SANDBOX_STDOUT ? "stdout" : "stderr");
}

/* How long to wait at most: NULL for as long as it takes. */
static const struct timespec *longest_wait(const struct run *r, bool ending, bool pending,
        struct timespec *left)
{
        uint64_t usec = progress_timeout(&r->progress);

        if (ending)
                usec = (pending ? STALL_TIMEOUT_SEC : CANCEL_TIMEOUT_SEC) * USEC_PER_SEC;
        if (usec == SANDBOX_FOREVER)
                return NULL;
        left->tv_sec = (time_t) (usec / USEC_PER_SEC);
        left->tv_nsec = (long) (usec % USEC_PER_SEC * 1000);
        return left;
}

/* Waits for whatever can go on next, and moves output and input. -ETIMEDOUT when what was cancelled
 * does not end. */
static int wait_and_move(struct run *r)
{
        bool out = run_stream_pending(&r->out) > 0, err = run_stream_pending(&r->err) > 0;
        bool forward = r->stdin_open && sandbox_job_get_stdin_room(r->job) > 0;
        short events = (short) (r->job ? sandbox_client_get_events(r->client) : 0);
        struct pollfd fds[] = {
                { .fd = events ? sandbox_client_get_fd(r->client) : -EBADF, .events = events },
                { .fd = forward ? STDIN_FILENO : -EBADF, .events = POLLIN },
                { .fd = out ? STDOUT_FILENO : -EBADF, .events = POLLOUT },
                { .fd = err ? STDERR_FILENO : -EBADF, .events = POLLOUT },
        };
        bool ending = r->interrupted || r->state == RUN_CANCELLED;
        struct timespec left;
        int q;

        if (r->state == RUN_CANCELLED && io_now_usec() >= r->leave_at_usec)
                return -ETIMEDOUT;
        q = ppoll(fds, ELEMENTSOF(fds), longest_wait(r, ending, out || err, &left), &r->signals);
        if (q < 0)
                return errno == EINTR ? 0 : -errno;
        if (q == 0 && ending) {
                close_stalled(r, SANDBOX_STDOUT);
                close_stalled(r, SANDBOX_STDERR);
        }
        if (fds[1].revents)
                forward_stdin(r);
        if (fds[2].revents)
                write_pending(r, SANDBOX_STDOUT);
        if (fds[3].revents)
                write_pending(r, SANDBOX_STDERR);
        return 0;
}

static int run_step(struct run *r)
{
        int q = 0;

        if (signals_received > 0) {
                r->interrupted = true;
                cancel(r);
        }
        if (r->job)
                q = sandbox_client_process(r->client);
        if (q > 0 && r->job)
                return 0;
        /* What has ended is told of by on_end. */
        if (q < 0 && r->state != RUN_ENDED)
                return q;
        if (r->state == RUN_ENDED && run_stream_pending(&r->out) == 0 &&
                run_stream_pending(&r->err) == 0) {
                set_state(r, RUN_FINISHED);
                return 0;
        }
        progress_tick(&r->progress, r->job);
        return wait_and_move(r);
}

/* There is nothing left to cancel: from here on the first signal ends the program, which may be
 * writing to a pipe that nobody reads. A user who has cancelled need not send a second one. */
static void prepare_end(struct run *r)
{
        if (r->interrupted)
                (void) alarm(CANCEL_TIMEOUT_SEC);
        /* One that came while the result was on its way is the first, and comes too late. */
        (void) sigprocmask(SIG_SETMASK, &r->signals, NULL);
        signals_received = MAX(signals_received, 1);
}

static void show_json(const struct run *r)
{
        json_auto_t *object = result_json(r->result, &r->out, &r->err);

        if (r->options->downloads.n > 0)
                downloads_json(&r->options->downloads, object);
        result_show_json(object, r->result, stdout);
}

static int report(struct run *r)
{
        bool to_person = !r->interrupted || is_writable(STDERR_FILENO);
        int exit_code;

        if (!r->result)
                return r->exit_code;
        if (r->without_memory)
                (void) must(NULL);
        if (r->discard)
                return r->pipe_broken ? CTL_EXIT_PIPE : CTL_EXIT_REFUSED;
        downloads_end(&r->options->downloads);
        if (r->ctl->json)
                show_json(r);
        else if (to_person)
                result_show_text(r->ctl, r->result, r->options->summary, &r->out, &r->err);
        if (to_person)
                downloads_complain(&r->options->downloads);
        exit_code = sandbox_result_get_shell_code(r->result);
        return exit_code == 0 && r->options->downloads.failed > 0 ? CTL_EXIT_FAILURE : exit_code;
}

/* The end of a cancelled job whose result does not come. */
static int leave(struct run *r)
{
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

static int run_job(struct run *r, sandbox_spec *spec)
{
        static const sandbox_job_handlers handlers = {
                .size = sizeof(handlers),
                .on_started = on_started,
                .on_output = on_output,
                .on_file = on_file,
                .on_end = on_end,
        };
        int q;

        r->stdin_open = stdin_wanted(r->options);
        progress_init(&r->progress, r->client, !r->options->no_progress,
                r->stdin_open && isatty(STDIN_FILENO));
        sandbox_spec_set_stdin_stream(spec, r->stdin_open);
        run_stream_init(&r->out, r->ctl->json ? -EBADF : STDOUT_FILENO);
        run_stream_init(&r->err, r->ctl->json ? -EBADF : STDERR_FILENO);
        catch_signals(&r->signals);
        q = sandbox_job_start(r->client, spec, &handlers, r, SANDBOX_MANUAL_CREDIT, &r->job);
        if (q < 0)
                return ctl_failed(r->ctl, sandbox_client_get_error(r->client));
        while (q >= 0 && r->state != RUN_FINISHED)
                q = run_step(r);
        prepare_end(r);
        if (q == -ETIMEDOUT)
                return leave(r);
        return q < 0 ? ctl_failed(r->ctl, sandbox_client_get_error(r->client)) : report(r);
}

/* With a daemon that can do what was asked for. */
static int run_spec(struct run *r, sandbox_spec *spec)
{
        struct run_options *o = r->options;
        struct error e;
        int q = 0;

        if (o->detach)
                q = ctl_need(r->ctl, r->client, "detach");
        if (q == 0 && o->downloads.n > 0)
                q = ctl_need(r->ctl, r->client, "get");
        if (q != 0)
                return q;
        if (o->detach)
                return run_detached(r->ctl, o, r->client, spec);
        if (downloads_open(&o->downloads, &e) < 0)
                return ctl_error(r->ctl, "INVALID_ARGUMENT", "get", e.text);
        r->piece = must(malloc(PIECE_SIZE));
        q = run_job(r, spec);
        sandbox_result_unref(r->result);
        run_stream_done(&r->out);
        run_stream_done(&r->err);
        free(r->piece);
        return q;
}

int verb_run(struct ctl *ctl, int argc, char **argv)
{
        _cleanup_(sandbox_client_freep) sandbox_client *client = NULL;
        _cleanup_(sandbox_spec_freep) sandbox_spec *spec = NULL;
        _cleanup_(run_options_done) struct run_options options = {};
        struct run r = { .ctl = ctl, .options = &options };
        const char *field;
        struct error e;
        int q;

        q = run_options_parse(&options, ctl, argc, argv, &field, &e);
        if (q > 0) {
                (void) fputs(run_help, stdout);
                return CTL_EXIT_OK;
        }
        if (q < 0)
                return ctl_error(ctl, "INVALID_ARGUMENT", field, e.text);
        q = ctl_connect(ctl, &client);
        if (q != 0)
                return q;
        q = run_request_make(&options, sandbox_client_get_max_request(client), &spec, &field, &e);
        if (q < 0)
                return ctl_error(ctl, "INVALID_ARGUMENT", field, e.text);
        r.client = client;
        return run_spec(&r, spec);
}
