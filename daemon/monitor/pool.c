/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The books of the pool: keys, users, and claims. Runs in the monitor. A claim is a START that was checked
 * as every other; that it gets a sandbox which is there already changes nothing of what it may ask for.
 */
#include "daemon/monitor/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"

/* What a job must be allowed beyond what its sandbox holds already, lest it begins with being killed. */
#define MEMORY_ROOM (8 * MIB)

static struct pool_user *find_user(const struct pool *p, uid_t uid)
{
        struct pool_user *u;

        LIST_FOREACH (u, &p->users, entries)
                if (u->uid == uid)
                        return u;
        return NULL;
}

static struct pool_user *take_user(struct pool *p, uid_t uid)
{
        struct pool_user *u = find_user(p, uid);

        if (u)
                return u;
        u = calloc(1, sizeof(*u));
        if (!u)
                return NULL;
        u->uid = uid;
        LIST_INSERT_HEAD(&p->users, u, entries);
        return u;
}

static void release_user(struct pool_user *u)
{
        if (u->n_keys > 0)
                return;
        LIST_REMOVE(u, entries);
        free(u);
}

static struct pool_key *find_key(const struct pool *p, uid_t uid, uint32_t runtime,
        uint32_t profile)
{
        struct pool_key *k;

        LIST_FOREACH (k, &p->keys, entries)
                if (k->user->uid == uid && k->runtime_index == runtime &&
                        k->profile_index == profile)
                        return k;
        return NULL;
}

static bool is_in_use(const struct pool_key *k)
{
        return k->kept || k->n_parked > 0 || k->n_parking > 0;
}

/* Has the one that was asked for longest ago, and has nothing, give way to another. */
static bool make_room_for_key(struct pool *p)
{
        struct pool_key *k, *last = NULL;

        if (p->n_keys < POOL_KEYS_MAX)
                return true;
        LIST_FOREACH (k, &p->keys, entries)
                if (!is_in_use(k))
                        last = k;
        if (last)
                pool_drop_key(p, last);
        return last != NULL;
}

static struct pool_key *new_key(struct pool *p, uid_t uid, uint32_t runtime, uint32_t profile)
{
        const struct policy *policy = p->generation->policy;
        struct pool_user *u;
        struct pool_key *k;

        if (!make_room_for_key(p))
                return NULL;
        u = take_user(p, uid);
        if (!u)
                return NULL;
        k = calloc(1, sizeof(*k));
        if (!k) {
                release_user(u);
                return NULL;
        }
        k->user = u;
        k->runtime_index = runtime;
        k->profile_index = profile;
        (void) str_copy(k->runtime, sizeof(k->runtime), policy->runtimes[runtime].name);
        (void) str_copy(k->profile, sizeof(k->profile), policy->profiles[profile].name);
        TAILQ_INIT(&k->parked);
        LIST_INSERT_HEAD(&p->keys, k, entries);
        u->n_keys++;
        p->n_keys++;
        return k;
}

static struct pool_key *take_key(struct pool *p, uid_t uid, uint32_t runtime, uint32_t profile)
{
        struct pool_key *k = find_key(p, uid, runtime, profile);

        if (!k)
                return new_key(p, uid, runtime, profile);
        LIST_REMOVE(k, entries);
        LIST_INSERT_HEAD(&p->keys, k, entries);
        return k;
}

void pool_drop_key(struct pool *p, struct pool_key *k)
{
        ASSERT(k->n_parked == 0 && k->n_parking == 0);
        LIST_REMOVE(k, entries);
        p->n_keys--;
        k->user->n_keys--;
        release_user(k->user);
        free(k);
}

/* One less is on its way. */
static void note_made(struct pool *p, struct pool_key *k)
{
        p->n_parking--;
        k->n_parking--;
        k->user->n_parking--;
}

/* From here on it counts for nobody. */
static void unbook(struct pool *p, struct sandbox *s)
{
        struct pool_key *k = s->key;

        if (!k)
                return;
        if (s->booked_parked) {
                TAILQ_REMOVE(&k->parked, s, of_key);
                k->n_parked--;
        } else {
                note_made(p, k);
        }
        s->key = NULL;
        s->booked_parked = false;
        k->user->n--;
        p->n--;
        p->bytes -= s->booked_bytes;
}

void pool_discard(struct pool *p, struct sandbox *s)
{
        unbook(p, s);
        sandbox_discard(s);
}

void pool_discard_all(struct pool *p, struct pool_key *k)
{
        struct sandbox *s, *next;

        for (s = TAILQ_FIRST(&p->sandboxes); s; s = next) {
                next = TAILQ_NEXT(s, of_pool);
                if (s->key == k)
                        pool_discard(p, s);
        }
}

