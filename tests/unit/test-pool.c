/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool's books and its sizing, with sandboxes that are made by word alone: the functions of sandbox.h
 * are those below, and time is what a test says.
 */
#include <check.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/monitor/pool.h"
#include "tests/unit/fixture-generation.h"
#include "tests/unit/fixture-policy.h"

#define PYTHON 0
#define ALICE 1000
#define BOB 1001
#define MADE_MAX 64

static struct pool pool;
static struct sandbox_host host;
static struct policy policy;
static struct generation *generation;
static struct sandbox *made[MADE_MAX]; /* by sandbox_park(), in order */
static size_t n_made;
static int park_answer, claim_answer;

/* --- sandbox.h */

int sandbox_park(struct sandbox_host *h, struct generation *g, const struct sandbox_parking *m,
        struct sandbox **ret)
{
        struct sandbox *s;

        ck_assert_ptr_eq(g, generation);
        ck_assert(m->id & CHANNEL_ID_PARKED);
        if (park_answer < 0)
                return park_answer;
        s = calloc(1, sizeof(*s));
        ck_assert_ptr_nonnull(s);
        ck_assert_uint_lt(n_made, MADE_MAX);
        s->parks = true;
        s->state = SANDBOX_PARKING;
        s->runtime = m->runtime;
        s->profile = m->profile;
        s->place.owner = m->owner;
        s->place.id = m->id;
        s->started_usec = io_now_usec();
        *ret = made[n_made++] = s;
        return 0;
}

int sandbox_claim(struct sandbox *s, struct generation *g, const struct channel_start *m, int *fds)
{
        ck_assert_int_eq(s->state, SANDBOX_PARKED);
        if (claim_answer < 0)
                return claim_answer;
        s->parks = false;
        s->state = SANDBOX_RUNNING;
        return 0;
}

void sandbox_discard(struct sandbox *s)
{
        ck_assert(s->parks);
        ck_assert_ptr_null(s->key);
        s->state = SANDBOX_ENDED;
}

void sandbox_free(struct sandbox *s)
{
        for (size_t i = 0; i < n_made; i++)
                if (made[i] == s)
                        made[i] = NULL;
        free(s);
}

void sandbox_abandon(struct sandbox *s)
{
        sandbox_free(s);
}

/* --- what happens to them */

/* Its command waits, and holds so much. */
static void prime_with(struct sandbox *s, uint64_t now, uint64_t bytes)
{
        ck_assert_int_eq(s->state, SANDBOX_PARKING);
        s->state = SANDBOX_PARKED;
        s->parked_bytes = bytes;
        s->parked_pids = 12;
        s->parked_usec = now;
        pool_on_parked(&pool, s);
}

static void prime(struct sandbox *s, uint64_t now)
{
        prime_with(s, now, 10 * MIB);
}

static void die(struct sandbox *s)
{
        s->state = SANDBOX_ENDED;
        pool_on_lost(&pool, s);
}

/* All that ends is gone. */
static void bury(void)
{
        struct sandbox *s, *next;

        for (s = TAILQ_FIRST(&pool.sandboxes); s; s = next) {
                next = TAILQ_NEXT(s, of_pool);
                if (s->state == SANDBOX_ENDED)
                        pool_on_gone(&pool, s);
        }
}

/* Makes whatever is to be made, and lets it wait. How many that were. */
static unsigned fill(uint64_t now)
{
        unsigned n = 0;

        while (pool_refill(&pool, now)) {
                prime(made[n_made - 1], now);
                n++;
        }
        return n;
}

static int claim(uid_t uid, uint32_t runtime, struct sandbox **ret)
{
        struct channel_start m = {
                .flags = CHANNEL_START_WARM,
                .owner = uid,
                .runtime = runtime,
                .limits = policy.profiles[0].defaults,
        };

        return pool_claim(&pool, pool.generation, &m, NULL, ret);
}

static unsigned count(uid_t uid)
{
        unsigned n = 0;
        struct sandbox *s;

        TAILQ_FOREACH (s, &pool.sandboxes, of_pool)
                n += s->state == SANDBOX_PARKED && s->place.owner == uid;
        return n;
}

