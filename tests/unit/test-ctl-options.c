/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `sandboxctl run`: what is taken, and the sentence for what is not.
 */
#include <check.h>

#include "client/ctl/run-options.h"

#define ARGS_MAX 16

static struct ctl ctl;
static struct run_options options;
static struct error error;
static const char *field;

static void setup(void)
{
        ctl = (struct ctl) {};
        options = (struct run_options) {};
        error = (struct error) {};
        field = NULL;
}

static void teardown(void)
{
        run_options_done(&options);
}

/* Parses "run" and the words up to NULL. */
static int parse(const char *first, ...)
{
        static char *argv[ARGS_MAX + 2];
        va_list ap;
        int argc = 0;

        run_options_done(&options);
        argv[argc++] = (char *) "run";
        va_start(ap, first);
        for (const char *word = first; word; word = va_arg(ap, const char *)) {
                ck_assert_int_lt(argc, ARGS_MAX);
                argv[argc++] = (char *) word;
        }
        va_end(ap);
        argv[argc] = NULL;
        optind = 0;
        opterr = 0;
        return run_options_parse(&options, &ctl, argc, argv, &field, &error);
}

START_TEST(test_command)
{
        ck_assert_int_eq(parse("-t", "5s", "ls", "-l", "--json", NULL), 0);
        ck_assert_int_eq(options.source, RUN_SOURCE_COMMAND);
        ck_assert_uint_eq(options.limits[LIMIT_WALL_TIME], 5 * USEC_PER_SEC);
        ck_assert_uint_eq(options.argc, 3);
        ck_assert_str_eq(options.argv[2], "--json");
        /* What follows the command is the command's. */
        ck_assert(!ctl.json);
        ck_assert_int_eq(parse("--", "-x", NULL), 0);
        ck_assert_str_eq(options.argv[0], "-x");
        ck_assert_int_eq(parse("--language", "command", "true", NULL), 0);
        ck_assert_int_eq(options.source, RUN_SOURCE_COMMAND);
}
END_TEST

START_TEST(test_code)
{
        ck_assert_int_eq(parse("-l", "python", "-c", "1", "--json", "a", NULL), 0);
        ck_assert_int_eq(options.source, RUN_SOURCE_TEXT);
        ck_assert_str_eq(options.code, "1");
        ck_assert_uint_eq(options.argc, 1);
        ck_assert(ctl.json);
        ck_assert_int_eq(parse("-lpy", "main.py", "a", "b", NULL), 0);
        ck_assert_int_eq(options.source, RUN_SOURCE_FILE);
        ck_assert_str_eq(options.code, "main.py");
        ck_assert_uint_eq(options.argc, 2);
        ck_assert_int_eq(parse("-l", "py", "-", NULL), 0);
        ck_assert_int_eq(options.source, RUN_SOURCE_STDIN);
        ck_assert_uint_eq(options.argc, 0);
}
END_TEST

START_TEST(test_limits)
{
        ck_assert_int_eq(parse("--cpu-time", "none", "-m", "1.5G", "--cpus", "0.5", "--pids", "7",
                                 "--output-limit", "1K", "--tmp-size", "64M", "true", NULL),
                0);
        ck_assert_ptr_null(options.limit_text[LIMIT_WALL_TIME]);
        ck_assert_uint_eq(options.limits[LIMIT_CPU_TIME], 0);
        ck_assert_uint_eq(options.limits[LIMIT_MEMORY], 1536 * MIB);
        ck_assert_uint_eq(options.limits[LIMIT_CPU_QUOTA], 50);
        ck_assert_uint_eq(options.limits[LIMIT_PIDS], 7);
        ck_assert_uint_eq(options.limits[LIMIT_OUTPUT], KIB);
        ck_assert_uint_eq(options.limits[LIMIT_TMP_SIZE], 64 * MIB);
        /* The form of a profile, and of what is said about it. */
        ck_assert_int_eq(parse("--cpus", "150%", "true", NULL), 0);
        ck_assert_uint_eq(options.limits[LIMIT_CPU_QUOTA], 150);
}
END_TEST