/* It has a job, or is no more. */
static void take_out(struct pool *p, struct sandbox *s)
{
        TAILQ_REMOVE(&p->sandboxes, s, of_pool);
        p->n_sandboxes--;
}

static bool is_parkable(const struct policy_runtime *rt)
{
        return rt->park && rt->available && rt->park_maximum > 0;
}

/* Whether what is parked would be the same as what is asked for. */
static bool fits(const struct pool *p, const struct generation *g, const struct channel_start *m)
{
        const struct policy_runtime *rt = &g->policy->runtimes[m->runtime];
        const struct limits *defaults = &g->policy->profiles[m->profile].defaults;

        if (!(m->flags & CHANNEL_START_WARM) || g != p->generation || p->stopped ||
                !is_parkable(rt) || g->policy->pool.maximum == 0)
                return false;
        /* Mounts are made already, and what shows the number of CPUs. */
        return m->limits.value[LIMIT_TMP_SIZE] == defaults->value[LIMIT_TMP_SIZE] &&
               ROUND_UP(m->limits.value[LIMIT_CPU_QUOTA], UINT64_C(100)) ==
                       ROUND_UP(defaults->value[LIMIT_CPU_QUOTA], UINT64_C(100));
}

/* Whether a job's limits are above what it holds already. Of its processes and threads one is gone before the
 * job begins: in its place there can be one of the job's. */
static bool allows(const struct limits *limits, const struct sandbox *s)
{
        return limits->value[LIMIT_MEMORY] >= s->parked_bytes + MEMORY_ROOM &&
               limits->value[LIMIT_PIDS] >= s->parked_pids;
}

int pool_claim(struct pool *p, struct generation *g, const struct channel_start *m, int *fds,
        struct sandbox **ret)
{
        struct pool_key *k;
        struct sandbox *s;
        uint64_t now;
        int r;

        if (!fits(p, g, m))
                return -ENOENT;
        k = take_key(p, m->owner, m->runtime, m->profile);
        if (!k)
                return -ENOENT;
        now = io_now_usec();
        pool_demand_note(&k->demand, now);
        k->asked_usec = now;
        while ((s = TAILQ_FIRST(&k->parked))) {
                if (!allows(&m->limits, s))
                        return -ENOENT;
                unbook(p, s);
                r = sandbox_claim(s, g, m, fds);
                if (r == 0) {
                        take_out(p, s);
                        pool_pause_reset(&k->pause);
                        *ret = s;
                        return 0;
                }
                sandbox_discard(s);
                pool_pause_begin(&k->pause, now);
                log_warning("a parked sandbox of uid %u for %s could not be claimed (%s)",
                        (unsigned) k->user->uid, k->runtime, strerror(-r));
                /* What is wrong with one that lives will be with the others: the job does not wait for that. */
                if (r != -ESRCH)
                        break;
        }
        return -ENOENT;
}

void pool_on_parked(struct pool *p, struct sandbox *s)
{
        struct pool_key *k = s->key;

        if (!k)
                return;
        note_made(p, k);
        k->n_parked++;
        s->booked_parked = true;
        TAILQ_INSERT_TAIL(&k->parked, s, of_key);
        k->bytes = MAX(s->parked_bytes,
                UINT64_C(1)); /* known to be little, in one without a command */
        p->bytes = p->bytes - s->booked_bytes + pool_key_bytes(p, k);
        s->booked_bytes = pool_key_bytes(p, k);
        log_debug("parked: %s for uid %u in %" PRIu64 " us", k->runtime, (unsigned) k->user->uid,
                s->parked_usec - s->started_usec);
        if (pool_holds_too_much(p)) {
                log_notice("a parked sandbox of uid %u for %s holds %" PRIu64
                           " MiB, more than [Pool] MaxMemory= has left: it is given back",
                        (unsigned) k->user->uid, k->runtime, k->bytes / MIB);
                pool_discard(p, s);
        }
        pool_schedule(p);
}

/* Nothing is wrong then: before the service itself, systemd stops all scopes and makes none. The error is what
 * sd-bus has for org.freedesktop.systemd1.TransactionIsDestructive. */
static bool is_of_shutdown(const struct sandbox *s)
{
        return s->stopped || (s->ending.step == SETUP_STEP_SCOPE && s->ending.error == EDEADLK);
}

