/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generations of the policy: loading, making, counting references. Runs in the monitor at start,
 * and at a reload in the child that reads the files for it; opens what the system administrator
 * installed, and nothing of any client.
 */
#include "daemon/monitor/generation.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/monitor/filter.h"
#include "daemon/wire/channel.h"

/* --- from files to a draft */

/* Finds "FOLDER/NAME" in the last policy folder that has it. 0 when none has; buf is then where it
 * would be. */
static int find_file(const struct policy_paths *paths, const char *name, int mode,
        char buf[static POLICY_PATH_MAX], struct error *ret_error)
{
        for (size_t i = POLICY_DIRS_MAX; i-- > 0;) {
                if (!paths->dirs[i])
                        continue;
                if (snprintf(buf, POLICY_PATH_MAX, "%s/%s", paths->dirs[i], name) >=
                        POLICY_PATH_MAX)
                        return error_set(ret_error, -ENAMETOOLONG, "%s is too long a path",
                                paths->dirs[i]);
                if (access(buf, mode) == 0)
                        return 1;
        }
        return 0;
}

static int check_launcher(const struct policy_paths *paths, const struct policy_runtime *rt,
        struct error *ret_error)
{
        char name[POLICY_NAME_MAX + sizeof("launchers/")], path[POLICY_PATH_MAX];
        int r;

        (void) snprintf(name, sizeof(name), "launchers/%s", rt->launcher);
        r = find_file(paths, name, R_OK, path, ret_error);
        if (r != 0)
                return MIN(r, 0);
        return error_set(ret_error, -ENOENT,
                "runtimes/%s.runtime: Launcher=%s is not in %s/launchers: put it there, or correct "
                "the name",
                rt->name, rt->launcher, paths->dirs[1] ?: paths->dirs[0]);
}

static int check_launchers(const struct policy_paths *paths, const struct policy *p,
        struct error *ret_error)
{
        int r = 0;

        for (uint32_t i = 0; i < p->n_runtimes && r == 0; i++)
                if (p->runtimes[i].launcher[0])
                        r = check_launcher(paths, &p->runtimes[i], ret_error);
        return r;
}

/* Each sandbox holds some fds of ours. To run out of them would end jobs that run already. */
#define FDS_PER_SANDBOX 12
#define FDS_PER_PARKED 17
#define FDS_PER_GENERATION (POLICY_PROFILES_MAX + 2)
#define FDS_OWN (256 + GENERATIONS_ALIVE_MAX * FDS_PER_GENERATION)

/* The pool takes what is left: it is to make jobs start sooner, and not to keep any from starting. */
static int check_open_files(struct policy *p, struct error *ret_error)
{
        uint64_t needed = (uint64_t) generation_max_sandboxes(p) * FDS_PER_SANDBOX + FDS_OWN;
        struct rlimit limit;
        uint64_t parked;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return 0;
        if (limit.rlim_cur < needed)
                return error_set(ret_error, -EMFILE,
                        "sandboxd may open %" PRIu64 " files, and MaxJobs=%" PRIu32
                        " needs %" PRIu64
                        ": lower MaxJobs= in sandboxd.conf, or raise the limit (ulimit -n)",
                        (uint64_t) limit.rlim_cur, p->server.max_jobs, needed);
        parked = (limit.rlim_cur - needed) / FDS_PER_PARKED;
        if (p->pool.maximum <= parked)
                return 0;
        log_notice("sandboxd may open %" PRIu64 " files, which are too few for Maximum=%" PRIu32
                   " of [Pool]: %" PRIu64 " sandboxes are parked at the most",
                (uint64_t) limit.rlim_cur, p->pool.maximum, parked);
        p->pool.maximum = (uint32_t) parked;
        return 0;
}

int generation_compile_filter(const struct policy_paths *paths, const char *filter, int *ret_fd,
        struct error *ret_error)
{
        char name[POLICY_NAME_MAX + sizeof("seccomp/.seccomp")], path[POLICY_PATH_MAX];
        int r;

