/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files on their way into a pipe: what is taken of them, in which form they come out, and the credit for
 * more.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>

#include "common/io.h"
#include "daemon/frontend/feed.h"
#include "daemon/wire/transfer.h"

static struct spec_file sizes[3];
static Sandboxd__V1__File files[2], *items[2] = { &files[0], &files[1] };
static Sandboxd__V1__Run run;
static struct plan plan;
static struct feed feed;
static int reader = -EBADF;
static uint8_t buffer[4 * MIB];

/* Two files behind the code, of these sizes. */
static void begin(uint64_t a, uint64_t b)
{
        sandboxd__v1__run__init(&run);
        for (size_t i = 0; i < 2; i++)
                sandboxd__v1__file__init(&files[i]);
        run.n_files = 2;
        run.files = items;
        sizes[1].size = a;
        sizes[2].size = b;
        plan = (struct plan) { .has_code = true, .files = sizes, .names.n = 3 };
}

static void open_pipe(void)
{
        int ends[2];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        reader = ends[0];
        feed.fd = ends[1];
}

static void setup(void)
{
        (void) signal(SIGPIPE, SIG_IGN);
}

static void teardown(void)
{
        feed_done(&feed);
        reader = safe_close(reader);
}

/* Takes the next record out of the pipe, which must be of that file and size. */
static void expect_part(uint32_t file, const void *data, size_t size)
{
        struct transfer_part part;

        ck_assert_int_eq(read(reader, &part, sizeof(part)), sizeof(part));
        ck_assert_uint_eq(part.file, file);
        ck_assert_uint_eq(part.size, size);
        ck_assert_int_eq(read(reader, buffer, size), (ssize_t) size);
        ck_assert_mem_eq(buffer, data, size);
}

static void expect_nothing(void)
{
        ck_assert_int_eq(read(reader, buffer, 1), -1);
        ck_assert_int_eq(errno, EAGAIN);
}

/* Files of the request are counted from 0, those of the spec from the code on. */
START_TEST(test_parts)
{
        begin(6, 3);
        files[0].data = (ProtobufCBinaryData) { 2, (uint8_t *) "AB" };
        ck_assert_int_eq(feed_init(&feed, &plan, &run), 0);
        open_pipe();
        ck_assert_int_eq(feed_push(&feed, 1, "xyz", 3), 0);
        expect_part(1, "AB", 2);
        expect_part(2, "xyz", 3);
        ck_assert(feed_is_owed(&feed) && !feed_is_over(&feed));
        ck_assert_int_eq(feed_push(&feed, 0, "", 0), 0);
        expect_nothing();
        ck_assert_int_eq(feed_push(&feed, 0, "CDEF", 4), 0);
        expect_part(1, "CDEF", 4);
        ck_assert(feed_is_over(&feed));
        ck_assert_int_eq(feed_push(&feed, 0, "G", 1), -EFBIG);
        ck_assert_int_eq(feed_push(&feed, 2, "G", 1), -ENOENT);
}
END_TEST

/* While they wait, parts of one file are one record. */
START_TEST(test_parts_are_joined)
{
        begin(100, 100);
        ck_assert_int_eq(feed_init(&feed, &plan, &run), 0);
        for (size_t i = 0; i < 5; i++)
                ck_assert_int_eq(feed_push(&feed, 0, "a", 1), 0);
        ck_assert_int_eq(feed_push(&feed, 1, "b", 1), 0);
        ck_assert_int_eq(feed_push(&feed, 0, "cc", 2), 0);
        ck_assert_uint_eq(queue_size(&feed.queue), 8 + 3 * sizeof(struct transfer_part));
        open_pipe();
        feed_flush(&feed);
        expect_part(1, "aaaaa", 5);
        expect_part(2, "b", 1);
        expect_part(1, "cc", 2);
        /* None that has begun to go out. */
        ck_assert_int_eq(feed_push(&feed, 0, "d", 1), 0);
        expect_part(1, "d", 1);
}
END_TEST