START_TEST(test_bad_limits)
{
        static const struct {
                const char *option, *value, *message;
        } rows[] = {
                { "--memory", "10 bananas",
                        "--memory '10 bananas' is not a size: use a number with K, M or G, "
                        "such as "
                        "256M" },
                { "-m", "",
                        "--memory '' is not a size: use a number with K, M or G, such as "
                        "256M" },
                { "-m", "1K", "--memory '1K' is out of range: use 4M to 1T" },
                { "-m", "-1",
                        "--memory '-1' is not a size: use a number with K, M or G, such as "
                        "256M" },
                { "-m", "99999999999999999999G",
                        "--memory '99999999999999999999G' is out of range: "
                        "use 4M to 1T" },
                { "-t", "NaN",
                        "--timeout 'NaN' is not a time: use a number with us, ms, s, min "
                        "or h, "
                        "such as 5s" },
                { "-t", "none",
                        "--timeout 'none' is not a time: use a number with us, ms, s, min "
                        "or h, "
                        "such as 5s" },
                { "--cpus", "5%0",
                        "--cpus '5%0' is not a number of CPUs: use one such as 0.5, or 50%" },
                { "--cpus", "0%", "--cpus '0%' is out of range: use 0.01 to 1024" },
                { "--cpu-time", "0s",
                        "--cpu-time '0s' is out of range: use 1ms to 8760h, or none" },
                { "--cpu-time", "never",
                        "--cpu-time 'never' is not a time: use a number with us, ms, s, min "
                        "or h, such as 5s, or none" },
                { "--cpus", "0", "--cpus '0' is out of range: use 0.01 to 1024" },
                { "--pids", "1.5", "--pids '1.5' is not a whole number: use one such as 64" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ck_assert_int_eq(parse(rows[i].option, rows[i].value, "true", NULL), -EINVAL);
                ck_assert_str_eq(error.text, rows[i].message);
                ck_assert_ptr_nonnull(field);
        }
        /* --json is known also when it comes after the mistake. */
        ck_assert_int_eq(parse("-m", "x", "--json", "true", NULL), -EINVAL);
        ck_assert(ctl.json);
        ck_assert_str_eq(field, "memory_bytes");
}
END_TEST

START_TEST(test_files)
{
        ck_assert_int_eq(parse("-f", "/a/b.txt", "--file", "x:y:d/z", "true", NULL), 0);
        ck_assert_uint_eq(options.n_files, 2);
        ck_assert_str_eq(options.files[0].path, "/a/b.txt");
        ck_assert_str_eq(options.files[0].name, "b.txt");
        ck_assert_str_eq(options.files[1].path, "x:y");
        ck_assert_str_eq(options.files[1].name, "d/z");
        ck_assert_int_eq(parse("-f", ":x", "true", NULL), -EINVAL);
        ck_assert_int_eq(parse("-f", "x:", "true", NULL), -EINVAL);
        ck_assert_int_eq(parse("-f", "", "true", NULL), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "a file or folder"));
}
END_TEST

START_TEST(test_folders)
{
        static const struct {
                const char *word, *path, *name;
        } rows[] = {
                { "folder/", "folder/", "folder" },
                { "/a/b//", "/a/b//", "b" },
                { ".", ".", "" },
                { "./", "./", "" },
                { "a/.", "a/.", "" },
                { "dir:there/too", "dir", "there/too" },
        };

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ck_assert_int_eq(parse("-f", rows[i].word, "true", NULL), 0);
                ck_assert_str_eq(options.files[0].path, rows[i].path);
                ck_assert_str_eq(options.files[0].name, rows[i].name);
        }
}
END_TEST

START_TEST(test_surroundings)
{
        ck_assert_int_eq(parse("-e", "A=1", "--env", "B=", "-w", "/tmp", "--profile", "strict",
                                 "--label", "x", "--strict-output", "--no-stdin", "--summary",
                                 "true", NULL),
                0);
        ck_assert_uint_eq(options.n_env, 2);
        ck_assert_str_eq(options.env[1], "B=");
        ck_assert_str_eq(options.workdir, "/tmp");
        ck_assert_str_eq(options.profile, "strict");
        ck_assert_str_eq(options.label, "x");
        ck_assert(options.strict_output && options.no_stdin && options.summary);
        ck_assert_int_eq(parse("-e", "A", "true", NULL), -EINVAL);
        ck_assert_int_eq(parse("-e", "=1", "true", NULL), -EINVAL);
}
END_TEST

