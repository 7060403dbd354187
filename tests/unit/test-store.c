/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kept output: order, bounds, what it costs, and readers that are at different places.
 */
#include <check.h>

#include "daemon/frontend/store.h"

static struct store s;
static uint64_t charged, most;

static bool charge(void *userdata, uint64_t size)
{
        ck_assert_ptr_eq(userdata, &charged);
        if (size > most - charged)
                return false;
        charged += size;
        return true;
}

static void setup_store(uint64_t cap, uint64_t room)
{
        charged = 0;
        most = room;
        store_init(&s, cap, charge, &charged);
}

/* All that is at the cursor, in one string: "o" and "e" say the stream of what follows. */
static size_t read_all(struct store_cursor *c, char *text, size_t size)
{
        enum store_stream stream, last = _STORE_STREAMS;
        const uint8_t *data;
        size_t n, used = 0;

        while ((n = store_peek(&s, c, &stream, &data)) > 0) {
                ck_assert_uint_lt(used + n + 2, size);
                if (stream != last)
                        text[used++] = stream == STORE_STDOUT ? 'o' : 'e';
                last = stream;
                memcpy(text + used, data, n);
                used += n;
                store_skip(c, n);
        }
        text[used] = '\0';
        return used;
}

static void expect_all(struct store_cursor *c, const char *expected)
{
        char text[4096];

        (void) read_all(c, text, sizeof(text));
        ck_assert_str_eq(text, expected);
}

START_TEST(test_order)
{
        struct store_cursor late = {}, early = {};

        setup_store(1000, 1 * MIB);
        expect_all(&early, "");
        store_append(&s, STORE_STDOUT, "one", 3);
        expect_all(&early, "oone");
        store_append(&s, STORE_STDOUT, "two", 3);
        store_append(&s, STORE_STDERR, "bad", 3);
        store_append(&s, STORE_STDOUT, "end", 3);
        expect_all(&early, "otwoebadoend");
        expect_all(&early, "");
        expect_all(&late, "oonetwoebadoend");
        ck_assert_uint_eq(s.kept[STORE_STDOUT], 9);
        ck_assert_uint_eq(s.kept[STORE_STDERR], 3);
        store_done(&s);
}
END_TEST

START_TEST(test_a_reader_in_the_middle)
{
        struct store_cursor c = {};
        enum store_stream stream;
        const uint8_t *data;

        setup_store(1000, 1 * MIB);
        store_append(&s, STORE_STDERR, "abcdef", 6);
        ck_assert_uint_eq(store_peek(&s, &c, &stream, &data), 6);
        store_skip(&c, 4);
        store_append(&s, STORE_STDERR, "gh", 2);
        ck_assert_uint_eq(store_peek(&s, &c, &stream, &data), 4);
        ck_assert_int_eq(stream, STORE_STDERR);
        ck_assert_mem_eq(data, "efgh", 4);
        store_done(&s);
}
END_TEST

/* Of each stream its beginning; what does not fit is cut where the cap is. */
START_TEST(test_cap)
{
        struct store_cursor c = {};

        setup_store(5, 1 * MIB);
        store_append(&s, STORE_STDOUT, "abcdefgh", 8);
        store_append(&s, STORE_STDERR, "123", 3);
        store_append(&s, STORE_STDOUT, "ij", 2);
        store_append(&s, STORE_STDERR, "45678", 5);
        expect_all(&c, "oabcdee12345");
        ck_assert(!s.refused);
        store_done(&s);
}
END_TEST

START_TEST(test_nothing_may_be_kept)
{
        struct store_cursor c = {};

        setup_store(100, 0);
        store_append(&s, STORE_STDOUT, "abc", 3);
        expect_all(&c, "");
        ck_assert(s.refused);
        ck_assert_uint_eq(s.kept[STORE_STDOUT], 0);
        /* Room that is there later does not make a gap. */
        most = 1 * MIB;
        store_append(&s, STORE_STDOUT, "def", 3);
        expect_all(&c, "");
        store_append(&s, STORE_STDERR, "ghi", 3);
        expect_all(&c, "eghi");
        store_done(&s);
}
END_TEST

/* Many blocks, of a pattern that shows a byte in the wrong place; what is charged is near what is kept. */
START_TEST(test_much)
{
        static uint8_t piece[10007], back[2 * MIB];
        struct store_cursor c = {};
        size_t total = 0, n, at = 0;
        enum store_stream stream;
        const uint8_t *data;

        setup_store(4 * MIB, 8 * MIB);
        for (size_t i = 0; total + sizeof(piece) < sizeof(back); i++) {
                for (size_t j = 0; j < sizeof(piece); j++)
                        piece[j] = (uint8_t) ((total + j) % 251);
                store_append(&s, STORE_STDOUT, piece, sizeof(piece));
                total += sizeof(piece);
        }
        ck_assert_uint_eq(s.kept[STORE_STDOUT], total);
        ck_assert_uint_ge(charged, total);
        ck_assert_uint_lt(charged, total + total / 8 + 128 * KIB);
        while ((n = store_peek(&s, &c, &stream, &data)) > 0) {
                memcpy(back + at, data, n);
                at += n;
                store_skip(&c, n);
        }
        ck_assert_uint_eq(at, total);
        for (at = 0; at < total && back[at] == at % 251; at++)
                ;
        ck_assert_uint_eq(at, total);
        store_done(&s);
}
END_TEST

/* A byte of each stream in turn costs a word each, and that is charged. */
START_TEST(test_alternating)
{
        static char text[64 * KIB];
        struct store_cursor c = {};

        setup_store(1 * MIB, 64 * KIB);
        for (size_t i = 0; i < 20000; i++)
                store_append(&s, i % 2 == 0 ? STORE_STDOUT : STORE_STDERR, "x", 1);
        ck_assert(s.refused);
        ck_assert_uint_le(charged, 64 * KIB);
        ck_assert_uint_gt(s.kept[STORE_STDOUT], 4000);
        ck_assert_uint_lt(s.kept[STORE_STDOUT], 7000);
        (void) read_all(&c, text, sizeof(text));
        for (size_t i = 0; i < 4000; i++)
                ck_assert_mem_eq(text + 4 * i, "oxex", 4);
        store_done(&s);
}
END_TEST

/* A small output costs little. */
START_TEST(test_small)
{
        setup_store(1 * MIB, 1 * MIB);
        ck_assert_uint_eq(charged, 0);
        store_append(&s, STORE_STDOUT, "42\n", 3);
        ck_assert_uint_le(charged, 512);
        store_done(&s);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("store");
        TCase *tc = tcase_create("store");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_order);
        tcase_add_test(tc, test_a_reader_in_the_middle);
        tcase_add_test(tc, test_cap);
        tcase_add_test(tc, test_nothing_may_be_kept);
        tcase_add_test(tc, test_much);
        tcase_add_test(tc, test_alternating);
        tcase_add_test(tc, test_small);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
