/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of events against the catalog that explains them.
 */
#include <check.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/event.h"
#include "common/io.h"

#define ID_SIZE 32

static bool is_id(const char *s)
{
        for (size_t i = 0; i < ID_SIZE; i++)
                if (!isdigit((unsigned char) s[i]) && (s[i] < 'a' || s[i] > 'f'))
                        return false;
        return true;
}

START_TEST(test_ids)
{
        for (size_t i = 0; i < _EVENT_COUNT; i++) {
                const char *id = event_table[i].message_id;

                ck_assert_ptr_nonnull(id);
                ck_assert_uint_eq(strlen(id), ID_SIZE);
                ck_assert(is_id(id));
                ck_assert_int_ge(event_table[i].level, LOG_LEVEL_ERROR);
                ck_assert_int_ge(event_table[i].plain_level, LOG_LEVEL_ERROR);
                for (size_t j = 0; j < i; j++)
                        ck_assert_str_ne(id, event_table[j].message_id);
        }
}
END_TEST

static bool is_event(const char *id)
{
        for (size_t i = 0; i < _EVENT_COUNT; i++)
                if (strncmp(id, event_table[i].message_id, ID_SIZE) == 0)
                        return true;
        return false;
}

/* An entry is "-- ID", a header with these lines, an empty line, and text. */
static void check_entry(const char *entry)
{
        static const char *const required[] = { "\nSubject: ", "\nDefined-By: sandboxd\n" };
        const char *text = strstr(entry, "\n\n"), *next = strstr(entry, "\n-- ");

        ck_assert_msg(is_id(entry) && entry[ID_SIZE] == '\n', "'%.40s' is no id", entry);
        ck_assert_msg(is_event(entry), "nothing has the id %.32s", entry);
        ck_assert_msg(text && (!next || text < next) && strlen(text) > 40, "%.32s has no text",
                entry);
        for (size_t i = 0; i < ELEMENTSOF(required); i++) {
                const char *line = strstr(entry, required[i]);

                ck_assert_msg(line && line < text, "%.32s has no line '%s'", entry,
                        required[i] + 1);
        }
}

static char *read_source(const char *name)
{
        const char *source = getenv("srcdir");
        char path[4096], *text;
        size_t size;

        (void) snprintf(path, sizeof(path), "%s/%s", source ?: ".", name);
        ck_assert_int_eq(io_read_file(AT_FDCWD, path, 64 * KIB, &text, &size), 0);
        return text;
}

START_TEST(test_manual)
{
        _cleanup_free_ char *manual = read_source("man/sandboxd.8.scd");

        for (size_t i = 0; i < _EVENT_COUNT; i++)
                ck_assert_ptr_nonnull(strstr(manual, event_table[i].message_id));
}
END_TEST

START_TEST(test_catalog)
{
        _cleanup_free_ char *catalog = read_source("systemd/sandboxd.catalog");
        size_t n = 0;

        for (const char *p = catalog; (p = strstr(p, "\n-- ")); n++) {
                p += strlen("\n-- ");
                check_entry(p);
                ck_assert_ptr_null(memmem(p + 1, strlen(p + 1), p, ID_SIZE));
        }
        /* All of them are events and no two the same, so as many as there are events are all. */
        ck_assert_uint_eq(n, _EVENT_COUNT);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("event");
        TCase *tc = tcase_create("event");
        SRunner *runner = srunner_create(suite);
        int failed;

        tcase_add_test(tc, test_ids);
        tcase_add_test(tc, test_manual);
        tcase_add_test(tc, test_catalog);
        suite_add_tcase(suite, tc);
        srunner_run_all(runner, CK_ENV);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