static void ask_for(uint32_t runtime, uid_t uid, unsigned times)
{
        struct sandbox *s;

        for (unsigned i = 0; i < times; i++)
                if (claim(uid, runtime, &s) == 0)
                        sandbox_free(s);
}

static void ask(uid_t uid, unsigned times)
{
        ask_for(PYTHON, uid, times);
}

static void adopt(void)
{
        generation_unref(generation);
        generation = fixture_generation(&policy);
        pool_adopt(&pool, generation);
        bury();
}

static void setup(void)
{
        fixture_policy(&policy);
        policy.runtimes[PYTHON].park = true;
        policy.runtimes[PYTHON].park_minimum = 1;
        policy.runtimes[PYTHON].park_maximum = 4;
        policy.pool = (struct policy_pool) {
                .maximum = 8,
                .maximum_per_user = 4,
                .minimum = 1,
                .max_memory = 1 * GIB,
                .idle_usec = 300 * USEC_PER_SEC,
        };
        n_made = 0;
        park_answer = claim_answer = 0;
        ck_assert_int_ge(sd_event_new(&host.event), 0);
        ck_assert_int_eq(pool_init(&pool, &host), 0);
        pool.n_cpus = 1;
        generation = NULL;
        adopt();
}

static void teardown(void)
{
        pool_done(&pool);
        ck_assert_uint_eq(pool.n, 0);
        ck_assert_uint_eq(pool.bytes, 0);
        ck_assert_uint_eq(pool.n_sandboxes, 0);
        ck_assert_uint_eq(pool.n_keys, 0);
        ck_assert(LIST_EMPTY(&pool.users));
        ck_assert_uint_eq(generation->n_refs, 1);
        generation_unref(generation);
        host.event = sd_event_unref(host.event);
}

/* --- keys */

START_TEST(test_one_user_s_is_none_of_another_s)
{
        struct sandbox *s;

        ck_assert_int_eq(claim(ALICE, PYTHON, &s), -ENOENT);
        ck_assert_uint_eq(fill(io_now_usec()), 1);
        ck_assert_int_eq(claim(BOB, PYTHON, &s), -ENOENT);
        ck_assert_int_eq(claim(ALICE, PYTHON, &s), 0);
        ck_assert_uint_eq(s->place.owner, ALICE);
        ck_assert_ptr_null(s->key);
        sandbox_free(s);
        ck_assert_uint_eq(count(ALICE), 0);
}
END_TEST

/* What is parked is another thing than what is asked for: it is not even counted as demand. */
START_TEST(test_what_does_not_fit_is_made)
{
        struct generation *older = fixture_generation(&policy);
        struct channel_start m = { .owner = ALICE, .limits = policy.profiles[0].defaults };
        struct sandbox *s;

        ck_assert_int_eq(pool_claim(&pool, generation, &m, NULL, &s), -ENOENT);
        m.flags = CHANNEL_START_WARM;
        ck_assert_int_eq(pool_claim(&pool, older, &m, NULL, &s), -ENOENT);
        m.runtime = 1;
        ck_assert_int_eq(pool_claim(&pool, generation, &m, NULL, &s), -ENOENT);
        m.runtime = PYTHON;
        m.limits.value[LIMIT_TMP_SIZE] += 1;
        ck_assert_int_eq(pool_claim(&pool, generation, &m, NULL, &s), -ENOENT);
        m.limits = policy.profiles[0].defaults;
        m.limits.value[LIMIT_CPU_QUOTA] = 101;
        ck_assert_int_eq(pool_claim(&pool, generation, &m, NULL, &s), -ENOENT);
        ck_assert_uint_eq(pool.n_keys, 0);
        m.limits.value[LIMIT_CPU_QUOTA] = 99;
        ck_assert_int_eq(pool_claim(&pool, generation, &m, NULL, &s), -ENOENT);
        ck_assert_uint_eq(pool.n_keys, 1);
        ck_assert_uint_eq(fill(io_now_usec()), 1);
        /* It would begin with being over its limit. */
        m.limits.value[LIMIT_MEMORY] = 12 * MIB;
        ck_assert_int_eq(pool_claim(&pool, generation, &m, NULL, &s), -ENOENT);
        m.limits.value[LIMIT_MEMORY] = 32 * MIB;
        /* It could not have a process beside its threads. */
        m.limits.value[LIMIT_PIDS] = 11;
        ck_assert_int_eq(pool_claim(&pool, generation, &m, NULL, &s), -ENOENT);
        ck_assert_uint_eq(count(ALICE), 1);
        m.limits.value[LIMIT_PIDS] = 12;
        ck_assert_int_eq(pool_claim(&pool, generation, &m, NULL, &s), 0);
        sandbox_free(s);
        generation_unref(older);
}
END_TEST

