/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads the policy: sandboxd.conf, then profiles and runtimes. Runs in the monitor, at start and on
 * reload; opens policy files and nothing else.
 */
#include "daemon/monitor/policy-load.h"

#include <stdio.h>

#include "daemon/monitor/cgroup-layout.h"
#include "daemon/monitor/policy-access.h"
#include "daemon/monitor/policy-key.h"
#include "daemon/monitor/spares.h"

#define CONFIG_NAME "sandboxd"
#define CONFIG_ENDING ".conf"

/* The last id, 2^32-1, is none. */
#define UID_END UINT64_C(0xffffffff)

struct config_target {
        struct policy_server server;
        struct policy_access access;
        struct policy_bus bus;
        struct policy_pool pool;
        struct policy_config config;
};

static const struct config_target config_defaults = {
        .server = {
                .max_frame_bytes = 4 * MIB,
                .max_connections = 1024,
                .max_connections_per_user = 128,
                .max_jobs = 1024,
                .max_jobs_per_user = 256,
                .max_queued = 4096,
                .max_queued_per_user = 512,
                .max_upload_per_user = 128 * MIB,
                .max_results_per_user = 1000,
                .max_kept = 256 * MIB,
                .max_kept_per_user = 32 * MIB,
                .result_retention_usec = 600 * USEC_PER_SEC,
                .frame_timeout_usec = 10 * USEC_PER_SEC,
                .idle_exit_usec = 600 * USEC_PER_SEC,
        },
        .pool = {
                .maximum = 64,
                .maximum_per_user = 16,
                .minimum = 1,
                .max_memory = 1 * GIB,
                .namespaces = 8,
                .idle_usec = 300 * USEC_PER_SEC,
        },
        .config = {
                .uid_base = 0x70000000,
                .uid_size = 0x00100000,
        },
};

static int allow_word(const struct policy_item *item, const char *word, void *userdata)
{
        static const struct {
                const char *name;
                unsigned controller;
        } names[] = {
                { "memory", CGROUP_MEMORY },
                { "cpu", CGROUP_CPU },
                { "pids", CGROUP_PIDS },
                { "swap", CGROUP_SWAP },
        };
        unsigned *mask = userdata;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                if (!streq(word, names[i].name))
                        continue;
                *mask |= names[i].controller;
                return 0;
        }
        return policy_item_error(item, " has an unknown word %.40s: use memory, cpu, pids, swap",
                word);
}

static int set_allow_missing(const struct policy_key *key, const struct policy_item *item,
        void *field)
{
        if (item->value[0] == '\0')
                *(unsigned *) field = 0;
        return policy_each_word(item, allow_word, field);
}

static int set_idle_exit(const struct policy_key *key, const struct policy_item *item, void *field)
{
        if (!streq(item->value, "infinity"))
                return policy_set_time(key, item, field);
        *(uint64_t *) field = 0;
        return 0;
}

#define SERVER(f) offsetof(struct config_target, server.f)
#define ACCESS(f) offsetof(struct config_target, access.f)
#define BUS offsetof(struct config_target, bus)
#define POOL(f) offsetof(struct config_target, pool.f)
#define CONFIG(f) offsetof(struct config_target, config.f)

enum config_key {
        KEY_MAX_FRAME_SIZE,
        KEY_MAX_CONNECTIONS,
        KEY_MAX_CONNECTIONS_PER_USER,
        KEY_MAX_JOBS,
        KEY_MAX_JOBS_PER_USER,
        KEY_MAX_QUEUED,
        KEY_MAX_QUEUED_PER_USER,
        KEY_MAX_UPLOAD_PER_USER,
        KEY_RESULT_RETENTION,
        KEY_MAX_RESULTS_PER_USER,
        KEY_MAX_KEPT,
        KEY_MAX_KEPT_PER_USER,
        KEY_FRAME_TIMEOUT,
        KEY_IDLE_EXIT,
        KEY_ALLOW_USERS,
        KEY_ALLOW_GROUPS,
        KEY_DENY_USERS,
        KEY_BUS_USER,
        KEY_POOL_MAXIMUM,
        KEY_POOL_MAXIMUM_PER_USER,
        KEY_POOL_MINIMUM,
        KEY_POOL_IDLE,
        KEY_POOL_MAX_MEMORY,
        KEY_POOL_NAMESPACES,
        KEY_POOL_USERS,
        KEY_BASE,
        KEY_SIZE,
        KEY_ALLOW_MISSING,
        _KEY_COUNT,
};

