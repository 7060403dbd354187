/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scope driver against a systemd of the test's own (fixture-pid1.h): what it asks for, what it makes
 * of every answer and of none, and what it stops. The leaves in a scope need real cgroups and are
 * tested in tests/system: this program has its own scope_leaves_make(), which the linker takes instead.
 */
#include <check.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>

#include "common/io.h"
#include "daemon/monitor/scope-leaves.h"
#include "daemon/monitor/scope.h"
#include "tests/unit/fixture-pid1.h"

#define OWNER 2001
#define FIRST UINT64_C(0x5000000000000001)
#define JOBS_MAX 256
/* Longer than anything here takes; a test that comes to its end has failed. */
#define PATIENCE_USEC (20 * USEC_PER_SEC)
/* In which what must not happen would have. */
#define MOMENT_USEC (200 * USEC_PER_MSEC)
/* The driver's deadlines: one that shall not pass, and one that shall. */
#define LONG_USEC (60 * USEC_PER_SEC)
#define SHORT_USEC (300 * USEC_PER_MSEC)

/* A sandbox as the driver sees it. */
struct job {
        struct placement place;
        unsigned n_made, n_stopped, n_explained;
        int made;
        bool explained;
        char detail[128];
};

static sd_event *event;
static struct driver *driver;
static struct job jobs[JOBS_MAX];
static size_t fds_before;

/* --- leaves without cgroups */

static int leaves_answer;
static int leaves_fail_once; /* the next answer alone */
static unsigned n_leaves, n_leaves_removed;

int scope_read_mounts(char **ret)
{
        *ret = strdup("");
        return *ret ? 0 : -ENOMEM;
}

unsigned scope_root_controllers(const char *mount)
{
        return CGROUP_NEEDED;
}

int scope_leaves_make(const char *mounts, pid_t pid, const char *name, struct leaves *ret,
        struct error *ret_error)
{
        int r = leaves_fail_once < 0 ? leaves_fail_once : leaves_answer;

        leaves_fail_once = 0;
        ck_assert_int_eq(pid, getpid());
        n_leaves++;
        if (r < 0)
                return error_set(ret_error, r, "no leaves");
        leaves_init(ret);
        ret->n = 1;
        return 0;
}

int scope_leaves_remove(struct leaves *l)
{
        n_leaves_removed++;
        l->n = 0;
        return 0;
}

/* --- a loop, a systemd, a driver */

static size_t count_fds(void)
{
        DIR *d = opendir("/proc/self/fd");
        size_t n = 0;

        ck_assert_ptr_nonnull(d);
        while (readdir(d))
                n++;
        (void) closedir(d);
        return n;
}

static void setup(void)
{
        fds_before = count_fds();
        memset(jobs, 0, sizeof(jobs));
        leaves_answer = leaves_fail_once = 0;
        n_leaves = n_leaves_removed = 0;
        ck_assert_int_ge(sd_event_new(&event), 0);
        fake_setup(event);
        fake_listen();
}

static void teardown(void)
{
        if (driver)
                driver_free(driver);
        driver = NULL;
        fake_unlisten();
        event = sd_event_unref(event);
        ck_assert_uint_eq(count_fds(), fds_before);
}

static void new_driver(uint64_t timeout_usec, uint64_t sweep_usec)
{
        const struct scope_settings settings = {
                .pid1 = fake.address,
                .timeout_usec = timeout_usec,
                .sweep_usec = sweep_usec,
        };
        struct error error = {};

        ck_assert_msg(scope_driver_make(event, &settings, &driver, &error) == 0, "%s", error.text);
}

static void run_for(uint64_t usec)
{
        uint64_t now, end = io_now_usec() + usec;

        while ((now = io_now_usec()) < end)
                ck_assert_int_ge(sd_event_run(event, end - now), 0);
}

/* Runs the loop until something is so. */
#define RUN_UNTIL(condition)                                                                       \
        do {                                                                                       \
                uint64_t _end = io_now_usec() + PATIENCE_USEC;                                     \
                while (!(condition)) {                                                             \
                        ck_assert_msg(io_now_usec() < _end, "never: %s\n%.2000s", #condition,      \
                                fake.history);                                                     \
                        ck_assert_int_ge(sd_event_run(event, 50 * USEC_PER_MSEC), 0);              \
                }                                                                                  \
        } while (0)

static void on_made(struct placement *p, int r, const char *detail)
{
        struct job *j = container_of(p, struct job, place);

        j->n_made++;
        j->made = r;
        ck_assert_ptr_nonnull(detail);
        ck_assert_int_eq(str_copy(j->detail, sizeof(j->detail), detail), 0);
        ck_assert(r < 0 || p->leaves.n > 0);
}

static void on_stopped(struct placement *p)
{
        container_of(p, struct job, place)->n_stopped++;
}

static void on_explained(struct placement *p, bool stopped)
{
        struct job *j = container_of(p, struct job, place);

        j->n_explained++;
        j->explained = stopped;
}

static struct job *begin(unsigned i)
{
        struct job *j = &jobs[i];
        struct error error = {};