/* One that cannot be claimed is ended, and the next one tried. */
START_TEST(test_a_claim_that_fails)
{
        uint64_t now = io_now_usec();
        struct sandbox *s;

        ask(ALICE, 2);
        ck_assert_uint_eq(fill(now), 2);
        claim_answer = -ESRCH;
        ck_assert_int_eq(claim(ALICE, PYTHON, &s), -ENOENT);
        ck_assert_uint_eq(count(ALICE), 0);
        ck_assert_uint_eq(pool.n, 0);
        bury();
        ck_assert_uint_eq(pool.n_sandboxes, 0);
        /* Nor are they made anew at once. */
        ck_assert(!pool_refill(&pool, now));
        ck_assert(!pool_refill(&pool, now + USEC_PER_SEC));
}
END_TEST

START_TEST(test_claims_that_fail_for_another_reason)
{
        uint64_t now = io_now_usec();
        struct sandbox *s;

        ask(ALICE, 3);
        ck_assert_uint_eq(fill(now), 3);
        claim_answer = -EIO;
        ck_assert_int_eq(claim(ALICE, PYTHON, &s), -ENOENT);
        /* One is lost for it, and none made for a while. */
        ck_assert_uint_eq(count(ALICE), 2);
        ck_assert(!pool_refill(&pool, now));
        ck_assert(pool_refill(&pool, now + 2 * USEC_PER_SEC));
}
END_TEST

/* Who comes when all keys are taken gets that of who was there longest ago and has nothing. */
START_TEST(test_keys_are_bounded)
{
        struct pool_key *k;
        struct sandbox *s;
        unsigned n_kept = 0;
        uid_t uid = BOB;

        policy.pool.users = (struct policy_ids) { .n = 1, .ids = { 1 } };
        adopt();
        ask(ALICE, 1);
        ck_assert_uint_eq(fill(io_now_usec()), 2);
        ask(1, 1);
        ck_assert_uint_eq(count(1), 0);
        for (; pool.n_keys < POOL_KEYS_MAX; uid++)
                ask(uid, 1);
        ask(BOB, 1);
        ask(uid, 1);
        ck_assert_uint_eq(pool.n_keys, POOL_KEYS_MAX);
        ck_assert_uint_eq(LIST_FIRST(&pool.keys)->user->uid, uid);
        LIST_FOREACH (k, &pool.keys, entries) {
                ck_assert_uint_ne(k->user->uid, BOB + 1);
                n_kept += k->kept;
        }
        ck_assert_uint_eq(n_kept, 1);
        ck_assert_int_eq(claim(ALICE, PYTHON, &s), 0);
        sandbox_free(s);
}
END_TEST

/* --- sizing */

START_TEST(test_as_many_as_were_asked_for_in_a_moment)
{
        struct pool_demand d = {};
        uint64_t now = 1000 * USEC_PER_SEC;

        for (unsigned i = 0; i < 5; i++)
                pool_demand_note(&d, now + i * USEC_PER_MSEC);
        ck_assert_uint_eq(pool_demand_wanted(&d, now), 5);
        /* One at a time is less. */
        for (unsigned i = 0; i < 50; i++)
                pool_demand_note(&d, now += USEC_PER_SEC);
        ck_assert_uint_eq(pool_demand_wanted(&d, now), 5);
        /* And it is forgotten, though not at once. */
        pool_demand_note(&d, now += POOL_LATE_USEC);
        ck_assert_uint_eq(pool_demand_wanted(&d, now), 5);
        pool_demand_note(&d, now += POOL_LATE_USEC);
        ck_assert_uint_eq(pool_demand_wanted(&d, now), 1);
        ck_assert_uint_eq(pool_demand_wanted(&d, now + 2 * POOL_LATE_USEC), 0);
}
END_TEST

