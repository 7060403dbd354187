/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When parked sandboxes are made, for whom, and when they are given back. Runs in the monitor.
 */
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/monitor/pool.h"

/* Nothing is made for so long after a job began, while one runs; or ended, when none does. */
#define BEGAN_USEC (20 * USEC_PER_MSEC)
#define ENDED_USEC (5 * USEC_PER_MSEC)
/* But one so often: who starts jobs without end is not to keep everybody's from being made. */
#define HELD_MOST_USEC (1 * USEC_PER_SEC)
/* One that takes longer holds up nobody but its user: so many of them at most. */
#define SLOW_USEC (3 * USEC_PER_SEC)
#define SLOW_MOST 8
/* Between two looks at what nobody wants any more. */
#define INSPECT_LEAST_USEC (50 * USEC_PER_MSEC)
#define INSPECT_MOST_USEC (2 * USEC_PER_SEC)
/* What one is taken to hold before one of its kind was measured, where the bound is not so small that none ever would
 * be; and what the kernel holds for each. */
#define UNKNOWN_BYTES (64 * MIB)
#define KERNEL_BYTES (1 * MIB)

static const struct policy_pool *settings(const struct pool *p)
{
        return &p->generation->policy->pool;
}

uint64_t pool_key_bytes(const struct pool *p, const struct pool_key *k)
{
        return (k->bytes ?: MIN(UNKNOWN_BYTES, settings(p)->max_memory / 2)) + KERNEL_BYTES;
}

bool pool_holds_too_much(const struct pool *p)
{
        return p->bytes > settings(p)->max_memory;
}

static bool is_idle(const struct pool *p, const struct pool_key *k, uint64_t now)
{
        return !k->kept && now >= k->asked_usec + settings(p)->idle_usec;
}

unsigned pool_key_wanted(const struct pool *p, struct pool_key *k, uint64_t now)
{
        const struct policy_runtime *rt = &p->generation->policy->runtimes[k->runtime_index];
        unsigned n = pool_demand_wanted(&k->demand, now);

        if (is_idle(p, k, now))
                return 0;
        if (k->kept)
                n = MAX(n, 1U);
        n = MIN(MAX(n, rt->park_minimum), rt->park_maximum);
        return MIN(n, settings(p)->maximum_per_user);
}

static bool user_has_room(const struct pool *p, const struct pool_user *u)
{
        return u->n < settings(p)->maximum_per_user;
}

/* Most of the kernel ids are for jobs that need a sandbox of their own. */
#define IDS_FRACTION 4

static unsigned maximum(const struct pool *p)
{
        const struct uid_pool *uids = p->host->uids;
        unsigned n = settings(p)->maximum;

        return uids ? MIN(n, uids->n_pairs / IDS_FRACTION) : n;
}

static bool has_room(const struct pool *p, const struct pool_key *k)
{
        return user_has_room(p, k->user) && p->n < maximum(p) &&
               p->bytes + pool_key_bytes(p, k) <= settings(p)->max_memory;
}

static bool is_missing(struct pool *p, struct pool_key *k, uint64_t now)
{
        return k->n_parked + k->n_parking < pool_key_wanted(p, k, now) && k->pause.end_usec <= now;
}

/* The one to give way where there is room for no more: the oldest of who has most, if that is more than who
 * asks would have then. Who has all that a user may have takes it from himself, else from another user. */
static struct sandbox *find_excess(const struct pool *p, const struct pool_key *asks)
{
        bool own = !user_has_room(p, asks->user);
        unsigned most = own ? asks->n_parked + asks->n_parking + 1 : asks->user->n + 1;
        struct sandbox *s, *found = NULL;

        TAILQ_FOREACH (s, &p->sandboxes, of_pool) {
                unsigned n;

                if (!s->key || !s->booked_parked || (own && s->key->user != asks->user))
                        continue;
                n = own ? s->key->n_parked + s->key->n_parking : s->key->user->n;
                if (n <= most)
                        continue;
                most = n;
                found = s;
        }
        return found;
}

static bool is_slow(const struct sandbox *s, uint64_t now)
{
        return now >= s->started_usec + SLOW_USEC;
}

/* Whether one more may be on its way, for some user at least: one a CPU, and those that are slow. */
static bool may_make(const struct pool *p, uint64_t now)
{
        const struct sandbox *s;
        unsigned n_slow = 0;

        if (p->n_parking < p->n_cpus)
                return true;
        TAILQ_FOREACH (s, &p->sandboxes, of_pool)
                n_slow += s->key && !s->booked_parked && is_slow(s, now);
        return p->n_parking < p->n_cpus + MIN(n_slow, SLOW_MOST);
}

/* Beyond one a CPU it is the turn of those who have none on its way: who has made others wait so long is not
 * to do it again. */
static bool may_make_for(const struct pool *p, const struct pool_user *u)
{
        return p->n_parking < p->n_cpus || u->n_parking == 0;
}