        ck_assert_uint_lt(i, JOBS_MAX);
        *j = (struct job) { .place = {
                                    .id = FIRST + i,
                                    .owner = OWNER,
                                    .made = on_made,
                                    .stopped = on_stopped,
                                    .explained = on_explained,
                            } };
        j->place.limits.value[LIMIT_WALL_TIME] = 7 * USEC_PER_SEC;
        j->place.limits.value[LIMIT_MEMORY] = 100 * MIB;
        j->place.limits.value[LIMIT_CPU_QUOTA] = 50;
        j->place.limits.value[LIMIT_PIDS] = 40;
        leaves_init(&j->place.leaves);
        ck_assert_int_eq(driver->ops->make(driver, &j->place, getpid(), &error), 0);
        return j;
}

static int settle(struct job *j)
{
        return driver->ops->settle(driver, &j->place);
}

static int explain(struct job *j)
{
        return driver->ops->explain(driver, &j->place);
}

static void detach(struct job *j)
{
        driver->ops->detach(driver, &j->place);
        ck_assert_ptr_null(j->place.scope);
}

static const char *unit_of(unsigned i)
{
        static char name[64];

        (void) snprintf(name, sizeof(name), "sandbox-%016" PRIx64 ".scope", FIRST + i);
        return name;
}

static bool has_happened(const char *what, unsigned i)
{
        char line[96];

        (void) snprintf(line, sizeof(line), "%s %s\n", what, unit_of(i));
        return strstr(fake.history, line) != NULL;
}

/* A job whose scope is there. */
static struct job *begin_made(unsigned i)
{
        struct job *j = begin(i);

        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, 0);
        return j;
}

/* --- what is asked for */

START_TEST(test_properties)
{
        static const char expected[] =
                "Description=s Sandbox of job 5000000000000001 for uid 2001\n"
                "Slice=s sandbox-u2001.slice\n"
                "PIDs=au [%d]\n"
                "CollectMode=s inactive-or-failed\n"
                "PartOf=as [sandboxd.service]\n"
                "After=as [sandboxd.service]\n"
                "MemoryMax=t 121634816\n" /* and 16 MiB */
                "MemorySwapMax=t 0\n"
                "TasksMax=t 48\n"               /* and 8 */
                "CPUQuotaPerSecUSec=t 600000\n" /* and 10 % */
                "RuntimeMaxUSec=t 52000000\n"   /* and 45 s */
                "Delegate=b 1\n"
                "OOMPolicy=s continue\n"
                "KillSignal=i 9\n"
                "TimeoutStopUSec=t 5000000\n";
        char text[1024];

        new_driver(LONG_USEC, LONG_USEC);
        (void) begin_made(0);
        (void) snprintf(text, sizeof(text), expected, (int) getpid());
        ck_assert_str_eq(fake.properties, text);
        ck_assert_str_eq(fake.mode, "fail");
        ck_assert_str_eq(fake.history, "list\nstart sandbox-5000000000000001.scope\n");
        detach(&jobs[0]);
}
END_TEST

/* Nobody but init itself empties the scope of a sandbox that lived. */
START_TEST(test_made)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        ck_assert_str_eq(driver->ops->name, "scope");
        ck_assert(driver->ops->needs_init);
        ck_assert_uint_eq(driver->missing, 0);
        j = begin(0);
        ck_assert_int_eq(settle(j), -EBUSY);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, 0);
        ck_assert_int_eq(settle(j), 0);
        j->place.inhabited = true;
        ck_assert_int_eq(driver->ops->remove(driver, &j->place), 0);
        ck_assert_uint_eq(n_leaves_removed, 1);
        detach(j);
        run_for(MOMENT_USEC);
        ck_assert_uint_eq(j->n_made, 1);
        ck_assert_uint_eq(j->n_stopped, 0);
        ck_assert_uint_eq(fake.n_stopped, 0);
}
END_TEST

START_TEST(test_bound_in_flight)
{
        unsigned made = 0;

        new_driver(LONG_USEC, LONG_USEC);
        fake.mute = true;
        for (unsigned i = 0; i < 200; i++)
                (void) begin(i);
        RUN_UNTIL(fake.n_held == 64);
        run_for(MOMENT_USEC);
        ck_assert_uint_eq(fake.n_held, 64);
        /* An answer to the call is not the end of it. */
        fake.idle = true;
        fake_release();
        run_for(MOMENT_USEC);
        ck_assert_uint_eq(fake.n_started, 64);
        fake.idle = false;
        for (unsigned i = 0; i < 64; i++)
                fake_end_job(fake_find(unit_of(i)), "done");
        for (unsigned i = 0; i < 200; i++)
                RUN_UNTIL(jobs[i].n_made > 0);
        for (unsigned i = 0; i < 200; i++) {
                made += jobs[i].made == 0;
                ck_assert_uint_eq(jobs[i].n_made, 1);
                detach(&jobs[i]);
        }
        ck_assert_uint_eq(made, 200);
        ck_assert_uint_eq(fake.n_started, 200);
}
END_TEST

/* --- what goes wrong */

