/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options a{sv}: which keys and types there are, and what is said of the others.
 */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>

#include "daemon/bus/options.h"

static sd_bus *bus;
static int ends[2];

/* Nobody is at the other end: messages are made and read, and never sent. */
static void setup(void)
{
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        ck_assert_int_ge(sd_bus_new(&bus), 0);
        ck_assert_int_ge(sd_bus_set_fd(bus, ends[0], ends[0]), 0);
        ck_assert_int_ge(sd_bus_start(bus), 0);
}

static void teardown(void)
{
        bus = sd_bus_close_unref(bus);
        (void) close(ends[1]);
}

static sd_bus_message *begin(void)
{
        sd_bus_message *m;

        ck_assert_int_ge(sd_bus_message_new(bus, &m, SD_BUS_MESSAGE_METHOD_CALL), 0);
        return m;
}

static int finish(sd_bus_message *m, enum options_of of, struct options *o, struct error *e)
{
        int r;

        ck_assert_int_ge(sd_bus_message_seal(m, 1, 0), 0);
        r = options_read(m, of, o, e);
        (void) sd_bus_message_unref(m);
        return r;
}

static void refused(sd_bus_message *m, enum options_of of, int r, const char *text)
{
        struct options o = {};
        struct error e = {};

        ck_assert_int_eq(finish(m, of, &o, &e), r);
        if (text)
                ck_assert_msg(strstr(e.text, text), "'%s' is not in '%s'", text, e.text);
        options_done(&o);
}

START_TEST(test_all)
{
        sd_bus_message *m = begin();
        struct options o = {};
        struct error e = {};

        ck_assert_int_ge(sd_bus_message_append(m, "a{sv}", 8, "args", "as", 2, "a", "b", "env",
                                 "as", 1, "K=V", "workdir", "s", "/box", "profile", "s", "strict",
                                 "stdin", "s", "in", "output-fd", "b", 1, "memory_bytes", "i",
                                 64 << 20, "strict-output", "b", 1),
                0);
        ck_assert_int_eq(finish(m, OPTIONS_EXECUTE, &o, &e), 0);
        ck_assert_str_eq(o.profile, "strict");
        ck_assert(o.output_fd);
        ck_assert_uint_eq(o.n_parts, 3);
        ck_assert_uint_ge(o.size, 3 * 64);
        options_done(&o);
}
END_TEST

START_TEST(test_keys)
{
        sd_bus_message *m = begin();

        ck_assert_int_ge(sd_bus_message_append(m, "a{sv}", 1, "no_such", "b", 1), 0);
        refused(m, OPTIONS_EXECUTE, -EINVAL, "'no_such' is no option");
        m = begin();
        ck_assert_int_ge(sd_bus_message_append(m, "a{sv}", 1, "stdin", "s", ""), 0);
        refused(m, OPTIONS_RUN, -EINVAL, "'stdin' is not one of this method");
        m = begin();
        ck_assert_int_ge(sd_bus_message_append(m, "a{sv}", 2, "tmp-size-bytes", "t", UINT64_C(1),
                                 "tmp_size_bytes", "t", UINT64_C(1)),
                0);
        refused(m, OPTIONS_RUN, -EINVAL, "'tmp_size_bytes' is there twice");
}
END_TEST

START_TEST(test_types)
{
        sd_bus_message *m = begin();

        ck_assert_int_ge(sd_bus_message_append(m, "a{sv}", 1, "pids", "s", "10"), 0);
        refused(m, OPTIONS_RUN, -EINVAL, "'pids' has the type 's': give it as an integer");
        m = begin();
        ck_assert_int_ge(sd_bus_message_append(m, "a{sv}", 1, "pids", "d", 10.0), 0);
        refused(m, OPTIONS_RUN, -EINVAL, "'pids' has the type 'd'");
        m = begin();
        ck_assert_int_ge(sd_bus_message_append(m, "a{sv}", 1, "pids", "x", INT64_C(-1)), 0);
        refused(m, OPTIONS_RUN, -EINVAL, "'pids' is negative");
        m = begin();
        ck_assert_int_ge(sd_bus_message_append(m, "a{sv}", 1, "env", "s", "K=V"), 0);
        refused(m, OPTIONS_RUN, -EINVAL, "'env' has the type 's': give it as as");
        m = begin();
        ck_assert_int_ge(sd_bus_message_append(m, "a{sv}", 1, "stdin", "b", 1), 0);
        refused(m, OPTIONS_EXECUTE, -EINVAL, "'stdin' has the type 'b': give it as s or ay");
}
END_TEST

START_TEST(test_parts)
{
        sd_bus_message *m = begin();

        ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
        ck_assert_int_ge(sd_bus_message_open_container(m, 'e', "sv"), 0);
        ck_assert_int_ge(sd_bus_message_append(m, "s", "env"), 0);
        ck_assert_int_ge(sd_bus_message_open_container(m, 'v', "as"), 0);
        ck_assert_int_ge(sd_bus_message_open_container(m, 'a', "s"), 0);
        for (int i = 0; i <= OPTIONS_PARTS_MAX; i++)
                ck_assert_int_ge(sd_bus_message_append(m, "s", "K=V"), 0);
        for (int i = 0; i < 4; i++)
                ck_assert_int_ge(sd_bus_message_close_container(m), 0);
        refused(m, OPTIONS_RUN, -E2BIG, NULL);
}
END_TEST

int main(void)
{
        const TTest *const tests[] = { test_all, test_keys, test_types, test_parts };
        Suite *s = suite_create("bus-options");
        TCase *t = tcase_create("all");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        for (size_t i = 0; i < ELEMENTSOF(tests); i++)
                tcase_add_test(t, tests[i]);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
