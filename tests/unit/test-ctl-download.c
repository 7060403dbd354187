/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where files that are fetched go: names, patterns, folders, and what is said of those that do not
 * come.
 */
#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "client/ctl/download.h"
#include "common/io.h"

static struct downloads downloads;
static struct error error;
static char folder[] = "/tmp/test-ctl-download-XXXXXX";
static int back = -EBADF;

static void setup(void)
{
        (void) strcpy(folder + strlen(folder) - 6, "XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
        back = open(".", O_PATH | O_DIRECTORY);
        ck_assert_int_ge(back, 0);
        ck_assert_int_eq(chdir(folder), 0);
        error = (struct error) {};
}

static void teardown(void)
{
        char command[64];

        downloads_done(&downloads);
        ck_assert_int_eq(fchdir(back), 0);
        back = safe_close(back);
        (void) snprintf(command, sizeof(command), "rm -rf %s", folder);
        ck_assert_int_eq(system(command), 0);
}

static void add(const char *text)
{
        ck_assert_msg(downloads_add(&downloads, text, &error) == 0, "%s", error.text);
}

static void open_all(void)
{
        ck_assert_msg(downloads_open(&downloads, &error) == 0, "%s", error.text);
}

static void put_piece(enum sandbox_file_kind kind, const char *name, const char *data, bool last)
{
        const sandbox_file_piece piece = {
                .kind = kind,
                .last = last,
                .name = name,
                .mode = kind == SANDBOX_FILE_FOLDER ? 0755 : 0644,
                .size = strlen(data),
                .data = data,
                .data_size = kind == SANDBOX_FILE_REGULAR ? strlen(data) : 0,
                .error = kind == SANDBOX_FILE_FAILED ? data : NULL,
        };

        ck_assert_int_eq(downloads_put(&downloads, &piece), 0);
}

static void put_file(const char *name, const char *data)
{
        put_piece(SANDBOX_FILE_REGULAR, name, data, true);
}

static void put_folder(const char *name)
{
        put_piece(SANDBOX_FILE_FOLDER, name, "", true);
}

static void assert_file(const char *path, const char *data)
{
        _cleanup_free_ char *text = NULL;
        size_t size;

        ck_assert_msg(io_read_file(AT_FDCWD, path, MIB, &text, &size) == 0, "%s", path);
        ck_assert_str_eq(text, data);
}

static void assert_absent(const char *path)
{
        ck_assert_msg(access(path, F_OK) < 0, "%s", path);
}

START_TEST(test_names)
{
        static const struct {
                const char *text, *name, *dest;
        } rows[] = {
                { "out.txt", "out.txt", NULL },
                { "out.txt:there", "out.txt", "there" },
                { "a:b:c", "a:b", "c" },
                { "./out", "out", NULL },
                { "/box/out/:x/", "out", "x/" },
                { "././a", "a", NULL },
                { "out//", "out", NULL },
                { "out/*.png:plots", "out/*.png", "plots" },
                /* What cannot be is for the daemon to say. */
                { "/etc/passwd", "/etc/passwd", NULL },
                { "../x", "../x", NULL },
                { "/box/", "/box", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                add(rows[i].text);
                ck_assert_str_eq(downloads.list[i].name, rows[i].name);
                ck_assert_pstr_eq(downloads.list[i].dest, rows[i].dest);
        }
        ck_assert_int_eq(downloads_add(&downloads, "", &error), -EINVAL);
        ck_assert_int_eq(downloads_add(&downloads, ":x", &error), -EINVAL);
        ck_assert_int_eq(downloads_add(&downloads, "x:", &error), -EINVAL);
        ck_assert_str_eq(error.text, "'x:' is not NAME or NAME:DEST: name a file in /box and, "
                                     "after a colon, where it goes");
}
END_TEST

START_TEST(test_names_for_the_daemon)
{
        const char **names;

        add("a:b");
        add("*.c");
        names = downloads_names(&downloads);
        ck_assert_str_eq(names[0], "a");
        ck_assert_str_eq(names[1], "*.c");
        ck_assert_ptr_null(names[2]);
        free(names);
        downloads_add_all(&downloads);
        ck_assert_ptr_null(downloads_names(&downloads));
}
END_TEST

/* Without DEST, and in a folder, files have the names that they have in /box. */
START_TEST(test_into_folders)
{
        ck_assert_int_eq(mkdir("there", 0755), 0);
        add("sub/a");
        add("b:there");
        add("c:new/");
        add("*.png:plots");
        open_all();
        put_file("sub/a", "1");
        put_file("b", "2");
        put_file("c", "3");
        put_file("x.png", "4");
        put_file("y.png", "5");
        downloads_end(&downloads);
        ck_assert_uint_eq(downloads.failed, 0);
        assert_file("sub/a", "1");
        assert_file("there/b", "2");
        assert_file("new/c", "3");
        assert_file("plots/x.png", "4");
        assert_file("plots/y.png", "5");
        ck_assert_uint_eq(downloads.n_files, 5);
        ck_assert_str_eq(downloads.files[0].path, "sub/a");
        ck_assert_str_eq(downloads.files[1].path, "there/b");
        ck_assert_str_eq(downloads.files[2].path, "new/c");
        ck_assert_str_eq(downloads.files[4].path, "plots/y.png");
        ck_assert_uint_eq(downloads.files[4].size, 1);
}
END_TEST

START_TEST(test_new_name)
{
        ck_assert_int_eq(mkdir("there", 0755), 0);
        add("sub/a:there/b");
        add("c:d");
        open_all();
        put_piece(SANDBOX_FILE_REGULAR, "sub/a", "one ", false);
        {
                const sandbox_file_piece rest = {
                        .kind = SANDBOX_FILE_REGULAR,
                        .last = true,
                        .name = "sub/a",
                        .mode = 0644,
                        .size = 7,
                        .offset = 4,
                        .data = "two",
                        .data_size = 3,
                };

                ck_assert_int_eq(downloads_put(&downloads, &rest), 0);
        }
        put_file("c", "3");
        downloads_end(&downloads);
        assert_file("there/b", "one two");
        assert_file("d", "3");
        assert_absent("there/sub");
        ck_assert_str_eq(downloads.files[0].name, "sub/a");
        ck_assert_str_eq(downloads.files[0].path, "there/b");
}
END_TEST

/* A folder is put into DEST, whether that is there or not. */
START_TEST(test_folder_of_the_job)
{
        add("out:new");
        add("empty:other");
        open_all();
        put_folder("empty");
        put_folder("out");
        put_file("out/a", "1");
        put_folder("out/empty");
        put_file("out/.hidden", "2");
        downloads_end(&downloads);
        ck_assert_uint_eq(downloads.failed, 0);
        assert_file("new/out/a", "1");
        assert_file("new/out/.hidden", "2");
        ck_assert_int_eq(access("new/out/empty", F_OK), 0);
        ck_assert_int_eq(access("other/empty", F_OK), 0);
        ck_assert_str_eq(downloads.files[0].path, "new/out/a");
}
END_TEST

/* One line for a folder that has no place, however much is in it. */
START_TEST(test_folder_without_a_place)
{
        add("out:new");
        open_all();
        ck_assert_int_eq(symlink(".", "new"), 0);
        put_folder("out");
        put_file("out/a", "1");
        put_file("out/b", "2");
        downloads_end(&downloads);
        ck_assert_uint_eq(downloads.failed, 1);
        ck_assert_str_eq(downloads.files[0].name, "out");
        assert_absent("out/a");
}
END_TEST

/* What several ask for goes to each; what nobody asked for goes nowhere. */
START_TEST(test_which_file_is_whose)
{
        add("a:one");
        add("?:two");
        open_all();
        put_file("a", "1");
        put_file("long", "2");
        put_file(".", "3");
        downloads_end(&downloads);
        assert_file("one", "1");
        assert_file("two/a", "1");
        assert_absent("long");
        assert_absent("two/long");
        ck_assert_uint_eq(downloads.n_files, 2);
}
END_TEST

/* What the daemon sends for a pattern is taken for it: there is one meaning of it. */
START_TEST(test_patterns_as_the_daemon)
{
        static const struct {
                const char *pattern, *name;
        } rows[] = {
                { "a\\b*", "a\\bc" }, /* a backslash is a byte like others */
                { "[[=a=]]", "=]" },  /* no class, but a set and a bracket */
                { "[!-a]x\\*", "bx\\" },
                { "x*", "x\xff" },
                { "?\xff", "\xff\xff" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                add(rows[i].pattern);
                open_all();
                put_file(rows[i].name, "1");
                downloads_end(&downloads);
                ck_assert_msg(downloads.failed == 0, "%s", rows[i].pattern);
                assert_file(rows[i].name, "1");
                downloads_done(&downloads);
        }
        /* And what is none of it is not. */
        add("[[=a=]]");
        open_all();
        put_file("a", "1");
        assert_absent("a");
}
END_TEST

START_TEST(test_all)
{
        downloads_add_all(&downloads);
        open_all();
        put_file("a", "1");
        put_file("sub/.b", "2");
        downloads_end(&downloads);
        ck_assert_uint_eq(downloads.failed, 0);
        assert_file("a", "1");
        assert_file("sub/.b", "2");
}
END_TEST

START_TEST(test_failures)
{
        json_auto_t *object = json_new_object();
        json_t *failed;

        add("gone");
        add("*.x");
        add("cut:there");
        add("never");
        add("cannot:file");
        open_all();
        ck_assert_int_eq(symlink("elsewhere", "file"), 0);
        put_piece(SANDBOX_FILE_FAILED, "gone", "it is not there", true);
        put_piece(SANDBOX_FILE_FAILED, "*.x", "nothing fits", true);
        put_piece(SANDBOX_FILE_REGULAR, "cut", "ab", false);
        put_piece(SANDBOX_FILE_FAILED, "cut", "it became shorter", true);
        put_piece(SANDBOX_FILE_FAILED, "unasked", "who knows", true);
        put_file("cannot", "1");
        downloads_end(&downloads);
        assert_absent("there");
        ck_assert_uint_eq(downloads.failed, 6);
        downloads_json(&downloads, object);
        ck_assert_uint_eq(json_array_size(json_object_get(object, "fetched")), 0);
        failed = json_object_get(object, "not_fetched");
        ck_assert_uint_eq(json_array_size(failed), 6);
        for (size_t i = 0; i < 6; i++) {
                static const char *const names[] = { "gone", "*.x", "cut", "unasked", "cannot",
                        "never" };
                json_t *one = json_array_get(failed, i);

                ck_assert_str_eq(json_string_value(json_object_get(one, "name")), names[i]);
                ck_assert_ptr_nonnull(json_string_value(json_object_get(one, "message")));
        }
        ck_assert_str_eq(json_string_value(json_object_get(json_array_get(failed, 2), "message")),
                "it became shorter");
}
END_TEST

/* Before a job is run for nothing. */
START_TEST(test_bad_destinations)
{
        static const char *const texts[] = { "a:no/such/place", "a:no/such/", "*:file", "a:file/",
                "a:file/b" };

        ck_assert_int_eq(mknod("file", S_IFREG | 0644, 0), 0);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                add(texts[i]);
                ck_assert_msg(downloads_open(&downloads, &error) < 0, "%s", texts[i]);
                ck_assert_msg(strstr(error.text, "cannot put files into "), "%s", error.text);
                downloads_done(&downloads);
        }
        /* One that is there is replaced. */
        add("a:file");
        open_all();
        put_file("a", "new");
        downloads_end(&downloads);
        assert_file("file", "new");
}
END_TEST

START_TEST(test_json)
{
        json_auto_t *object = json_new_object();
        json_t *one;

        add("\xff:there");
        open_all();
        put_file("\xff", "12");
        downloads_end(&downloads);
        downloads_json(&downloads, object);
        one = json_array_get(json_object_get(object, "fetched"), 0);
        ck_assert_str_eq(json_string_value(json_object_get(one, "name_base64")), "/w==");
        ck_assert_str_eq(json_string_value(json_object_get(one, "path")), "there");
        ck_assert_int_eq(json_integer_value(json_object_get(one, "size")), 2);
        ck_assert_uint_eq(json_array_size(json_object_get(object, "not_fetched")), 0);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ctl-download");
        TCase *t = tcase_create("ctl-download");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_names);
        tcase_add_test(t, test_names_for_the_daemon);
        tcase_add_test(t, test_into_folders);
        tcase_add_test(t, test_new_name);
        tcase_add_test(t, test_folder_of_the_job);
        tcase_add_test(t, test_folder_without_a_place);
        tcase_add_test(t, test_which_file_is_whose);
        tcase_add_test(t, test_patterns_as_the_daemon);
        tcase_add_test(t, test_all);
        tcase_add_test(t, test_failures);
        tcase_add_test(t, test_bad_destinations);
        tcase_add_test(t, test_json);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