        (void) snprintf(name, sizeof(name), "seccomp/%s.seccomp", filter);
        r = find_file(paths, name, F_OK, path, ret_error);
        return r < 0 ? r : filter_compile(path, ret_fd, ret_error);
}

/* Compiling is the slow part of a load: profiles with the same filter share it. */
static int share_filter(const struct generation_draft *d, uint32_t profile)
{
        const struct policy_profile *p = d->policy->profiles;
        int fd;

        for (uint32_t i = 0; i < profile; i++) {
                if (!streq(p[i].filter, p[profile].filter))
                        continue;
                fd = fcntl(d->filter_fds[i], F_DUPFD_CLOEXEC, 3);
                return fd < 0 ? -errno : fd;
        }
        return -ENOENT;
}

static int compile_filters(const struct policy_paths *paths, struct generation_draft *d,
        struct error *ret_error)
{
        for (uint32_t i = 0; i < d->policy->n_profiles; i++) {
                const struct policy_profile *p = &d->policy->profiles[i];
                int r = share_filter(d, i);

                if (r >= 0)
                        d->filter_fds[i] = r;
                else if (r == -ENOENT)
                        r = generation_compile_filter(paths, p->filter, &d->filter_fds[i],
                                ret_error);
                else
                        (void) error_set(ret_error, r, "no fd (%s)", strerror(-r));
                if (r < 0)
                        return error_prefix(ret_error, r,
                                "profiles/%s.profile: SystemCallFilter=%s", p->name, p->filter);
        }
        return 0;
}

int generation_load(const struct policy_paths *paths, struct generation_draft *ret,
        struct error *ret_error)
{
        _cleanup_(generation_draft_done) struct generation_draft d = GENERATION_DRAFT_INIT;
        int r;

        r = policy_load(paths, &d.policy, &d.config, ret_error);
        if (r == 0)
                r = check_launchers(paths, d.policy, ret_error);
        if (r == 0)
                r = check_open_files(d.policy, ret_error);
        if (r == 0)
                r = compile_filters(paths, &d, ret_error);
        if (r < 0)
                return r;
        *ret = d;
        d = (struct generation_draft) GENERATION_DRAFT_INIT;
        return 0;
}

void generation_draft_done(struct generation_draft *d)
{
        io_close_all(d->filter_fds, ELEMENTSOF(d->filter_fds));
        free(d->policy);
        d->policy = NULL;
}

/* --- from a draft to a generation */

static struct generation *allocate(void)
{
        struct generation *g = malloc(sizeof(*g));

        if (g)
                *g = (struct generation) {
                        .n_refs = 1,
                        .template = { .mntns_fd = -EBADF },
                        .policy_fd = -EBADF,
                        .filter_fds = { [0 ... POLICY_PROFILES_MAX - 1] = -EBADF },
                };
        return g;
}

/* For doctor: what the host is, and what the policy lets it lack. */
static void describe_host(struct policy *p, unsigned allow_missing, const struct driver *driver)
{
        p->missing[0] = '\0';
        for (unsigned c = CGROUP_MEMORY; c <= CGROUP_PIDS; c <<= 1) {
                size_t n = strlen(p->missing);

                if (driver->missing & allow_missing & c)
                        (void) snprintf(p->missing + n, sizeof(p->missing) - n, "%s%s",
                                n > 0 ? " " : "", cgroup_controller_name(c));
        }
        (void) str_copy(p->driver, sizeof(p->driver), driver->description);
}

static int build_template(const struct policy *p, const struct policy_paths *paths,
        const char *work_dir, struct template *ret, struct error *ret_error)
{
        char launchers[POLICY_DIRS_MAX][POLICY_PATH_MAX];
        struct template_options o = { .work_dir = work_dir };

        for (uint32_t i = 0; i < p->n_profiles; i++)
                o.max_quota = MAX(o.max_quota, p->profiles[i].maximums.value[LIMIT_CPU_QUOTA]);
        for (size_t i = 0; i < POLICY_DIRS_MAX; i++) {
                if (!paths->dirs[i])
                        continue;
                if (snprintf(launchers[i], POLICY_PATH_MAX, "%s/launchers", paths->dirs[i]) >=
                        POLICY_PATH_MAX)
                        return error_set(ret_error, -ENAMETOOLONG, "%s is too long a path",
                                paths->dirs[i]);
                o.launcher_dirs[i] = launchers[i];
        }
        return template_build(&o, ret, ret_error);
}

