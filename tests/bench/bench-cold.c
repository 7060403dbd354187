/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times whole jobs, from the request to the result, on one open connection, in turn with what else
 * can start the same program: bwrap with the same namespaces and mounts, and a plain spawn. A run
 * of the benchmark is one process; it asserts nothing.
 *
 *      bench-cold SOCKET ROUNDS         a table of all three, interleaved
 *      bench-cold SOCKET ROUNDS jobs    jobs alone, as fast as one connection goes
 */
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "client/lib/client.h"
#include "common/io.h"

#define TIMEOUT_USEC (30 * USEC_PER_SEC)
#define WARM_UP 20

extern char **environ;

struct series {
        const char *name;
        int (*once)(void *userdata);
        void *userdata;
        uint64_t *usec;
        size_t n;
};

static int spawn_and_wait(char *const argv[])
{
        int status;
        pid_t pid;
        int r;

        r = posix_spawn(&pid, argv[0], NULL, NULL, argv, environ);
        if (r != 0)
                return -r;
        if (waitpid(pid, &status, 0) < 0)
                return -errno;
        return status == 0 ? 0 : -EIO;
}

static int once_spawn(void *userdata)
{
        static char *const argv[] = { (char *) "/bin/true", NULL };

        return spawn_and_wait(argv);
}

static int once_bwrap(void *userdata)
{
        static const char *const argv[] = {
                "/usr/bin/bwrap",
                "--unshare-all",
                "--new-session",
                "--die-with-parent",
                "--ro-bind",
                "/usr",
                "/usr",
                "--symlink",
                "usr/bin",
                "/bin",
                "--symlink",
                "usr/lib",
                "/lib",
                "--symlink",
                "usr/lib64",
                "/lib64",
                "--symlink",
                "usr/sbin",
                "/sbin",
                "--proc",
                "/proc",
                "--dev",
                "/dev",
                "--tmpfs",
                "/dev/shm",
                "--tmpfs",
                "/tmp",
                "--tmpfs",
                "/box",
                "--chdir",
                "/box",
                "/bin/true",
                NULL,
        };

        return spawn_and_wait((char *const *) argv);
}

/* Receives until the result of the job that was just queued. */
static int await_result(struct client *c)
{
        struct pollfd p = { .fd = client_fd(c), .events = POLLIN };
        const Sandboxd__V1__Response *response;
        int r;

        for (;;) {
                r = client_flush(c);
                if (r < 0)
                        return r;
                r = client_receive(c, &response);
                if (r < 0)
                        return r;
                if (r == 0) {
                        (void) poll(&p, 1, 1000);
                        continue;
                }
                if (response->body_case == SANDBOXD__V1__RESPONSE__BODY_ERROR) {
                        fprintf(stderr, "%s\n", response->error->message);
                        return -EIO;
                }
                if (response->body_case == SANDBOXD__V1__RESPONSE__BODY_RESULT)
                        return response->result->status == SANDBOXD__V1__STATUS__OK ? 0 : -EIO;
        }
}

static int once_job(void *userdata)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        ProtobufCBinaryData argv[] = { { 9, (uint8_t *) "/bin/true" } };
        struct client *c = userdata;
        int r;

        run.argv = argv;
        run.n_argv = 1;
        request.id = client_next_id(c);
        request.body_case = SANDBOXD__V1__REQUEST__BODY_RUN;
        request.run = &run;
        r = client_queue(c, &request);
        return r < 0 ? r : await_result(c);
}

static int compare(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

static void print_series(struct series *s, const struct series *base)
{
        uint64_t *v = s->usec;
        uint64_t median = v[s->n / 2];

        printf("%-28s %9.3f %9.3f %9.3f", s->name, (double) v[0] / 1000, (double) median / 1000,
                (double) v[s->n * 99 / 100] / 1000);
        if (base)
                printf(" %8.2f", (double) median / (double) base->usec[base->n / 2]);
        putchar('\n');
}

static int run_all(struct series *series, size_t n_series, size_t rounds)
{
        for (size_t i = 0; i < rounds + WARM_UP; i++)
                for (size_t k = 0; k < n_series; k++) {
                        uint64_t start = io_now_usec();
                        int r = series[k].once(series[k].userdata);

                        if (r < 0) {
                                fprintf(stderr, "%s: %s\n", series[k].name, strerror(-r));
                                return r;
                        }
                        if (i >= WARM_UP)
                                series[k].usec[series[k].n++] = io_now_usec() - start;
                }
        return 0;
}

int main(int argc, char **argv)
{
        _cleanup_(client_freep) struct client *client = NULL;
        struct series series[] = {
                { .name = "sandboxd, cold job", .once = once_job },
                { .name = "bwrap --unshare-all", .once = once_bwrap },
                { .name = "plain spawn", .once = once_spawn },
        };
        size_t rounds, n = argc > 3 ? 1 : ELEMENTSOF(series);
        int r;

        if (argc < 3) {
                fprintf(stderr, "usage: bench-cold SOCKET ROUNDS [jobs]\n");
                return 2;
        }
        rounds = strtoul(argv[2], NULL, 10);
        r = client_connect(argv[1], &client);
        if (r == 0)
                r = client_hello(client, "bench-cold", TIMEOUT_USEC);
        if (r != 0) {
                fprintf(stderr, "%s: no sandboxd there\n", argv[1]);
                return 1;
        }
        series[0].userdata = client;
        for (size_t k = 0; k < n; k++)
                series[k].usec = calloc(rounds, sizeof(uint64_t));
        r = run_all(series, n, rounds);
        if (r < 0)
                return 1;
        printf("%-28s %9s %9s %9s %8s\n", "milliseconds", "min", "p50", "p99", "x bwrap");
        for (size_t k = 0; k < n; k++)
                qsort(series[k].usec, series[k].n, sizeof(uint64_t), compare);
        for (size_t k = 0; k < n; k++)
                print_series(&series[k], n > 1 ? &series[1] : NULL);
        for (size_t k = 0; k < n; k++)
                free(series[k].usec);
        return 0;
}