static const struct policy_key config_keys[_KEY_COUNT] = {
        [KEY_MAX_FRAME_SIZE] = { "Server", "MaxFrameSize", policy_set_size, SERVER(max_frame_bytes),
                4 * KIB, GIB },
        [KEY_MAX_CONNECTIONS] = { "Server", "MaxConnections", policy_set_u32,
                SERVER(max_connections), 1, 65536 },
        [KEY_MAX_CONNECTIONS_PER_USER] = { "Server", "MaxConnectionsPerUser", policy_set_u32,
                SERVER(max_connections_per_user), 1, 65536 },
        [KEY_MAX_JOBS] = { "Server", "MaxJobs", policy_set_u32, SERVER(max_jobs), 1, 65536 },
        [KEY_MAX_JOBS_PER_USER] = { "Server", "MaxJobsPerUser", policy_set_u32,
                SERVER(max_jobs_per_user), 1, 65536 },
        [KEY_MAX_QUEUED] = { "Server", "MaxQueued", policy_set_u32, SERVER(max_queued), 0, 65536 },
        [KEY_MAX_QUEUED_PER_USER] = { "Server", "MaxQueuedPerUser", policy_set_u32,
                SERVER(max_queued_per_user), 0, 65536 },
        [KEY_MAX_UPLOAD_PER_USER] = { "Server", "MaxUploadPerUser", policy_set_size,
                SERVER(max_upload_per_user), MIB, 2 * GIB },
        [KEY_RESULT_RETENTION] = { "Server", "ResultRetentionSec", policy_set_time,
                SERVER(result_retention_usec), 0, 365 * 24 * 3600 * USEC_PER_SEC },
        [KEY_MAX_RESULTS_PER_USER] = { "Server", "MaxResultsPerUser", policy_set_u32,
                SERVER(max_results_per_user), 0, 65536 },
        [KEY_MAX_KEPT] = { "Server", "MaxKept", policy_set_size, SERVER(max_kept), 0, 2 * GIB },
        [KEY_MAX_KEPT_PER_USER] = { "Server", "MaxKeptPerUser", policy_set_size,
                SERVER(max_kept_per_user), 0, 2 * GIB },
        [KEY_FRAME_TIMEOUT] = { "Server", "FrameTimeoutSec", policy_set_time,
                SERVER(frame_timeout_usec), USEC_PER_MSEC, 3600 * USEC_PER_SEC },
        [KEY_IDLE_EXIT] = { "Server", "IdleExitSec", set_idle_exit, SERVER(idle_exit_usec), 0,
                365 * 24 * 3600 * USEC_PER_SEC },
        [KEY_ALLOW_USERS] = { "Access", "AllowUsers", policy_set_users, ACCESS(allow_users) },
        [KEY_ALLOW_GROUPS] = { "Access", "AllowGroups", policy_set_groups, ACCESS(allow_groups) },
        [KEY_DENY_USERS] = { "Access", "DenyUsers", policy_set_users, ACCESS(deny_users) },
        [KEY_BUS_USER] = { "Bus", "User", policy_set_bus_user, BUS },
        [KEY_POOL_MAXIMUM] = { "Pool", "Maximum", policy_set_u32, POOL(maximum), 0, 4096 },
        [KEY_POOL_MAXIMUM_PER_USER] = { "Pool", "MaximumPerUser", policy_set_u32,
                POOL(maximum_per_user), 0, 4096 },
        [KEY_POOL_MINIMUM] = { "Pool", "Minimum", policy_set_u32, POOL(minimum), 0, 4096 },
        [KEY_POOL_IDLE] = { "Pool", "IdleSec", policy_set_time, POOL(idle_usec), USEC_PER_MSEC,
                365 * 24 * 3600 * USEC_PER_SEC },
        [KEY_POOL_MAX_MEMORY] = { "Pool", "MaxMemory", policy_set_size, POOL(max_memory), 0,
                2 * GIB },
        [KEY_POOL_NAMESPACES] = { "Pool", "Namespaces", policy_set_u32, POOL(namespaces), 0,
                SPARES_MAX },
        [KEY_POOL_USERS] = { "Pool", "Users", policy_set_users, POOL(users) },
        /* Ids below 65536 are the host's users and services. */
        [KEY_BASE] = { "UserNamespaces", "Base", policy_set_hex, CONFIG(uid_base), 65536,
                UID_END - 2 },
        [KEY_SIZE] = { "UserNamespaces", "Size", policy_set_hex, CONFIG(uid_size), 2, UID_END },
        [KEY_ALLOW_MISSING] = { "Cgroup", "AllowMissing", set_allow_missing,
                CONFIG(allow_missing) },
};

