/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a job on their way into a folder: names that the job chose must not lead out of it.
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/lib/sandbox.h"
#include "common/io.h"

static char dir[64], outside[96];
static int dir_fd = -EBADF;
static sandbox_fetch *fetch;

static void setup(void)
{
        (void) umask(022);
        (void) snprintf(dir, sizeof(dir), "%s", "/tmp/test-fetch-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(dir));
        (void) snprintf(outside, sizeof(outside), "%s.outside", dir);
        ck_assert_int_eq(mkdir(outside, 0755), 0);
        dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        ck_assert_int_ge(dir_fd, 0);
        ck_assert_int_eq(sandbox_fetch_new(dir_fd, &fetch), 0);
}

static void teardown(void)
{
        char command[256];

        fetch = sandbox_fetch_free(fetch);
        dir_fd = safe_close(dir_fd);
        /* Nothing was written there, whatever the test tried. */
        ck_assert_int_eq(rmdir(outside), 0);
        (void) snprintf(command, sizeof(command), "rm -rf '%s'", dir);
        ck_assert_int_eq(system(command), 0);
}

static int put(enum sandbox_file_kind kind, const char *name, unsigned mode, uint64_t size,
        uint64_t offset, const char *data)
{
        sandbox_file_piece piece = {
                .kind = kind,
                .name = name,
                .mode = mode,
                .size = size,
                .offset = offset,
                .data = data,
                .data_size = data ? strlen(data) : 0,
        };

        piece.last = kind != SANDBOX_FILE_REGULAR || offset + piece.data_size == size;
        if (kind == SANDBOX_FILE_FAILED) {
                piece.error = data;
                piece.data = NULL;
                piece.data_size = 0;
        }
        return sandbox_fetch_put(fetch, &piece);
}

static void put_file(const char *name, unsigned mode, const char *text)
{
        ck_assert_int_eq(put(SANDBOX_FILE_REGULAR, name, mode, strlen(text), 0, text), 0);
}

static size_t n_failed(void)
{
        size_t n = 0;

        while (sandbox_fetch_get_failed(fetch, n, NULL))
                n++;
        return n;
}

static void assert_text(const char *name, const char *text)
{
        _cleanup_free_ char *found = NULL;

        ck_assert_int_eq(io_read_file(dir_fd, name, 1000, &found, NULL), 0);
        ck_assert_str_eq(found, text);
}

static unsigned mode_of(const char *name)
{
        struct stat st;

        ck_assert_int_eq(fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
        return st.st_mode & 07777;
}

START_TEST(test_files)
{
        ck_assert_int_eq(put(SANDBOX_FILE_FOLDER, "d", 0755, 0, 0, NULL), 0);
        ck_assert_int_eq(put(SANDBOX_FILE_REGULAR, "d/e/f", 0644, 6, 0, NULL), 0);
        ck_assert_int_eq(put(SANDBOX_FILE_REGULAR, "d/e/f", 0644, 6, 0, "abc"), 0);
        ck_assert_int_eq(faccessat(dir_fd, "d/e/f", F_OK, 0), -1);
        ck_assert_int_eq(put(SANDBOX_FILE_REGULAR, "d/e/f", 0644, 6, 3, "def"), 0);
        put_file("empty", 0600, "");
        assert_text("d/e/f", "abcdef");
        assert_text("empty", "");
        ck_assert_uint_eq(n_failed(), 0);
        ck_assert_uint_eq(sandbox_fetch_get_files(fetch), 2);
        ck_assert_uint_eq(sandbox_fetch_get_bytes(fetch), 6);
}
END_TEST

/* Permission bits alone, and the umask is heeded. */
START_TEST(test_modes)
{
        put_file("plain", 0666, "x");
        put_file("suid", 07777, "x");
        put_file("read-only", 0444, "x");
        ck_assert_int_eq(put(SANDBOX_FILE_FOLDER, "folder", 07777, 0, 0, NULL), 0);
        ck_assert_int_eq(put(SANDBOX_FILE_FOLDER, "closed", 0, 0, 0, NULL), 0);
        put_file("closed/inner", 0644, "x");
        ck_assert_uint_eq(mode_of("plain"), 0644);
        ck_assert_uint_eq(mode_of("suid"), 0755);
        ck_assert_uint_eq(mode_of("read-only"), 0444);
        ck_assert_uint_eq(mode_of("folder"), 0755);
        ck_assert_uint_eq(mode_of("closed"), 0700);
        ck_assert_uint_eq(n_failed(), 0);
}
END_TEST

START_TEST(test_names)
{
        static const char *const names[] = { "../x", "/x", "a/../x", "a//x", "./x", "a/./x", "x/",
                "..", ".", "/", "" };
        char long_part[300], deep[400] = "";

        memset(long_part, 'x', sizeof(long_part) - 1);
        long_part[sizeof(long_part) - 1] = '\0';
        for (size_t i = 0; i < 100; i++)
                (void) strcat(deep, "a/");
        (void) strcat(deep, "x");
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                put_file(names[i], 0644, "x");
                ck_assert_int_eq(put(SANDBOX_FILE_FOLDER, names[i], 0755, 0, 0, NULL), 0);
                ck_assert_uint_eq(n_failed(), 2 * (i + 1));
                ck_assert_str_eq(sandbox_fetch_get_failed(fetch, 2 * i, NULL), names[i]);
        }
        put_file(long_part, 0644, "x");
        put_file(deep, 0644, "x");
        ck_assert_uint_eq(n_failed(), 2 * ELEMENTSOF(names) + 2);
        ck_assert_uint_eq(sandbox_fetch_get_files(fetch), 0);
        /* Nor were folders made on the way to a bad name. */
        ck_assert_int_eq(faccessat(dir_fd, "a", F_OK, 0), -1);
}
END_TEST

/* Whoever can write here may have planted links; the job cannot make any, but its names can match. */
START_TEST(test_links)
{
        ck_assert_int_eq(symlinkat(outside, dir_fd, "out"), 0);
        ck_assert_int_eq(symlinkat("elsewhere", dir_fd, "dangling"), 0);
        put_file("out/x", 0644, "x");
        put_file("out", 0644, "x");
        put_file("dangling", 0644, "x");
        ck_assert_int_eq(put(SANDBOX_FILE_FOLDER, "out", 0755, 0, 0, NULL), 0);
        ck_assert_uint_eq(n_failed(), 4);
        ck_assert_int_eq(faccessat(dir_fd, "elsewhere", F_OK, 0), -1);
}
END_TEST

START_TEST(test_replaced)
{
        int fd;

        put_file("f", 0644, "first");
        fd = openat(dir_fd, "f", O_RDONLY | O_CLOEXEC);
        put_file("f", 0600, "2nd");
        assert_text("f", "2nd");
        ck_assert_uint_eq(mode_of("f"), 0600);
        ck_assert_int_eq(lseek(fd, 0, SEEK_END), 5); /* not truncated, but replaced */
        (void) close(fd);
        ck_assert_int_eq(mkfifoat(dir_fd, "fifo", 0600), 0);
        ck_assert_int_eq(mkdirat(dir_fd, "folder", 0700), 0);
        put_file("fifo", 0644, "x");
        put_file("folder", 0644, "x");
        ck_assert_uint_eq(n_failed(), 2);
        put_file("f/inner", 0644, "x");
        ck_assert_uint_eq(n_failed(), 3);
        assert_text("f", "2nd");
}
END_TEST

/* What is not complete leaves nothing behind, not even what was there before is touched. */
START_TEST(test_not_complete)
{
        char command[128];
        const char *reason;

        put_file("f", 0644, "old");
        ck_assert_int_eq(put(SANDBOX_FILE_REGULAR, "f", 0644, 9, 0, "new"), 0);
        ck_assert_int_eq(put(SANDBOX_FILE_FAILED, "f", 0, 0, 0, "it shrank"), 0);
        ck_assert_str_eq(sandbox_fetch_get_failed(fetch, 0, &reason), "f");
        ck_assert_str_eq(reason, "it shrank");
        ck_assert_int_eq(put(SANDBOX_FILE_REGULAR, "g", 0644, 9, 0, "new"), 0);
        ck_assert_int_eq(put(SANDBOX_FILE_REGULAR, "h", 0644, 9, 0, "new"), 0);
        fetch = sandbox_fetch_free(fetch);
        assert_text("f", "old");
        (void) snprintf(command, sizeof(command), "test \"$(ls -A '%s')\" = f", dir);
        ck_assert_int_eq(system(command), 0);
}
END_TEST

/* A file that failed here is noted once, whatever else comes of it. */
START_TEST(test_failed_once)
{
        ck_assert_int_eq(put(SANDBOX_FILE_REGULAR, "../x", 0644, 9, 0, NULL), 0);
        ck_assert_int_eq(put(SANDBOX_FILE_REGULAR, "../x", 0644, 9, 0, "abc"), 0);
        ck_assert_int_eq(put(SANDBOX_FILE_REGULAR, "../x", 0644, 9, 3, "abc"), 0);
        ck_assert_int_eq(put(SANDBOX_FILE_FAILED, "../x", 0, 0, 0, "it shrank"), 0);
        ck_assert_uint_eq(n_failed(), 1);
        ck_assert_int_eq(put(SANDBOX_FILE_FAILED, "../x", 0, 0, 0, "it is no file"), 0);
        ck_assert_uint_eq(n_failed(), 2);
        ck_assert_int_eq(put((enum sandbox_file_kind) 7, "x", 0, 0, 0, NULL), -EINVAL);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("client-fetch");
        TCase *t = tcase_create("client-fetch");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_files);
        tcase_add_test(t, test_modes);
        tcase_add_test(t, test_names);
        tcase_add_test(t, test_links);
        tcase_add_test(t, test_replaced);
        tcase_add_test(t, test_not_complete);
        tcase_add_test(t, test_failed_once);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
