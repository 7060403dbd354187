/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job's memfd: what is written is what is read, and nothing that is not of the form is taken.
 */
#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemon/wire/spec.h"

static const char *const arguments[] = { "echo", "", "a b" };
static const char *const variables[] = { "A=1" };
static const char *const names[] = { "main.py", "d/e/f", "large" };
static const struct spec_file files[] = { { 3, 0644, 0 }, { 2, 0755, 0 }, { GIB, 0600, 0 } };
static const char *const get[] = { "out/*.png", "log" };

static const struct spec sample = {
        .workdir = "/box",
        .exec = "echo",
        .search_path = true,
        .argc = ELEMENTSOF(arguments),
        .argv = arguments,
        .envc = ELEMENTSOF(variables),
        .envp = variables,
        .n_files = ELEMENTSOF(names),
        .file_names = names,
        .files = files,
        .n_inline = 2,
        .n_get = ELEMENTSOF(get),
        .get = get,
};

/* A memfd with these bytes, sealed. */
static int sealed(const void *data, size_t size)
{
        int fd = io_memfd_new("spec");

        ck_assert_int_ge(fd, 0);
        ck_assert_int_eq(io_write_full(fd, data, size), 0);
        ck_assert_int_eq(io_memfd_seal(fd), 0);
        return fd;
}

/* The bytes of the sample. */
static size_t write_sample(uint8_t *buffer, size_t room)
{
        _cleanup_close_ int fd = io_memfd_new("spec");
        ssize_t n;

        ck_assert_int_eq(spec_write_head(fd, &sample), 0);
        ck_assert_int_eq(io_write_full(fd, "abcde", 5), 0);
        ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
        n = io_read_full(fd, buffer, room);
        ck_assert_int_gt(n, 0);
        return (size_t) n;
}

START_TEST(test_round_trip)
{
        uint8_t buffer[1024];
        size_t size = write_sample(buffer, sizeof(buffer));
        _cleanup_close_ int fd = sealed(buffer, size);
        struct spec_view v;

        ck_assert_int_eq(spec_view_open(&v, fd), 0);
        ck_assert_str_eq(v.workdir, "/box");
        ck_assert_str_eq(v.exec, "echo");
        ck_assert(v.search_path);
        for (size_t i = 0; i < ELEMENTSOF(arguments); i++)
                ck_assert_str_eq(v.argv[i], arguments[i]);
        ck_assert_ptr_null(v.argv[ELEMENTSOF(arguments)]);
        ck_assert_str_eq(v.envp[0], "A=1");
        ck_assert_ptr_null(v.envp[1]);
        ck_assert_uint_eq(v.n_files, 3);
        ck_assert_uint_eq(v.n_inline, 2);
        ck_assert_str_eq(v.file_names[1], "d/e/f");
        ck_assert_str_eq(v.file_names[2], "large");
        ck_assert_uint_eq(v.files[2].size, GIB);
        ck_assert_uint_eq(v.n_get, 2);
        ck_assert_str_eq(v.get[0], "out/*.png");
        ck_assert_str_eq(v.get[1], "log");
        ck_assert_uint_eq(v.files[0].size, 3);
        ck_assert_uint_eq(v.files[1].mode, 0755);
        ck_assert_mem_eq(v.data, "abcde", 5);
        spec_view_done(&v);
}
END_TEST

START_TEST(test_unsealed)
{
        uint8_t buffer[1024];
        size_t size = write_sample(buffer, sizeof(buffer));
        _cleanup_close_ int fd = io_memfd_new("spec");
        struct spec_view v;

        ck_assert_int_eq(io_write_full(fd, buffer, size), 0);
        ck_assert_int_eq(spec_view_open(&v, fd), -EBADMSG);
        ck_assert_int_eq(spec_view_open(&v, -EBADF), -EBADMSG);
}
END_TEST

START_TEST(test_every_truncation)
{
        uint8_t buffer[1024];
        size_t size = write_sample(buffer, sizeof(buffer));

        for (size_t n = 0; n < size; n++) {
                _cleanup_close_ int fd = sealed(buffer, n);
                struct spec_view v;

                ck_assert_int_eq(spec_view_open(&v, fd), -EBADMSG);
        }
}
END_TEST

/* Whatever a byte is changed to, the reader stays inside the mapping (the sanitizers watch). */
START_TEST(test_every_changed_byte)
{
        static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
        uint8_t buffer[1024];
        size_t size = write_sample(buffer, sizeof(buffer));

        for (size_t i = 0; i < size * ELEMENTSOF(values); i++) {
                uint8_t *p = &buffer[i / ELEMENTSOF(values)], kept = *p;
                _cleanup_close_ int fd = -EBADF;
                struct spec_view v;

                *p = values[i % ELEMENTSOF(values)];
                fd = sealed(buffer, size);
                *p = kept;
                if (spec_view_open(&v, fd) < 0)
                        continue;
                for (char **s = v.argv; *s; s++)
                        ck_assert_uint_lt(strlen(*s), size);
                spec_view_done(&v);
        }
}
END_TEST

