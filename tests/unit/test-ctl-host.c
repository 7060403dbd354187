/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks of `sandboxctl doctor`, on hosts that are folders with the files that matter.
 */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/ctl/host.h"
#include "common/io.h"

#define BUS_SERVICE "usr/share/dbus-1/system-services/org.sandboxd1.service"
#define V2_MOUNT "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n"

static char root[64];
static int root_fd = -EBADF;
static struct findings findings;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

/* Writes a file of the host, making its folders. */
static void put(const char *path, const char *text)
{
        char full[256];
        FILE *f;

        for (const char *p = strchr(path, '/'); p; p = strchr(p + 1, '/')) {
                (void) snprintf(full, sizeof(full), "%s/%.*s", root, (int) (p - path), path);
                ck_assert(mkdir(full, 0755) == 0 || errno == EEXIST);
        }
        (void) snprintf(full, sizeof(full), "%s/%s", root, path);
        f = fopen(full, "w");
        ck_assert_ptr_nonnull(f);
        (void) fputs(text, f);
        ck_assert_int_eq(fclose(f), 0);
}

/* A host on which everything is well. */
static void setup(void)
{
        static const char *const namespaces[] = { "user", "pid", "mnt", "net", "ipc", "uts",
                "cgroup" };
        char path[64];

        (void) snprintf(root, sizeof(root), "%s", "/tmp/test-ctl-host-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(root));
        root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(root_fd, 0);
        for (size_t i = 0; i < ELEMENTSOF(namespaces); i++) {
                (void) snprintf(path, sizeof(path), "proc/self/ns/%s", namespaces[i]);
                put(path, "");
                (void) snprintf(path, sizeof(path), "proc/sys/user/max_%s_namespaces",
                        namespaces[i]);
                put(path, "1000\n");
        }
        put("proc/sys/kernel/osrelease", "6.16.0-38-amd64\n");
        put("proc/self/mounts", V2_MOUNT);
        put("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
        put("proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t1\t1\n");
        put("proc/filesystems", "nodev\tproc\nnodev\ttmpfs\nnodev\toverlay\n\text4\n");
        put("proc/sys/kernel/seccomp/actions_avail", "kill_process kill_thread trap errno allow\n");
        put("sys/kernel/security/lsm", "capability,yama,apparmor");
        put("proc/sys/kernel/core_pattern", "core\n");
        put("proc/sys/kernel/yama/ptrace_scope", "1\n");
        put("proc/sys/kernel/dmesg_restrict", "1\n");
        put("proc/sys/kernel/kptr_restrict", "2\n");
        put("proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
        put("proc/sys/vm/overcommit_memory", "0\n");
        put("run/dbus/system_bus_socket", "");
        put(BUS_SERVICE, "");
        put("usr/share/dbus-1/system.d/org.sandboxd1.conf", "");
        put("usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service", "");
        put("usr/share/polkit-1/actions/org.sandboxd1.policy", "");
}

static void teardown(void)
{
        findings_done(&findings);
        root_fd = safe_close(root_fd);
        (void) nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void check_host(const char *allowed_missing)
{
        struct host host;

        findings_done(&findings);
        host_init(&host, root_fd, allowed_missing);
        host_check(&host, &findings);
}

/* The finding of a check whose detail has text in it. */
static const struct finding *find(const char *check, const char *text)
{
        for (size_t i = 0; i < findings.n_items; i++)
                if (streq(findings.items[i].check, check) && strstr(findings.items[i].detail, text))
                        return &findings.items[i];
        ck_abort_msg("no finding %s with '%s'", check, text);
}

static void expect(const char *check, const char *text, enum finding_state state)
{
        const struct finding *f = find(check, text);

        ck_assert_msg(f->state == state, "%s: %s: %s", check, f->detail,
                finding_state_name(f->state));
        /* What is not well says what it costs and what to do. */
        ck_assert((state != FINDING_OK) == (f->cost[0] != '\0'));
        ck_assert((state != FINDING_OK) == (f->advice[0] != '\0'));
}

START_TEST(test_all_well)
{
        check_host("");
        for (size_t i = 0; i < findings.n_items; i++)
                expect(findings.items[i].check, findings.items[i].detail, FINDING_OK);
        ck_assert(findings_complete(&findings));
        expect("cgroups", "unified (v2)", FINDING_OK);
}
END_TEST

START_TEST(test_empty_host)
{
        (void) nftw(root, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
        check_host("");
        ck_assert(!findings_complete(&findings));
        expect("cgroups", "not mounted", FINDING_MISSING);
        expect("seccomp", "not in this kernel", FINDING_MISSING);
        expect("namespaces", "user", FINDING_MISSING);
}
END_TEST

START_TEST(test_kernels)
{
        static const struct {
                const char *release;
                enum finding_state state;
        } rows[] = { { "4.18.0-553.el8", FINDING_MISSING }, { "5.11.9", FINDING_MISSING },
                { "5.12", FINDING_WARNING }, { "5.13.19", FINDING_WARNING },
                { "5.14.0-1", FINDING_OK }, { "6.0", FINDING_OK }, { "10.1", FINDING_OK } };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                put("proc/sys/kernel/osrelease", rows[i].release);
                check_host("");
                expect("kernel", rows[i].release, rows[i].state);
        }
}
END_TEST

START_TEST(test_client_fds)
{
        static const struct {
                const char *release;
                enum finding_state state;
        } rows[] = { { "5.14.0-1", FINDING_WARNING }, { "6.15.9", FINDING_WARNING },
                { "6.16", FINDING_OK }, { "7.0", FINDING_OK } };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                put("proc/sys/kernel/osrelease", rows[i].release);
                check_host("");
                expect("client fds", "", rows[i].state);
        }
}
END_TEST

START_TEST(test_hybrid)
{
        put("proc/self/mounts", "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n"
                                "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n"
                                "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n");
        put("sys/fs/cgroup/unified/cgroup.controllers", "pids\n");
        check_host("");
        expect("cgroups", "hybrid", FINDING_OK);
        expect("controller", "memory at /sys/fs/cgroup/memory", FINDING_OK);
        expect("controller", "cpu at /sys/fs/cgroup/cpu,cpuacct", FINDING_OK);
        expect("controller", "pids", FINDING_OK);
}
END_TEST

/* cpuacct is not cpu. */
START_TEST(test_v1_alone)
{
        put("proc/self/mounts", "cgroup /sys/fs/cgroup/cpuacct cgroup rw,cpuacct 0 0\n"
                                "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n");
        check_host("pids ");
        expect("cgroups", "v1 alone", FINDING_WARNING);
        expect("controller", "cpu is missing", FINDING_MISSING);
        expect("controller", "pids is missing", FINDING_WARNING);
        /* What is set already is no advice; that it can go again is. */
        ck_assert_ptr_nonnull(strstr(find("controller", "cpu")->advice, "put AllowMissing=cpu"));
        ck_assert_ptr_nonnull(strstr(find("controller", "pids")->advice, "take pids out of"));
}
END_TEST

START_TEST(test_disabled_controller)
{
        put("sys/fs/cgroup/cgroup.controllers", "cpu pids\n");
        put("proc/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t1\t0\n");
        check_host("");
        expect("controller", "memory is missing", FINDING_MISSING);
        ck_assert_str_eq(find("controller", "memory")->advice, "boot with cgroup_enable=memory");
}
END_TEST

START_TEST(test_swap)
{
        put("proc/self/mounts", "cgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n" V2_MOUNT);
        put("proc/swaps", "Filename Type Size Used Priority\n/swapfile file 1 0 -2\n");
        check_host("");
        expect("swap", "not counted", FINDING_MISSING);
        put("sys/fs/cgroup/memory/memory.memsw.limit_in_bytes", "1\n");
        check_host("");
        for (size_t i = 0; i < findings.n_items; i++)
                ck_assert_str_ne(findings.items[i].check, "swap");
}
END_TEST

START_TEST(test_namespaces_forbidden)
{
        put("proc/sys/user/max_user_namespaces", "0\n");
        check_host("");
        expect("namespaces", "forbidden by sysctl: user", FINDING_MISSING);
}
END_TEST

START_TEST(test_overlay)
{
        put("proc/filesystems", "nodev\tproc\nnodev\ttmpfs\n");
        check_host("");
        expect("file system", "overlay", FINDING_MISSING);
        put("lib/modules/6.16.0-38-amd64/modules.dep", "kernel/fs/overlayfs/overlay.ko.xz:\n");
        check_host("");
        expect("file system", "overlay, a module", FINDING_OK);
}
END_TEST

START_TEST(test_sysctls)
{
        put("proc/sys/kernel/core_pattern", "|/usr/share/apport/apport %p\n");
        put("proc/sys/kernel/yama/ptrace_scope", "0\n");
        put("proc/sys/kernel/kptr_restrict", "0\n");
        put("proc/sys/vm/overcommit_memory", "2\n");
        check_host("");
        expect("kernel.core_pattern", "apport", FINDING_WARNING);
        expect("kernel.yama.ptrace_scope", "0", FINDING_WARNING);
        expect("kernel.kptr_restrict", "0", FINDING_WARNING);
        expect("vm.overcommit_memory", "2", FINDING_WARNING);
        expect("kernel.dmesg_restrict", "1", FINDING_OK);
        ck_assert(findings_complete(&findings));
}
END_TEST

static void take_away(const char *path)
{
        ck_assert_int_eq(unlinkat(root_fd, path, 0), 0);
}

static void put_link(const char *to, const char *path)
{
        put(path, "");
        take_away(path);
        ck_assert_int_eq(symlinkat(to, root_fd, path), 0);
}

static void expect_no_polkit(void)
{
        for (size_t i = 0; i < findings.n_items; i++)
                ck_assert_str_ne(findings.items[i].check, "polkit");
}

START_TEST(test_bus)
{
        check_host("");
        expect("D-Bus", "started by its first call", FINDING_OK);
        put_link("0123456789abcdef0123456789abcdef",
                "run/systemd/units/invocation:sandboxd-bus.service");
        check_host("");
        expect("D-Bus", "org.sandboxd1, running", FINDING_OK);
        put_link("/dev/null", "etc/systemd/system/sandboxd-bus.service");
        check_host("");
        expect("D-Bus", "masked", FINDING_WARNING);
        expect_no_polkit();
}
END_TEST

/* Nobody has to have it. */
START_TEST(test_bus_is_missing)
{
        take_away("usr/share/dbus-1/system.d/org.sandboxd1.conf");
        check_host("");
        expect("D-Bus", "does not know org.sandboxd1", FINDING_WARNING);
        put("etc/dbus-1/system.d/org.sandboxd1.conf", "");
        check_host("");
        expect("D-Bus", "org.sandboxd1", FINDING_OK);
        take_away(BUS_SERVICE);
        check_host("");
        expect("D-Bus", "does not know org.sandboxd1", FINDING_WARNING);
        take_away("run/dbus/system_bus_socket");
        check_host("");
        expect("D-Bus", "the system bus is not there", FINDING_WARNING);
        expect_no_polkit();
        ck_assert(findings_complete(&findings));
}
END_TEST

START_TEST(test_polkit)
{
        check_host("");
        expect("polkit", "is asked", FINDING_OK);
        take_away("usr/share/polkit-1/actions/org.sandboxd1.policy");
        check_host("");
        expect("polkit", "does not know", FINDING_WARNING);
        take_away("usr/share/dbus-1/system-services/org.freedesktop.PolicyKit1.service");
        check_host("");
        expect("polkit", "not installed", FINDING_WARNING);
        ck_assert_ptr_nonnull(strstr(find("polkit", "")->cost, "root alone"));
        ck_assert_str_eq(find("polkit", "")->advice, "apt-get install polkitd");
        expect("D-Bus", "org.sandboxd1", FINDING_OK);
}
END_TEST

START_TEST(test_interpreters)
{
        struct host host;

        put("usr/bin/python3", "");
        host_init(&host, root_fd, "");
        host_check_interpreters(&host, &findings);
        ck_assert_uint_eq(findings.n_items, 3);
        expect("interpreter", "python: /usr/bin/python3", FINDING_OK);
        expect("interpreter", "javascript", FINDING_WARNING);
        ck_assert_str_eq(find("interpreter", "javascript")->advice, "apt-get install nodejs");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ctl-host");
        TCase *t = tcase_create("ctl-host");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_all_well);
        tcase_add_test(t, test_empty_host);
        tcase_add_test(t, test_kernels);
        tcase_add_test(t, test_client_fds);
        tcase_add_test(t, test_hybrid);
        tcase_add_test(t, test_v1_alone);
        tcase_add_test(t, test_disabled_controller);
        tcase_add_test(t, test_swap);
        tcase_add_test(t, test_namespaces_forbidden);
        tcase_add_test(t, test_overlay);
        tcase_add_test(t, test_sysctls);
        tcase_add_test(t, test_bus);
        tcase_add_test(t, test_bus_is_missing);
        tcase_add_test(t, test_polkit);
        tcase_add_test(t, test_interpreters);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
