/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's pipes: bounded output, stdin by credit, and the queue below it.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>

#include "daemon/frontend/input.h"
#include "daemon/frontend/output.h"

static int ends[2] = { -EBADF, -EBADF };
static uint8_t buffer[64 * KIB];

static void setup(void)
{
        (void) signal(SIGPIPE, SIG_IGN);
        ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
}

static void teardown(void)
{
        ends[0] = safe_close(ends[0]);
        ends[1] = safe_close(ends[1]);
}

static void job_writes(size_t size)
{
        static const uint8_t zeros[64 * KIB];

        ck_assert_int_eq(write(ends[1], zeros, size), (ssize_t) size);
}

START_TEST(test_output)
{
        struct output o;
        size_t kept = 0;

        output_init(&o, TAKE_FD(ends[0]), 100, false);
        ck_assert_int_eq(output_read(&o, buffer, sizeof(buffer), &kept), -EAGAIN);
        job_writes(60);
        ck_assert_int_eq(output_read(&o, buffer, sizeof(buffer), &kept), 60);
        ck_assert_uint_eq(kept, 60);
        job_writes(40);
        ck_assert_int_eq(output_read(&o, buffer, sizeof(buffer), &kept), 40);
        ck_assert_uint_eq(kept, 40);
        ck_assert(!output_truncated(&o));
        job_writes(1);
        ck_assert_int_eq(output_read(&o, buffer, sizeof(buffer), &kept), 1);
        ck_assert_uint_eq(kept, 0);
        ck_assert(output_truncated(&o) && !output_is_excessive(&o));
        job_writes(6298);
        ck_assert_int_eq(output_read(&o, buffer, sizeof(buffer), &kept), 6298);
        ck_assert(!output_is_excessive(&o));
        job_writes(1);
        ck_assert_int_eq(output_read(&o, buffer, sizeof(buffer), &kept), 1);
        ck_assert(output_is_excessive(&o));
        ck_assert_uint_eq(o.written, 6400);
        ends[1] = safe_close(ends[1]);
        ck_assert_int_eq(output_read(&o, buffer, sizeof(buffer), &kept), 0);
        output_done(&o);
        ck_assert(output_ended(&o));
}
END_TEST

START_TEST(test_strict_output)
{
        struct output o;
        size_t kept;

        output_init(&o, TAKE_FD(ends[0]), 100, true);
        job_writes(100);
        ck_assert_int_eq(output_read(&o, buffer, sizeof(buffer), &kept), 100);
        ck_assert(!output_is_excessive(&o));
        job_writes(1);
        ck_assert_int_eq(output_read(&o, buffer, sizeof(buffer), &kept), 1);
        ck_assert(output_is_excessive(&o));
        output_done(&o);
}
END_TEST

START_TEST(test_limits_that_overflow)
{
        struct output o;

        output_init(&o, -EBADF, UINT64_MAX, true);
        ck_assert_uint_eq(o.kill_at, UINT64_MAX);
        output_init(&o, -EBADF, UINT64_MAX / 2, false);
        ck_assert_uint_eq(o.kill_at, UINT64_MAX);
}
END_TEST

START_TEST(test_input_by_credit)
{
        static uint8_t data[INPUT_CREDIT];
        struct input in;
        uint64_t credit = 0;

        input_init(&in, TAKE_FD(ends[1]), INPUT_CREDIT);
        ck_assert_int_eq(input_push(&in, data, sizeof(data), false), 0);
        /* The pipe has taken its fill; the rest is queued and not given back. */
        credit += input_take_credit(&in);
        ck_assert_uint_le(credit, 64 * KIB);
        ck_assert(input_pending(&in));
        ck_assert_int_eq(input_push(&in, data, INPUT_CREDIT, false), -EDQUOT);
        while (input_pending(&in)) {
                ck_assert_int_gt(read(ends[0], buffer, sizeof(buffer)), 0);
                input_flush(&in);
                credit += input_take_credit(&in);
        }
        ck_assert_uint_eq(credit, INPUT_CREDIT);
        ck_assert_uint_eq(in.credit, INPUT_CREDIT);
        ck_assert(!input_is_over(&in));
        ck_assert_int_eq(input_push(&in, NULL, 0, true), 0);
        ck_assert(input_is_over(&in));
        ck_assert_int_eq(input_push(&in, "x", 1, false), -EBADE);
        input_done(&in);
}
END_TEST

START_TEST(test_input_of_a_job_that_does_not_read)
{
        struct input in;

        input_init(&in, TAKE_FD(ends[1]), INPUT_CREDIT);
        ends[0] = safe_close(ends[0]);
        ck_assert_int_eq(input_push(&in, "abc", 3, false), 0);
        ck_assert(in.closed && input_is_over(&in));
        ck_assert_uint_eq(input_take_credit(&in), 0);
        /* Bytes that were under way are dropped. */
        ck_assert_int_eq(input_push(&in, "abc", 3, true), 0);
        ck_assert_uint_eq(queue_size(&in.queue), 0);
        input_done(&in);
}
END_TEST

START_TEST(test_queue_keeps_order)
{
        struct queue q = {};
        uint8_t next_in = 0, next_out = 0;

        for (unsigned round = 0; round < 2000; round++) {
                uint8_t piece[97];
                ssize_t n;

                for (size_t i = 0; i < sizeof(piece); i++)
                        piece[i] = next_in++;
                ck_assert_int_eq(queue_push(&q, piece, sizeof(piece)), 0);
                n = queue_write(&q, ends[1]);
                ck_assert(n > 0 || n == -EAGAIN);
                n = read(ends[0], buffer, round % 3 ? 131 : 50);
                for (ssize_t i = 0; i < n; i++)
                        ck_assert_uint_eq(buffer[i], next_out++);
        }
        queue_done(&q);
}
END_TEST

START_TEST(test_queue_gives_memory_back)
{
        _cleanup_free_ uint8_t *data = calloc(1, 1 * MIB);
        struct queue q = {};

        ck_assert_int_eq(queue_push(&q, data, 1 * MIB), 0);
        while (queue_size(&q) > 0) {
                (void) queue_write(&q, ends[1]);
                ck_assert_int_gt(read(ends[0], buffer, sizeof(buffer)), 0);
        }
        ck_assert_uint_le(q.room, 64 * KIB);
        queue_done(&q);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("output");
        TCase *tc = tcase_create("output");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_output);
        tcase_add_test(tc, test_strict_output);
        tcase_add_test(tc, test_limits_that_overflow);
        tcase_add_test(tc, test_input_by_credit);
        tcase_add_test(tc, test_input_of_a_job_that_does_not_read);
        tcase_add_test(tc, test_queue_keeps_order);
        tcase_add_test(tc, test_queue_gives_memory_back);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
