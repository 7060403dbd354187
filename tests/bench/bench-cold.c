/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times whole jobs, from the request to the result, on one open connection, in turn with what else
 * can start the same program: bwrap with the same namespaces and mounts, systemd-run, and a plain
 * spawn. A run of the benchmark is one process; it asserts nothing.
 *
 *      bench-cold SOCKET ROUNDS                  beside bwrap and a plain spawn, interleaved
 *      bench-cold SOCKET ROUNDS scope [PAUSE]    beside systemd-run --scope, with PAUSE ms before each
 *      bench-cold SOCKET ROUNDS jobs             jobs alone, as fast as one connection goes
 */
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>

#include "client/lib/sandbox.h"
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

static int once_systemd_run(void *userdata)
{
        static char *const argv[] = {
                (char *) "/usr/bin/systemd-run",
                (char *) "--scope",
                (char *) "--quiet",
                (char *) "/bin/true",
                NULL,
        };

        return spawn_and_wait(argv);
}

static int once_job(void *userdata)
{
        static const char *const argv[] = { "/bin/true", NULL };
        sandbox_client *c = userdata;
        sandbox_result *result;
        sandbox_spec *spec;
        int r;

        r = sandbox_spec_new(&spec);
        if (r < 0)
                return r;
        r = sandbox_spec_set_argv(spec, argv);
        if (r == 0)
                r = sandbox_run(c, spec, TIMEOUT_USEC, &result);
        sandbox_spec_free(spec);
        if (r < 0) {
                fprintf(stderr, "%s\n", sandbox_client_get_error(c)->message);
                return r;
        }
        r = sandbox_result_get_status(result) == SANDBOX_STATUS_OK ? 0 : -EIO;
        sandbox_result_unref(result);
        return r;
}

static int compare(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

static void print_series(const struct series *s, const struct series *base)
{
        uint64_t *v = s->usec;
        uint64_t median = v[s->n / 2];

        printf("%-28s %9.3f %9.3f %9.3f", s->name, (double) v[0] / 1000, (double) median / 1000,
                (double) v[s->n * 99 / 100] / 1000);
        if (base)
                printf(" %8.2f", (double) median / (double) base->usec[base->n / 2]);
        putchar('\n');
}

/* The first of a table is our job; the second is what it is compared with. */
static const struct table {
        const char *mode;
        const char *base;
        struct series series[3];
} tables[] = {
        { "", "x bwrap",
                { { .name = "sandboxd, cold job", .once = once_job },
                        { .name = "bwrap --unshare-all", .once = once_bwrap },
                        { .name = "plain spawn", .once = once_spawn } } },
        { "scope", "x s-run",
                { { .name = "sandboxd, cold job", .once = once_job },
                        { .name = "systemd-run --scope --quiet", .once = once_systemd_run } } },
        { "jobs", "", { { .name = "sandboxd, cold job", .once = once_job } } },
};

static const struct table *find_table(const char *mode)
{
        for (size_t i = 0; i < ELEMENTSOF(tables); i++)
                if (streq(tables[i].mode, mode))
                        return &tables[i];
        return NULL;
}

static int time_once(struct series *s, bool counts)
{
        uint64_t start = io_now_usec();
        int r = s->once(s->userdata);

        if (r < 0)
                fprintf(stderr, "%s: %s\n", s->name, strerror(-r));
        else if (counts)
                s->usec[s->n++] = io_now_usec() - start;
        return r;
}

static int run_all(struct series *series, size_t n_series, size_t rounds, unsigned pause_ms)
{
        for (size_t i = 0; i < rounds + WARM_UP; i++)
                for (size_t k = 0; k < n_series; k++) {
                        int r;

                        if (pause_ms > 0)
                                (void) usleep(pause_ms * 1000);
                        r = time_once(&series[k], i >= WARM_UP);
                        if (r < 0)
                                return r;
                }
        return 0;
}

static int bench(const struct table *table, sandbox_client *client, size_t rounds,
        unsigned pause_ms)
{
        struct series series[ELEMENTSOF(table->series)];
        size_t n = 0;
        int r;

        for (; n < ELEMENTSOF(series) && table->series[n].once; n++) {
                series[n] = table->series[n];
                series[n].userdata = client;
                series[n].usec = calloc(rounds, sizeof(uint64_t));
        }
        r = run_all(series, n, rounds, pause_ms);
        if (r == 0)
                printf("%-28s %9s %9s %9s %8s\n", "milliseconds", "min", "p50", "p99", table->base);
        for (size_t k = 0; k < n && r == 0; k++)
                qsort(series[k].usec, series[k].n, sizeof(uint64_t), compare);
        for (size_t k = 0; k < n && r == 0; k++)
                print_series(&series[k], n > 1 ? &series[1] : NULL);
        for (size_t k = 0; k < n; k++)
                free(series[k].usec);
        return r;
}

int main(int argc, char **argv)
{
        const struct table *table = find_table(argc > 3 ? argv[3] : "");
        sandbox_client *client = NULL;
        int r;

        if (argc < 3 || !table) {
                fprintf(stderr, "usage: bench-cold SOCKET ROUNDS [scope [PAUSE] | jobs]\n");
                return 2;
        }
        r = sandbox_client_new(&client);
        if (r == 0)
                r = sandbox_client_connect(client, argv[1]);
        if (r < 0) {
                fprintf(stderr, "%s: no sandboxd there\n", argv[1]);
                sandbox_client_free(client);
                return 1;
        }
        r = bench(table, client, strtoul(argv[2], NULL, 10),
                argc > 4 ? (unsigned) strtoul(argv[4], NULL, 10) : 0);
        sandbox_client_free(client);
        return r < 0 ? 1 : 0;
}