START_TEST(test_bounds)
{
        ask(ALICE, 20);
        ck_assert_uint_eq(fill(io_now_usec()), 4);
        ask(BOB, 20);
        ask(BOB + 1, 20);
        /* Two each, and one that Alice has too many. */
        ck_assert_uint_eq(fill(io_now_usec()), 4 + 1);
        bury();
        ck_assert_uint_eq(pool.n, 8);
}
END_TEST

/* What a runtime has of its own, of each user. */
START_TEST(test_bounds_of_a_runtime)
{
        uint64_t now = io_now_usec();

        policy.runtimes[1] = policy.runtimes[PYTHON];
        (void) str_copy(policy.runtimes[1].name, POLICY_NAME_MAX, "other");
        policy.runtimes[PYTHON].park_minimum = 2;
        policy.runtimes[1].park_maximum = 1;
        adopt();
        ask(ALICE, 1);
        ask_for(1, ALICE, 3);
        ask_for(1, BOB, 3);
        ck_assert_uint_eq(fill(now), 2 + 1 + 1);
        ck_assert_uint_eq(count(ALICE), 3);
        pool_inspect(&pool, now + 200 * USEC_PER_SEC);
        ck_assert_uint_eq(count(ALICE), 3);
        policy.runtimes[1].park_maximum = 0;
        adopt();
        ask_for(1, ALICE, 3);
        ck_assert_uint_eq(pool.n_keys, 1);
        ck_assert_uint_eq(fill(now), 2);
}
END_TEST

/* Who comes when all places are taken gets some of those who have most; then nobody has more than one
 * more than another. */
START_TEST(test_fair_between_users)
{
        ask(ALICE, 20);
        ask(BOB, 20);
        ck_assert_uint_eq(fill(io_now_usec()), 8);
        ask(BOB + 1, 20);
        (void) fill(io_now_usec());
        bury();
        ck_assert_uint_eq(pool.n, 8);
        ck_assert_uint_ge(count(ALICE), 2);
        ck_assert_uint_ge(count(BOB), 2);
        ck_assert_uint_ge(count(BOB + 1), 2);
}
END_TEST

/* Neither has to wait until the other has all. */
START_TEST(test_users_take_turns)
{
        uint64_t now = io_now_usec();

        ask(ALICE, 4);
        ask(BOB, 4);
        for (unsigned i = 0; i < 4; i++) {
                ck_assert(pool_refill(&pool, now));
                prime(made[n_made - 1], now);
        }
        ck_assert_uint_eq(count(ALICE), 2);
        ck_assert_uint_eq(count(BOB), 2);
}
END_TEST

/* Nor do the runtimes of one user. */
START_TEST(test_what_a_user_has_is_shared_by_his_keys)
{
        struct sandbox *s;

        policy.runtimes[1] = policy.runtimes[PYTHON];
        adopt();
        ask(ALICE, 20);
        ck_assert_uint_eq(fill(io_now_usec()), 4);
        for (unsigned i = 0; i < 20; i++)
                ck_assert_int_eq(claim(ALICE, 1, &s), -ENOENT);
        ck_assert_uint_eq(fill(io_now_usec()), 2);
        bury();
        ck_assert_uint_eq(pool.n, 4);
        ck_assert_uint_eq(LIST_FIRST(&pool.keys)->n_parked, 2);
}
END_TEST

/* All may hold so much together, and Alice asks for four. */
static void bound_memory(uint64_t bytes)
{
        policy.pool.max_memory = bytes;
        adopt();
        ask(ALICE, 4);
}

START_TEST(test_memory_is_bounded)
{
        uint64_t now = io_now_usec();

        bound_memory(80 * MIB);
        /* What is not known yet is taken to be much. */
        pool.n_cpus = 4;
        ck_assert(pool_refill(&pool, now));
        ck_assert(!pool_refill(&pool, now));
        prime(made[n_made - 1], now);
        /* At 10 MiB and one of the kernel's, there is room for more. */
        ck_assert_uint_eq(fill(now), 3);
        ck_assert_uint_eq(pool.bytes, 4 * 11 * MIB);
}
END_TEST

