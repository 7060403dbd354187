/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in a pipe: what is written is what is read, however it is cut, and nothing is taken that no
 * writer of ours would send.
 */
#include <check.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/io.h"
#include "daemon/wire/transfer.h"

#define STREAM_MAX (256 * KIB)

/* A stream that is being made. */
static uint8_t stream[STREAM_MAX];
static size_t stream_size;

static void put(const void *data, size_t size)
{
        ck_assert_uint_le(stream_size + size, sizeof(stream));
        if (size > 0)
                memcpy(stream + stream_size, data, size);
        stream_size += size;
}

static void put_record(enum transfer_kind kind, const char *name, uint64_t size,
        enum transfer_error error)
{
        const struct transfer_record r = {
                .kind = kind,
                .mode = kind == TRANSFER_REGULAR ? 0640 : 0,
                .size = size,
                .error = error,
                .name_size = (uint32_t) strlen(name),
        };

        put(&r, sizeof(r));
        put(name, r.name_size);
}

static void put_data(const char *data)
{
        put_record(TRANSFER_DATA, "", strlen(data), 0);
        put(data, strlen(data));
}

/* What came of a stream, as text: one line a record, data as it came. */
static char seen[STREAM_MAX];

static void note(const char *format, ...) _printf_(1, 2);

static void note(const char *format, ...)
{
        size_t n = strlen(seen);
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(seen + n, sizeof(seen) - n, format, ap);
        va_end(ap);
}

/* Reads the stream in steps of at most step bytes. 0 at its END, 1 when it stops before, or -EBADMSG. */
static int read_stream(size_t step, uint64_t max)
{
        struct transfer_reader r;
        size_t done = 0;

        seen[0] = '\0';
        transfer_reader_init(&r, max);
        while (transfer_reader_wants(&r) > 0) {
                size_t n = MIN(MIN(transfer_reader_wants(&r), step), stream_size - done);
                int kind;

                if (n == 0)
                        return 1;
                kind = transfer_reader_take(&r, stream + done, n);
                if (kind == TRANSFER_DATA)
                        note("%.*s", (int) n, (const char *) stream + done);
                else if (kind == TRANSFER_END)
                        note("end");
                else if (kind > 0)
                        note("\n%d %s %o %llu %u\n", kind, r.name, r.record.mode,
                                (unsigned long long) r.record.size, r.record.error);
                else if (kind < 0)
                        return kind;
                done += n;
        }
        ck_assert_uint_eq(done, stream_size);
        return 0;
}

static void setup(void)
{
        stream_size = 0;
}

START_TEST(test_round_trip)
{
        put_record(TRANSFER_FOLDER, "out", 0, 0);
        put_record(TRANSFER_REGULAR, "out/a", 5, 0);
        put_data("he");
        put_data("llo");
        put_record(TRANSFER_REGULAR, "out/empty", 0, 0);
        put_record(TRANSFER_FAILED, "none", 0, TRANSFER_ERROR_MISSING);
        put_record(TRANSFER_REGULAR, "out/short", 9, 0);
        put_data("part");
        put_record(TRANSFER_FAILED, "out/short", 0, TRANSFER_ERROR_CHANGED);
        put_record(TRANSFER_END, "", 0, 0);
        for (size_t step = 1; step < 64; step++) {
                ck_assert_int_eq(read_stream(step, 14), 0);
                ck_assert_str_eq(seen, "\n2 out 0 0 0\n"
                                       "\n1 out/a 640 5 0\nhello"
                                       "\n1 out/empty 640 0 0\n"
                                       "\n4 none 0 0 1\n"
                                       "\n1 out/short 640 9 0\npart"
                                       "\n4 out/short 0 0 7\nend");
        }
        /* One byte more than there may be. */
        ck_assert_int_eq(read_stream(64, 13), -EBADMSG);
}
END_TEST

