/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames out of a byte stream, cut and joined in every way.
 */
#include <check.h>
#include <fcntl.h>

#include "proto/frame.h"

#define MAX_FRAME 1000

static struct frame_reader reader;

static void setup(void)
{
        frame_reader_init(&reader, MAX_FRAME);
}

static void teardown(void)
{
        frame_reader_done(&reader);
}

static void expect_frame(const char *text)
{
        const uint8_t *body;
        size_t size;

        ck_assert_int_eq(frame_reader_next(&reader, &body, &size), 1);
        ck_assert_uint_eq(size, strlen(text));
        ck_assert_mem_eq(body, text, size);
}

static void expect_result(int result)
{
        const uint8_t *body;
        size_t size;

        ck_assert_int_eq(frame_reader_next(&reader, &body, &size), result);
}

static void push(const void *data, size_t size)
{
        ck_assert_int_eq(frame_reader_push(&reader, data, size), 0);
}

START_TEST(test_empty)
{
        expect_result(0);
        ck_assert(!frame_reader_partial(&reader));
        push("", 0);
        expect_result(0);
}
END_TEST

START_TEST(test_two_at_once)
{
        push("\0\0\0\3abc\0\0\0\2de", 13);
        expect_frame("abc");
        ck_assert(frame_reader_partial(&reader));
        expect_frame("de");
        expect_result(0);
        ck_assert(!frame_reader_partial(&reader));
}
END_TEST

START_TEST(test_every_cut)
{
        static const char stream[] = "\0\0\0\1a\0\0\0\4bcde\0\0\0\2fg";
        const size_t size = sizeof(stream) - 1;

        for (size_t cut = 0; cut <= size; cut++) {
                size_t frames = 0, n;
                const uint8_t *body;

                push(stream, cut);
                while (frame_reader_next(&reader, &body, &n) == 1)
                        frames++;
                push(stream + cut, size - cut);
                while (frame_reader_next(&reader, &body, &n) == 1)
                        frames++;
                ck_assert_uint_eq(frames, 3);
                ck_assert(!frame_reader_partial(&reader));
        }
}
END_TEST

START_TEST(test_header_alone_is_partial)
{
        push("\0", 1);
        ck_assert(frame_reader_partial(&reader));
        expect_result(0);
        push("\0\0\1", 3);
        expect_result(0);
        push("x", 1);
        expect_frame("x");
}
END_TEST

START_TEST(test_bad_lengths)
{
        static const struct {
                char header[4];
                int result;
        } cases[] = {
                { "\0\0\0\0", -EBADMSG },
                { "\0\0\3\xe8", 0 },
                { "\0\0\3\xe9", -EMSGSIZE },
                { "\x7f\xff\xff\xff", -EMSGSIZE },
                { "\xff\xff\xff\xff", -EMSGSIZE },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                push(cases[i].header, 4);
                expect_result(cases[i].result);
                frame_reader_done(&reader);
                frame_reader_init(&reader, MAX_FRAME);
        }
}
END_TEST

/* A promise of 4 GiB costs nothing until the bytes come. */
START_TEST(test_a_promise_allocates_nothing)
{
        struct frame_reader large;
        const uint8_t *body;
        size_t size;

        frame_reader_init(&large, UINT32_MAX);
        ck_assert_int_eq(frame_reader_push(&large, "\xff\xff\xff\xff", 4), 0);
        ck_assert_int_eq(frame_reader_next(&large, &body, &size), 0);
        ck_assert_uint_le(large.room, 64 * KIB);
        frame_reader_done(&large);
}
END_TEST

START_TEST(test_large_buffer_is_given_back)
{
        const size_t body_size = 1 * MIB;
        _cleanup_free_ uint8_t *frame = calloc(1, FRAME_HEADER_SIZE + body_size);
        struct frame_reader large;
        const uint8_t *body;
        size_t size;

        frame_reader_init(&large, FRAME_MAX_DEFAULT);
        frame_header(frame, body_size);
        ck_assert_int_eq(frame_reader_push(&large, frame, FRAME_HEADER_SIZE + body_size), 0);
        ck_assert_int_eq(frame_reader_next(&large, &body, &size), 1);
        ck_assert_uint_eq(size, body_size);
        ck_assert_int_eq(frame_reader_next(&large, &body, &size), 0);
        ck_assert_uint_eq(large.room, 0);
        frame_reader_done(&large);
}
END_TEST

START_TEST(test_fill)
{
        uint8_t frame[FRAME_HEADER_SIZE + MAX_FRAME] = {};
        const uint8_t *body;
        size_t size;
        int fds[2];

        ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
        ck_assert_int_eq(frame_reader_fill(&reader, fds[0]), -EAGAIN);
        frame_header(frame, MAX_FRAME);
        ck_assert_int_eq(write(fds[1], frame, sizeof(frame)), sizeof(frame));
        ck_assert_int_eq(frame_reader_fill(&reader, fds[0]), sizeof(frame));
        ck_assert_int_eq(frame_reader_next(&reader, &body, &size), 1);
        ck_assert_uint_eq(size, MAX_FRAME);
        (void) close(fds[1]);
        ck_assert_int_eq(frame_reader_fill(&reader, fds[0]), 0);
        ck_assert_int_eq(frame_reader_fill(&reader, -EBADF), -EBADF);
        (void) close(fds[0]);
}
END_TEST

START_TEST(test_header)
{
        uint8_t header[FRAME_HEADER_SIZE];

        frame_header(header, 0x01020304);
        ck_assert_mem_eq(header, "\1\2\3\4", 4);
}
END_TEST

/* What a large frame needed goes at once, also when nobody asks for the next. */
START_TEST(test_trim)
{
        _cleanup_(frame_reader_done) struct frame_reader r;
        static uint8_t frame[FRAME_HEADER_SIZE + MIB];
        const uint8_t *body;
        size_t size;

        frame_reader_init(&r, FRAME_MAX_DEFAULT);
        frame_header(frame, MIB);
        ck_assert_int_eq(frame_reader_push(&r, frame, sizeof(frame)), 0);
        frame_reader_trim(&r);
        ck_assert_uint_eq(frame_reader_size(&r), sizeof(frame));
        ck_assert_int_eq(frame_reader_next(&r, &body, &size), 1);
        ck_assert_uint_ge(r.room, MIB);
        frame_reader_trim(&r);
        ck_assert_uint_eq(r.room, 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("frame");
        TCase *tc = tcase_create("frame");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_trim);
        tcase_add_test(tc, test_empty);
        tcase_add_test(tc, test_two_at_once);
        tcase_add_test(tc, test_every_cut);
        tcase_add_test(tc, test_header_alone_is_partial);
        tcase_add_test(tc, test_bad_lengths);
        tcase_add_test(tc, test_a_promise_allocates_nothing);
        tcase_add_test(tc, test_large_buffer_is_given_back);
        tcase_add_test(tc, test_fill);
        tcase_add_test(tc, test_header);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
