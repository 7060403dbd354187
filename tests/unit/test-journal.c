/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journald's protocol to the byte, and what becomes of entries that journald does not take.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/journal.h"

static struct journal journal;
static struct journal_entry entry;
static struct io_address name;
static int journald = -EBADF;

static void start_journald(void)
{
        journald = io_datagram_socket();
        ck_assert_int_ge(journald, 0);
        ck_assert_int_eq(bind(journald, (struct sockaddr *) &name.un, name.size), 0);
}

static void setup(void)
{
        char text[64];

        (void) snprintf(text, sizeof(text), "@sandboxd-test-journal-%d", (int) getpid());
        ck_assert_int_eq(io_address_init(&name, text), 0);
        start_journald();
        ck_assert_int_eq(journal_open(&journal, text), 0);
}

static void teardown(void)
{
        journal_close(&journal);
        journald = safe_close(journald);
}

static void expect_bytes(const void *bytes, size_t size)
{
        ck_assert_uint_eq(entry.size, size);
        ck_assert_mem_eq(entry.data, bytes, size);
}

static void say(const char *text)
{
        journal_entry_begin(&entry, 6, text);
        journal_send(&journal, &entry);
}

/* The next entry must be this one. */
static void expect_received(const char *text)
{
        uint8_t buf[JOURNAL_ENTRY_MAX];
        ssize_t n = recv(journald, buf, sizeof(buf), 0);

        ck_assert_int_gt(n, 0);
        ck_assert_msg(memmem(buf, (size_t) n, text, strlen(text)) != NULL, "%.*s is not %s",
                (int) n, (char *) buf, text);
}

static void expect_nothing(void)
{
        uint8_t byte;

        ck_assert_int_eq(recv(journald, &byte, 1, 0), -1);
        ck_assert_int_eq(errno, EAGAIN);
}

START_TEST(test_encodes_lines)
{
        static const char expected[] = "PRIORITY=3\nSYSLOG_IDENTIFIER=sandboxd\nMESSAGE=no=more\n"
                                       "SANDBOX_UID=1000\nEMPTY=\n";

        journal_entry_begin(&entry, 3, "no=more");
        journal_entry_add(&entry, "SANDBOX_UID", "1000");
        journal_entry_add(&entry, "EMPTY", "");
        expect_bytes(expected, sizeof(expected) - 1);
}
END_TEST

START_TEST(test_encodes_values_with_newlines)
{
        static const char expected[] = "PRIORITY=6\nSYSLOG_IDENTIFIER=sandboxd\n"
                                       "MESSAGE\n\x0b\0\0\0\0\0\0\0one\nPID=1\n\n\n"
                                       "NEXT=x\n";

        journal_entry_begin(&entry, 6, "one\nPID=1\n\n");
        journal_entry_add(&entry, "NEXT", "x");
        expect_bytes(expected, sizeof(expected) - 1);
}
END_TEST

START_TEST(test_cuts_long_values)
{
        static char text[2 * JOURNAL_VALUE_MAX];
        static const char euro[] = "\xe2\x82\xac";
        size_t before;

        memset(text, 'x', sizeof(text) - 1);
        journal_entry_begin(&entry, 6, "");
        before = entry.size;
        journal_entry_add(&entry, "A", text);
        ck_assert_uint_eq(entry.size - before, strlen("A=\n") + JOURNAL_VALUE_MAX);
        /* A character that does not fit whole is left out whole. */
        memcpy(text + JOURNAL_VALUE_MAX - 2, euro, strlen(euro));
        before = entry.size;
        journal_entry_add(&entry, "A", text);
        ck_assert_uint_eq(entry.size - before, strlen("A=\n") + JOURNAL_VALUE_MAX - 2);
        /* One that does, stays. */
        memcpy(text + JOURNAL_VALUE_MAX - 3, euro, strlen(euro));
        text[JOURNAL_VALUE_MAX] = 'x';
        before = entry.size;
        journal_entry_add(&entry, "A", text);
        ck_assert_uint_eq(entry.size - before, strlen("A=\n") + JOURNAL_VALUE_MAX);
        /* What is not there at all does not matter: the newline is behind the cut. */
        memset(text, 'x', sizeof(text) - 1);
        text[JOURNAL_VALUE_MAX] = '\n';
        journal_entry_begin(&entry, 6, text);
        ck_assert_ptr_nonnull(memmem(entry.data, entry.size, "MESSAGE=", strlen("MESSAGE=")));
}
END_TEST

