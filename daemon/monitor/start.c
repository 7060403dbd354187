/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the monitor makes before it serves: runtime directory and locks, the first generation of the
 * policy, cgroups, the socket. Runs in the monitor as root with the bounded capability set;
 * reads policy files and nothing of any client.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/monitor/monitor.h"

/* Byte ranges of this file stand for ranges of kernel ids: whoever holds the lock may use them. The
 * same for every --runtime-dir, and in the one directory that the service may write. */
#define UID_LOCK_DIR "/run/sandboxd"
#define UID_LOCK_FILE UID_LOCK_DIR "/uids.lock"
/* Beyond all ids, this byte stands for the scopes: a daemon that makes some stops those it finds. */
#define SCOPES_LOCK_BYTE (INT64_C(1) << 32)

static int make_dir(const char *path, struct error *ret_error)
{
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return error_set(ret_error, -errno,
                        "%s cannot be made (%s): name another --runtime-dir", path,
                        strerror(errno));
        return 0;
}

static int runtime_path(const struct monitor *m, const char *name, char buf[static POLICY_PATH_MAX],
        struct error *ret_error)
{
        if (snprintf(buf, POLICY_PATH_MAX, "%s/%s", m->options.runtime_dir, name) >=
                POLICY_PATH_MAX)
                return error_set(ret_error, -ENAMETOOLONG, "%s is too long a runtime directory",
                        m->options.runtime_dir);
        return 0;
}

static int lock_runtime_dir(struct monitor *m, struct error *ret_error)
{
        char path[POLICY_PATH_MAX];
        struct stat st;
        int r;

        r = make_dir(m->options.runtime_dir, ret_error);
        if (r == 0)
                r = runtime_path(m, "lock", path, ret_error);
        if (r < 0)
                return r;
        do {
                m->lock_fd = safe_close(m->lock_fd);
                m->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                if (m->lock_fd < 0)
                        return error_set(ret_error, -errno, "%s cannot be opened (%s)", path,
                                strerror(errno));
                if (flock(m->lock_fd, LOCK_EX | LOCK_NB) < 0) {
                        /* Who has no lock removes nothing of the directory at the end. */
                        r = -errno;
                        m->lock_fd = safe_close(m->lock_fd);
                        return error_set(ret_error, r,
                                "another sandboxd runs in %s: stop it, or name another "
                                "--runtime-dir",
                                m->options.runtime_dir);
                }
                /* One that just stopped may have removed the file that we locked. */
        } while (fstat(m->lock_fd, &st) == 0 && st.st_nlink == 0);
        return 0;
}

static int lock_uid_range(struct monitor *m, struct error *ret_error)
{
        struct flock range = {
                .l_type = F_WRLCK,
                .l_whence = SEEK_SET,
                .l_start = m->draft.config.uid_base,
                .l_len = m->draft.config.uid_size,
        };

        struct flock scopes = {
                .l_type = F_WRLCK,
                .l_whence = SEEK_SET,
                .l_start = SCOPES_LOCK_BYTE,
                .l_len = 1,
        };

        if (mkdir(UID_LOCK_DIR, 0755) < 0 && errno != EEXIST)
                return error_set(ret_error, -errno,
                        "%s cannot be made (%s): see that /run can be written", UID_LOCK_DIR,
                        strerror(errno));
        m->uid_lock_fd = open(UID_LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (m->uid_lock_fd < 0)
                return error_set(ret_error, -errno, "%s cannot be opened (%s)", UID_LOCK_FILE,
                        strerror(errno));
        if (fcntl(m->uid_lock_fd, F_OFD_SETLK, &range) < 0)
                return error_set(ret_error, -errno,
                        "another sandboxd uses kernel ids of 0x%" PRIx32 "+0x%" PRIx32
                        ": stop it, or set another [UserNamespaces] Base= in sandboxd.conf",
                        m->draft.config.uid_base, m->draft.config.uid_size);
        if (!m->options.standalone && fcntl(m->uid_lock_fd, F_OFD_SETLK, &scopes) < 0)
                return error_set(ret_error, -errno,
                        "another sandboxd makes scopes on this host: stop it, or start this one "
                        "with --standalone");
        if (uid_pool_init(&m->uids, m->draft.config.uid_base, m->draft.config.uid_size) < 0)
                return error_set(ret_error, -EINVAL,
                        "sandboxd.conf: [UserNamespaces] Base= and Size= are no usable range");
        return 0;
}

static int open_program(const char *dir, const char *name, int *ret_fd, struct error *ret_error)
{
        char path[POLICY_PATH_MAX];

        if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int) sizeof(path))
                return error_set(ret_error, -ENAMETOOLONG, "%s is too long a path", dir);
        *ret_fd = open(path, O_PATH | O_CLOEXEC);
        if (*ret_fd < 0)
                return error_set(ret_error, -errno, "%s cannot be opened (%s): install it again",
                        path, strerror(errno));
        return 0;
}

