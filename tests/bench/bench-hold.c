/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps jobs or programs alive that do nothing, while somebody else measures what they cost. A process of
 * the benchmark.
 */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/bench/bench.h"

/* The profile's maximum; who holds them longer is not benchmarking. */
#define HOLD_USEC (600 * USEC_PER_SEC)
#define UNDER_WAY 16

struct hold {
        uint64_t started;
        uint64_t asked;
};

static void on_started(sandbox_job *job, void *userdata)
{
        struct hold *h = userdata;

        h->started++;
}

static void on_end(sandbox_job *job, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        bench_die("a job that was to stay has ended",
                error ? error->message : sandbox_result_get_message(result));
}

static void wait_client(sandbox_client *client, struct hold *h)
{
        int r = sandbox_client_wait(client, BENCH_LOST_USEC);

        if (r == 0)
                bench_die("hold", "a job did not start");
        if (r < 0 || sandbox_client_process(client) < 0)
                bench_die("hold", sandbox_client_get_error(client)->message);
}

static void start_jobs(struct contender *c, struct hold *h, uint64_t count)
{
        static const sandbox_job_handlers handlers = {
                .size = sizeof(handlers),
                .on_started = on_started,
                .on_end = on_end,
        };
        sandbox_client *client = contender_connect(c->args[0], 0);

        if (sandbox_spec_set_limit(c->spec, SANDBOX_LIMIT_WALL_TIME, HOLD_USEC) < 0)
                bench_die("hold", strerror(ENOMEM));
        while (h->started < count) {
                while (h->asked < count && h->asked - h->started < UNDER_WAY) {
                        if (sandbox_job_start(client, c->spec, &handlers, h, 0, NULL) < 0)
                                bench_die("hold", sandbox_client_get_error(client)->message);
                        h->asked++;
                }
                wait_client(client, h);
        }
}

/* Until our stdin ends: whoever started us has measured. */
static void wait_stdin(sandbox_client *client)
{
        struct pollfd fds[] = {
                { .fd = STDIN_FILENO, .events = POLLIN },
                { .fd = client ? sandbox_client_get_fd(client) : -1, .events = POLLIN },
        };

        while (poll(fds, ELEMENTSOF(fds), -1) < 0 || !fds[0].revents)
                if (client && fds[1].revents && sandbox_client_process(client) < 0)
                        bench_die("hold", sandbox_client_get_error(client)->message);
}

int bench_hold(struct contenders *c, const struct bench_options *options)
{
        struct contender *first = &c->list[0];
        struct child *children = NULL;
        struct hold h = {};

        if (first->kind == CONTENDER_JOB) {
                start_jobs(first, &h, options->count);
        } else {
                children = bench_must(calloc(options->count, sizeof(*children)));
                for (; h.started < options->count; h.started++)
                        if (child_start(&children[h.started], first->args) < 0)
                                bench_die(first->name, "it cannot be started");
        }
        /* Of programs also which: whoever measures knows nothing else of them. */
        printf("ready");
        for (uint64_t i = 0; children && i < h.started; i++)
                printf("\t%d", (int) children[i].pid);
        printf("\n");
        (void) fflush(stdout);
        wait_stdin(contender_connection(0));
        for (uint64_t i = 0; children && i < h.started; i++) {
                (void) kill(children[i].pid, SIGKILL);
                (void) waitpid(children[i].pid, NULL, 0);
        }
        free(children);
        return EXIT_SUCCESS;
}
