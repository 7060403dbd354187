/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding on a budget.
 */
#include <check.h>

#include "proto/budget.h"
#include "proto/sandboxd.pb-c.h"

START_TEST(test_within)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT, *got;
        Sandboxd__V1__Run run = SANDBOXD__V1__RUN__INIT;
        uint8_t code[1000] = {}, packed[2000];
        struct budget b;
        size_t size;

        run.code = (ProtobufCBinaryData) { sizeof(code), code };
        request.id = 5;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_RUN;
        request.run = &run;
        size = sandboxd__v1__request__pack(&request, packed);

        budget_init(&b, 4 * KIB);
        got = sandboxd__v1__request__unpack(&b.allocator, size, packed);
        ck_assert_ptr_nonnull(got);
        ck_assert_uint_eq(got->run->code.len, sizeof(code));
        ck_assert_uint_ge(b.used, sizeof(code));
        ck_assert(!b.exceeded);
        sandboxd__v1__request__free_unpacked(got, &b.allocator);

        budget_init(&b, 900);
        ck_assert_ptr_null(sandboxd__v1__request__unpack(&b.allocator, size, packed));
        ck_assert(b.exceeded);
}
END_TEST

/* Empty files cost two bytes each on the wire, and some forty times that in memory. */
START_TEST(test_bomb)
{
        const size_t n = 100000;
        _cleanup_free_ uint8_t *packed = malloc(2 * n);
        struct budget b;

        for (size_t i = 0; i < n; i++) {
                packed[2 * i] = 0x32;
                packed[2 * i + 1] = 0;
        }
        budget_init(&b, 1 * MIB);
        ck_assert_ptr_null(sandboxd__v1__run__unpack(&b.allocator, 2 * n, packed));
        ck_assert(b.exceeded);
        ck_assert_uint_le(b.used, b.max);
}
END_TEST

START_TEST(test_malformed_is_not_exceeded)
{
        struct budget b;

        budget_init(&b, 1 * MIB);
        ck_assert_ptr_null(
                sandboxd__v1__request__unpack(&b.allocator, 3, (const uint8_t *) "\xff\xff\xff"));
        ck_assert(!b.exceeded);
}
END_TEST

START_TEST(test_sizes_that_overflow)
{
        struct budget b;

        budget_init(&b, SIZE_MAX);
        b.used = SIZE_MAX - 100;
        ck_assert_ptr_null(b.allocator.alloc(&b, 100));
        ck_assert_ptr_null(b.allocator.alloc(&b, SIZE_MAX));
        ck_assert(b.exceeded);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("budget");
        TCase *tc = tcase_create("budget");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_within);
        tcase_add_test(tc, test_bomb);
        tcase_add_test(tc, test_malformed_is_not_exceeded);
        tcase_add_test(tc, test_sizes_that_overflow);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
