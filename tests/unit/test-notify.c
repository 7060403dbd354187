/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd is told, and what happens when it does not listen.
 */
#include <check.h>
#include <poll.h>
#include <stdio.h>

#include "daemon/monitor/notify.h"

static sd_event *event;
static struct notify notify;
static struct io_address name;
static char name_text[64];
static int systemd = -EBADF;
static unsigned n_described;

static void describe(void *userdata, char *text, size_t size)
{
        (void) snprintf(text, size, "asked %u times", ++n_described);
}

static void open_notify(void)
{
        struct error error;

        notify = (struct notify) { .fd = -EBADF, .describe = describe };
        ck_assert_int_eq(notify_open(&notify, event, &error), 0);
}

static void setup(void)
{
        n_described = 0;
        (void) snprintf(name_text, sizeof(name_text), "@sandboxd-test-notify-%d", (int) getpid());
        ck_assert_int_eq(io_address_init(&name, name_text), 0);
        systemd = io_datagram_socket();
        ck_assert_int_eq(bind(systemd, (struct sockaddr *) &name.un, name.size), 0);
        ck_assert_int_eq(setenv("NOTIFY_SOCKET", name_text, true), 0);
        ck_assert_int_ge(sd_event_new(&event), 0);
        open_notify();
}

static void teardown(void)
{
        notify_done(&notify);
        event = sd_event_unref(event);
        systemd = safe_close(systemd);
}

static void receive(char text[static 256])
{
        ssize_t n = recv(systemd, text, 255, 0);

        ck_assert_msg(n > 0, "systemd was told nothing");
        text[n] = '\0';
}

static void expect(const char *expected)
{
        char text[256];

        receive(text);
        ck_assert_str_eq(text, expected);
}

static void expect_nothing(void)
{
        char byte;

        ck_assert_int_eq(recv(systemd, &byte, 1, 0), -1);
        ck_assert_int_eq(errno, EAGAIN);
}

/* Lets the loop work until systemd has been told something. */
static void run_until_told(void)
{
        struct pollfd p = { .fd = systemd, .events = POLLIN };

        while (poll(&p, 1, 0) == 0)
                ck_assert_int_gt(sd_event_run(event, 20 * USEC_PER_SEC), 0);
}

START_TEST(test_states)
{
        char text[256];
        uint64_t before = io_now_usec(), usec;
        int end = 0;

        ck_assert_ptr_null(getenv("NOTIFY_SOCKET"));
        notify_ready(&notify);
        expect("READY=1\nSTATUS=asked 1 times");
        notify_reloading(&notify);
        receive(text);
        ck_assert_int_eq(sscanf(text, "RELOADING=1\nMONOTONIC_USEC=%lu\nSTATUS=asked 2 times%n",
                                 &usec, &end),
                1);
        ck_assert_uint_eq((size_t) end, strlen(text));
        ck_assert(usec >= before && usec <= io_now_usec());
        notify_ready(&notify);
        expect("READY=1\nSTATUS=asked 3 times");
        notify_alive(&notify);
        expect("WATCHDOG=1");
        notify_stopping(&notify);
        expect("STOPPING=1\nSTATUS=asked 4 times");
        expect_nothing();
}
END_TEST

START_TEST(test_changes_are_gathered)
{
        for (unsigned i = 0; i < 1000; i++)
                notify_changed(&notify);
        expect_nothing();
        ck_assert_uint_eq(n_described, 0);
        run_until_told();
        expect("STATUS=asked 1 times");
        expect_nothing();
        /* Nothing is pending any more. */
        ck_assert_int_eq(sd_event_run(event, 0), 0);
        notify_changed(&notify);
        run_until_told();
        expect("STATUS=asked 2 times");
}
END_TEST

/* A state has the status with it, so that a change before it is told, too. */
START_TEST(test_state_takes_the_status_along)
{
        int enabled = SD_EVENT_ON;

        notify_changed(&notify);
        notify_stopping(&notify);
        expect("STOPPING=1\nSTATUS=asked 1 times");
        ck_assert_int_ge(sd_event_source_get_enabled(notify.source, &enabled), 0);
        ck_assert_int_eq(enabled, SD_EVENT_OFF);
}
END_TEST

START_TEST(test_waits_for_a_systemd_that_does_not_read)
{
        char text[256];

        while (io_send_datagram(notify.fd, &notify.address, "x", 1) >= 0) {
        }
        notify_ready(&notify);
        while (recv(systemd, text, sizeof(text), 0) > 0) {
        }
        run_until_told();
        expect("READY=1\nSTATUS=asked 2 times");
        notify_changed(&notify);
        run_until_told();
        expect("STATUS=asked 3 times");
}
END_TEST

START_TEST(test_nobody_asked)
{
        notify_done(&notify);
        ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
        open_notify();
        notify_ready(&notify);
        notify_reloading(&notify);
        notify_changed(&notify);
        notify_alive(&notify);
        notify_stopping(&notify);
        ck_assert_uint_eq(n_described, 0);
        ck_assert_int_eq(notify.fd, -EBADF);
}
END_TEST

START_TEST(test_bad_names)
{
        static const char *const names[] = { "", "run/notify", "vsock:2:1" };
        struct error error;

        notify_done(&notify);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                ck_assert_int_eq(setenv("NOTIFY_SOCKET", names[i], true), 0);
                ck_assert_int_eq(notify_open(&notify, event, &error), -EINVAL);
                ck_assert_ptr_nonnull(strstr(error.text, "NOTIFY_SOCKET"));
        }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("notify");
        TCase *tc = tcase_create("notify");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_states);
        tcase_add_test(tc, test_changes_are_gathered);
        tcase_add_test(tc, test_state_takes_the_status_along);
        tcase_add_test(tc, test_waits_for_a_systemd_that_does_not_read);
        tcase_add_test(tc, test_nobody_asked);
        tcase_add_test(tc, test_bad_names);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
