/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding the cgroup hierarchies in the kernel's text, for the kinds of host there are.
 */
#include <check.h>

#include "daemon/monitor/cgroup-layout.h"

static const struct cgroup_hierarchy *find(const struct cgroup_layout *l, unsigned controller)
{
        for (size_t i = 0; i < l->n; i++)
                if (l->hierarchies[i].controllers & controller)
                        return &l->hierarchies[i];
        return NULL;
}

START_TEST(test_unified)
{
        struct cgroup_layout l;

        ck_assert_int_eq(cgroup_layout_parse("0::/user.slice/session-1.scope\n",
                                 "24 1 0:22 / /proc rw - proc proc rw\n"
                                 "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 "
                                 "rw,nsdelegate\n",
                                 &l),
                0);
        ck_assert_uint_eq(l.n, 1);
        ck_assert(l.hierarchies[0].v2);
        ck_assert_str_eq(l.hierarchies[0].mount, "/sys/fs/cgroup");
        ck_assert_str_eq(l.hierarchies[0].own, "/user.slice/session-1.scope");
        ck_assert_str_eq(cgroup_layout_kind(&l), "unified");
}
END_TEST

START_TEST(test_hybrid)
{
        struct cgroup_layout l;
        const struct cgroup_hierarchy *memory, *cpu;

        ck_assert_int_eq(cgroup_layout_parse("4:memory:/a/b\n3:cpuset:/\n2:cpu,cpuacct:/\n"
                                             "1:name=systemd:/x\n8:pids:/\n0::/\n",
                                 "1 2 0:1 / /c/memory rw - cgroup cgroup rw,memory\n"
                                 "1 2 0:2 / /c/cpuset rw - cgroup cgroup rw,cpuset\n"
                                 "1 2 0:3 / /c/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
                                 "1 2 0:4 / /c/systemd rw - cgroup cgroup rw,name=systemd\n"
                                 "1 2 0:5 / /c/pids rw - cgroup cgroup rw,pids\n"
                                 "1 2 0:6 / /c/unified rw - cgroup2 cgroup2 rw\n",
                                 &l),
                0);
        ck_assert_str_eq(cgroup_layout_kind(&l), "hybrid");
        memory = find(&l, CGROUP_MEMORY);
        cpu = find(&l, CGROUP_CPU);
        ck_assert_ptr_nonnull(memory);
        ck_assert_str_eq(memory->mount, "/c/memory");
        ck_assert_str_eq(memory->own, "/a/b");
        ck_assert_ptr_nonnull(cpu);
        ck_assert_str_eq(cpu->mount, "/c/cpu,cpuacct");
        ck_assert_ptr_nonnull(find(&l, CGROUP_PIDS));
        /* cgroup2 counts CPU time. */
        ck_assert_ptr_null(find(&l, CGROUP_CPUACCT));
        ck_assert_uint_eq(l.n, 4);
}
END_TEST

START_TEST(test_v1_alone_keeps_cpuacct)
{
        struct cgroup_layout l;

        ck_assert_int_eq(cgroup_layout_parse("4:memory:/\n2:cpuacct:/\n0::/\n",
                                 "1 2 0:1 / /c/memory rw - cgroup cgroup rw,memory\n"
                                 "1 2 0:2 / /c/cpuacct rw - cgroup cgroup rw,cpuacct\n",
                                 &l),
                0);
        ck_assert_str_eq(cgroup_layout_kind(&l), "v1");
        ck_assert_ptr_nonnull(find(&l, CGROUP_CPUACCT));
        ck_assert_ptr_null(find(&l, CGROUP_PIDS));
}
END_TEST

/* In a container the mount's root is a cgroup of the host's, and so is the path we are told. */
START_TEST(test_mount_root)
{
        struct cgroup_layout l;

        ck_assert_int_eq(cgroup_layout_parse("0::/lxc/one/inner\n",
                                 "1 2 0:6 /lxc/on /wrong rw - cgroup2 cgroup2 rw\n"
                                 "1 2 0:6 /lxc/one /c rw - cgroup2 cgroup2 rw\n",
                                 &l),
                0);
        ck_assert_str_eq(l.hierarchies[0].mount, "/c");
        ck_assert_str_eq(l.hierarchies[0].own, "/inner");
}
END_TEST

START_TEST(test_nothing_mounted)
{
        struct cgroup_layout l;

        ck_assert_int_eq(cgroup_layout_parse("0::/\n", "", &l), -ENOENT);
        ck_assert_int_eq(cgroup_layout_parse("", "1 2 0:6 / /c rw - cgroup2 cgroup2 rw\n", &l),
                -ENOENT);
        ck_assert_int_eq(cgroup_layout_parse("garbage\n::\n:\n", "x\n1 2 3\n - \n", &l), -ENOENT);
}
END_TEST

START_TEST(test_controller_lists)
{
        ck_assert_uint_eq(cgroup_controllers_parse("cpuset cpu io memory hugetlb pids\n", ' '),
                CGROUP_CPU | CGROUP_MEMORY | CGROUP_PIDS);
        ck_assert_uint_eq(cgroup_controllers_parse("", ' '), 0);
        ck_assert_uint_eq(cgroup_controllers_parse("memoryx,xcpu", ','), 0);
        ck_assert_str_eq(cgroup_controller_name(CGROUP_PIDS), "pids");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("cgroup-layout");
        TCase *tc = tcase_create("cgroup-layout");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tc, test_unified);
        tcase_add_test(tc, test_hybrid);
        tcase_add_test(tc, test_v1_alone_keeps_cpuacct);
        tcase_add_test(tc, test_mount_root);
        tcase_add_test(tc, test_nothing_mounted);
        tcase_add_test(tc, test_controller_lists);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