static void log_lost(const struct pool_key *k, const struct sandbox *s)
{
        bool failed = s->ending.step != SETUP_STEP_NONE;

        if (is_of_shutdown(s)) {
                log_debug("a parked sandbox of uid %u for %s was stopped by systemd",
                        (unsigned) k->user->uid, k->runtime);
                return;
        }
        log_warning("a parked sandbox of uid %u for %s died%s%s%s%s%s: the next one is made "
                    "in %" PRIu64 " s",
                (unsigned) k->user->uid, k->runtime, failed ? " (step " : "",
                failed ? setup_step_name(s->ending.step) : "", failed ? ", " : "",
                failed ? strerror(s->ending.error) : "", failed ? ")" : "",
                k->pause.usec / USEC_PER_SEC);
}

/* One that nobody claimed, and that we did not end. */
void pool_on_lost(struct pool *p, struct sandbox *s)
{
        struct pool_key *k = s->key;

        if (k) {
                unbook(p, s);
                pool_pause_begin(&k->pause, io_now_usec());
                log_lost(k, s);
        }
        pool_schedule(p);
}

void pool_on_replaced(struct pool *p, struct sandbox *s, const struct generation *g)
{
        struct pool_key *k;

        TAILQ_INSERT_TAIL(&p->sandboxes, s, of_pool);
        p->n_sandboxes++;
        /* In another policy its indices may be another kind's. */
        k = g == p->generation ? find_key(p, s->place.owner, s->runtime, s->profile) : NULL;
        if (k)
                pool_pause_begin(&k->pause, io_now_usec());
}

void pool_on_gone(struct pool *p, struct sandbox *s)
{
        take_out(p, s);
        sandbox_free(s);
        pool_schedule(p);
}

void pool_abandon(struct pool *p)
{
        struct sandbox *s;

        while ((s = TAILQ_FIRST(&p->sandboxes))) {
                unbook(p, s);
                take_out(p, s);
                sandbox_abandon(s);
        }
}

/* A key lives on where the new policy has runtime and profile by their names. */
static bool adopt_key(const struct policy *policy, struct pool_key *k)
{
        const struct policy_runtime *rt = policy_find_runtime(policy, k->runtime);
        const struct policy_profile *profile = policy_find_profile(policy, k->profile);

        if (!rt || !profile || !is_parkable(rt))
                return false;
        k->runtime_index = (uint32_t) (rt - policy->runtimes);
        k->profile_index = (uint32_t) (profile - policy->profiles);
        k->kept = false;
        k->bytes = 0;
        pool_pause_reset(&k->pause);
        return true;
}

/* Those that [Pool] Users= has: there is something for them before they ask. */
static void keep_keys(struct pool *p)
{
        const struct policy *policy = p->generation->policy;
        const struct policy_profile *profile = policy_find_profile(policy, POLICY_DEFAULT_PROFILE);
        uint32_t index = (uint32_t) (profile - policy->profiles);

        for (uint32_t i = 0; i < policy->pool.users.n; i++)
                for (uint32_t r = 0; r < policy->n_runtimes; r++) {
                        struct pool_key *k;

                        if (!is_parkable(&policy->runtimes[r]))
                                continue;
                        k = take_key(p, policy->pool.users.ids[i], r, index);
                        if (k)
                                k->kept = true;
                }
}

void pool_adopt(struct pool *p, struct generation *g)
{
        struct pool_key *k, *next;

        for (k = LIST_FIRST(&p->keys); k; k = LIST_NEXT(k, entries))
                pool_discard_all(p, k);
        (void) generation_unref(p->generation);
        p->generation = generation_ref(g);
        for (k = LIST_FIRST(&p->keys); k; k = next) {
                next = LIST_NEXT(k, entries);
                if (g->policy->pool.maximum == 0 || !adopt_key(g->policy, k))
                        pool_drop_key(p, k);
        }
        pool_note_programs(p);
        if (g->policy->pool.maximum > 0)
                keep_keys(p);
        pool_schedule(p);
}

void pool_stop(struct pool *p)
{
        struct pool_key *k, *next;

        p->stopped = true;
        for (k = LIST_FIRST(&p->keys); k; k = next) {
                next = LIST_NEXT(k, entries);
                pool_discard_all(p, k);
                pool_drop_key(p, k);
        }
        pool_schedule(p);
}

int pool_init(struct pool *p, struct sandbox_host *host)
{
        long n = sysconf(_SC_NPROCESSORS_ONLN);

        *p = (struct pool) { .host = host, .n_cpus = n > 0 ? (unsigned) n : 1 };
        LIST_INIT(&p->keys);
        LIST_INIT(&p->users);
        TAILQ_INIT(&p->sandboxes);
        return pool_refill_init(p);
}

void pool_done(struct pool *p)
{
        if (!p->host)
                return;
        pool_abandon(p);
        pool_stop(p);
        p->generation = generation_unref(p->generation);
        p->refill = sd_event_source_disable_unref(p->refill);
        p->inspection = sd_event_source_disable_unref(p->inspection);
}