struct pool_key *pool_choose(struct pool *p, uint64_t now)
{
        struct pool_key *best = NULL, *k;
        unsigned most = 0;

        LIST_FOREACH (k, &p->keys, entries) {
                unsigned n;

                if (!is_missing(p, k, now) || !may_make_for(p, k->user) ||
                        (!has_room(p, k) && !find_excess(p, k)))
                        continue;
                n = pool_key_wanted(p, k, now) - k->n_parked - k->n_parking;
                /* Users take turns; of one user's keys the one that lacks most goes first. */
                if (best && k->user->served > best->user->served)
                        continue;
                if (best && k->user == best->user && n <= most)
                        continue;
                best = k;
                most = n;
        }
        return best;
}

static uint64_t bytes_of_oldest(const struct pool *p, const struct pool_user *u, unsigned n)
{
        const struct sandbox *s;
        uint64_t bytes = 0;

        TAILQ_FOREACH (s, &p->sandboxes, of_pool)
                if (n > 0 && s->key && s->booked_parked && s->key->user == u) {
                        bytes += s->booked_bytes;
                        n--;
                }
        return bytes;
}

/* What find_excess() would come to, called until it finds none. */
static uint64_t excess_bytes(const struct pool *p, const struct pool_key *asks)
{
        const struct sandbox *s = find_excess(p, asks);
        const struct pool_user *u;
        uint64_t bytes = 0;

        /* Who has all that a user may have gives but for that. */
        if (!user_has_room(p, asks->user))
                return s ? s->booked_bytes * (asks->user->n + 1 - settings(p)->maximum_per_user)
                         : 0;
        LIST_FOREACH (u, &p->users, entries)
                bytes += bytes_of_oldest(p, u, u->n - MIN(u->n, asks->user->n + 1));
        return bytes;
}

/* None is given back for nothing. */
static bool make_room(struct pool *p, const struct pool_key *k)
{
        struct sandbox *s;

        if (p->bytes + pool_key_bytes(p, k) > settings(p)->max_memory + excess_bytes(p, k))
                return false;
        while (!has_room(p, k)) {
                s = find_excess(p, k);
                if (!s)
                        return false;
                pool_discard(p, s);
        }
        return true;
}

/* A name that no job has. */
static int choose_id(uint64_t *ret)
{
        if (getrandom(ret, sizeof(*ret), 0) != sizeof(*ret))
                return -errno;
        *ret |= CHANNEL_ID_PARKED;
        return 0;
}

static int park(struct pool *p, struct pool_key *k)
{
        struct sandbox_parking m = {
                .owner = k->user->uid,
                .profile = k->profile_index,
                .runtime = k->runtime_index,
                .life_usec = POOL_LIFE_USEC,
        };
        struct sandbox *s;
        int r;

        r = choose_id(&m.id);
        if (r == 0)
                r = sandbox_park(p->host, p->generation, &m, &s);
        if (r < 0)
                return r;
        k->user->served = ++p->turns;
        s->key = k;
        s->booked_bytes = pool_key_bytes(p, k);
        TAILQ_INSERT_TAIL(&p->sandboxes, s, of_pool);
        p->n_sandboxes++;
        p->n++;
        p->n_parking++;
        k->user->n_parking++;
        p->held_usec = io_now_usec();
        p->bytes += s->booked_bytes;
        k->n_parking++;
        k->user->n++;
        return 0;
}

static bool read_shortage(void)
{
        _cleanup_free_ char *pressure = NULL, *meminfo = NULL;

        (void) io_read_file(AT_FDCWD, "/proc/pressure/memory", 4096, &pressure, NULL);
        (void) io_read_file(AT_FDCWD, "/proc/meminfo", 64 * KIB, &meminfo, NULL);
        return pool_memory_is_short(pressure, meminfo);
}

/* When nothing of a job is in the way. */
static uint64_t jobs_hold_until(const struct pool *p)
{
        return p->n_jobs > 0 ? p->began_usec + BEGAN_USEC : p->ended_usec + ENDED_USEC;
}

/* When the next one may be made; 0: now. */
static uint64_t quiet_from(const struct pool *p, uint64_t now)
{
        uint64_t from = MIN(jobs_hold_until(p), p->held_usec + HELD_MOST_USEC);

        return from > now ? from : 0;
}