START_TEST(test_refused)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        fake.refuse_name = "org.freedesktop.systemd1.UnitMasked";
        fake.refuse_message = "Unit sandbox-u2001.slice is masked.";
        j = begin(0);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_lt(j->made, 0);
        ck_assert_ptr_nonnull(strstr(j->detail, "Unit sandbox-u2001.slice is masked"));
        ck_assert_int_eq(settle(j), 0);
        ck_assert_int_eq(explain(j), -EOPNOTSUPP);
        ck_assert_uint_eq(n_leaves, 0);
        detach(j);

        /* An errno among the errors, without words. */
        fake.refuse_name = "System.Error.ENOSPC";
        fake.refuse_message = "";
        j = begin(1);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, -ENOSPC);
        detach(j);

        fake.refuse_name = NULL;
        detach(begin_made(2));
}
END_TEST

START_TEST(test_strange_answer)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        fake.strange_job = "/org/freedesktop/systemd1/job/"
                           "0000000000000000000000000000000000000000000000000000000000000001";
        j = begin(0);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, -EBADMSG);
        detach(j);
}
END_TEST

START_TEST(test_job_fails)
{
        static const char *const results[] = { "failed", "timeout", "dependency", "skipped" };

        new_driver(LONG_USEC, LONG_USEC);
        for (unsigned i = 0; i < ELEMENTSOF(results); i++) {
                struct job *j;

                fake.result = results[i];
                j = begin(i);
                RUN_UNTIL(j->n_made > 0);
                ck_assert_int_eq(j->made, -ECANCELED);
                ck_assert_ptr_nonnull(strstr(j->detail, results[i]));
                ck_assert_uint_eq(j->n_stopped, 0);
                ck_assert_int_eq(settle(j), 0);
                detach(j);
        }
        ck_assert_uint_eq(n_leaves, 0);
}
END_TEST

START_TEST(test_leaves_fail)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        leaves_answer = -EBUSY;
        j = begin(0);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, -EBUSY);
        ck_assert_str_eq(j->detail, "no leaves");
        /* The scope is there, with nobody in it that would leave it. */
        detach(j);
        RUN_UNTIL(has_happened("stop", 0));
}
END_TEST

/* A call without an answer: the job fails, but its init stays until systemd has looked for it. */
START_TEST(test_no_answer)
{
        struct job *j;

        new_driver(SHORT_USEC, LONG_USEC);
        fake.mute = true;
        j = begin(0);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, -ETIMEDOUT);
        ck_assert_int_eq(settle(j), -EBUSY);
        run_for(MOMENT_USEC);
        ck_assert_int_eq(settle(j), -EBUSY);

        fake_release();
        RUN_UNTIL(settle(j) == 0);
        ck_assert_uint_eq(j->n_made, 1);
        ck_assert_uint_eq(n_leaves, 0);
        ck_assert_uint_eq(j->place.leaves.n, 0);
        ck_assert(!has_happened("stop", 0));
        detach(j);
        RUN_UNTIL(has_happened("stop", 0));
        ck_assert_ptr_null(fake_find(unit_of(0)));
}
END_TEST

/* The same when the call was answered, and its job does not end. */
START_TEST(test_no_end_of_job)
{
        struct job *j;

        new_driver(SHORT_USEC, LONG_USEC);
        fake.idle = true;
        j = begin(0);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, -ETIMEDOUT);
        ck_assert_int_eq(settle(j), -EBUSY);
        fake_end_job(fake_find(unit_of(0)), "done");
        RUN_UNTIL(settle(j) == 0);
        ck_assert_uint_eq(j->n_made, 1);
        detach(j);
        RUN_UNTIL(has_happened("stop", 0));
}
END_TEST

/* Those that wait for others have the same deadline, and are never asked for then. */
START_TEST(test_queued_too_long)
{
        new_driver(SHORT_USEC, LONG_USEC);
        fake.mute = true;
        for (unsigned i = 0; i < 70; i++)
                (void) begin(i);
        RUN_UNTIL(jobs[69].n_made > 0);
        for (unsigned i = 0; i < 70; i++) {
                RUN_UNTIL(jobs[i].n_made > 0);
                ck_assert_int_eq(jobs[i].made, -ETIMEDOUT);
                ck_assert_int_eq(settle(&jobs[i]), i < 64 ? -EBUSY : 0);
        }
        fake_release();
        for (unsigned i = 0; i < 70; i++) {
                RUN_UNTIL(settle(&jobs[i]) == 0);
                detach(&jobs[i]);
        }
        RUN_UNTIL(fake.n_units == 0);
        ck_assert_uint_eq(fake.n_started, 64);
        ck_assert(!has_happened("stop", 64));
}
END_TEST

/* But not for as long as what is before them gets done. */
START_TEST(test_queue_moves_on)
{
        const uint64_t timeout_usec = 2 * USEC_PER_SEC, step_usec = 400 * USEC_PER_MSEC;

        new_driver(timeout_usec, LONG_USEC);
        fake.idle = true;
        for (unsigned i = 0; i < 75; i++)
                (void) begin(i);
        RUN_UNTIL(fake.n_units == 64);
        for (unsigned i = 0; i < 10; i++) {
                run_for(step_usec);
                fake_end_job(fake_find(unit_of(i)), "done");
                RUN_UNTIL(fake_find(unit_of(64 + i)));
        }
        fake_end_job(fake_find(unit_of(73)), "done");
        RUN_UNTIL(jobs[73].n_made > 0);
        ck_assert_msg(jobs[73].made == 0, "%s", jobs[73].detail);
        ck_assert_uint_eq(jobs[74].n_made, 0);
        ck_assert_int_eq(jobs[63].made, -ETIMEDOUT);
        /* It stalls with the last one, too. */
        RUN_UNTIL(jobs[74].n_made > 0);
        ck_assert_int_eq(jobs[74].made, -ETIMEDOUT);
        for (unsigned i = 0; i < 75; i++)
                detach(&jobs[i]);
}
END_TEST