/* By the writer's own hand. */
START_TEST(test_write)
{
        const struct transfer_record file = { .kind = TRANSFER_REGULAR,
                .mode = 0640,
                .size = 3,
                .name_size = 1 },
                                     data = { .kind = TRANSFER_DATA, .size = 3 },
                                     end = { .kind = TRANSFER_END };
        int ends[2];

        ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
        ck_assert_int_eq(transfer_write(ends[1], &file, "f"), 0);
        ck_assert_int_eq(transfer_write(ends[1], &data, "abc"), 0);
        ck_assert_int_eq(transfer_write(ends[1], &end, NULL), 0);
        (void) close(ends[1]);
        stream_size = (size_t) io_read_full(ends[0], stream, sizeof(stream));
        (void) close(ends[0]);
        ck_assert_int_eq(read_stream(SIZE_MAX, 3), 0);
        ck_assert_str_eq(seen, "\n1 f 640 3 0\nabcend");
}
END_TEST

/* Wherever a stream is cut, it is not taken for a whole one. */
START_TEST(test_every_truncation)
{
        size_t size;

        put_record(TRANSFER_REGULAR, "a", 2, 0);
        put_data("xy");
        put_record(TRANSFER_END, "", 0, 0);
        size = stream_size;
        for (stream_size = 0; stream_size < size; stream_size++)
                ck_assert_int_eq(read_stream(7, 2), 1);
        ck_assert_int_eq(read_stream(7, 2), 0);
}
END_TEST

static void bad_kind_none(void)
{
        put_record(TRANSFER_NONE, "", 0, 0);
}

static void bad_kind(void)
{
        put_record(_TRANSFER_KINDS, "", 0, 0);
}

static void bad_kind_large(void)
{
        put_record((enum transfer_kind) UINT32_MAX, "", 0, 0);
}

static void bad_no_name(void)
{
        put_record(TRANSFER_REGULAR, "", 0, 0);
}

static void bad_name_up(void)
{
        put_record(TRANSFER_REGULAR, "a/../../b", 0, 0);
}

static void bad_name_absolute(void)
{
        put_record(TRANSFER_FAILED, "/etc/shadow", 0, TRANSFER_ERROR_MISSING);
}

static void bad_name_nul(void)
{
        const struct transfer_record r = { .kind = TRANSFER_FOLDER, .name_size = 3 };

        put(&r, sizeof(r));
        put("a\0b", 3);
}

static void bad_name_long(void)
{
        const struct transfer_record r = { .kind = TRANSFER_FOLDER,
                .name_size = SPEC_NAME_MAX + 1 };

        put(&r, sizeof(r));
}

static void bad_mode(void)
{
        const struct transfer_record r = { .kind = TRANSFER_FOLDER, .mode = 04755, .name_size = 1 };

        put(&r, sizeof(r));
        put("a", 1);
}

static void bad_folder_with_size(void)
{
        put_record(TRANSFER_FOLDER, "a", 1, 0);
}

static void bad_failed_without_error(void)
{
        put_record(TRANSFER_FAILED, "a", 0, TRANSFER_ERROR_NONE);
}

static void bad_failed_unknown(void)
{
        put_record(TRANSFER_FAILED, "a", 0, _TRANSFER_ERRORS);
}

static void bad_regular_with_error(void)
{
        put_record(TRANSFER_REGULAR, "a", 0, TRANSFER_ERROR_MISSING);
}

static void bad_data_first(void)
{
        put_data("x");
}

static void bad_data_after_folder(void)
{
        put_record(TRANSFER_FOLDER, "a", 0, 0);
        put_data("x");
}

static void bad_data_empty(void)
{
        put_record(TRANSFER_REGULAR, "a", 1, 0);
        put_data("");
}

static void bad_data_over_size(void)
{
        put_record(TRANSFER_REGULAR, "a", 2, 0);
        put_data("xyz");
}

static void bad_data_over_size_in_all(void)
{
        put_record(TRANSFER_REGULAR, "a", 2, 0);
        put_data("x");
        put_data("yz");
}

static void bad_data_with_name(void)
{
        put_record(TRANSFER_REGULAR, "a", 2, 0);
        put_record(TRANSFER_DATA, "a", 1, 0);
}

static void bad_next_before_whole(void)
{
        put_record(TRANSFER_REGULAR, "a", 2, 0);
        put_data("x");
        put_record(TRANSFER_REGULAR, "b", 0, 0);
}