START_TEST(test_globals)
{
        ck_assert_int_eq(parse("--socket", "/s", "--color=never", "true", NULL), 0);
        ck_assert_str_eq(ctl.socket_path, "/s");
        ck_assert_int_eq(ctl.color, COLOR_NEVER);
        ck_assert_int_eq(parse("--help", NULL), 1);
        ck_assert_int_eq(parse("--color", "red", "true", NULL), -EINVAL);
}
END_TEST

START_TEST(test_misuse)
{
        ck_assert_int_eq(parse(NULL, NULL), -EINVAL);
        ck_assert_str_eq(field, "argv");
        ck_assert_int_eq(parse("-l", "python", NULL), -EINVAL);
        ck_assert_str_eq(field, "code");
        ck_assert_int_eq(parse("-l", "", "-c", "1", NULL), -EINVAL);
        ck_assert_str_eq(field, "runtime");
        ck_assert_str_eq(error.text,
                "--language is empty: name one that 'sandboxctl runtimes' lists");
        /* Of two mistakes the first is told; --json is known also when it comes after them. */
        ck_assert_int_eq(parse("--frob", "--brof", "--json", "true", NULL), -EINVAL);
        ck_assert_str_eq(error.text, "there is no option '--frob': see 'sandboxctl run --help'");
        ck_assert(ctl.json);
        ck_assert_int_eq(parse("-c", "1", NULL), -EINVAL);
        ck_assert_str_eq(field, "runtime");
        ck_assert_int_eq(parse("--frob", "true", NULL), -EINVAL);
        ck_assert_str_eq(error.text, "there is no option '--frob': see 'sandboxctl run --help'");
        ck_assert_int_eq(parse("-Z", "true", NULL), -EINVAL);
        ck_assert_str_eq(error.text, "there is no option '-Z': see 'sandboxctl run --help'");
        ck_assert_int_eq(parse("--memory", NULL), -EINVAL);
        ck_assert_str_eq(error.text,
                "option '--memory' needs a value: see 'sandboxctl run --help'");
        ck_assert_int_eq(parse("-m", NULL), -EINVAL);
        ck_assert_str_eq(error.text, "option '-m' needs a value: see 'sandboxctl run --help'");
        ck_assert_int_eq(parse("--json=1", "true", NULL), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "takes no value"));
        /* Not of this version: refused, not ignored. */
        ck_assert_int_eq(parse("--interactive", "true", NULL), -EINVAL);
        ck_assert_int_eq(parse("-i", "true", NULL), -EINVAL);
}
END_TEST

START_TEST(test_detach_and_get)
{
        ck_assert_int_eq(parse("-d", "--get", "a", "-o", "out/*.png", "--no-progress", "true",
                                 NULL),
                0);
        ck_assert(options.detach && options.no_progress);
        ck_assert_uint_eq(options.downloads.n, 2);
        ck_assert_str_eq(options.downloads.list[1].name, "out/*.png");
        ck_assert_int_eq(parse("--get=a:b", "--summary", "true", NULL), 0);
        ck_assert(!options.detach);
        ck_assert_str_eq(options.downloads.list[0].dest, "b");
        /* What is about the job's end. */
        ck_assert_int_eq(parse("--detach", "--summary", "true", NULL), -EINVAL);
        ck_assert_ptr_nonnull(strstr(error.text, "'sandboxctl wait'"));
        ck_assert_int_eq(parse("--get", "a:b", "--detach", "true", NULL), -EINVAL);
        ck_assert_str_eq(error.text,
                "--get 'a' has a place, ':b': leave that out with --detach, and say it to "
                "'sandboxctl get' or 'wait --get'");
        ck_assert_int_eq(parse("--get", ":b", "true", NULL), -EINVAL);
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ctl-options");
        TCase *t = tcase_create("ctl-options");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, teardown);
        tcase_add_test(t, test_command);
        tcase_add_test(t, test_code);
        tcase_add_test(t, test_limits);
        tcase_add_test(t, test_bad_limits);
        tcase_add_test(t, test_files);
        tcase_add_test(t, test_folders);
        tcase_add_test(t, test_surroundings);
        tcase_add_test(t, test_globals);
        tcase_add_test(t, test_misuse);
        tcase_add_test(t, test_detach_and_get);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
