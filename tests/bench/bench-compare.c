/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contenders side by side: each once a round, one at a time, so that whatever changes on the machine
 * meanwhile changes for all of them. A process of the benchmark.
 */
#include "tests/bench/bench.h"

/* Whose turn it is: a round begins with another contender than the one before, and every second one goes
 * backwards, so that nobody always runs after the same one. */
static size_t turn(uint64_t round, size_t k, size_t n)
{
        size_t first = (size_t) (round % n);

        return round % 2 == 0 ? (first + k) % n : (first + n - k) % n;
}

int bench_compare(struct contenders *c, const struct bench_options *options)
{
        for (uint64_t round = 0; round < options->warmup + options->rounds; round++)
                for (size_t k = 0; k < c->n; k++) {
                        size_t index = turn(round, k, c->n);
                        struct contender *contender = &c->list[index];
                        struct sample s;

                        /* Everybody is warmed up, whoever takes part seldom too. */
                        if (round >= options->warmup &&
                                (round - options->warmup) % contender->every != 0)
                                continue;
                        (void) usleep((useconds_t) (options->pause_ms * USEC_PER_MSEC));
                        contender_run(contender, &s);
                        if (round >= options->warmup || s.failure[0] != '\0')
                                sample_print(index, &s);
                }
        return EXIT_SUCCESS;
}

int bench_serve(struct contenders *c, const struct bench_options *options)
{
        char line[16];

        while (fgets(line, sizeof(line), stdin)) {
                struct sample s;

                contender_run(&c->list[0], &s);
                if (s.failure[0] != '\0')
                        printf("it failed: %s\n", s.failure);
                else
                        printf("%llu\n", (unsigned long long) s.usec);
                (void) fflush(stdout);
        }
        return EXIT_SUCCESS;
}