/* A record of which a piece went out stays as it is. */
START_TEST(test_record_that_has_begun)
{
        begin(400 * KIB, 0);
        ck_assert_int_eq(feed_init(&feed, &plan, &run), 0);
        open_pipe();
        memset(buffer, 'x', 200 * KIB);
        ck_assert_int_eq(feed_push(&feed, 0, buffer, 200 * KIB), 0);
        ck_assert_uint_gt(queue_size(&feed.queue), 0);
        ck_assert_int_eq(feed_push(&feed, 0, "yyy", 3), 0);
        for (size_t size = 0, n; size < 200 * KIB + 3 + 2 * sizeof(struct transfer_part);
                size += n) {
                ssize_t m = read(reader, buffer + size, sizeof(buffer) - size);

                ck_assert_int_gt(m, 0);
                n = (size_t) m;
                feed_flush(&feed);
        }
        expect_nothing();
        ck_assert_uint_eq(((struct transfer_part *) buffer)->size, 200 * KIB);
        ck_assert_mem_eq(buffer + 200 * KIB + 2 * sizeof(struct transfer_part), "yyy", 3);
}
END_TEST

/* It is given back as the pipe takes bytes, in steps, and not for what nobody will send. */
START_TEST(test_credit)
{
        begin(3 * MIB, 0);
        ck_assert_int_eq(feed_init(&feed, &plan, &run), 0);
        memset(buffer, 'x', sizeof(buffer));
        ck_assert_int_eq(feed_push(&feed, 0, buffer, FEED_CREDIT), 0);
        ck_assert_int_eq(feed_push(&feed, 0, buffer, 1), -EDQUOT);
        ck_assert_uint_eq(feed_take_credit(&feed), 0);
        open_pipe();
        feed_flush(&feed);
        ck_assert_uint_eq(feed_take_credit(&feed), 0);
        while (queue_size(&feed.queue) > FEED_CREDIT * 3 / 4) {
                ck_assert_int_gt(read(reader, buffer, 64 * KIB), 0);
                feed_flush(&feed);
        }
        ck_assert_uint_ge(feed_take_credit(&feed), FEED_CREDIT / 4);
        ck_assert_uint_eq(feed_take_credit(&feed), 0);
        ck_assert_uint_le(feed.credit + queue_size(&feed.queue), FEED_CREDIT);
        while (queue_size(&feed.queue) > 0) {
                ck_assert_int_gt(read(reader, buffer, 64 * KIB), 0);
                feed_flush(&feed);
        }
        ck_assert_uint_gt(feed_take_credit(&feed), 0);
        ck_assert_uint_eq(feed.credit, FEED_CREDIT);
        /* With bytes in the request the credit is the same. */
        feed_done(&feed);
        begin(FEED_CREDIT + 100, 0);
        files[0].data = (ProtobufCBinaryData) { 100, buffer };
        ck_assert_int_eq(feed_init(&feed, &plan, &run), 0);
        ck_assert_int_eq(feed_push(&feed, 0, buffer, FEED_CREDIT), 0);
        ck_assert_uint_eq(feed_take_credit(&feed), 0);
        ck_assert(!feed_is_owed(&feed));
}
END_TEST

/* Within the credit, but each byte with a record of its own. */
START_TEST(test_too_small_parts)
{
        size_t n = 0;
        int r;

        begin(MIB, MIB);
        ck_assert_int_eq(feed_init(&feed, &plan, &run), 0);
        while ((r = feed_push(&feed, n & 1, "x", 1)) == 0)
                ck_assert_uint_lt(++n, FEED_CREDIT / 2);
        ck_assert_int_eq(r, -EDQUOT);
        ck_assert_uint_le(queue_size(&feed.queue), 3 * FEED_CREDIT);
}
END_TEST

/* Whoever read is gone: what comes is counted and dropped. */
START_TEST(test_closed)
{
        begin(6, 6);
        ck_assert_int_eq(feed_init(&feed, &plan, &run), 0);
        open_pipe();
        reader = safe_close(reader);
        ck_assert_int_eq(feed_push(&feed, 0, "ABCDEF", 6), 0);
        ck_assert(feed.closed);
        ck_assert_uint_eq(queue_size(&feed.queue), 0);
        ck_assert_int_eq(feed_push(&feed, 1, "AB", 2), 0);
        ck_assert_uint_eq(queue_size(&feed.queue), 0);
        ck_assert_uint_eq(feed_take_credit(&feed), 0);
        ck_assert_int_eq(feed_push(&feed, 1, "ABCDEF", 6), -EFBIG);
        ck_assert(feed_is_owed(&feed));
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("feed");
        TCase *tc = tcase_create("feed");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_parts);
        tcase_add_test(tc, test_parts_are_joined);
        tcase_add_test(tc, test_record_that_has_begun);
        tcase_add_test(tc, test_credit);
        tcase_add_test(tc, test_too_small_parts);
        tcase_add_test(tc, test_closed);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