/* What was given up is not asked for again. */
START_TEST(test_lost_after_the_deadline)
{
        struct job *j;

        new_driver(SHORT_USEC, LONG_USEC);
        fake.mute = true;
        j = begin(0);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(settle(j), -EBUSY);
        fake.mute = false;
        fake_disconnect();
        RUN_UNTIL(fake.n_listed == 2);
        run_for(MOMENT_USEC);
        ck_assert_int_eq(settle(j), 0);
        ck_assert_uint_eq(fake.n_started, 1);
        detach(j);
}
END_TEST

/* A sandbox that was cancelled while it waited needs no scope any more. */
START_TEST(test_settle_in_queue)
{
        new_driver(LONG_USEC, LONG_USEC);
        fake.mute = true;
        for (unsigned i = 0; i < 65; i++)
                (void) begin(i);
        RUN_UNTIL(fake.n_held == 64);
        ck_assert_int_eq(settle(&jobs[64]), 0);
        fake_release();
        for (unsigned i = 0; i < 64; i++)
                RUN_UNTIL(jobs[i].n_made > 0);
        run_for(MOMENT_USEC);
        ck_assert_uint_eq(fake.n_started, 64);
        ck_assert_uint_eq(jobs[64].n_made, 0);
        for (unsigned i = 0; i < 65; i++)
                detach(&jobs[i]);
        RUN_UNTIL(fake.n_units == 0);
        ck_assert(!has_happened("stop", 64));
}
END_TEST

START_TEST(test_settled_is_never_made)
{
        struct job *j;

        fake_unlisten();
        new_driver(SHORT_USEC, SHORT_USEC);
        j = begin(0);
        ck_assert_int_eq(settle(j), 0);
        run_for(SHORT_USEC + MOMENT_USEC);
        ck_assert_uint_eq(j->n_made, 0);
        detach(j);
}
END_TEST

/* --- the connection */

START_TEST(test_away_at_start)
{
        struct job *j;

        fake_unlisten();
        new_driver(LONG_USEC, SHORT_USEC);
        j = begin(0);
        run_for(MOMENT_USEC);
        ck_assert_uint_eq(j->n_made, 0);
        fake_listen();
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, 0);
        ck_assert_str_eq(fake.history, "list\nstart sandbox-5000000000000001.scope\n");
        detach(j);
}
END_TEST

START_TEST(test_away_too_long)
{
        struct job *j;

        fake_unlisten();
        new_driver(SHORT_USEC, SHORT_USEC);
        j = begin(0);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, -ETIMEDOUT);
        ck_assert_int_eq(settle(j), 0);
        detach(j);
        fake_listen();
        RUN_UNTIL(fake.n_listed > 0);
        run_for(MOMENT_USEC);
        ck_assert_uint_eq(fake.n_started, 0);
}
END_TEST

/* Calls without an answer yet are made again. */
START_TEST(test_lost_with_calls)
{
        new_driver(LONG_USEC, LONG_USEC);
        fake.mute = true;
        for (unsigned i = 0; i < 70; i++)
                (void) begin(i);
        RUN_UNTIL(fake.n_held == 64);
        fake.mute = false;
        fake_disconnect();
        for (unsigned i = 0; i < 70; i++) {
                RUN_UNTIL(jobs[i].n_made > 0);
                ck_assert_msg(jobs[i].made == 0, "%u: %s", i, jobs[i].detail);
        }
        ck_assert_uint_eq(fake.n_connected, 2);
        ck_assert_uint_eq(fake.n_stopped, 0);
        for (unsigned i = 0; i < 70; i++)
                detach(&jobs[i]);
}
END_TEST

/* So are those whose job was under way: the unit is there by then, and is no stray. */
START_TEST(test_lost_with_jobs)
{
        new_driver(LONG_USEC, LONG_USEC);
        fake.idle = true;
        for (unsigned i = 0; i < 3; i++)
                (void) begin(i);
        RUN_UNTIL(fake.n_started == 3);
        run_for(MOMENT_USEC);
        fake_disconnect();
        fake.idle = false;
        for (unsigned i = 0; i < 3; i++)
                memcpy(fake_find(unit_of(i))->state, "active", sizeof("active"));
        for (unsigned i = 0; i < 3; i++) {
                RUN_UNTIL(jobs[i].n_made > 0);
                ck_assert_msg(jobs[i].made == 0, "%u: %s", i, jobs[i].detail);
                ck_assert_uint_eq(jobs[i].place.leaves.n, 1);
        }
        ck_assert_uint_eq(fake.n_started, 6);
        ck_assert_uint_eq(fake.n_stopped, 0);
        for (unsigned i = 0; i < 3; i++) {
                ck_assert_uint_eq(jobs[i].n_stopped, 0);
                detach(&jobs[i]);
        }
}
END_TEST

