/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs and times what `make bench` compares. It measures and prints samples, one a line with tabs
 * between; whoever starts it (bench.py) makes tables of them. A process of the benchmark, as root; it
 * asserts no time.
 *
 *      bench-client compare FILE [rounds=N] [warmup=N] [pause_ms=N]
 *              every contender once a round, one at a time, in an order that changes
 *      bench-client load FILE [jobs=N | seconds=N] [concurrency=N] [rate=N] [connections=1]
 *              contenders in turn, so many at a time, and each on a connection of its own
 *      bench-client hold FILE [count=N]
 *              so many of the first, which do not end; prints "ready", and ends them at the end of stdin
 *      bench-client serve FILE
 *              the first once for each line of stdin: what a contender of kind peer does
 *
 * FILE lists contenders, see contenders_load(). A sample is "sample INDEX USEC WARM SETUP_USEC JOB-ID" or
 * "fail INDEX WHY"; load ends with "elapsed USEC".
 */
#include <signal.h>
#include <sys/prctl.h>

#include "common/parse.h"
#include "tests/bench/bench.h"

static const struct mode {
        const char *name;
        int (*run)(struct contenders *c, const struct bench_options *options);
} modes[] = {
        { "compare", bench_compare },
        { "load", bench_load },
        { "hold", bench_hold },
        { "serve", bench_serve },
};

static const struct option {
        const char *name;
        size_t offset;
} option_table[] = {
        { "rounds", offsetof(struct bench_options, rounds) },
        { "warmup", offsetof(struct bench_options, warmup) },
        { "pause_ms", offsetof(struct bench_options, pause_ms) },
        { "jobs", offsetof(struct bench_options, jobs) },
        { "seconds", offsetof(struct bench_options, seconds) },
        { "concurrency", offsetof(struct bench_options, concurrency) },
        { "rate", offsetof(struct bench_options, rate) },
        { "connections", offsetof(struct bench_options, connections) },
        { "count", offsetof(struct bench_options, count) },
};

_noreturn_ void bench_die(const char *what, const char *why)
{
        (void) fprintf(stderr, "bench-client: %s: %s\n", what, why);
        exit(EXIT_FAILURE);
}

void *bench_must(void *p)
{
        if (!p)
                bench_die("memory", strerror(ENOMEM));
        return p;
}

void sample_fail(struct sample *s, const char *why)
{
        (void) snprintf(s->failure, sizeof(s->failure), "%s", why);
}

void sample_of_result(struct sample *s, sandbox_result *result)
{
        int status = sandbox_result_get_status(result);

        s->warm = sandbox_result_get_warm(result);
        s->setup_usec = sandbox_result_get_setup_usec(result);
        (void) str_copy(s->id, sizeof(s->id), sandbox_result_get_job_id(result));
        if (status != SANDBOX_STATUS_OK)
                (void) snprintf(s->failure, sizeof(s->failure), "%s: %s",
                        sandbox_status_name(status), sandbox_result_get_message(result));
}

void sample_print(size_t index, const struct sample *s)
{
        if (s->failure[0] != '\0') {
                printf("fail\t%zu\t", index);
                for (const char *p = s->failure; *p; p++)
                        putchar((unsigned char) *p < ' ' ? ' ' : *p);
                putchar('\n');
        } else {
                printf("sample\t%zu\t%llu\t%d\t%llu\t%s\n", index, (unsigned long long) s->usec,
                        s->warm, (unsigned long long) s->setup_usec, s->id[0] ? s->id : "-");
        }
}

static bool set_option(struct bench_options *options, const char *argument)
{
        for (size_t i = 0; i < ELEMENTSOF(option_table); i++) {
                size_t n = strlen(option_table[i].name);

                if (strncmp(argument, option_table[i].name, n) == 0 && argument[n] == '=')
                        return parse_u64(argument + n + 1,
                                       (uint64_t *) ((char *) options + option_table[i].offset)) ==
                               0;
        }
        return false;
}

static const struct mode *find_mode(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                if (streq(modes[i].name, name))
                        return &modes[i];
        return NULL;
}

int main(int argc, char **argv)
{
        struct bench_options options = { .rounds = 1, .concurrency = 1, .count = 1 };
        const struct mode *mode = argc >= 3 ? find_mode(argv[1]) : NULL;
        struct contenders contenders;
        int r;

        for (int i = 3; i < argc && mode; i++)
                if (!set_option(&options, argv[i]))
                        mode = NULL;
        if (!mode) {
                (void) fprintf(stderr, "bench-client: its arguments are said in bench-client.c\n");
                return 2;
        }
        /* A load must not outlive who asked for it. */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        contenders_load(argv[2], &contenders);
        r = mode->run(&contenders, &options);
        contenders_free(&contenders);
        contender_disconnect_all();
        return r;
}