struct config_load {
        struct config_target target;
        struct policy_origin origins[_KEY_COUNT];
};

static int take_config_item(void *userdata, const struct policy_item *item)
{
        struct config_load *l = userdata;

        return policy_keys_set(config_keys, _KEY_COUNT, item, &l->target, l->origins);
}

static int check_uid_range(const struct config_load *l, struct error *ret_error)
{
        const struct policy_config *c = &l->target.config;
        struct policy_origin o =
                l->origins[KEY_SIZE].file ? l->origins[KEY_SIZE] : l->origins[KEY_BASE];

        if (c->uid_base + (uint64_t) c->uid_size <= UID_END)
                return 0;
        return error_set(ret_error, -EINVAL,
                "%s:%u: Base=0x%x and Size=0x%x leave the 32 bits of a uid: lower one of "
                "them",
                o.file, o.line, c->uid_base, c->uid_size);
}

static int load_config(const struct policy_source *source, struct config_target *ret,
        struct error *ret_error)
{
        struct config_load l = { .target = config_defaults };
        int r;

        r = policy_source_read(source, take_config_item, &l, ret_error);
        if (r < 0)
                return r;
        r = check_uid_range(&l, ret_error);
        if (r < 0)
                return r;
        if (!l.origins[KEY_BUS_USER].file)
                policy_default_bus_user(&l.target.bus);
        *ret = l.target;
        return 0;
}

/* The file that was named, with the drop-ins beside it. */
static int load_named_config(const char *path, struct config_target *ret, struct error *ret_error)
{
        _cleanup_(policy_source_done) struct policy_source source = { .path = path };
        _cleanup_free_ char *drop_ins = NULL;
        int r;

        if (asprintf(&drop_ins, "%s.d", path) < 0) {
                drop_ins = NULL;
                return error_set(ret_error, -ENOMEM, "out of memory while reading %s", path);
        }
        r = policy_files_find(&source.drop_ins, &(struct policy_paths) { .dirs = { drop_ins } }, "",
                ".conf", ret_error);
        if (r < 0)
                return r;
        return load_config(&source, ret, ret_error);
}

/* What the policy folders have, which may be nothing. */
static int load_default_config(const struct policy_paths *paths, struct config_target *ret,
        struct error *ret_error)
{
        _cleanup_(policy_files_done) struct policy_files files = {};
        _cleanup_(policy_source_done) struct policy_source source = {};
        struct policy_file none = { .name = (char *) CONFIG_NAME };
        const struct policy_file *found;
        int r;