/* That the connection is lost may show when something is asked for. */
START_TEST(test_lost_and_not_yet_known)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        detach(begin_made(0));
        RUN_UNTIL(has_happened("stop", 0));
        fake_disconnect();
        j = begin(1);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_msg(j->made == 0, "%s", j->detail);
        ck_assert_uint_eq(fake.n_connected, 2);
        detach(j);
}
END_TEST

/* The unit is there, and init not yet in it. */
START_TEST(test_exists_and_is_empty)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        (void) fake_add_unit(unit_of(0), "activating");
        leaves_fail_once = -ENOENT;
        j = begin(0);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, 0);
        ck_assert_uint_eq(n_leaves, 2);
        ck_assert_uint_eq(fake.n_stopped, 0);
        detach(j);
}
END_TEST

/* The unit is one that goes away: then it is made. */
START_TEST(test_exists_and_goes)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        (void) fake_add_unit(unit_of(0), "deactivating");
        leaves_answer = -ENOENT;
        j = begin(0);
        RUN_UNTIL(n_leaves > 1);
        leaves_answer = 0;
        fake_remove_unit(unit_of(0));
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, 0);
        detach(j);
}
END_TEST

/* Nor does one that stays, and is somebody else's, give the job a scope. */
START_TEST(test_exists_and_stays)
{
        struct job *j;

        new_driver(SHORT_USEC, LONG_USEC);
        (void) fake_add_unit(unit_of(0), "active");
        leaves_answer = -ENOENT;
        j = begin(0);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, -ETIMEDOUT);
        RUN_UNTIL(settle(j) == 0);
        detach(j);
}
END_TEST

/* A scope that was given up while there was no connection is stopped when there is one, and init is
 * kept till then. */
START_TEST(test_lost_and_given_up)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        fake.idle = true;
        j = begin(0);
        RUN_UNTIL(fake.n_started == 1);
        run_for(MOMENT_USEC);
        memcpy(fake_find(unit_of(0))->state, "active", sizeof("active"));
        fake_unlisten();
        run_for(MOMENT_USEC);
        ck_assert_int_eq(settle(j), -EBUSY);
        ck_assert_uint_eq(fake.n_stopped, 0);
        fake.idle = true;
        fake_listen();
        RUN_UNTIL(settle(j) == 0);
        detach(j);
        RUN_UNTIL(has_happened("stop", 0));
        ck_assert_uint_eq(j->n_made, 0);
}
END_TEST

/* The same when its time is up while there is no connection. */
START_TEST(test_lost_and_too_late)
{
        struct job *j;

        new_driver(SHORT_USEC, LONG_USEC);
        fake.idle = true;
        j = begin(0);
        RUN_UNTIL(fake.n_started == 1);
        fake_unlisten();
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, -ETIMEDOUT);
        ck_assert_str_eq(j->detail, "it is not reachable");
        ck_assert_int_eq(settle(j), -EBUSY);
        fake_listen();
        RUN_UNTIL(settle(j) == 0);
        RUN_UNTIL(has_happened("stop", 0));
        ck_assert_uint_eq(j->n_made, 1);
        ck_assert_uint_eq(fake.n_started, 1);
        detach(j);
}
END_TEST

/* --- the sweep */

START_TEST(test_strays)
{
        static const char *const strays[] = {
                "sandbox-0000000000000001.scope",
                "sandbox-ffffffffffffffff.scope",
        };
        static const char *const others[] = {
                "sandbox-1.scope",
                "sandbox-00000000000000AB.scope",
                "sandbox-0000000000000000.scope",
                "sandbox-0000000000000001.scope.scope",
                "sandbox-00000000000000001.scope",
                "sandbox- 000000000000001.scope",
                "sandbox-of-somebody.scope",
        };
        const char *stop, *start;

        for (unsigned i = 0; i < ELEMENTSOF(strays); i++)
                (void) fake_add_unit(strays[i], "active");
        for (unsigned i = 0; i < ELEMENTSOF(others); i++)
                (void) fake_add_unit(others[i], "active");
        new_driver(LONG_USEC, LONG_USEC);
        ck_assert_uint_eq(fake.n_stopped, ELEMENTSOF(strays));
        ck_assert_uint_eq(fake.n_units, ELEMENTSOF(others));
        (void) begin_made(0);
        stop = strstr(fake.history, "stop");
        start = strstr(fake.history, "start");
        ck_assert(stop && start && stop < start);

        /* Live ones are none, however often the connection is lost. */
        fake_disconnect();
        RUN_UNTIL(fake.n_connected == 2 && fake.n_listed >= 3);
        (void) begin_made(1);
        ck_assert_uint_eq(fake.n_stopped, ELEMENTSOF(strays));
        detach(&jobs[0]);
        detach(&jobs[1]);
}
END_TEST

/* Nothing is started while one of an earlier life is there. */
START_TEST(test_stubborn_stray)
{
        struct job *j;

        fake.lazy = true;
        (void) fake_add_unit("sandbox-0000000000000001.scope", "deactivating");
        new_driver(LONG_USEC, SHORT_USEC);
        j = begin(0);
        run_for(MOMENT_USEC);
        ck_assert_uint_eq(fake.n_started, 0);
        fake.lazy = false;
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, 0);
        detach(j);
}
END_TEST