START_TEST(test_one_that_holds_more_than_was_expected)
{
        uint64_t now = io_now_usec();

        bound_memory(140 * MIB);
        pool.n_cpus = 2;
        ck_assert(pool_refill(&pool, now) && pool_refill(&pool, now));
        prime_with(made[0], now, 100 * MIB);
        prime_with(made[1], now, 100 * MIB);
        ck_assert_uint_eq(count(ALICE), 1);
        ck_assert_uint_eq(pool.bytes, 101 * MIB);
        /* Which is known now. */
        bury();
        ck_assert_uint_eq(fill(now), 0);
}
END_TEST

START_TEST(test_a_bound_below_what_is_expected)
{
        uint64_t now = io_now_usec();

        bound_memory(30 * MIB);
        ck_assert_uint_eq(fill(now), 2);
        ck_assert_uint_eq(pool.bytes, 2 * 11 * MIB);
}
END_TEST

START_TEST(test_one_that_there_is_no_room_for)
{
        uint64_t now = io_now_usec();

        bound_memory(70 * MIB);
        ck_assert_uint_eq(fill(now), 4);
        /* It holds 65 MiB, and of the others one stays. */
        ask(BOB, 1);
        LIST_FIRST(&pool.keys)->bytes = 64 * MIB;
        for (unsigned i = 0; i < 8; i++)
                if (pool_refill(&pool, now) && made[n_made - 1]->state == SANDBOX_PARKING)
                        prime(made[n_made - 1], now);
        ck_assert_uint_eq(count(ALICE), 4);
        ck_assert_uint_eq(count(BOB), 0);
        /* For that no other was given back. */
        ck_assert_uint_eq(n_made, 4);
}
END_TEST

START_TEST(test_idle_ones_are_given_back)
{
        uint64_t now = io_now_usec();

        ask(ALICE, 3);
        ck_assert_uint_eq(fill(now), 3);
        pool_inspect(&pool, now + USEC_PER_SEC);
        ck_assert_uint_eq(count(ALICE), 3);
        /* Not asked for so many of late: the minimum stays. */
        pool_inspect(&pool, now + 200 * USEC_PER_SEC);
        ck_assert_uint_eq(count(ALICE), 1);
        ck_assert_uint_eq(pool.n_keys, 1);
        pool_inspect(&pool, now + 301 * USEC_PER_SEC);
        bury();
        ck_assert_uint_eq(pool.n_sandboxes, 0);
        ck_assert_uint_eq(pool.n_keys, 0);
        ck_assert(!pool_refill(&pool, now + 301 * USEC_PER_SEC));
}
END_TEST

START_TEST(test_users_that_are_named_always_have_one)
{
        uint64_t now = io_now_usec();

        policy.pool.users = (struct policy_ids) { .n = 1, .ids = { ALICE } };
        adopt();
        ck_assert_uint_eq(fill(now), 1);
        ck_assert_uint_eq(count(ALICE), 1);
        pool_inspect(&pool, now + 1000 * USEC_PER_SEC);
        ck_assert_uint_eq(count(ALICE), 1);
        /* But not for ever the same. */
        pool_inspect(&pool, now + POOL_LIFE_USEC);
        ck_assert_uint_eq(count(ALICE), 0);
        ck_assert_uint_eq(fill(now + POOL_LIFE_USEC), 1);
}
END_TEST

START_TEST(test_shortage_of_memory)
{
        uint64_t now = io_now_usec();

        ask(ALICE, 3);
        ck_assert_uint_eq(fill(now), 3);
        pool.is_short = true;
        pool_inspect(&pool, now);
        ck_assert_uint_eq(count(ALICE), 0);
        ck_assert(!pool_refill(&pool, now));
        pool.is_short = false;
        ck_assert_uint_eq(fill(now), 3);
}
END_TEST

