/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Policy files: what is read from where, which file wins, and the sentence for each thing that can
 * be wrong with one. Every test has two policy folders, low and high, in a folder of its own.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemon/monitor/cgroup-layout.h"
#include "daemon/monitor/policy-load.h"

#define PROFILE                                                                                    \
        "[Profile]\nDescription=For tests\n"                                                       \
        "[Limits]\nWallTimeSec=30s\nMaxWallTimeSec=10min\nCPUTimeSec=\nMaxCPUTimeSec=10min\n"      \
        "Memory=256M\nMaxMemory=2G\nCPUQuota=100%\nMaxCPUQuota=200%\nPids=64\nMaxPids=512\n"       \
        "Output=1M\nMaxOutput=64M\nTmpSize=64M\nMaxTmpSize=1G\nCodeSize=1M\nFilesSize=16M\n"

#define RUNTIME                                                                                    \
        "[Runtime]\nInterpreter=/usr/bin/env\nPackage=coreutils\nFileName=main.x\n"                \
        "Arguments=-i %f\n"

static char folder[64], low[80], high[80];
static struct policy_paths paths;
static struct policy *policy;
static struct policy_config config;
static struct error error;

static void put(const char *dir, const char *name, const char *text)
{
        char path[256];
        _cleanup_close_ int fd = -EBADF;

        (void) snprintf(path, sizeof(path), "%s/%s", dir, name);
        for (char *p = path + strlen(dir) + 1; (p = strchr(p, '/')); p++) {
                *p = '\0';
                ck_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
                *p = '/';
        }
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(io_write_full(fd, text, strlen(text)), 0);
}