/* A unit that is dead, and loaded because somebody names it, holds up nobody. */
START_TEST(test_dead_stray)
{
        fake.lazy = true;
        (void) fake_add_unit("sandbox-0000000000000001.scope", "inactive");
        new_driver(LONG_USEC, LONG_USEC);
        detach(begin_made(0));
}
END_TEST

/* --- somebody else stops it */

START_TEST(test_stopped)
{
        struct job *a, *b;
        uint32_t own;

        new_driver(LONG_USEC, LONG_USEC);
        a = begin_made(0);
        own = fake.next_job;
        b = begin_made(1);
        fake_job_new(own, unit_of(0));
        fake_job_new(900, "sandbox-0000000000000009.scope");
        fake_job_new(901, "ssh.service");
        fake_job_removed(901, "ssh.service", "done");
        run_for(MOMENT_USEC);
        ck_assert_uint_eq(a->n_stopped + b->n_stopped, 0);
        /* It is systemd that kills. A job may also be one that does nothing, such as to start it. */
        fake_job_new(902, unit_of(0));
        fake_job_new(903, unit_of(1));
        fake_job_removed(903, unit_of(1), "done");
        run_for(MOMENT_USEC);
        ck_assert_uint_eq(a->n_stopped + b->n_stopped, 0);
        (void) str_copy(fake_find(unit_of(0))->state, sizeof("deactivating"), "deactivating");
        ck_assert_int_eq(explain(a), 0);
        ck_assert_int_eq(explain(b), 0);
        RUN_UNTIL(a->n_explained > 0 && b->n_explained > 0);
        ck_assert(a->explained && !b->explained);
        detach(a);
        detach(b);
}
END_TEST

/* Its start job may wait for what waits for it: scopes are ordered after the service that is stopped. */
START_TEST(test_withdrawn)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        fake.idle = fake.lazy = true;
        j = begin(0);
        RUN_UNTIL(fake_find(unit_of(0)));
        run_for(MOMENT_USEC);
        ck_assert_int_eq(settle(j), -EBUSY);
        ck_assert_int_eq(settle(j), -EBUSY);
        RUN_UNTIL(has_happened("stop", 0));
        run_for(MOMENT_USEC);
        ck_assert_uint_eq(fake.n_stopped, 1);
        fake_end_job(fake_find(unit_of(0)), "canceled");
        RUN_UNTIL(settle(j) == 0);
        detach(j);
}
END_TEST

/* Before it was made: systemd gives up the job that starts it. */
START_TEST(test_stopped_at_start)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        fake.result = "canceled";
        j = begin(0);
        RUN_UNTIL(j->n_made > 0);
        ck_assert_int_eq(j->made, -ECANCELED);
        ck_assert_uint_eq(j->n_stopped, 1);
        detach(j);
}
END_TEST

START_TEST(test_explain)
{
        static const struct {
                const char *state;
                bool stopped;
        } cases[] = {
                { "active", false }, { "deactivating", true }, { "", false }, /* it is gone */
        };

        new_driver(LONG_USEC, LONG_USEC);
        for (unsigned i = 0; i < ELEMENTSOF(cases); i++) {
                struct job *j = begin_made(i);
                struct fake_unit *u = fake_find(unit_of(i));

                if (cases[i].state[0])
                        ck_assert_int_eq(str_copy(u->state, sizeof(u->state), cases[i].state), 0);
                else
                        fake_remove_unit(unit_of(i));
                ck_assert_int_eq(explain(j), 0);
                ck_assert_uint_eq(j->n_explained, 0);
                RUN_UNTIL(j->n_explained > 0);
                ck_assert_int_eq(j->explained, cases[i].stopped);
                ck_assert_uint_eq(j->n_stopped, 0);
                detach(j);
        }
        ck_assert_uint_eq(fake.n_asked, ELEMENTSOF(cases));
}
END_TEST

/* Stopped and gone before it was asked about. */
START_TEST(test_explain_stopped_and_gone)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        j = begin_made(0);
        fake_job_new(900, unit_of(0));
        fake_remove_unit(unit_of(0));
        fake_job_removed(900, unit_of(0), "done");
        ck_assert_int_eq(explain(j), 0);
        RUN_UNTIL(j->n_explained > 0);
        ck_assert(j->explained);
        detach(j);
}
END_TEST

/* Init may be dead before the scope is known to be there. What systemd said comes before its answer. */
START_TEST(test_explain_early)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        fake.idle = true;
        j = begin(0);
        RUN_UNTIL(fake_find(unit_of(0)));
        ck_assert_int_eq(explain(j), 0);
        leaves_answer = -ENOENT;
        fake_end_job(fake_find(unit_of(0)), "done");
        fake_job_new(900, unit_of(0));
        fake_remove_unit(unit_of(0));
        RUN_UNTIL(j->n_explained > 0);
        ck_assert(j->explained);
        ck_assert_int_eq(j->made, -ENOENT);
        ck_assert_int_eq(settle(j), 0);
        detach(j);

        /* The job that made it was no stop. */
        fake.idle = false;
        leaves_answer = 0;
        j = begin(1);
        ck_assert_int_eq(explain(j), 0);
        RUN_UNTIL(j->n_explained > 0 && j->n_made > 0);
        ck_assert(!j->explained);
        ck_assert_uint_eq(j->n_stopped, 0);
        detach(j);

        /* Nothing is known of one that was not asked for. */
        fake_unlisten();
        run_for(MOMENT_USEC);
        j = begin(2);
        ck_assert_int_eq(explain(j), -EOPNOTSUPP);
        detach(j);
}
END_TEST

