/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times many jobs at once through libsandbox. A run of the benchmark is one process; it asserts that
 * every job ends once and well, and no time.
 *
 *      bench-jobs pipelined SOCKET JOBS UNDER-WAY      on one connection, so many at a time
 *      bench-jobs connections SOCKET NUMBER            one job on each of so many connections
 *      bench-jobs side-by-side SOCKET SOCKET ROUNDS    one job here, one there, in turn
 *      bench-jobs fill SOCKET JOBS                     jobs whose results are then kept
 */
#include <poll.h>
#include <stdio.h>

#include "client/lib/sandbox.h"
#include "common/io.h"

#define WARM_UP 20
#define LOST_USEC (120 * USEC_PER_SEC)

struct series {
        const char *name;
        uint64_t *usec;
        size_t n;
};

/* One job under way. */
struct flight {
        struct bench *bench;
        uint64_t sent_usec;
};

struct bench {
        sandbox_spec *spec;
        struct series series;
        size_t left; /* jobs still to be started */
        size_t under_way;
        size_t failed;
        char (*ids)[SANDBOX_JOB_ID_SIZE];
};

static _noreturn_ void die(const char *what, const char *why)
{
        (void) fprintf(stderr, "bench-jobs: %s: %s\n", what, why);
        exit(EXIT_FAILURE);
}

static void *must(void *p)
{
        if (!p)
                die("memory", strerror(ENOMEM));
        return p;
}

static sandbox_client *connect_to(const char *path)
{
        sandbox_client *c;

        if (sandbox_client_new(&c) < 0)
                die("client", strerror(ENOMEM));
        if (sandbox_client_connect(c, path) < 0)
                die(path, sandbox_client_get_error(c)->message);
        return c;
}

static void bench_init(struct bench *b, const char *name, size_t jobs)
{
        *b = (struct bench) { .left = jobs, .series.name = name };
        if (sandbox_spec_new(&b->spec) < 0 || sandbox_spec_add_arg(b->spec, "/bin/true") < 0)
                die("spec", strerror(ENOMEM));
        b->series.usec = must(calloc(jobs + 1, sizeof(*b->series.usec)));
        b->ids = must(calloc(jobs + 1, sizeof(*b->ids)));
}

static void bench_done(struct bench *b)
{
        (void) sandbox_spec_free(b->spec);
        free(b->series.usec);
        free(b->ids);
}

static int compare_usec(const void *a, const void *b)
{
        const uint64_t *x = a, *y = b;

        return *x < *y ? -1 : *x > *y;
}

static double percentile_msec(const struct series *s, unsigned percent)
{
        return (double) s->usec[(s->n - 1) * percent / 100] / USEC_PER_MSEC;
}

static void print_head(void)
{
        printf("%-44s %8s %8s %8s %8s %9s\n", "", "min ms", "p50 ms", "p99 ms", "max ms",
                "p99/p50");
}

static void print_series(struct series *s)
{
        if (s->n == 0)
                die(s->name, "no job ended");
        qsort(s->usec, s->n, sizeof(*s->usec), compare_usec);
        printf("%-44s %8.2f %8.2f %8.2f %8.2f %9.2f\n", s->name, percentile_msec(s, 0),
                percentile_msec(s, 50), percentile_msec(s, 99), percentile_msec(s, 100),
                percentile_msec(s, 99) / percentile_msec(s, 50));
}

static int compare_ids(const void *a, const void *b)
{
        return memcmp(a, b, SANDBOX_JOB_ID_SIZE);
}

/* No job may have ended twice under one id. */
static size_t count_ids(struct bench *b)
{
        size_t n = 0;

        qsort(b->ids, b->series.n, sizeof(*b->ids), compare_ids);
        for (size_t i = 0; i < b->series.n; i++)
                n += i == 0 || compare_ids(b->ids[i - 1], b->ids[i]) != 0;
        return n;
}

static void on_end(sandbox_job *job, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        struct flight *f = userdata;
        struct bench *b = f->bench;

        b->under_way--;
        if (error) {
                (void) fprintf(stderr, "bench-jobs: %s\n", error->message);
                b->failed++;
        } else {
                b->failed += sandbox_result_get_status(result) != SANDBOX_STATUS_OK;
                memcpy(b->ids[b->series.n], sandbox_result_get_job_id(result), SANDBOX_JOB_ID_SIZE);
                b->series.usec[b->series.n++] = io_now_usec() - f->sent_usec;
        }
        free(f);
}

static void start_one(struct bench *b, sandbox_client *c)
{
        static const sandbox_job_handlers handlers = { .size = sizeof(handlers), .on_end = on_end };
        struct flight *f = must(malloc(sizeof(*f)));

        *f = (struct flight) { .bench = b, .sent_usec = io_now_usec() };
        if (sandbox_job_start(c, b->spec, &handlers, f, 0, NULL) < 0)
                die("start", sandbox_client_get_error(c)->message);
        b->left--;
        b->under_way++;
}