START_TEST(test_leaves_out_what_has_no_room)
{
        static char text[JOURNAL_VALUE_MAX + 1];
        size_t full;

        memset(text, 'x', sizeof(text) - 1);
        journal_entry_begin(&entry, 6, text);
        for (unsigned i = 0; i < 8; i++)
                journal_entry_add(&entry, "LONG", text);
        full = entry.size;
        ck_assert_uint_gt(full, JOURNAL_ENTRY_MAX - JOURNAL_VALUE_MAX - 20);
        ck_assert_uint_le(full, JOURNAL_ENTRY_MAX);
        ck_assert_int_eq(entry.data[full - 1], '\n');
        journal_entry_add(&entry, "SHORT", "x");
        ck_assert_uint_gt(entry.size, full);
}
END_TEST

START_TEST(test_sends_entries)
{
        say("one");
        say("two");
        expect_received("MESSAGE=one\n");
        expect_received("MESSAGE=two\n");
        expect_nothing();
        ck_assert_uint_eq(journal.lost, 0);
}
END_TEST

START_TEST(test_counts_what_a_full_queue_loses)
{
        uint64_t lost;

        while (journal.lost < 3)
                say("filler");
        while (recv(journald, &lost, sizeof(lost), 0) > 0) {
        }
        lost = journal.lost;
        say("after");
        ck_assert_uint_eq(lost, 3);
        expect_received("PRIORITY=4\nSYSLOG_IDENTIFIER=sandboxd\nMESSAGE=3 messages were lost");
        expect_received("MESSAGE=after\n");
        expect_nothing();
        say("more");
        expect_received("MESSAGE=more\n");
}
END_TEST

/* With room for one datagram only, that is the count, and what should have come after it is lost. */
START_TEST(test_counts_anew_after_the_count)
{
        char byte;

        while (journal.lost < 2)
                say("filler");
        ck_assert_int_gt(recv(journald, &byte, 1, 0), 0);
        say("third");
        ck_assert_uint_eq(journal.lost, 1);
}
END_TEST

START_TEST(test_finds_a_journald_that_was_started_again)
{
        say("before");
        expect_received("MESSAGE=before\n");
        journald = safe_close(journald);
        say("while it is gone");
        ck_assert_uint_eq(journal.lost, 1);
        start_journald();
        say("after");
        expect_received("MESSAGE=1 message was lost");
        expect_received("MESSAGE=after\n");
        expect_nothing();
}
END_TEST

START_TEST(test_knows_its_stream)
{
        _cleanup_close_ int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        char text[64];
        struct stat st;

        ck_assert_int_eq(fstat(fd, &st), 0);
        (void) snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t) st.st_dev,
                (uintmax_t) st.st_ino);
        ck_assert(journal_is_stream(text, fd));
        (void) snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t) st.st_dev,
                (uintmax_t) st.st_ino + 1);
        ck_assert(!journal_is_stream(text, fd));
        ck_assert(!journal_is_stream("", fd));
        ck_assert(!journal_is_stream(NULL, fd));
        ck_assert(!journal_is_stream(text, -EBADF));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("journal");
        TCase *tc = tcase_create("journal");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_encodes_lines);
        tcase_add_test(tc, test_encodes_values_with_newlines);
        tcase_add_test(tc, test_cuts_long_values);
        tcase_add_test(tc, test_leaves_out_what_has_no_room);
        tcase_add_test(tc, test_sends_entries);
        tcase_add_test(tc, test_counts_what_a_full_queue_loses);
        tcase_add_test(tc, test_counts_anew_after_the_count);
        tcase_add_test(tc, test_finds_a_journald_that_was_started_again);
        tcase_add_test(tc, test_knows_its_stream);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