/* The other programs are in libexec where sandboxd is installed, and beside it in a build tree.
 * They are opened once and run by fd: what they are cannot change under us, and the frontend's user
 * need not be able to reach the directory. */
static int find_programs(struct monitor *m, struct error *ret_error)
{
        char dir[POLICY_PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
        int r;

        if (n < 0)
                return error_set(ret_error, -errno, "/proc/self/exe cannot be read");
        dir[n] = '\0';
        *strrchr(dir, '/') = '\0';
        if (streq(dir, SBINDIR))
                (void) str_copy(dir, sizeof(dir), PKGLIBEXECDIR);
        r = open_program(dir, "sandboxd-frontend", &m->frontend_fd, ret_error);
        return r < 0 ? r : open_program(dir, "sandboxd-init", &m->init_fd, ret_error);
}

static void find_policy(struct monitor *m)
{
        m->paths = (struct policy_paths) {
                .config_file = m->options.config_file,
                .dirs = {
                        m->options.policy_dir ?: PKGDATADIR,
                        m->options.policy_dir ? NULL : PKGSYSCONFDIR,
                },
        };
}

static int load_policy(struct monitor *m, struct error *ret_error)
{
        return generation_load(&m->paths, &m->draft, ret_error);
}

/* No part of the policy: it is the program's, and is put on when that starts. */
static int compile_frontend_filter(struct monitor *m, struct error *ret_error)
{
#ifdef WITH_SANITIZERS
        /* The sanitizers' run-time calls what the product does not. */
        static const char name[] = "frontend-sanitizers";
#else
        static const char name[] = "frontend";
#endif

        return generation_compile_filter(&m->paths, name, &m->frontend_filter_fd, ret_error);
}

/* 32 bits of FNV-1a: tells the cgroup trees of daemons with different runtime directories apart. */
static uint32_t hash(const char *text)
{
        uint32_t h = 2166136261u;

        for (; *text; text++)
                h = (h ^ (uint8_t) *text) * 16777619u;
        return h;
}

static int make_cgroupfs_driver(struct monitor *m, struct error *ret_error)
{
        char real[PATH_MAX], instance[16];

        if (!realpath(m->options.runtime_dir, real))
                return error_set(ret_error, -errno, "%s cannot be resolved (%s)",
                        m->options.runtime_dir, strerror(errno));
        (void) snprintf(instance, sizeof(instance), "%08" PRIx32, hash(real));
        return cgroupfs_driver_new(instance, &m->driver, ret_error);
}

static int make_driver(struct monitor *m, struct error *ret_error)
{
        return m->options.standalone ? make_cgroupfs_driver(m, ret_error)
                                     : scope_driver_new(m->event, &m->driver, ret_error);
}

/* Init takes its working directory from us, and names it as the overlay's lower layer. */
static int enter_empty_dir(struct monitor *m, struct error *ret_error)
{
        char path[POLICY_PATH_MAX];
        int r;

        r = runtime_path(m, "empty", path, ret_error);
        if (r == 0)
                r = make_dir(path, ret_error);
        if (r < 0)
                return r;
        if (chdir(path) < 0)
                return error_set(ret_error, -errno, "%s cannot be entered (%s)", path,
                        strerror(errno));
        return 0;
}

/* Named from the working directory, since a socket's path may not be long. */
static int make_control(struct monitor *m, struct error *ret_error)
{
        return control_open(&m->control, m->event, "../" CONTROL_NAME, monitor_reload, m,
                ret_error);
}

int monitor_make_generation(struct monitor *m, struct generation_draft *draft,
        struct generation **ret, struct error *ret_error)
{
        char work[POLICY_PATH_MAX];
        int r;

        r = listen_describe(&m->listeners, draft->policy, ret_error);
        if (r == 0)
                r = runtime_path(m, "root", work, ret_error);
        if (r == 0)
                r = make_dir(work, ret_error);
        if (r < 0)
                return r;
        return generation_new(draft, &m->paths, work, m->driver, ret, ret_error);
}

static int make_generation(struct monitor *m, struct error *ret_error)
{
        struct generation *g;
        int r;

        r = monitor_make_generation(m, &m->draft, &g, ret_error);
        if (r < 0)
                return r;
        generation_draft_done(&m->draft);
        monitor_adopt_generation(m, g);
        return 0;
}

/* The first step: until then the sockets would be inherited by whatever is started. */
static int take_sockets(struct monitor *m, struct error *ret_error)
{
        const char *path = m->options.socket_path;
        int r = listen_take(&m->listeners, ret_error);

        if (r < 0)
                return r;
        if (!m->listeners.passed)
                return listen_plan(&m->listeners, path ?: MONITOR_DEFAULT_SOCKET, ret_error);
        if (path)
                return error_set(ret_error, -EINVAL,
                        "--socket %s cannot be used where systemd passes sockets: leave it out, "
                        "and set ListenStream= of sandboxd.socket",
                        path);
        return 0;
}

static int make_socket(struct monitor *m, struct error *ret_error)
{
        return listen_open(&m->listeners, ret_error);
}

static int plan_supervisor(struct monitor *m, struct error *ret_error)
{
        const char *name;
        int r;

        m->supervisor = (struct supervisor) {
                .event = m->event,
                .program_fd = m->frontend_fd,
                .filter_fd = m->frontend_filter_fd,
                .listeners = &m->listeners,
                .pidfd = -EBADF,
        };
        r = supervisor_find_user(&m->supervisor.uid, &m->supervisor.gid, &name, ret_error);
        if (r < 0)
                return r;
        if (!streq(name, "sandboxd"))
                log_notice("there is no user 'sandboxd': the frontend runs as '%s'", name);
        return 0;
}

static int plan_host(struct monitor *m, struct error *ret_error)
{
        int r;

        m->host = (struct sandbox_host) {
                .event = m->event,
                .driver = m->driver,
                .uids = &m->uids,
                .spares = &m->spares,
                .init_fd = m->init_fd,
        };
        backlog_init(&m->host.backlog, m->event);
        r = pool_init(&m->pool, &m->host);
        if (r == 0)
                r = spares_init(&m->spares, m->event, &m->uids, m->init_fd);
        return r < 0 ? error_set(ret_error, r, "no timers (%s)", strerror(-r)) : 0;
}

static int make_loop(struct monitor *m, struct error *ret_error)
{
        int r = sd_event_default(&m->event);

        return r < 0 ? error_set(ret_error, r, "no event loop (%s)", strerror(-r)) : 0;
}

static int open_notify(struct monitor *m, struct error *ret_error)
{
        m->notify.describe = monitor_describe;
        m->notify.userdata = m;
        return notify_open(&m->notify, m->event, ret_error);
}

int monitor_setup(struct monitor *m, const struct monitor_options *o, struct error *ret_error)
{
        /* Those that can take a while are named in the status. */
        static const struct {
                int (*make)(struct monitor *m, struct error *ret_error);
                const char *name;
        } steps[] = {
                { take_sockets },
                { make_loop },
                { open_notify },
                { find_programs },
                { load_policy, "reading the policy" },
                { lock_runtime_dir },
                { lock_uid_range },
                { compile_frontend_filter },
                { make_driver, "ending what an earlier life left" },
                { enter_empty_dir },
                { make_generation, "compiling filters" },
                { make_control },
                { make_socket },
                { plan_host },
                { plan_supervisor },
        };
        int r = 0;

        *m = (struct monitor) {
                .options = *o,
                .draft = GENERATION_DRAFT_INIT,
                .frontend_filter_fd = -EBADF,
                .lock_fd = -EBADF,
                .uid_lock_fd = -EBADF,
                .init_fd = -EBADF,
                .frontend_fd = -EBADF,
                .channel_fd = -EBADF,
                .control = { .fd = -EBADF },
                .notify = { .fd = -EBADF },
                .supervisor = { .pidfd = -EBADF },
                .reload = { .pidfd = -EBADF, .socket = -EBADF },
        };
        find_policy(m);
        for (size_t i = 0; i < ELEMENTSOF(steps) && r == 0; i++) {
                if (steps[i].name) {
                        m->step = steps[i].name;
                        notify_status(&m->notify);
                }
                r = steps[i].make(m, ret_error);
        }
        return r;
}

/* The working directory is "empty", which can be removed all the same. */
static void remove_runtime_files(struct monitor *m)
{
        static const struct {
                const char *name;
                int flags;
        } files[] = {
                { CONTROL_NAME, 0 },
                { "root", AT_REMOVEDIR },
                { "empty", AT_REMOVEDIR },
                { "lock", 0 },
        };
        char path[POLICY_PATH_MAX];

        for (size_t i = 0; m->lock_fd >= 0 && i < ELEMENTSOF(files); i++)
                if (runtime_path(m, files[i].name, path, NULL) == 0)
                        (void) unlinkat(AT_FDCWD, path, files[i].flags);
}

void monitor_done(struct monitor *m)
{
        monitor_abandon_sandboxes(m);
        reload_done(&m->reload);
        control_close(&m->control);
        supervisor_done(&m->supervisor);
        m->channel_source = sd_event_source_disable_unref(m->channel_source);
        m->stop_source = sd_event_source_disable_unref(m->stop_source);
        m->retire_source = sd_event_source_disable_unref(m->retire_source);
        if (m->driver)
                driver_free(m->driver);
        generations_done(&m->generations);
        generation_draft_done(&m->draft);
        spares_done(&m->spares);
        uid_pool_done(&m->uids);
        listen_close(&m->listeners);
        remove_runtime_files(m);
        (void) safe_close(m->frontend_filter_fd);
        (void) safe_close(m->init_fd);
        (void) safe_close(m->frontend_fd);
        (void) safe_close(m->channel_fd);
        (void) safe_close(m->uid_lock_fd);
        (void) safe_close(m->lock_fd);
        watchdog_done(&m->watchdog);
        notify_done(&m->notify);
        (void) sd_event_unref(m->event);
}