static const struct {
        const char *pressure;
        const char *meminfo;
        bool is_short;
} memory[] = {
        { NULL, NULL, false },
        { "some avg10=0.00 avg60=99.00 avg300=99.00 total=1\nfull avg10=99.00", NULL, false },
        { "some avg10=9.99 avg60=0.00", NULL, false },
        { "some avg10=10.00 avg60=0.00", NULL, true },
        /* A job that waits at its own limit. */
        { "some avg10=85.31 avg60=0.00", "MemTotal: 100 kB\nMemAvailable: 99 kB\n", false },
        { "some avg10=85.31 avg60=0.00", "MemTotal: 100 kB\nMemAvailable: 25 kB\n", false },
        { "some avg10=85.31 avg60=0.00", "MemTotal: 100 kB\nMemAvailable: 24 kB\n", true },
        { "some avg10=9.00 avg60=0.00", "MemTotal: 100 kB\nMemAvailable: 24 kB\n", false },
        { "some avg10=9.00 avg60=0.00", "MemTotal: 100 kB\nMemAvailable: 4 kB\n", true },
        { "nothing that is known", "MemTotal: 100 kB\nMemAvailable: 6 kB\n", false },
        { NULL, "MemTotal:     100 kB\nMemFree: 1 kB\nMemAvailable:   5 kB\n", false },
        { NULL, "MemTotal:     100 kB\nMemFree: 90 kB\nMemAvailable:   4 kB\n", true },
        { NULL, "MemTotal:     100 kB\n", false },
};

START_TEST(test_memory_is_short)
{
        ck_assert_int_eq(pool_memory_is_short(memory[_i].pressure, memory[_i].meminfo),
                memory[_i].is_short);
}
END_TEST

static void write_program(const char *path)
{
        char other[64];
        FILE *f;

        (void) snprintf(other, sizeof(other), "%s.new", path);
        f = fopen(other, "w");
        ck_assert_ptr_nonnull(f);
        ck_assert_int_eq(fclose(f), 0);
        ck_assert_int_eq(rename(other, path), 0);
}