static void set_timer(sd_event_source *source, uint64_t usec)
{
        (void) sd_event_source_set_time(source, usec);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

bool pool_refill(struct pool *p, uint64_t now)
{
        struct pool_key *k;
        int r;

        if (p->stopped || p->is_short || !may_make(p, now) || quiet_from(p, now) > 0)
                return false;
        k = pool_choose(p, now);
        if (!k)
                return false;
        if (!make_room(p, k)) {
                /* What others gave for it, if so, they get back: not to be taken from them again at once. */
                pool_pause_begin(&k->pause, now);
                return true;
        }
        r = park(p, k);
        if (r < 0) {
                pool_pause_begin(&k->pause, now);
                log_warning("no sandbox can be parked for %s of uid %u (%s)", k->runtime,
                        (unsigned) k->user->uid, strerror(-r));
        }
        return true;
}

static int on_refill(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct pool *p = userdata;
        uint64_t now = io_now_usec();

        /* One at a time, so that whatever jobs need comes in between. */
        if (pool_refill(p, now) || quiet_from(p, now) > 0)
                pool_schedule(p);
        return 0;
}

static uint64_t inspect_usec(const struct pool *p)
{
        return MIN(MAX(settings(p)->idle_usec / 4, INSPECT_LEAST_USEC), INSPECT_MOST_USEC);
}

void pool_schedule(struct pool *p)
{
        uint64_t now, quiet;
        int on;

        /* Each job comes by here twice, also where nothing is ever parked. */
        if (p->stopped || !p->generation || p->n_keys == 0)
                return;
        now = io_now_usec();
        quiet = quiet_from(p, now);
        if (may_make(p, now))
                set_timer(p->refill, quiet ?: now);
        if (sd_event_source_get_enabled(p->inspection, &on) >= 0 && on == SD_EVENT_OFF)
                set_timer(p->inspection, now + inspect_usec(p));
}

void pool_job_began(struct pool *p)
{
        uint64_t now = io_now_usec();

        if (jobs_hold_until(p) <= now)
                p->held_usec = now;
        p->n_jobs++;
        p->began_usec = now;
        pool_schedule(p);
}

void pool_job_ended(struct pool *p)
{
        ASSERT(p->n_jobs > 0);
        p->n_jobs--;
        p->ended_usec = io_now_usec();
        pool_schedule(p);
}

/* Those above what is wanted, and those that are too old. */
static void trim(struct pool *p, struct pool_key *k, uint64_t now)
{
        unsigned wanted = pool_key_wanted(p, k, now);
        struct sandbox *s;

        while ((s = TAILQ_FIRST(&k->parked)) &&
                (k->n_parked > wanted || now - s->parked_usec >= POOL_LIFE_USEC))
                pool_discard(p, s);
}

/* None while there is no such file. */
static struct pool_program find_program(const char *path)
{
        struct stat st;

        if (stat(path, &st) < 0)
                return (struct pool_program) {};
        return (struct pool_program) { st.st_dev, st.st_ino, st.st_mtim };
}

static bool is_same_program(const struct pool_program *a, const struct pool_program *b)
{
        return a->device == b->device && a->inode == b->inode &&
               a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void discard_runtime(struct pool *p, uint32_t runtime)
{
        struct pool_key *k;

        LIST_FOREACH (k, &p->keys, entries)
                if (k->runtime_index == runtime) {
                        pool_discard_all(p, k);
                        k->bytes = 0;
                }
}

void pool_note_programs(struct pool *p)
{
        const struct policy *policy = p->generation->policy;

        for (uint32_t i = 0; i < policy->n_runtimes; i++) {
                struct pool_program program;

                if (!policy->runtimes[i].park)
                        continue;
                program = find_program(policy->runtimes[i].interpreter);
                if (is_same_program(&program, &p->programs[i]))
                        continue;
                p->programs[i] = program;
                discard_runtime(p, i);
        }
}

void pool_inspect(struct pool *p, uint64_t now)
{
        struct pool_key *k, *next;

        pool_note_programs(p);
        for (k = LIST_FIRST(&p->keys); k; k = next) {
                next = LIST_NEXT(k, entries);
                if (p->is_short)
                        pool_discard_all(p, k);
                else
                        trim(p, k, now);
                if (is_idle(p, k, now) && k->n_parked == 0 && k->n_parking == 0)
                        pool_drop_key(p, k);
        }
}

static int on_inspection(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct pool *p = userdata;
        bool was_short = p->is_short;

        p->is_short = read_shortage();
        if (p->is_short && !was_short)
                log_notice("the host is short of memory: %u parked sandboxes are given back", p->n);
        pool_inspect(p, io_now_usec());
        pool_schedule(p);
        return 0;
}

int pool_refill_init(struct pool *p)
{
        sd_event *event = p->host->event;
        int r;

        r = sd_event_add_time(event, &p->refill, CLOCK_MONOTONIC, 0, USEC_PER_MSEC, on_refill, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->refill, SD_EVENT_OFF);
        /* After whatever jobs need. */
        if (r >= 0)
                r = sd_event_source_set_priority(p->refill, SD_EVENT_PRIORITY_IDLE);
        if (r >= 0)
                r = sd_event_add_time(event, &p->inspection, CLOCK_MONOTONIC, 0, 50 * USEC_PER_MSEC,
                        on_inspection, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->inspection, SD_EVENT_OFF);
        return MIN(r, 0);
}