/* What the frontend maps is what we map: neither can come to differ from the other. */
static int publish(struct generation *g, const struct policy *p, struct error *ret_error)
{
        int r;

        r = policy_publish(p, &g->policy_fd);
        if (r == 0)
                r = policy_map(g->policy_fd, &g->policy);
        return r < 0 ? error_set(ret_error, r, "no memfd for the policy (%s)", strerror(-r)) : 0;
}

int generation_new(struct generation_draft *draft, const struct policy_paths *paths,
        const char *work_dir, const struct driver *driver, struct generation **ret,
        struct error *ret_error)
{
        _cleanup_(generation_unrefp) struct generation *g = allocate();
        int r;

        if (!g)
                return error_set(ret_error, -ENOMEM, "out of memory while reading the policy");
        r = build_template(draft->policy, paths, work_dir, &g->template, ret_error);
        if (r < 0)
                return r;
        describe_host(draft->policy, draft->config.allow_missing, driver);
        r = publish(g, draft->policy, ret_error);
        if (r < 0)
                return r;
        g->allow_missing = draft->config.allow_missing;
        for (uint32_t i = 0; i < draft->policy->n_profiles; i++)
                g->filter_fds[i] = TAKE_FD(draft->filter_fds[i]);
        *ret = TAKE_PTR(g);
        return 0;
}

static void destroy(struct generation *g)
{
        if (g->home)
                g->home->n_alive--;
        if (g->policy)
                policy_unmap(g->policy);
        template_done(&g->template);
        io_close_all(g->filter_fds, ELEMENTSOF(g->filter_fds));
        (void) safe_close(g->policy_fd);
        free(g);
}

struct generation *generation_ref(struct generation *g)
{
        if (g)
                g->n_refs++;
        return g;
}

struct generation *generation_unref(struct generation *g)
{
        if (g && --g->n_refs == 0)
                destroy(g);
        return NULL;
}

/* --- from one process to another */

struct message {
        struct error error; /* empty: a generation follows */
        uint32_t allow_missing;
        uint32_t n_cpus;
        uint32_t n_filters;
};

enum message_fd {
        MESSAGE_FD_POLICY,
        MESSAGE_FD_TEMPLATE,
        MESSAGE_FD_FILTERS,
        _MESSAGE_FDS_MAX = MESSAGE_FD_FILTERS + POLICY_PROFILES_MAX,
};

_Static_assert(_MESSAGE_FDS_MAX <= IO_FDS_MAX, "a generation must fit one message");

int generation_send(int socket, const struct generation *g, const struct error *error)
{
        int fds[_MESSAGE_FDS_MAX];
        struct message m = {};

        if (!g) {
                m.error = *error;
                return io_send_message(socket, &m, sizeof(m), NULL, 0);
        }
        m.allow_missing = g->allow_missing;
        m.n_cpus = g->template.n_cpus;
        m.n_filters = g->policy->n_profiles;
        fds[MESSAGE_FD_POLICY] = g->policy_fd;
        fds[MESSAGE_FD_TEMPLATE] = g->template.mntns_fd;
        memcpy(&fds[MESSAGE_FD_FILTERS], g->filter_fds, m.n_filters * sizeof(int));
        return io_send_message(socket, &m, sizeof(m), fds, MESSAGE_FD_FILTERS + m.n_filters);
}