static void setup(void)
{
        (void) snprintf(folder, sizeof(folder), "/tmp/test-policy-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
        (void) snprintf(low, sizeof(low), "%s/low", folder);
        (void) snprintf(high, sizeof(high), "%s/high", folder);
        ck_assert_int_eq(mkdir(low, 0755), 0);
        ck_assert_int_eq(mkdir(high, 0755), 0);
        put(low, "profiles/default.profile", PROFILE);
        paths = (struct policy_paths) { .dirs = { low, high } };
        policy = NULL;
        error = (struct error) {};
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static void teardown(void)
{
        free(policy);
        (void) nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void load(void)
{
        free(TAKE_PTR(policy));
        ck_assert_msg(policy_load(&paths, &policy, &config, &error) == 0, "%s", error.text);
}

/* Loading fails with all of the words in the sentence, and nothing is returned. */
static void check_refused(const char *const *words)
{
        struct policy_config before = config = (struct policy_config) { .uid_base = 77 };
        int r = policy_load(&paths, &policy, &config, &error);

        ck_assert_msg(r < 0, "it was loaded; expected an error with %s", words[0]);
        for (; *words; words++)
                ck_assert_msg(strstr(error.text, *words), "no '%s' in: %s", *words, error.text);
        ck_assert_ptr_null(policy);
        ck_assert_uint_eq(config.uid_base, before.uid_base);
}

#define REFUSED(...) check_refused((const char *const[]) { __VA_ARGS__, NULL })

static uint64_t default_of(enum limit_id id)
{
        return policy_find_profile(policy, "default")->defaults.value[id];
}

static uint64_t maximum_of(enum limit_id id)
{
        return policy_find_profile(policy, "default")->maximums.value[id];
}

START_TEST(test_profile)
{
        const struct policy_profile *p;

        load();
        ck_assert_uint_eq(policy->version, POLICY_VERSION);
        ck_assert_uint_eq(policy->n_profiles, 1);
        p = policy_find_profile(policy, "default");
        ck_assert_str_eq(p->description, "For tests");
        ck_assert_str_eq(p->filter, "default");
        ck_assert_uint_eq(p->open_files, 1024);
        ck_assert_uint_eq(p->tmp_inodes, 16384);
        ck_assert_uint_eq(p->loopback, 1);
        ck_assert_uint_eq(default_of(LIMIT_WALL_TIME), 30 * USEC_PER_SEC);
        ck_assert_uint_eq(maximum_of(LIMIT_WALL_TIME), 600 * USEC_PER_SEC);
        ck_assert_uint_eq(default_of(LIMIT_CPU_TIME), 0);
        ck_assert_uint_eq(maximum_of(LIMIT_CPU_TIME), 600 * USEC_PER_SEC);
        ck_assert_uint_eq(default_of(LIMIT_CPU_QUOTA), 100);
        ck_assert_uint_eq(maximum_of(LIMIT_MEMORY), 2 * GIB);
        /* These have no maximum beside them. */
        ck_assert_uint_eq(maximum_of(LIMIT_CODE_SIZE), MIB);
        ck_assert_uint_eq(maximum_of(LIMIT_FILES_SIZE), 16 * MIB);
}
END_TEST

START_TEST(test_profile_settings)
{
        const struct policy_profile *p;

        put(low, "profiles/strict.profile",
                PROFILE "[Profile]\nSystemCallFilter=strict\nOpenFiles=64\nTmpInodes=100\n"
                        "Loopback=no\n");
        load();
        p = policy_find_profile(policy, "strict");
        ck_assert_ptr_nonnull(p);
        ck_assert_str_eq(p->filter, "strict");
        ck_assert_uint_eq(p->open_files, 64);
        ck_assert_uint_eq(p->tmp_inodes, 100);
        ck_assert_uint_eq(p->loopback, 0);
}
END_TEST

START_TEST(test_server_defaults)
{
        load();
        ck_assert_uint_eq(policy->server.max_frame_bytes, 4 * MIB);
        ck_assert_uint_eq(policy->server.max_connections, 1024);
        ck_assert_uint_eq(policy->server.max_connections_per_user, 128);
        ck_assert_uint_eq(policy->server.max_jobs, 1024);
        ck_assert_uint_eq(policy->server.max_jobs_per_user, 256);
        ck_assert_uint_eq(policy->server.max_queued, 4096);
        ck_assert_uint_eq(policy->server.max_queued_per_user, 512);
        ck_assert_uint_eq(policy->server.max_upload_per_user, 128 * MIB);
        ck_assert_uint_eq(policy->server.result_retention_usec, 600 * USEC_PER_SEC);
        ck_assert_uint_eq(policy->server.max_results_per_user, 1000);
        ck_assert_uint_eq(policy->server.max_kept, 256 * MIB);
        ck_assert_uint_eq(policy->server.max_kept_per_user, 32 * MIB);
        ck_assert_uint_eq(policy->server.frame_timeout_usec, 10 * USEC_PER_SEC);
        ck_assert_uint_eq(config.uid_base, 0x70000000);
        ck_assert_uint_eq(config.uid_size, 0x00100000);
        ck_assert_uint_eq(config.allow_missing, 0);
}
END_TEST

START_TEST(test_server_settings)
{
        put(low, "sandboxd.conf",
                "[Server]\nMaxFrameSize=64K\nMaxConnections=2\nMaxConnectionsPerUser=3\n"
                "MaxJobs=4\nMaxJobsPerUser=5\nMaxUploadPerUser=6M\nFrameTimeoutSec=250ms\n"
                "MaxQueued=7\nMaxQueuedPerUser=0\nResultRetentionSec=1min\n"
                "MaxResultsPerUser=8\nMaxKept=9M\nMaxKeptPerUser=0\n"
                "[UserNamespaces]\nBase=0x71000000\nSize=4096\n"
                "[Cgroup]\nAllowMissing=pids swap\n");
        load();
        ck_assert_uint_eq(policy->server.max_frame_bytes, 64 * KIB);
        ck_assert_uint_eq(policy->server.max_connections, 2);
        ck_assert_uint_eq(policy->server.max_connections_per_user, 3);
        ck_assert_uint_eq(policy->server.max_jobs, 4);
        ck_assert_uint_eq(policy->server.max_jobs_per_user, 5);
        ck_assert_uint_eq(policy->server.max_queued, 7);
        ck_assert_uint_eq(policy->server.max_queued_per_user, 0);
        ck_assert_uint_eq(policy->server.max_upload_per_user, 6 * MIB);
        ck_assert_uint_eq(policy->server.result_retention_usec, 60 * USEC_PER_SEC);
        ck_assert_uint_eq(policy->server.max_results_per_user, 8);
        ck_assert_uint_eq(policy->server.max_kept, 9 * MIB);
        ck_assert_uint_eq(policy->server.max_kept_per_user, 0);
        ck_assert_uint_eq(policy->server.frame_timeout_usec, 250000);
        ck_assert_uint_eq(config.uid_base, 0x71000000);
        ck_assert_uint_eq(config.uid_size, 4096);
        ck_assert_uint_eq(config.allow_missing, CGROUP_PIDS | CGROUP_SWAP);
}
END_TEST

START_TEST(test_runtime)
{
        const struct policy_runtime *r;

        put(low, "runtimes/ruby.runtime",
                RUNTIME "Description=Ruby\nAliases=rb  irb\nLauncher=ruby.rb\n"
                        "Environment=A=1 B=%l\nReturnsValue=yes\n");
        put(low, "runtimes/command.runtime", "[Runtime]\nDescription=Any program\n");
        load();
        ck_assert_uint_eq(policy->n_runtimes, 2);
        r = policy_find_runtime(policy, "irb");
        ck_assert_ptr_nonnull(r);
        ck_assert_str_eq(r->name, "ruby");
        ck_assert_str_eq(r->aliases[0], "rb");
        ck_assert_str_eq(r->interpreter, "/usr/bin/env");
        ck_assert_str_eq(r->package, "coreutils");
        ck_assert_str_eq(r->file_name, "main.x");
        ck_assert_str_eq(r->launcher, "ruby.rb");
        ck_assert_uint_eq(r->n_arguments, 2);
        ck_assert_str_eq(r->arguments[1], "%f");
        ck_assert_uint_eq(r->n_environment, 2);
        ck_assert_str_eq(r->environment[1], "B=%l");
        ck_assert_uint_eq(r->returns_value, 1);
        ck_assert_uint_eq(r->available, 1);
        r = policy_find_runtime(policy, "command");
        ck_assert_uint_eq(r->available, 1);
        ck_assert_uint_eq(r->returns_value, 0);
}
END_TEST

/* A missing interpreter is not an error; one that is a folder or not for everyone is none. */
START_TEST(test_unavailable)
{
        static const char *const paths_to_none[] = { "/usr/bin/no-such-program", "/usr/bin",
                "/usr/share/common-licenses/GPL-3" };

        for (size_t i = 0; i < ELEMENTSOF(paths_to_none); i++) {
                char text[256];

                (void) snprintf(text, sizeof(text), "%sInterpreter=%s\n", RUNTIME,
                        paths_to_none[i]);
                put(low, "runtimes/x.runtime", text);
                load();
                ck_assert_uint_eq(policy_find_runtime(policy, "x")->available, 0);
        }
}
END_TEST

START_TEST(test_later_folder_replaces)
{
        put(low, "profiles/default.profile", PROFILE "Pids=7\n[Profile]\nOpenFiles=99\n");
        put(high, "profiles/default.profile", PROFILE);
        put(low, "sandboxd.conf", "[Server]\nMaxJobs=3\nMaxConnections=9\n");
        put(high, "sandboxd.conf", "[Server]\nMaxJobs=4\n");
        load();
        ck_assert_uint_eq(policy->n_profiles, 1);
        ck_assert_uint_eq(default_of(LIMIT_PIDS), 64);
        ck_assert_uint_eq(policy_find_profile(policy, "default")->open_files, 1024);
        ck_assert_uint_eq(policy->server.max_jobs, 4);
        ck_assert_uint_eq(policy->server.max_connections, 1024);
}
END_TEST

/* In the order of their names whatever the folder; of two with one name the later folder's counts.
 */
START_TEST(test_drop_ins)
{
        put(high, "profiles/default.profile.d/10-a.conf", "[Limits]\nPids=10\nMemory=10M\n");
        put(low, "profiles/default.profile.d/20-b.conf", "[Limits]\nPids=20\nOutput=20K\n");
        put(high, "profiles/default.profile.d/20-b.conf", "[Limits]\nPids=21\n");
        put(low, "profiles/default.profile.d/30-c.conf", "[Limits]\nTmpSize=30M\n");
        put(low, "profiles/default.profile.d/40-d.txt", "not read");
        put(low, "profiles/default.profile.d/.50-e.conf", "not read");
        put(low, "sandboxd.conf.d/1.conf", "[Server]\nMaxJobs=3\n");
        put(low, "runtimes/x.runtime", RUNTIME);
        put(high, "runtimes/x.runtime.d/1.conf", "[Runtime]\nAliases=xx\n");
        load();
        ck_assert_uint_eq(default_of(LIMIT_PIDS), 21);
        ck_assert_uint_eq(default_of(LIMIT_MEMORY), 10 * MIB);
        ck_assert_uint_eq(default_of(LIMIT_OUTPUT), MIB);
        ck_assert_uint_eq(default_of(LIMIT_TMP_SIZE), 30 * MIB);
        ck_assert_uint_eq(policy->server.max_jobs, 3);
        ck_assert_ptr_nonnull(policy_find_runtime(policy, "xx"));
}
END_TEST

START_TEST(test_lists)
{
        const struct policy_runtime *r;

        put(low, "runtimes/x.runtime",
                RUNTIME "Arguments=more\nEnvironment=A=1\nEnvironment=\nEnvironment=B=2\n"
                        "Aliases=one two three four\nAliases=\nAliases=five\n");
        put(low, "sandboxd.conf",
                "[Cgroup]\nAllowMissing=memory swap\nAllowMissing=\n"
                "AllowMissing=cpu\n");
        load();
        r = policy_find_runtime(policy, "x");
        ck_assert_uint_eq(r->n_arguments, 3);
        ck_assert_str_eq(r->arguments[2], "more");
        ck_assert_uint_eq(r->n_environment, 1);
        ck_assert_str_eq(r->environment[0], "B=2");
        ck_assert_str_eq(r->aliases[0], "five");
        ck_assert_ptr_null(policy_find_runtime(policy, "one"));
        ck_assert_uint_eq(config.allow_missing, CGROUP_CPU);
}
END_TEST

static void check_ids(const struct policy_ids *ids, const uint32_t *expected, uint32_t n)
{
        ck_assert_uint_eq(ids->n, n);
        for (uint32_t i = 0; i < n; i++)
                ck_assert_uint_eq(ids->ids[i], expected[i]);
}

#define IDS(list, ...)                                                                             \
        check_ids(&policy->access.list, (const uint32_t[]) { __VA_ARGS__ },                        \
                sizeof((const uint32_t[]) { __VA_ARGS__ }) / sizeof(uint32_t))

START_TEST(test_access)
{
        load();
        ck_assert_uint_eq(policy->access.allow_users.n, 0);
        ck_assert_uint_eq(policy->access.allow_groups.n, 0);
        ck_assert_uint_eq(policy->access.deny_users.n, 0);
        put(low, "sandboxd.conf",
                "[Access]\nAllowUsers=root 1000\nAllowUsers=4294967294\n"
                "AllowGroups=root\t7 root\nDenyUsers=5\nDenyUsers=\nDenyUsers=0\n");
        load();
        IDS(allow_users, 0, 1000, 4294967294);
        IDS(allow_groups, 0, 7, 0);
        IDS(deny_users, 0);
        /* Drop-ins add to the lists, or begin anew. */
        put(high, "sandboxd.conf.d/1.conf", "[Access]\nAllowUsers=8\nAllowGroups=\n");
        load();
        IDS(allow_users, 0, 1000, 4294967294, 8);
        ck_assert_uint_eq(policy->access.allow_groups.n, 0);
}
END_TEST

static void check_bus(bool has_user, uint32_t user)
{
        load();
        ck_assert_uint_eq(policy->bus.has_user, has_user);
        ck_assert_uint_eq(policy->bus.user, user);
}

START_TEST(test_bus)
{
        put(low, "sandboxd.conf", "[Bus]\nUser=1234\n");
        check_bus(true, 1234);
        put(low, "sandboxd.conf", "[Bus]\nUser=nobody\n");
        check_bus(true, 65534);
        /* The service may not be installed. */
        put(low, "sandboxd.conf", "[Bus]\nUser=no-such-user\n");
        check_bus(false, 0);
        put(low, "sandboxd.conf", "[Bus]\nUser=1234\nUser=\n");
        check_bus(false, 0);
        put(high, "sandboxd.conf.d/1.conf", "[Bus]\nUser=4294967294\n");
        check_bus(true, 4294967294);
}
END_TEST

START_TEST(test_access_is_bounded)
{
        char text[1024] = "[Access]\nAllowUsers=";
        size_t n = strlen(text);

        for (unsigned i = 0; i < POLICY_IDS_MAX; i++)
                n += (size_t) snprintf(text + n, sizeof(text) - n, "%u ", i);
        put(low, "sandboxd.conf", text);
        load();
        ck_assert_uint_eq(policy->access.allow_users.n, POLICY_IDS_MAX);
        free(TAKE_PTR(policy));
        put(high, "sandboxd.conf.d/1.conf", "[Access]\nAllowUsers=99\n");
        REFUSED("1.conf:2", "AllowUsers=99", "more than 64 users");
}
END_TEST

START_TEST(test_pool)
{
        const struct policy_runtime *r;

        load();
        ck_assert_uint_eq(policy->pool.maximum, 64);
        ck_assert_uint_eq(policy->pool.maximum_per_user, 16);
        ck_assert_uint_eq(policy->pool.minimum, 1);
        ck_assert_uint_eq(policy->pool.idle_usec, 300 * USEC_PER_SEC);
        ck_assert_uint_eq(policy->pool.max_memory, 1 * GIB);
        ck_assert_uint_eq(policy->pool.namespaces, 8);
        ck_assert_uint_eq(policy->pool.users.n, 0);
        put(low, "sandboxd.conf",
                "[Pool]\nMaximum=0\nMaximumPerUser=2\nMinimum=3\nIdleSec=4ms\nMaxMemory="
                "5M\nNamespaces=64\n"
                "Users=root 1234\n");
        put(low, "runtimes/ruby.runtime",
                RUNTIME
                "Launcher=ruby.rb\nEnvironment=A=%l\nPark=yes\n"
                "ColdEnvironment=RUBY* LC_*\nColdEnvironment=TZ\nColdFiles=Gemfile *.lock\n");
        load();
        ck_assert_uint_eq(policy->pool.maximum, 0);
        ck_assert_uint_eq(policy->pool.maximum_per_user, 2);
        ck_assert_uint_eq(policy->pool.minimum, 3);
        ck_assert_uint_eq(policy->pool.idle_usec, 4 * USEC_PER_MSEC);
        ck_assert_uint_eq(policy->pool.max_memory, 5 * MIB);
        ck_assert_uint_eq(policy->pool.namespaces, 64);
        ck_assert_uint_eq(policy->pool.users.n, 2);
        ck_assert_uint_eq(policy->pool.users.ids[1], 1234);
        r = policy_find_runtime(policy, "ruby");
        ck_assert_uint_eq(r->park, 1);
        ck_assert_uint_eq(r->n_cold_environment, 3);
        ck_assert_str_eq(r->cold_environment[2], "TZ");
        ck_assert_uint_eq(r->n_cold_files, 2);
        ck_assert_str_eq(r->cold_files[0], "Gemfile");
        /* Its own numbers of them, or those of all. */
        ck_assert_uint_eq(r->park_minimum, 3);
        ck_assert_uint_eq(r->park_maximum, 2);
        put(low, "runtimes/ruby.runtime", RUNTIME "ParkMinimum=1\n");
        put(high, "runtimes/ruby.runtime.d/1.conf", "[Runtime]\nParkMaximum=8\n");
        load();
        r = policy_find_runtime(policy, "ruby");
        ck_assert_uint_eq(r->park_minimum, 1);
        ck_assert_uint_eq(r->park_maximum, 8);
        free(TAKE_PTR(policy));
        put(high, "runtimes/ruby.runtime.d/1.conf", "[Runtime]\nParkMaximum=0\n");
        REFUSED("ruby.runtime:", "ParkMinimum=1 is more than ParkMaximum=0");
        put(low, "runtimes/ruby.runtime", RUNTIME "ParkMinimum=5000\n");
        REFUSED("ruby.runtime:", "ParkMinimum=5000", "use 0 to 4096");
        put(low, "runtimes/ruby.runtime", RUNTIME "ParkMinimum=\n");
        REFUSED("ruby.runtime:", "ParkMinimum= is not a whole number");
}
END_TEST

START_TEST(test_idle_exit)
{
        static const struct {
                const char *text;
                uint64_t usec;
        } cases[] = {
                { "", 600 * USEC_PER_SEC },
                { "IdleExitSec=0\n", 0 },
                { "IdleExitSec=infinity\n", 0 },
                { "IdleExitSec=5ms\n", 5 * USEC_PER_MSEC },
                { "IdleExitSec=infinity\nIdleExitSec=2h\n", 7200 * USEC_PER_SEC },
        };
        char text[128];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                (void) snprintf(text, sizeof(text), "[Server]\n%s", cases[i].text);
                put(low, "sandboxd.conf", text);
                load();
                ck_assert_uint_eq(policy->server.idle_exit_usec, cases[i].usec);
        }
}
END_TEST

START_TEST(test_named_config)
{
        char path[256];

        (void) snprintf(path, sizeof(path), "%s/my.conf", folder);
        paths.config_file = path;
        put(high, "sandboxd.conf", "[Server]\nMaxJobs=3\n");
        REFUSED(path, "No such file");
        put(folder, "my.conf", "[Server]\nMaxConnections=5\n");
        put(folder, "my.conf.d/1.conf", "[Server]\nMaxConnections=6\n");
        load();
        ck_assert_uint_eq(policy->server.max_jobs, 1024);
        ck_assert_uint_eq(policy->server.max_connections, 6);
}
END_TEST

/* Blanks, comments, and Windows line ends are as in any INI file. */
START_TEST(test_syntax)
{
        char text[2048];

        (void) snprintf(text, sizeof(text),
                "\xef\xbb\xbf# \xc3\xa4 comment\n#%0400d\n; another\n\n[Server]\r\n"
                "  MaxJobs = 3  \r\n\tMaxConnections=4 ; a comment\nMaxJobsPerUser=5",
                0);
        put(low, "sandboxd.conf", text);
        load();
        ck_assert_uint_eq(policy->server.max_jobs, 3);
        ck_assert_uint_eq(policy->server.max_connections, 4);
        ck_assert_uint_eq(policy->server.max_jobs_per_user, 5);
}
END_TEST

struct wrong {
        const char *file; /* in the higher folder */
        const char *text;
        const char *where; /* its file and line, or file alone */
        const char *what;
};

#define LIMITS "profiles/default.profile.d/x.conf"
#define LONG_40 "0123456789012345678901234567890123456789"

static const struct wrong wrongs[] = {
        /* limits */
        { LIMITS, "[Limits]\n\n Memory=banana\n", "x.conf:3",
                "Memory=banana is not a size: use a number with K, M or G, such as 256M" },
        { LIMITS, "[Limits]\nMemory=\n", "x.conf:2", "Memory= is not a size" },
        { LIMITS, "[Limits]\nMemory=4095K\n", "x.conf:2",
                "Memory=4095K is out of range: use 4M to" },
        { LIMITS, "[Limits]\nMemory=-1\n", "x.conf:2", "not a size" },
        { LIMITS, "[Limits]\nMemory=3G\n", "x.conf:2", "Memory=3G is over MaxMemory=2G" },
        { LIMITS, "[Limits]\nMaxMemory=64M\n", "default.profile:8",
                "Memory=256M is over MaxMemory" },
        { LIMITS, "[Limits]\nCPUTimeSec=11min\n", "x.conf:2", "is over MaxCPUTimeSec=10min" },
        { LIMITS, "[Limits]\nWallTimeSec=soon\n", "x.conf:2", "is not a time" },
        { LIMITS, "[Limits]\nCPUQuota=100\n", "x.conf:2", "whole number with %, such as 100%" },
        { LIMITS, "[Limits]\nPids=64K\n", "x.conf:2",
                "is not a whole number: use one, such as 64" },
        { LIMITS, "[Limits]\nMaxPids=0\n", "x.conf:2", "MaxPids=0 is out of range" },
        { LIMITS, "[Limits]\nMemroy=1G\n", "x.conf:2", "[Limits] has no key Memroy=" },
        { LIMITS, "[Limits]\nMaxCodeSize=1G\n", "x.conf:2", "no key MaxCodeSize=" },
        /* settings of a profile */
        { LIMITS, "[Profile]\nLoopback=maybe\n", "x.conf:2", "neither yes nor no" },
        { LIMITS, "[Profile]\nOpenFiles=1\n", "x.conf:2", "out of range: use 32 to" },
        { LIMITS, "[Profile]\nOpenFiles=many\n", "x.conf:2", "is not a whole number" },
        { LIMITS, "[Profile]\nSystemCallFilter=../x\n", "x.conf:2", "is not a name" },
        { LIMITS, "[Profile]\nSystemCallFilter=\n", "x.conf:2", "is not a name" },
        { LIMITS, "[Profile]\nDescription=" LONG_40 LONG_40 LONG_40 LONG_40 "\n", "x.conf:2",
                "is too long: use at most 159" },
        { LIMITS, "[Profile]\nColour=red\n", "x.conf:2", "[Profile] has no key Colour=" },
        /* text */
        { LIMITS, "[Limitz]\nMemory=64M\n", "x.conf:2", "[Limitz]" },
        { LIMITS, "Memory=64M\n", "x.conf:1", "Memory=" },
        { LIMITS, "[Limits]\njust words\nMemory=banana\n", "x.conf:2", "neither a [Section] nor" },
        { LIMITS, "[Limits\nMemory=banana\n", "x.conf:1", "neither a [Section] nor" },
        { LIMITS, "[Profile]\nDescription=caf\xc3\xa9\n", "x.conf:2", "printable ASCII" },
        { LIMITS, "[Profile]\nDescription=\033[31m\n", "x.conf:2", "printable ASCII" },
        { LIMITS, "\n[Profile]\nDescription=" LONG_40 LONG_40 LONG_40 LONG_40 LONG_40 "\n",
                "x.conf:3", "line is too long" },
        /* names of files */
        { "profiles/Big.profile", PROFILE, "Big.profile", "rename the file" },
        { "profiles/my_own.profile", PROFILE, "my_own.profile", "rename the file" },
        { "profiles/" LONG_40 ".profile", PROFILE, ".profile", "at most 31" },
        { "profiles/defualt.profile.d/1.conf", "", "defualt.profile.d", "no profile of that name" },
        { "runtimes/no.runtime.d/1.conf", "", "no.runtime.d", "no runtime of that name" },
        /* missing keys */
        { "profiles/x.profile", "[Limits]\n", "x.profile", "WallTimeSec= is missing" },
        { "profiles/x.profile", "[Limits]\nWallTimeSec=1s\n", "x.profile",
                "MaxWallTimeSec= is missing" },
        { "runtimes/x.runtime", "[Runtime]\nInterpreter=/usr/bin/x\n", "x.runtime",
                "FileName= is missing" },
        { "runtimes/x.runtime", "[Runtime]\nInterpreter=/usr/bin/x\nFileName=x\n", "x.runtime",
                "Package= is missing" },
        { "runtimes/x.runtime", "[Runtime]\nInterpreter=/usr/bin/x\nFileName=x\nPackage=x\n",
                "x.runtime", "Arguments= is missing" },
        { "runtimes/x.runtime", RUNTIME "Environment=X=%l\n", "x.runtime", "Launcher= is missing" },
        { "runtimes/x.runtime", "[Runtime]\nFileName=main.x\n", "x.runtime",
                "Interpreter= is missing" },
        /* runtimes */
        { "runtimes/x.runtime", "[Runtime]\nInterpreter=/opt/x\n", "x.runtime:2", "below /usr" },
        { "runtimes/x.runtime", "[Runtime]\nInterpreter=python3\n", "x.runtime:2", "below /usr" },
        { "runtimes/x.runtime", "[Runtime]\nInterpreter=/usr/../opt/x\n", "x.runtime:2",
                "below /usr" },
        { "runtimes/x.runtime", "[Runtime]\nFileName=../main\n", "x.runtime:2", "file's name" },
        { "runtimes/x.runtime", "[Runtime]\nFileName=a/b\n", "x.runtime:2", "file's name" },
        { "runtimes/x.runtime", "[Runtime]\nLauncher=.hidden\n", "x.runtime:2", "file's name" },
        { "runtimes/x.runtime", "[Runtime]\nArguments=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
                "x.runtime:2", "one word too many: give at most 16" },
        { "runtimes/x.runtime", "[Runtime]\nArguments=" LONG_40 LONG_40 LONG_40 LONG_40 "\n",
                "x.runtime:2", "at most 127" },
        { "runtimes/x.runtime", "[Runtime]\nArguments=%x\n", "x.runtime:2",
                "%f (the code's file)" },
        { "runtimes/x.runtime", "[Runtime]\nArguments=100%\n", "x.runtime:2",
                "%f (the code's file)" },
        { "runtimes/x.runtime", "[Runtime]\nEnvironment=A\n", "x.runtime:2", "NAME=VALUE" },
        { "runtimes/x.runtime", "[Runtime]\nEnvironment==1\n", "x.runtime:2", "NAME=VALUE" },
        { "runtimes/x.runtime", "[Runtime]\nAliases=a b c d e\n", "x.runtime:2", "at most 4" },
        { "runtimes/x.runtime", "[Runtime]\nAliases=A\n", "x.runtime:2", "A is not a name" },
        { "runtimes/x.runtime", "[Runtime]\nAliases=x\n", "x.runtime:2", "name of the runtime x" },
        { "runtimes/x.runtime", "[Runtime]\nAliases=y y\n", "x.runtime:2",
                "name of the runtime x" },
        { "runtimes/x.runtime", "[Runtime]\nFlavour=sweet\n", "x.runtime:2", "no key Flavour=" },
        /* sandboxd.conf */
        { "sandboxd.conf", "[Server]\nMaxJobs=0\n", "sandboxd.conf:2", "out of range" },
        { "sandboxd.conf", "[Server]\nMaxFrameSize=1\n", "sandboxd.conf:2", "use 4K to 1G" },
        { "sandboxd.conf", "[Server]\nMaxUploadPerUser=1023K\n", "sandboxd.conf:2",
                "use 1M to 2G" },
        { "sandboxd.conf", "[Server]\nMaxUploadPerUser=4G\n", "sandboxd.conf:2", "use 1M to 2G" },
        { "sandboxd.conf", "[Server]\nFrameTimeoutSec=10 bananas\n", "sandboxd.conf:2",
                "not a time" },
        { "sandboxd.conf", "[UserNamespaces]\nBase=0\n", "sandboxd.conf:2", "use 0x10000 to" },
        { "sandboxd.conf", "[UserNamespaces]\nBase=nobody\n", "sandboxd.conf:2", "not a number" },
        { "sandboxd.conf", "[UserNamespaces]\nSize=1\n", "sandboxd.conf:2",
                "Size=1 is out of range" },
        { "sandboxd.conf", "[UserNamespaces]\nBase=0xfffffff0\n", "sandboxd.conf:2", "32 bits" },
        { "sandboxd.conf", "[UserNamespaces]\nBase=4294967291\nSize=5\n", "sandboxd.conf:3",
                "32 bits" },
        { "sandboxd.conf", "[Server]\nIdleExitSec=never\n", "sandboxd.conf:2",
                "IdleExitSec=never is not a time" },
        { "sandboxd.conf", "[Access]\nAllowUsers=root no-such-user\n", "sandboxd.conf:2",
                "unknown user 'no-such-user'" },
        { "sandboxd.conf", "[Access]\n\nAllowGroups=no-such-group\n", "sandboxd.conf:3",
                "unknown group 'no-such-group'" },
        { "sandboxd.conf", "[Access]\nDenyUsers=4294967295\n", "sandboxd.conf:2", "is no user" },
        { "sandboxd.conf", "[Access]\nDenyGroups=root\n", "sandboxd.conf:2",
                "use one of AllowUsers=, AllowGroups=, DenyUsers=" },
        { "sandboxd.conf", "[Bus]\nUser=0\n", "sandboxd.conf:2", "is root" },
        { "sandboxd.conf", "[Bus]\nUser=root\n", "sandboxd.conf:2", "is root" },
        { "sandboxd.conf", "[Bus]\nUser=4294967295\n", "sandboxd.conf:2", "is no user" },
        { "sandboxd.conf", "[Cgroup]\nAllowMissing=memory swp\n", "sandboxd.conf:2",
                "unknown word swp: use memory, cpu, pids, swap" },
        { "sandboxd.conf.d/1.conf", "[Server]\nMaxJobs=x\n", "1.conf:2", "MaxJobs=x" },
};

START_TEST(test_wrong)
{
        const struct wrong *w = &wrongs[_i];

        load();
        free(TAKE_PTR(policy));
        put(high, w->file, w->text);
        REFUSED(w->where, w->what);
}
END_TEST

START_TEST(test_names_taken)
{
        put(low, "runtimes/python.runtime", RUNTIME "Aliases=py\n");
        put(low, "runtimes/q.runtime", RUNTIME "Aliases=py\n");
        REFUSED("q.runtime:6", "py is a name of the runtime python");
        put(low, "runtimes/q.runtime", RUNTIME "Aliases=python\n");
        REFUSED("q.runtime:6", "python is a name of the runtime python");
        put(low, "runtimes/q.runtime", RUNTIME);
        put(low, "runtimes/py.runtime", RUNTIME);
        REFUSED("python.runtime:6", "py is a name of the runtime py");
}
END_TEST

START_TEST(test_no_default_profile)
{
        char path[256];

        (void) snprintf(path, sizeof(path), "%s/profiles/default.profile", low);
        ck_assert_int_eq(unlink(path), 0);
        REFUSED("profiles/default.profile", high);
        put(high, "profiles/default.profile", PROFILE);
        load();
}
END_TEST

START_TEST(test_too_many)
{
        char name[64];

        for (int i = 0; i < POLICY_PROFILES_MAX - 1; i++) {
                (void) snprintf(name, sizeof(name), "profiles/p%02d.profile", i);
                put(low, name, PROFILE);
        }
        load();
        ck_assert_uint_eq(policy->n_profiles, POLICY_PROFILES_MAX);
        free(TAKE_PTR(policy));
        put(low, "profiles/q.profile", PROFILE);
        REFUSED("q.profile", "at most 16");
}
END_TEST

/* What is not a file to read is refused at once, a FIFO too. */
START_TEST(test_not_a_file)
{
        char path[256], large[POLICY_FILE_MAX + 2];
        int fd;

        (void) snprintf(path, sizeof(path), "%s/sandboxd.conf", high);
        ck_assert_int_eq(mkfifo(path, 0644), 0);
        REFUSED(path, "not a regular file");
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(symlink("/dev/zero", path), 0);
        REFUSED(path, "not a regular file");
        ck_assert_int_eq(unlink(path), 0);
        ck_assert_int_eq(mkdir(path, 0755), 0);
        REFUSED(path, "not a regular file");
        ck_assert_int_eq(rmdir(path), 0);
        memset(large, '\n', sizeof(large));
        large[sizeof(large) - 1] = '\0';
        put(high, "sandboxd.conf", large);
        REFUSED(path, "larger than 64 KiB");
        large[POLICY_FILE_MAX] = '\0';
        put(high, "sandboxd.conf", large);
        load();
        free(TAKE_PTR(policy));
        fd = open(path, O_WRONLY | O_CLOEXEC);
        ck_assert_int_eq(io_write_full(fd, "#\0\n", 3), 0);
        fd = safe_close(fd);
        REFUSED(path, "NUL byte");
}
END_TEST

/* The files of this project. */
START_TEST(test_own_files)
{
        const char *source = getenv("srcdir");
        char path[512];

        (void) snprintf(path, sizeof(path), "%s/policy", source ? source : ".");
        paths = (struct policy_paths) { .dirs = { path } };
        load();
        ck_assert_uint_eq(default_of(LIMIT_WALL_TIME), 30 * USEC_PER_SEC);
        ck_assert_uint_eq(maximum_of(LIMIT_WALL_TIME), 600 * USEC_PER_SEC);
        ck_assert_uint_eq(default_of(LIMIT_CPU_TIME), 0);
        ck_assert_uint_eq(default_of(LIMIT_MEMORY), 256 * MIB);
        ck_assert_uint_eq(maximum_of(LIMIT_MEMORY), 2 * GIB);
        ck_assert_uint_eq(default_of(LIMIT_PIDS), 64);
        ck_assert_uint_eq(default_of(LIMIT_OUTPUT), MIB);
        ck_assert_uint_eq(default_of(LIMIT_CODE_SIZE), MIB);
        ck_assert_uint_eq(default_of(LIMIT_FILES_SIZE), 16 * MIB);
        ck_assert_ptr_nonnull(policy_find_profile(policy, "strict"));
        ck_assert_ptr_nonnull(policy_find_runtime(policy, "python"));
        ck_assert_ptr_eq(policy_find_runtime(policy, "js"),
                policy_find_runtime(policy, "javascript"));
        ck_assert_ptr_nonnull(policy_find_runtime(policy, "javascript-bare"));
        ck_assert_ptr_eq(policy_find_runtime(policy, "sh"), policy_find_runtime(policy, "bash"));
        ck_assert_str_eq(policy_find_runtime(policy, "command")->interpreter, "");
        /* All settings of sandboxd.conf are comments that say the default. */
        ck_assert_uint_eq(policy->server.max_jobs, 1024);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("policy-load");
        TCase *t = tcase_create("policy-load");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_profile);
        tcase_add_test(t, test_profile_settings);
        tcase_add_test(t, test_server_defaults);
        tcase_add_test(t, test_server_settings);
        tcase_add_test(t, test_runtime);
        tcase_add_test(t, test_unavailable);
        tcase_add_test(t, test_later_folder_replaces);
        tcase_add_test(t, test_drop_ins);
        tcase_add_test(t, test_lists);
        tcase_add_test(t, test_access);
        tcase_add_test(t, test_bus);
        tcase_add_test(t, test_access_is_bounded);
        tcase_add_test(t, test_idle_exit);
        tcase_add_test(t, test_pool);
        tcase_add_test(t, test_named_config);
        tcase_add_test(t, test_syntax);
        tcase_add_loop_test(t, test_wrong, 0, ELEMENTSOF(wrongs));
        tcase_add_test(t, test_names_taken);
        tcase_add_test(t, test_no_default_profile);
        tcase_add_test(t, test_too_many);
        tcase_add_test(t, test_not_a_file);
        tcase_add_test(t, test_own_files);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