        r = policy_files_find(&files, paths, "", CONFIG_ENDING, ret_error);
        if (r < 0)
                return r;
        found = policy_files_get(&files, CONFIG_NAME);
        r = policy_source_init(&source, paths, "", CONFIG_ENDING, found ? found : &none, ret_error);
        if (r < 0)
                return r;
        return load_config(&source, ret, ret_error);
}

/* A drop-in whose file is not there would change nothing, in silence. */
static int check_drop_ins(const struct policy_kind *kind, const struct policy_paths *paths,
        const struct policy_files *files, struct error *ret_error)
{
        _cleanup_(policy_files_done) struct policy_files folders = {};
        char ending[POLICY_NAME_MAX];
        int r;

        (void) snprintf(ending, sizeof(ending), "%s.d", kind->ending);
        r = policy_files_find(&folders, paths, kind->folder, ending, ret_error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < folders.n; i++)
                if (!policy_files_get(files, folders.files[i].name))
                        return error_set(ret_error, -EINVAL,
                                "%s: there is no %s of that name: rename or remove the "
                                "folder",
                                folders.files[i].path, kind->what);
        return 0;
}

static int load_file(const struct policy_kind *kind, const struct policy_paths *paths,
        const struct policy_file *file, struct policy *p, struct error *ret_error)
{
        _cleanup_(policy_source_done) struct policy_source source = {};
        int r;

        if (!policy_is_name(file->name) || strlen(file->name) >= POLICY_NAME_MAX)
                return error_set(ret_error, -EINVAL,
                        "%s: not a name for a %s: rename the file to at most %d of a to z, "
                        "0 to 9 "
                        "and -",
                        file->path, kind->what, POLICY_NAME_MAX - 1);
        r = policy_source_init(&source, paths, kind->folder, kind->ending, file, ret_error);
        if (r < 0)
                return r;
        return kind->load(p, &source, ret_error);
}

static int load_kind(const struct policy_kind *kind, const struct policy_paths *paths,
        struct policy *p, struct error *ret_error)
{
        _cleanup_(policy_files_done) struct policy_files files = {};
        int r;

        r = policy_files_find(&files, paths, kind->folder, kind->ending, ret_error);
        if (r < 0)
                return r;
        r = check_drop_ins(kind, paths, &files, ret_error);
        if (r < 0)
                return r;
        for (size_t i = 0; i < files.n; i++) {
                r = load_file(kind, paths, &files.files[i], p, ret_error);
                if (r < 0)
                        return r;
        }
        return 0;
}

int policy_load(const struct policy_paths *paths, struct policy **ret_policy,
        struct policy_config *ret_config, struct error *ret_error)
{
        _cleanup_free_ struct policy *p = NULL;
        struct config_target config;
        int r;

        ASSERT(paths->dirs[0]);
        p = calloc(1, sizeof(*p));
        if (!p)
                return error_set(ret_error, -ENOMEM, "out of memory while reading the policy");
        p->version = POLICY_VERSION;
        if (paths->config_file)
                r = load_named_config(paths->config_file, &config, ret_error);
        else
                r = load_default_config(paths, &config, ret_error);
        if (r < 0)
                return r;
        p->server = config.server;
        p->access = config.access;
        p->bus = config.bus;
        p->pool = config.pool;
        p->server.job_uid_base = config.config.uid_base;
        p->server.job_uid_size = config.config.uid_size;
        r = load_kind(&policy_kind_profile, paths, p, ret_error);
        if (r < 0)
                return r;
        if (!policy_find_profile(p, POLICY_DEFAULT_PROFILE))
                return error_set(ret_error, -ENOENT,
                        "%s has no profiles/default.profile: put it back, or name another "
                        "folder "
                        "with --policy-dir",
                        paths->dirs[paths->dirs[1] ? 1 : 0]);
        r = load_kind(&policy_kind_runtime, paths, p, ret_error);
        if (r < 0)
                return r;
        *ret_policy = TAKE_PTR(p);
        if (ret_config)
                *ret_config = config.config;
        return 0;
}