/* What waits in an interpreter that was replaced is not what a job would find. */
START_TEST(test_an_interpreter_that_is_upgraded)
{
        uint64_t now = io_now_usec();
        char folder[] = "/tmp/test-pool-XXXXXX", path[64];

        ck_assert_ptr_nonnull(mkdtemp(folder));
        (void) snprintf(path, sizeof(path), "%s/python", folder);
        write_program(path);
        (void) str_copy(policy.runtimes[PYTHON].interpreter, POLICY_PATH_MAX, path);
        policy.runtimes[1] = policy.runtimes[PYTHON];
        policy.runtimes[1].interpreter[0] = '\0';
        adopt();
        ask(ALICE, 2);
        ask_for(1, ALICE, 1);
        ask(BOB, 1);
        ck_assert_uint_eq(fill(now), 4);
        pool_inspect(&pool, now);
        ck_assert_uint_eq(count(ALICE) + count(BOB), 4);
        write_program(path);
        pool_inspect(&pool, now);
        ck_assert_uint_eq(count(ALICE), 1);
        ck_assert_uint_eq(count(BOB), 0);
        ck_assert_uint_eq(fill(now), 3);
        /* Nor one that is gone. */
        ck_assert_int_eq(unlink(path), 0);
        pool_inspect(&pool, now);
        ck_assert_uint_eq(count(ALICE) + count(BOB), 1);
        bury();
        ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

/* --- time */

START_TEST(test_nothing_is_made_while_jobs_begin)
{
        uint64_t now = 1000 * USEC_PER_SEC;

        ask(ALICE, 2);
        pool.n_jobs = 1;
        pool.began_usec = pool.held_usec = now;
        ck_assert(!pool_refill(&pool, now + 19 * USEC_PER_MSEC));
        /* One that runs for long is not in the way. */
        ck_assert(pool_refill(&pool, now + 20 * USEC_PER_MSEC));
        prime(made[n_made - 1], now);
        pool.n_jobs = 0;
        pool.ended_usec = now + 30 * USEC_PER_MSEC;
        ck_assert(!pool_refill(&pool, now + 31 * USEC_PER_MSEC));
        ck_assert(pool_refill(&pool, now + 35 * USEC_PER_MSEC));
}
END_TEST

START_TEST(test_jobs_that_never_cease_to_begin)
{
        uint64_t now = io_now_usec();

        ask(ALICE, 2);
        pool_job_began(&pool);
        ck_assert_uint_ge(pool.held_usec, now);
        now = pool.held_usec;
        for (unsigned i = 1; i <= 99; i++) {
                pool.began_usec = now + i * 10 * USEC_PER_MSEC;
                ck_assert(!pool_refill(&pool, pool.began_usec));
        }
        ck_assert(pool_refill(&pool, now + USEC_PER_SEC));
        prime(made[0], now);
        pool_job_ended(&pool);
}
END_TEST

START_TEST(test_one_at_a_time_for_each_cpu)
{
        uint64_t now = io_now_usec();

        pool.n_cpus = 2;
        ask(ALICE, 4);
        ck_assert(pool_refill(&pool, now));
        ck_assert(pool_refill(&pool, now));
        ck_assert(!pool_refill(&pool, now));
        prime(made[0], now);
        ck_assert(pool_refill(&pool, now));
        ck_assert(!pool_refill(&pool, now));
}
END_TEST

/* Whose sandboxes take long to be made keeps no other user from having one, and gets no more himself. */
START_TEST(test_slow_ones_hold_up_their_user_alone)
{
        uint64_t now = io_now_usec();

        pool.n_cpus = 2;
        policy.pool.maximum = 64;
        adopt();
        ask(ALICE, 4);
        ck_assert(pool_refill(&pool, now));
        ck_assert(pool_refill(&pool, now));
        made[0]->started_usec = made[1]->started_usec = now;
        ask(BOB, 1);
        ck_assert(!pool_refill(&pool, now));
        now += 3 * USEC_PER_SEC;
        ck_assert(pool_refill(&pool, now));
        ck_assert_uint_eq(made[2]->place.owner, BOB);
        prime(made[2], now);
        ck_assert(!pool_refill(&pool, now));
        prime(made[0], now);
        ck_assert(pool_refill(&pool, now));
        ck_assert_uint_eq(made[3]->place.owner, ALICE);
}
END_TEST

/* Nor do many users that are all slow have more on their way than some. */
START_TEST(test_slow_ones_are_bounded)
{
        uint64_t now = io_now_usec();
        unsigned n = 0;

        policy.pool.maximum = 64;
        adopt();
        for (uid_t uid = ALICE; uid < ALICE + 20; uid++)
                ask(uid, 1);
        for (unsigned i = 0; i < 20; i++, now += 3 * USEC_PER_SEC)
                while (pool_refill(&pool, now)) {
                        made[n_made - 1]->started_usec = now;
                        n++;
                }
        ck_assert_uint_eq(n, 1 + 8);
}
END_TEST

START_TEST(test_those_that_die_are_made_ever_later)
{
        uint64_t now = io_now_usec(), pause = USEC_PER_SEC;
        struct sandbox *s;

        ask(ALICE, 1);
        for (unsigned i = 0; i < 8; i++) {
                struct pool_key *k = LIST_FIRST(&pool.keys);

                ck_assert(pool_refill(&pool, now));
                /* With or without having waited. */
                if (i % 2)
                        prime(made[n_made - 1], now);
                die(made[n_made - 1]);
                bury();
                ck_assert_uint_eq(pool.n, 0);
                ck_assert_uint_eq(k->pause.usec, pause);
                ck_assert(!pool_refill(&pool, k->pause.end_usec - 1));
                now = k->pause.end_usec;
                pause = MIN(2 * pause, 60 * USEC_PER_SEC);
        }
        ck_assert_uint_eq(fill(now), 1);
        ck_assert_int_eq(claim(ALICE, PYTHON, &s), 0);
        sandbox_free(s);
        ck_assert(pool_refill(&pool, now));
}
END_TEST

START_TEST(test_one_that_cannot_be_made)
{
        uint64_t now = io_now_usec();

        ask(ALICE, 1);
        park_answer = -EMFILE;
        ck_assert(pool_refill(&pool, now));
        ck_assert(!pool_refill(&pool, now));
        ck_assert_uint_eq(pool.n, 0);
        park_answer = 0;
        ck_assert(!pool_refill(&pool, now + USEC_PER_SEC - 1));
        ck_assert(pool_refill(&pool, now + USEC_PER_SEC));
}
END_TEST

/* --- other policies, and the end */

START_TEST(test_another_policy)
{
        uint64_t now = io_now_usec();
        struct sandbox *s;

        ask(ALICE, 2);
        ck_assert(pool_refill(&pool, now));
        prime(made[0], now);
        ck_assert(pool_refill(&pool, now));
        /* Runtimes have other places in it. */
        policy.runtimes[1] = policy.runtimes[0];
        (void) str_copy(policy.runtimes[0].name, POLICY_NAME_MAX, "other");
        adopt();
        ck_assert_uint_eq(pool.n_sandboxes, 0);
        ck_assert_uint_eq(fill(now), 2);
        ck_assert_int_eq(claim(ALICE, 1, &s), 0);
        ck_assert_uint_eq(s->runtime, 1);
        sandbox_free(s);
        policy.runtimes[1].park = false;
        adopt();
        ck_assert_uint_eq(pool.n_keys, 0);
        ck_assert_uint_eq(pool.n_sandboxes, 0);
}
END_TEST

START_TEST(test_none_at_all)
{
        struct sandbox *s;

        ask(ALICE, 2);
        ck_assert_uint_eq(fill(io_now_usec()), 2);
        policy.pool.maximum = 0;
        adopt();
        ck_assert_uint_eq(pool.n_sandboxes, 0);
        ck_assert_int_eq(claim(ALICE, PYTHON, &s), -ENOENT);
        ck_assert_uint_eq(pool.n_keys, 0);
}
END_TEST

START_TEST(test_stop)
{
        uint64_t now = io_now_usec();
        struct sandbox *s;

        ask(ALICE, 3);
        ck_assert(pool_refill(&pool, now));
        prime(made[0], now);
        ck_assert(pool_refill(&pool, now));
        pool_stop(&pool);
        ck_assert_uint_eq(pool.n, 0);
        ck_assert_uint_eq(pool.n_sandboxes, 2);
        ck_assert_int_eq(claim(ALICE, PYTHON, &s), -ENOENT);
        ck_assert(!pool_refill(&pool, now + USEC_PER_SEC));
        bury();
        ck_assert_uint_eq(pool.n_sandboxes, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("pool");
        TCase *tc = tcase_create("pool");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_one_user_s_is_none_of_another_s);
        tcase_add_test(tc, test_what_does_not_fit_is_made);
        tcase_add_test(tc, test_a_claim_that_fails);
        tcase_add_test(tc, test_claims_that_fail_for_another_reason);
        tcase_add_test(tc, test_keys_are_bounded);
        tcase_add_test(tc, test_as_many_as_were_asked_for_in_a_moment);
        tcase_add_test(tc, test_bounds);
        tcase_add_test(tc, test_bounds_of_a_runtime);
        tcase_add_test(tc, test_fair_between_users);
        tcase_add_test(tc, test_users_take_turns);
        tcase_add_test(tc, test_what_a_user_has_is_shared_by_his_keys);
        tcase_add_test(tc, test_memory_is_bounded);
        tcase_add_test(tc, test_one_that_holds_more_than_was_expected);
        tcase_add_test(tc, test_a_bound_below_what_is_expected);
        tcase_add_test(tc, test_one_that_there_is_no_room_for);
        tcase_add_test(tc, test_idle_ones_are_given_back);
        tcase_add_test(tc, test_users_that_are_named_always_have_one);
        tcase_add_test(tc, test_shortage_of_memory);
        tcase_add_loop_test(tc, test_memory_is_short, 0, ELEMENTSOF(memory));
        tcase_add_test(tc, test_an_interpreter_that_is_upgraded);
        tcase_add_test(tc, test_nothing_is_made_while_jobs_begin);
        tcase_add_test(tc, test_jobs_that_never_cease_to_begin);
        tcase_add_test(tc, test_one_at_a_time_for_each_cpu);
        tcase_add_test(tc, test_slow_ones_hold_up_their_user_alone);
        tcase_add_test(tc, test_slow_ones_are_bounded);
        tcase_add_test(tc, test_those_that_die_are_made_ever_later);
        tcase_add_test(tc, test_one_that_cannot_be_made);
        tcase_add_test(tc, test_another_policy);
        tcase_add_test(tc, test_none_at_all);
        tcase_add_test(tc, test_stop);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
