/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loop of `sandboxctl run`, over the socket, stdin, stdout, stderr and signals. Runs in sandboxctl.
 */
#include "client/ctl/run-loop.h"

#include "client/ctl/memory.h"
#include "common/io.h"

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

static void on_started(sandbox_job *job, void *userdata)
{
        struct run *r = userdata;

        if (r->state == RUN_SENT)
                run_set_state(r, RUN_STARTED);
        run_take_sockets(r);
        /* What was cancelled meanwhile reads nothing more. */
        if (r->state != RUN_STARTED)
                run_pipe_done(&r->pipes[SANDBOX_STDIN]);
}

static void on_output(sandbox_job *job, enum sandbox_stream stream, const void *data, size_t size,
        void *userdata)
{
        run_take_output(userdata, stream, data, size);
}

static void on_file(sandbox_job *job, const sandbox_file_piece *piece, void *userdata)
{
        struct run *r = userdata;

        if (downloads_put(&r->options->downloads, piece) < 0)
                (void) must(NULL);
        (void) sandbox_job_consume(job, SANDBOX_FILES, piece->data_size);
}

static void on_end(sandbox_job *job, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        struct run *r = userdata;

        run_set_state(r, RUN_ENDED);
        progress_done(&r->progress);
        r->job = NULL;
        r->stdin_open = false;
        run_pipe_done(&r->pipes[SANDBOX_STDIN]);
        /* What they wait for may never come now: they are looked at once more. */
        r->pipes[SANDBOX_STDOUT].wait_fd = r->pipes[SANDBOX_STDERR].wait_fd = -EBADF;
        if (result)
                r->result = sandbox_result_ref(result);
        else
                r->exit_code = ctl_failed(r->ctl, error);
}

static int run_step(struct run *r)
{
        int q = 0;

        if (signals_received > 0) {
                r->interrupted = true;
                run_cancel(r);
        }
        if (r->job && r->client_due)
                q = sandbox_client_process(r->client);
        r->client_due = q > 0;
        if (q > 0 && r->job)
                return 0;
        /* What has ended is told of by on_end. */
        if (q < 0 && r->state != RUN_ENDED)
                return q;
        if (r->state == RUN_ENDED && !run_output_pending(r)) {
                run_set_state(r, RUN_FINISHED);
                return 0;
        }
        progress_tick(&r->progress, r->job);
        return run_wait_and_move(r);
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

/* Sends the job on its way. */
static int start(struct run *r, sandbox_spec *spec)
{
        static const sandbox_job_handlers handlers = {
                .size = sizeof(handlers),
                .on_started = on_started,
                .on_output = on_output,
                .on_file = on_file,
                .on_end = on_end,
        };

        sandbox_spec_set_stdin_stream(spec, r->stdin_open);
        run_ask_sockets(r, spec);
        return sandbox_job_start(r->client, spec, &handlers, r, SANDBOX_MANUAL_CREDIT, &r->job);
}

int run_loop(struct run *r, sandbox_spec *spec)
{
        int q;

        r->piece = must(malloc(RUN_PIECE_SIZE));
        progress_init(&r->progress, r->client, !r->options->no_progress,
                r->stdin_open && isatty(STDIN_FILENO));
        run_stream_init(&r->out, r->ctl->json ? -EBADF : STDOUT_FILENO);
        run_stream_init(&r->err, r->ctl->json ? -EBADF : STDERR_FILENO);
        catch_signals(&r->signals);
        q = start(r, spec);
        if (q < 0) {
                (void) ctl_failed(r->ctl, sandbox_client_get_error(r->client));
                return -ECANCELED;
        }
        r->client_due = true;
        while (q >= 0 && r->state != RUN_FINISHED)
                q = run_step(r);
        prepare_end(r);
        r->out.received += r->pipes[SANDBOX_STDOUT].moved;
        r->err.received += r->pipes[SANDBOX_STDERR].moved;
        return q;
}

void run_done(struct run *r)
{
        for (enum sandbox_stream s = SANDBOX_STDIN; s <= SANDBOX_STDERR; s++)
                run_pipe_done(&r->pipes[s]);
        sandbox_result_unref(r->result);
        run_stream_done(&r->out);
        run_stream_done(&r->err);
        free(r->piece);
}
