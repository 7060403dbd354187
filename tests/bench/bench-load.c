/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many at once: keeps so many contenders under way, jobs by libsandbox's callbacks and programs by their
 * pipes, in one loop. A process of the benchmark.
 */
#include <poll.h>

#include "tests/bench/bench.h"

/* A place for one under way. */
struct flight {
        struct load *load;
        struct contender *contender; /* NULL: the place is free */
        uint64_t begin_usec;
        struct child child; /* its fd is -EBADF where this is a job */
};

struct load {
        struct contenders *contenders;
        const struct bench_options *options;
        struct flight *flights;
        size_t under_way;
        uint64_t started;
        uint64_t begin_usec;
        struct pollfd *fds;
        size_t room;
};

static void land(struct flight *f, const struct sample *s)
{
        sample_print((size_t) (f->contender - f->load->contenders->list), s);
        f->contender = NULL;
        f->load->under_way--;
}

static void on_end(sandbox_job *job, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        struct flight *f = userdata;
        struct sample s = { .usec = io_now_usec() - f->begin_usec };

        if (error)
                sample_fail(&s, error->message);
        else
                sample_of_result(&s, result);
        land(f, &s);
}

static void start_job(struct flight *f, size_t number)
{
        static const sandbox_job_handlers handlers = { .size = sizeof(handlers), .on_end = on_end };
        sandbox_client *client = contender_connect(f->contender->args[0], number);

        if (sandbox_job_start(client, f->contender->spec, &handlers, f, 0, NULL) < 0)
                bench_die(f->contender->name, sandbox_client_get_error(client)->message);
}

static void start_one(struct load *l, struct flight *f)
{
        size_t number = l->options->connections ? (size_t) (f - l->flights) : 0;
        int r;

        f->load = l;
        f->contender = &l->contenders->list[l->started++ % l->contenders->n];
        f->child.fd = -EBADF;
        f->begin_usec = io_now_usec();
        l->under_way++;
        if (f->contender->kind == CONTENDER_JOB) {
                start_job(f, number);
                return;
        }
        r = child_start(&f->child, f->contender->args);
        if (r < 0)
                bench_die(f->contender->name, strerror(-r));
}

/* Whether there are more to come, and when the next one is due. */
static bool has_more(const struct load *l, uint64_t now, uint64_t *ret_due)
{
        *ret_due = l->options->rate > 0
                           ? l->begin_usec + l->started * USEC_PER_SEC / l->options->rate
                           : now;
        if (l->options->jobs > 0)
                return l->started < l->options->jobs;
        return now < l->begin_usec + l->options->seconds * USEC_PER_SEC;
}

static void start_due(struct load *l)
{
        for (size_t i = 0; i < l->options->concurrency; i++) {
                uint64_t now = io_now_usec(), due;

                if (l->flights[i].contender)
                        continue;
                if (!has_more(l, now, &due) || due > now)
                        return;
                start_one(l, &l->flights[i]);
        }
}

static size_t fill_fds(struct load *l)
{
        size_t n = 0;

        for (sandbox_client *c; (c = contender_connection(n)); n++)
                l->fds[n] = (struct pollfd) {
                        .fd = sandbox_client_get_fd(c),
                        .events = (short) sandbox_client_get_events(c),
                };
        for (size_t i = 0; i < l->options->concurrency; i++)
                if (l->flights[i].contender && l->flights[i].child.fd >= 0)
                        l->fds[n++] =
                                (struct pollfd) { .fd = l->flights[i].child.fd, .events = POLLIN };
        return n;
}

static void serve_flight(struct flight *f)
{
        struct sample s = {};

        if (child_read(&f->child) == 0)
                return;
        child_finish(&f->child, f->contender, &s);
        s.usec = io_now_usec() - f->begin_usec;
        land(f, &s);
}

static struct flight *find_flight(struct load *l, int fd)
{
        for (size_t i = 0; i < l->options->concurrency; i++)
                if (l->flights[i].contender && l->flights[i].child.fd == fd)
                        return &l->flights[i];
        return NULL;
}

static void turn(struct load *l)
{
        uint64_t now = io_now_usec(), due, wait = BENCH_LOST_USEC;
        size_t n = fill_fds(l);
        int ready;

        if (l->under_way < l->options->concurrency && has_more(l, now, &due))
                wait = due > now ? due - now : 0;
        ready = poll(l->fds, n, (int) ROUND_UP(wait, USEC_PER_MSEC));
        if (ready == 0 && wait == BENCH_LOST_USEC)
                bench_die("load", "what was started did not end");
        for (size_t i = 0; i < n && ready > 0; i++) {
                sandbox_client *c = contender_connection(i);
                struct flight *f = c ? NULL : find_flight(l, l->fds[i].fd);

                if (!l->fds[i].revents)
                        continue;
                if (f)
                        serve_flight(f);
                while (c && (ready = sandbox_client_process(c)) == 1)
                        ;
                if (c && ready < 0)
                        bench_die("connection", sandbox_client_get_error(c)->message);
                ready = 1;
        }
}

int bench_load(struct contenders *c, const struct bench_options *options)
{
        struct load l = { .contenders = c, .options = options };
        uint64_t due;

        for (size_t i = 0; i < c->n; i++)
                for (size_t k = 0; k < (options->connections ? options->concurrency : 1); k++)
                        if (c->list[i].kind == CONTENDER_JOB)
                                (void) contender_connect(c->list[i].args[0], k);
                        else if (c->list[i].kind == CONTENDER_PEER)
                                bench_die(c->list[i].name, "only jobs and programs make a load");
        for (l.room = 0; contender_connection(l.room); l.room++)
                ;
        l.flights = bench_must(calloc(options->concurrency, sizeof(*l.flights)));
        l.fds = bench_must(calloc(l.room + options->concurrency, sizeof(*l.fds)));
        l.begin_usec = io_now_usec();
        while (has_more(&l, io_now_usec(), &due) || l.under_way > 0) {
                start_due(&l);
                turn(&l);
        }
        printf("elapsed\t%llu\n", (unsigned long long) (io_now_usec() - l.begin_usec));
        free(l.flights);
        free(l.fds);
        return EXIT_SUCCESS;
}