/* Stopped as soon as it was there: its leaves cannot be made, which is how the sandbox fails. That is
 * known before or after systemd says that it stops it. */
START_TEST(test_explain_stopped_before_leaves)
{
        new_driver(LONG_USEC, LONG_USEC);
        fake.idle = true;
        leaves_answer = -ENOENT;
        for (unsigned i = 0; i < 2; i++) {
                struct job *j = begin(i);

                RUN_UNTIL(fake_find(unit_of(i)));
                run_for(MOMENT_USEC);
                fake_end_job(fake_find(unit_of(i)), "done");
                if (i == 1) {
                        RUN_UNTIL(j->n_made > 0);
                        ck_assert(!j->place.disturbed);
                        ck_assert_int_eq(explain(j), 0);
                }
                fake_job_new(900 + i, unit_of(i));
                fake_remove_unit(unit_of(i));
                fake_job_removed(900 + i, unit_of(i), "done");
                if (i == 0) {
                        RUN_UNTIL(j->place.disturbed);
                        ck_assert_int_eq(explain(j), 0);
                }
                RUN_UNTIL(j->n_explained > 0);
                ck_assert_int_eq(j->made, -ENOENT);
                ck_assert(j->explained);
                ck_assert_uint_eq(j->n_stopped, 0);
                detach(j);
        }
}
END_TEST

/* It is asked again, or for the first time, when there is a connection. What was stopped meanwhile nobody
 * was told of: it is gone. */
START_TEST(test_explain_without_connection)
{
        static const struct {
                const char *state;
                bool asked_before;
                bool stopped;
        } cases[] = {
                { "active", true, false },
                { "active", false, false },
                { "deactivating", true, true },
                { "deactivating", false, true },
                { "inactive", true, true },
                { "inactive", false, true },
        };

        new_driver(LONG_USEC, LONG_USEC);
        for (unsigned i = 0; i < ELEMENTSOF(cases); i++) {
                struct job *j = begin_made(i);
                struct fake_unit *u = fake_find(unit_of(i));

                fake.mute = true;
                if (cases[i].asked_before) {
                        ck_assert_int_eq(explain(j), 0);
                        RUN_UNTIL(fake.n_held == 1);
                }
                fake_unlisten();
                run_for(MOMENT_USEC);
                if (!cases[i].asked_before)
                        ck_assert_int_eq(explain(j), 0);
                run_for(MOMENT_USEC);
                ck_assert_uint_eq(j->n_explained, 0);
                ck_assert_int_eq(str_copy(u->state, sizeof(u->state), cases[i].state), 0);
                fake.mute = false;
                fake_listen();
                RUN_UNTIL(j->n_explained > 0);
                ck_assert_msg(j->explained == cases[i].stopped, "%u", i);
                run_for(MOMENT_USEC);
                ck_assert_uint_eq(j->n_explained, 1);
                detach(j);
        }
}
END_TEST

/* The same before it is known to be there. */
START_TEST(test_explain_lost_start)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        fake.idle = true;
        j = begin(0);
        RUN_UNTIL(fake.n_started == 1);
        run_for(MOMENT_USEC);
        fake_unlisten();
        run_for(MOMENT_USEC);
        ck_assert_int_eq(explain(j), 0);
        fake_listen();
        RUN_UNTIL(j->n_explained > 0);
        ck_assert(j->explained);
        detach(j);
}
END_TEST

/* Not forever. */
START_TEST(test_explain_away_too_long)
{
        struct job *j;

        new_driver(SHORT_USEC, LONG_USEC);
        j = begin_made(0);
        fake_unlisten();
        run_for(MOMENT_USEC);
        ck_assert_int_eq(explain(j), 0);
        RUN_UNTIL(j->n_explained > 0);
        ck_assert(!j->explained);
        fake_listen();
        RUN_UNTIL(fake.n_listed == 2);
        run_for(MOMENT_USEC);
        ck_assert_uint_eq(j->n_explained, 1);
        ck_assert_uint_eq(fake.n_asked, 0);
        detach(j);
}
END_TEST

/* One that was there after the connection was lost was not stopped then. */
START_TEST(test_explain_after_a_connection_was_lost)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        j = begin_made(0);
        fake_disconnect();
        RUN_UNTIL(fake.n_listed == 2);
        run_for(MOMENT_USEC);
        ck_assert_int_eq(str_copy(fake_find(unit_of(0))->state, 16, "inactive"), 0);
        ck_assert_int_eq(explain(j), 0);
        RUN_UNTIL(j->n_explained > 0);
        ck_assert(!j->explained);
        detach(j);
}
END_TEST