static void bad_end_before_whole(void)
{
        put_record(TRANSFER_REGULAR, "a", 2, 0);
        put_record(TRANSFER_END, "", 0, 0);
}

static void bad_end_with_size(void)
{
        put_record(TRANSFER_END, "", 1, 0);
}

static void bad_size_over_all(void)
{
        put_record(TRANSFER_REGULAR, "a", 90, 0);
        put_record(TRANSFER_FAILED, "a", 0, TRANSFER_ERROR_CHANGED);
        put_record(TRANSFER_REGULAR, "b", 11, 0);
}

static void bad_size_that_wraps(void)
{
        put_record(TRANSFER_REGULAR, "a", UINT64_MAX, 0);
}

static const struct {
        const char *name;
        void (*make)(void);
} bad_streams[] = {
        { "kind 0", bad_kind_none },
        { "the kind after the last", bad_kind },
        { "a kind far off", bad_kind_large },
        { "no name", bad_no_name },
        { "a name with ..", bad_name_up },
        { "an absolute name", bad_name_absolute },
        { "a name with NUL", bad_name_nul },
        { "a long name", bad_name_long },
        { "a mode with set-uid", bad_mode },
        { "a folder with a size", bad_folder_with_size },
        { "a failure without error", bad_failed_without_error },
        { "an unknown error", bad_failed_unknown },
        { "a file with an error", bad_regular_with_error },
        { "data without a file", bad_data_first },
        { "data of a folder", bad_data_after_folder },
        { "no data", bad_data_empty },
        { "data over the size", bad_data_over_size },
        { "data over the size in two parts", bad_data_over_size_in_all },
        { "data with a name", bad_data_with_name },
        { "a file before the last is whole", bad_next_before_whole },
        { "the end before the last is whole", bad_end_before_whole },
        { "an end with a size", bad_end_with_size },
        { "files over the maximum", bad_size_over_all },
        { "a size that wraps", bad_size_that_wraps },
};

START_TEST(test_bad_stream)
{
        bad_streams[_i].make();
        ck_assert_msg(read_stream(SIZE_MAX, 100) == -EBADMSG, "taken: %s", bad_streams[_i].name);
        ck_assert_msg(read_stream(1, 100) == -EBADMSG, "taken in parts: %s", bad_streams[_i].name);
}
END_TEST

/* A writer that never ends cannot keep the reader for ever. */
START_TEST(test_too_many_records)
{
        struct transfer_record folder = { .kind = TRANSFER_FOLDER, .name_size = 1 };
        struct transfer_reader r;
        size_t n = 0;

        transfer_reader_init(&r, 0);
        while (transfer_reader_take(&r, &folder, sizeof(folder)) == TRANSFER_NONE) {
                ck_assert_int_eq(transfer_reader_take(&r, "a", 1), TRANSFER_FOLDER);
                ck_assert_uint_lt(++n, 16 * TRANSFER_ENTRIES_MAX);
        }
        ck_assert_uint_ge(n, 2 * TRANSFER_ENTRIES_MAX);
}
END_TEST

/* What is in a folder comes right after it. */
START_TEST(test_order)
{
        static const char *const sorted[] = { "a", "a/", "a/b", "a/b/c", "a/c", "a!", "a-b", "a.c",
                "ab", "b", "\xff" };

        for (size_t i = 0; i < ELEMENTSOF(sorted); i++)
                for (size_t j = 0; j < ELEMENTSOF(sorted); j++) {
                        int r = transfer_compare(sorted[i], sorted[j]);

                        ck_assert_msg((r > 0) - (r < 0) == (i > j) - (i < j), "'%s' and '%s'",
                                sorted[i], sorted[j]);
                }
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("transfer");
        TCase *tc = tcase_create("transfer");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, NULL);
        tcase_add_test(tc, test_round_trip);
        tcase_add_test(tc, test_write);
        tcase_add_test(tc, test_every_truncation);
        tcase_add_loop_test(tc, test_bad_stream, 0, (int) ELEMENTSOF(bad_streams));
        tcase_add_test(tc, test_too_many_records);
        tcase_add_test(tc, test_order);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