static int report(struct bench *b, size_t jobs, uint64_t began_usec)
{
        double seconds = (double) (io_now_usec() - began_usec) / USEC_PER_SEC;
        size_t n = b->series.n, different = count_ids(b);

        print_head();
        print_series(&b->series);
        printf("%zu of %zu ended, %zu not well, %zu different ids, %.0f a second\n", n, jobs,
                b->failed, different, (double) n / seconds);
        return n == jobs && b->failed == 0 && different == jobs ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_pipelined(const char *path, size_t jobs, size_t most, const char *name)
{
        uint64_t began_usec = io_now_usec();
        sandbox_client *c = connect_to(path);
        struct bench b;
        int r;

        bench_init(&b, name, jobs);
        while (b.left > 0 || b.under_way > 0) {
                while (b.left > 0 && b.under_way < most)
                        start_one(&b, c);
                r = sandbox_client_process(c);
                if (r < 0)
                        die("connection", sandbox_client_get_error(c)->message);
                if (r == 0 && sandbox_client_wait(c, LOST_USEC) == 0)
                        die("connection", "jobs did not end");
        }
        r = report(&b, jobs, began_usec);
        bench_done(&b);
        (void) sandbox_client_free(c);
        return r;
}

/* Waits on all connections at once. */
static void turn(sandbox_client *const *clients, struct pollfd *fds, size_t n)
{
        for (size_t i = 0; i < n; i++)
                fds[i] = (struct pollfd) {
                        .fd = sandbox_client_get_fd(clients[i]),
                        .events = (short) sandbox_client_get_events(clients[i]),
                };
        if (poll(fds, n, LOST_USEC / USEC_PER_MSEC) == 0)
                die("connections", "jobs did not end");
        for (size_t i = 0; i < n; i++)
                if (fds[i].revents && sandbox_client_process(clients[i]) < 0)
                        die("connection", sandbox_client_get_error(clients[i])->message);
}

static int run_connections(const char *path, size_t n)
{
        sandbox_client **clients = must(calloc(n, sizeof(sandbox_client *)));
        struct pollfd *fds = must(calloc(n, sizeof(*fds)));
        uint64_t began_usec;
        struct bench b;
        int r;

        bench_init(&b, "a job on each connection, all at once", n);
        for (size_t i = 0; i < n; i++)
                clients[i] = connect_to(path);
        began_usec = io_now_usec();
        for (size_t i = 0; i < n; i++)
                start_one(&b, clients[i]);
        while (b.under_way > 0)
                turn(clients, fds, n);
        r = report(&b, n, began_usec);
        for (size_t i = 0; i < n; i++)
                (void) sandbox_client_free(clients[i]);
        bench_done(&b);
        free(fds);
        free(clients);
        return r;
}

static void run_one(struct bench *b, sandbox_client *c)
{
        start_one(b, c);
        while (b->under_way > 0)
                if (sandbox_client_wait(c, LOST_USEC) == 0 || sandbox_client_process(c) < 0)
                        die("connection", "the job did not end");
}

static int run_side_by_side(const char *path, const char *other, size_t rounds)
{
        sandbox_client *clients[] = { connect_to(path), connect_to(other) };
        struct bench b[ELEMENTSOF(clients)];
        double first;

        bench_init(&b[0], "a job, nothing kept", rounds + WARM_UP);
        bench_init(&b[1], "a job, as many results kept as may be", rounds + WARM_UP);
        for (size_t i = 0; i < rounds + WARM_UP; i++)
                for (size_t k = 0; k < ELEMENTSOF(b); k++) {
                        if (i == WARM_UP)
                                b[k].series.n = 0;
                        run_one(&b[k], clients[k]);
                }
        print_head();
        for (size_t k = 0; k < ELEMENTSOF(b); k++)
                print_series(&b[k].series);
        first = percentile_msec(&b[0].series, 50);
        printf("p50 of the second to the first: %.2f\n", percentile_msec(&b[1].series, 50) / first);
        for (size_t k = 0; k < ELEMENTSOF(b); k++) {
                bench_done(&b[k]);
                (void) sandbox_client_free(clients[k]);
        }
        return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
        if (argc == 5 && streq(argv[1], "pipelined"))
                return run_pipelined(argv[2], strtoul(argv[3], NULL, 10),
                        strtoul(argv[4], NULL, 10), "a job of many on one connection");
        if (argc == 4 && streq(argv[1], "connections"))
                return run_connections(argv[2], strtoul(argv[3], NULL, 10));
        if (argc == 5 && streq(argv[1], "side-by-side"))
                return run_side_by_side(argv[2], argv[3], strtoul(argv[4], NULL, 10));
        if (argc == 4 && streq(argv[1], "fill"))
                return run_pipelined(argv[2], strtoul(argv[3], NULL, 10), 8,
                        "a job whose result is kept");
        (void) fprintf(stderr, "bench-jobs: see the comment at its beginning for its arguments\n");
        return 2;
}