/* What failed, and is found when a connection is made, is stopped by the driver and by nobody else. */
START_TEST(test_explain_own_stop)
{
        struct job *j;

        new_driver(LONG_USEC, LONG_USEC);
        leaves_answer = -EBUSY;
        j = begin(0);
        RUN_UNTIL(j->n_made > 0);
        fake.lazy = true;
        fake_disconnect();
        RUN_UNTIL(has_happened("stop", 0));
        run_for(MOMENT_USEC);
        ck_assert(!j->place.disturbed);
        ck_assert_int_eq(str_copy(fake_find(unit_of(0))->state, 16, "deactivating"), 0);
        ck_assert_int_eq(explain(j), 0);
        RUN_UNTIL(j->n_explained > 0);
        ck_assert(!j->explained);
        detach(j);
}
END_TEST

/* --- letting go */

START_TEST(test_detach_in_each_state)
{
        struct job never = {};

        /* One that make() was not called for. */
        new_driver(LONG_USEC, LONG_USEC);
        ck_assert_int_eq(settle(&never), 0);
        ck_assert_int_eq(explain(&never), -EOPNOTSUPP);
        detach(&never);

        detach(begin(0)); /* asked, not yet sent */
        (void) begin_made(1);
        fake.idle = true;
        (void) begin(2); /* its job does not end */
        RUN_UNTIL(fake_find(unit_of(2)));
        run_for(MOMENT_USEC);
        fake.mute = true;
        (void) begin(3); /* no answer */
        RUN_UNTIL(fake.n_held == 1);
        ck_assert_int_eq(explain(&jobs[1]), 0); /* no answer either */
        RUN_UNTIL(fake.n_held == 2);
        for (unsigned i = 1; i <= 3; i++)
                detach(&jobs[i]);
        fake.idle = false;
        fake_release();
        run_for(MOMENT_USEC);
        ck_assert_uint_eq(jobs[0].n_made + jobs[2].n_made + jobs[3].n_made, 0);
        ck_assert_uint_eq(jobs[1].n_explained, 0);
        for (unsigned i = 0; i <= 2; i++)
                ck_assert(has_happened("stop", i));

        fake_unlisten();
        run_for(MOMENT_USEC);
        detach(begin(4)); /* queued */
}
END_TEST

/* The daemon ends with everything under way. */
START_TEST(test_free_with_everything)
{
        new_driver(LONG_USEC, LONG_USEC);
        (void) begin_made(0);
        fake.idle = true;
        (void) begin(1);
        RUN_UNTIL(fake_find(unit_of(1)));
        fake.mute = true;
        for (unsigned i = 2; i < 80; i++)
                (void) begin(i);
        ck_assert_int_eq(explain(&jobs[0]), 0);
        RUN_UNTIL(fake.n_held == 64);
        driver_free(driver);
        driver = NULL;
        for (unsigned i = 0; i < 80; i++)
                ck_assert_ptr_null(jobs[i].place.scope);
        run_for(MOMENT_USEC);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("scope");
        TCase *tc = tcase_create("scope");
        SRunner *runner = srunner_create(suite);
        int failed;

        /* Above what a test may take by itself; one takes more than Check allows by default. */
        tcase_set_timeout(tc, 3 * PATIENCE_USEC / (double) USEC_PER_SEC);
        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_properties);
        tcase_add_test(tc, test_made);
        tcase_add_test(tc, test_bound_in_flight);
        tcase_add_test(tc, test_refused);
        tcase_add_test(tc, test_strange_answer);
        tcase_add_test(tc, test_job_fails);
        tcase_add_test(tc, test_leaves_fail);
        tcase_add_test(tc, test_no_answer);
        tcase_add_test(tc, test_no_end_of_job);
        tcase_add_test(tc, test_queued_too_long);
        tcase_add_test(tc, test_queue_moves_on);
        tcase_add_test(tc, test_lost_after_the_deadline);
        tcase_add_test(tc, test_settle_in_queue);
        tcase_add_test(tc, test_settled_is_never_made);
        tcase_add_test(tc, test_away_at_start);
        tcase_add_test(tc, test_away_too_long);
        tcase_add_test(tc, test_lost_with_calls);
        tcase_add_test(tc, test_lost_with_jobs);
        tcase_add_test(tc, test_lost_and_not_yet_known);
        tcase_add_test(tc, test_exists_and_is_empty);
        tcase_add_test(tc, test_exists_and_goes);
        tcase_add_test(tc, test_exists_and_stays);
        tcase_add_test(tc, test_lost_and_given_up);
        tcase_add_test(tc, test_lost_and_too_late);
        tcase_add_test(tc, test_strays);
        tcase_add_test(tc, test_stubborn_stray);
        tcase_add_test(tc, test_dead_stray);
        tcase_add_test(tc, test_stopped);
        tcase_add_test(tc, test_withdrawn);
        tcase_add_test(tc, test_stopped_at_start);
        tcase_add_test(tc, test_explain);
        tcase_add_test(tc, test_explain_stopped_and_gone);
        tcase_add_test(tc, test_explain_early);
        tcase_add_test(tc, test_explain_stopped_before_leaves);
        tcase_add_test(tc, test_explain_without_connection);
        tcase_add_test(tc, test_explain_lost_start);
        tcase_add_test(tc, test_explain_away_too_long);
        tcase_add_test(tc, test_explain_after_a_connection_was_lost);
        tcase_add_test(tc, test_explain_own_stop);
        tcase_add_test(tc, test_detach_in_each_state);
        tcase_add_test(tc, test_free_with_everything);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