static int take_message(struct generation *g, const struct message *m, int *fds, size_t n_fds)
{
        int r;

        if (n_fds < MESSAGE_FD_FILTERS || n_fds - MESSAGE_FD_FILTERS != m->n_filters)
                return -EBADMSG;
        r = policy_map(fds[MESSAGE_FD_POLICY], &g->policy);
        if (r < 0)
                return r;
        if (g->policy->n_profiles != m->n_filters)
                return -EBADMSG;
        g->allow_missing = m->allow_missing;
        g->template = (struct template) {
                .mntns_fd = TAKE_FD(fds[MESSAGE_FD_TEMPLATE]),
                .n_cpus = m->n_cpus,
        };
        g->policy_fd = TAKE_FD(fds[MESSAGE_FD_POLICY]);
        for (uint32_t i = 0; i < m->n_filters; i++)
                g->filter_fds[i] = TAKE_FD(fds[MESSAGE_FD_FILTERS + i]);
        return 0;
}

int generation_receive(int socket, struct generation **ret, struct error *ret_error)
{
        _cleanup_(generation_unrefp) struct generation *g = allocate();
        int fds[_MESSAGE_FDS_MAX];
        size_t n_fds = 0;
        struct message m;
        ssize_t n;
        int r;

        if (!g)
                return error_set(ret_error, -ENOMEM, "out of memory while reading the policy");
        n = io_receive_message(socket, &m, sizeof(m), fds, ELEMENTSOF(fds), &n_fds);
        if (n == 0 || n == -EAGAIN)
                return error_set(ret_error, -EIO, "the process that read the policy died");
        r = n < 0 ? (int) n : (size_t) n != sizeof(m) ? -EBADMSG : 0;
        if (r == 0 && m.error.text[0])
                return error_set(ret_error, -EINVAL, "%s", m.error.text);
        if (r == 0)
                r = take_message(g, &m, fds, n_fds);
        io_close_all(fds, n_fds);
        if (r < 0)
                return error_set(ret_error, r, "the policy that was read cannot be taken (%s)",
                        strerror(-r));
        *ret = TAKE_PTR(g);
        return 0;
}

/* --- those that a START may name */

struct generation *generations_current(const struct generations *gs)
{
        ASSERT(gs->n > 0);
        return gs->startable[gs->n - 1];
}

struct generation *generations_find(const struct generations *gs, uint32_t number)
{
        for (size_t i = 0; i < gs->n; i++)
                if (gs->startable[i]->number == number)
                        return gs->startable[i];
        return NULL;
}

bool generations_have_room(const struct generations *gs)
{
        return gs->n_alive < GENERATIONS_ALIVE_MAX;
}

void generations_add(struct generations *gs, struct generation *g)
{
        ASSERT(generations_have_room(gs) && !g->home);
        if (gs->n > 0)
                generations_current(gs)->replaced_usec = io_now_usec();
        if (gs->n == GENERATIONS_MAX)
                (void) generations_retire(gs, gs->startable[0]->number);
        g->home = gs;
        g->number = ++gs->last;
        gs->n_alive++;
        gs->startable[gs->n++] = g;
}

int generations_retire(struct generations *gs, uint32_t number)
{
        /* All but the last, which is the current one. */
        for (size_t i = 0; i + 1 < gs->n; i++) {
                struct generation *g = gs->startable[i];

                if (g->number != number)
                        continue;
                gs->n--;
                memmove(&gs->startable[i], &gs->startable[i + 1],
                        (gs->n - i) * sizeof(gs->startable[0]));
                (void) generation_unref(g);
                return 0;
        }
        return -EINVAL;
}

bool generations_was_retired(const struct generations *gs, uint32_t number)
{
        return number > 0 && number <= gs->last && !generations_find(gs, number);
}

void generations_retire_all_but_current(struct generations *gs)
{
        (void) generations_retire_overdue(gs, UINT64_MAX);
}

uint64_t generations_retire_overdue(struct generations *gs, uint64_t now_usec)
{
        while (gs->n > 1) {
                uint64_t end = gs->startable[0]->replaced_usec + CHANNEL_RETIRE_USEC;

                if (end > now_usec)
                        return end;
                (void) generations_retire(gs, gs->startable[0]->number);
        }
        return 0;
}

void generations_done(struct generations *gs)
{
        while (gs->n > 0)
                (void) generation_unref(gs->startable[--gs->n]);
}