START_TEST(test_sizes_that_overflow)
{
        uint8_t buffer[1024];
        size_t size = write_sample(buffer, sizeof(buffer));
        struct spec_header *h = (struct spec_header *) buffer;
        struct spec_file *table = (struct spec_file *) (h + 1);
        struct spec_view v;

        /* Two sizes whose sum wraps round to what is there. */
        table[0].size = UINT64_MAX - 10;
        table[1].size = 16;
        {
                _cleanup_close_ int fd = sealed(buffer, size);

                ck_assert_int_eq(spec_view_open(&v, fd), -EBADMSG);
        }
        size = write_sample(buffer, sizeof(buffer));
        h->data_size = UINT64_MAX - sizeof(*h);
        {
                _cleanup_close_ int fd = sealed(buffer, size);

                ck_assert_int_eq(spec_view_open(&v, fd), -EBADMSG);
        }
}
END_TEST

/* Also of a file whose bytes come later, and of one that is asked for. */
START_TEST(test_names_are_checked_again)
{
        static const char *const places[] = { "d/e/f", "large", "out/*" };

        for (size_t i = 0; i < ELEMENTSOF(places); i++) {
                uint8_t buffer[1024];
                size_t size = write_sample(buffer, sizeof(buffer));
                struct spec_view v;
                int fd;

                memcpy(memmem(buffer, size, places[i], 5), "d/../", 5);
                fd = sealed(buffer, size);
                ck_assert_int_eq(spec_view_open(&v, fd), -EBADMSG);
                (void) close(fd);
        }
}
END_TEST

/* Numbers of the header that are not within each other, or within the maximum. */
START_TEST(test_counts)
{
        uint8_t buffer[1024];
        size_t size = write_sample(buffer, sizeof(buffer));
        struct spec_header *h = (struct spec_header *) buffer;
        struct spec_view v;
        int fd;

        h->n_inline = h->n_files + 1;
        fd = sealed(buffer, size);
        ck_assert_int_eq(spec_view_open(&v, fd), -EBADMSG);
        (void) close(fd);
        size = write_sample(buffer, sizeof(buffer));
        h->n_get = SPEC_GET_MAX + 1;
        fd = sealed(buffer, size);
        ck_assert_int_eq(spec_view_open(&v, fd), -EBADMSG);
        (void) close(fd);
}
END_TEST

START_TEST(test_too_much_to_write)
{
        struct spec large = sample;
        _cleanup_close_ int fd = io_memfd_new("spec");
        _cleanup_free_ char *text = malloc(SPEC_STRINGS_MAX + 1);

        large.argc = SPEC_ARGS_MAX + 1;
        ck_assert_int_eq(spec_write_head(fd, &large), -E2BIG);
        large = sample;
        large.n_get = SPEC_GET_MAX + 1;
        ck_assert_int_eq(spec_write_head(fd, &large), -E2BIG);
        large = sample;
        memset(text, 'x', SPEC_STRINGS_MAX);
        text[SPEC_STRINGS_MAX] = '\0';
        large.exec = text;
        ck_assert_int_eq(spec_write_head(fd, &large), -E2BIG);
}
END_TEST

static void expect_name(const char *name, size_t size, int result, const char *part)
{
        struct error why = {};

        ck_assert_msg(spec_check_name(name, size, &why) == result, "'%s'", name);
        if (part)
                ck_assert_msg(strstr(why.text, part), "'%s' is not in '%s'", part, why.text);
}

START_TEST(test_names)
{
        static const char *const good[] = { "a", "a/b", "...", "a/..b", ".hidden", "\xff\xfe",
                " " };
        static const char *const bad[] = {
                "../x",
                "..",
                ".",
                "a/..",
                "a/../../x",
                "a//b",
                "a/",
                "./a",
                "a/./b",
        };
        char long_name[SPEC_NAME_MAX + 2], part[257];

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                expect_name(good[i], strlen(good[i]), 0, NULL);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                expect_name(bad[i], strlen(bad[i]), -EINVAL, "names stay in /box");
        expect_name("/etc/x", 6, -EINVAL, "absolute");
        expect_name("", 0, -EINVAL, "no name");
        expect_name("a\0b", 3, -EINVAL, "NUL");
        memset(part, 'p', sizeof(part));
        expect_name(part, 255, 0, NULL);
        expect_name(part, 256, -ENAMETOOLONG, "255");
        for (size_t i = 0; i < sizeof(long_name); i++)
                long_name[i] = i % 200 == 199 ? '/' : 'x';
        expect_name(long_name, SPEC_NAME_MAX, 0, NULL);
        expect_name(long_name, SPEC_NAME_MAX + 1, -ENAMETOOLONG, "too long");
        for (size_t i = 0; i < sizeof(long_name); i++)
                long_name[i] = i % 2 == 1 ? '/' : 'x';
        expect_name(long_name, 2 * SPEC_DEPTH_MAX + 1, 0, NULL);
        expect_name(long_name, 2 * SPEC_DEPTH_MAX + 3, -ENAMETOOLONG, "folders");
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("spec");
        TCase *tc = tcase_create("spec");
        SRunner *runner;
        int failed;

        tcase_add_test(tc, test_round_trip);
        tcase_add_test(tc, test_unsealed);
        tcase_add_test(tc, test_every_truncation);
        tcase_add_test(tc, test_every_changed_byte);
        tcase_add_test(tc, test_sizes_that_overflow);
        tcase_add_test(tc, test_names_are_checked_again);
        tcase_add_test(tc, test_counts);
        tcase_add_test(tc, test_too_much_to_write);
        tcase_add_test(tc, test_names);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
