/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a request to a plan: what is refused, with which words, and what a good one becomes.
 */
#include <check.h>
#include <stdio.h>

#include "daemon/frontend/plan.h"
#include "tests/unit/fixture-policy.h"

#define CODE(name) SANDBOXD__V1__ERROR_CODE__##name
#define BYTES(text)                                                                                \
        {                                                                                          \
                sizeof(text) - 1, (uint8_t *) (text)                                               \
        }

static struct policy policy;
static Sandboxd__V1__Run run;
static struct plan plan;
static struct plan_error error;

/* What a request points to. */
static ProtobufCBinaryData argv[4], env[8];
static Sandboxd__V1__File files[4], *file_items[4];
static Sandboxd__V1__Run__LimitsEntry limits[4], *limit_items[4];

static void setup(void)
{
        fixture_policy(&policy);
        sandboxd__v1__run__init(&run);
        plan = (struct plan) {};
        run.argv = argv;
        run.env = env;
        run.files = file_items;
        run.limits = limit_items;
        for (size_t i = 0; i < ELEMENTSOF(files); i++) {
                sandboxd__v1__file__init(&files[i]);
                file_items[i] = &files[i];
                sandboxd__v1__run__limits_entry__init(&limits[i]);
                limit_items[i] = &limits[i];
        }
}

static void teardown(void)
{
        plan_done(&plan);
}

static void add_argv(const char *text)
{
        argv[run.n_argv++] = (ProtobufCBinaryData) { strlen(text), (uint8_t *) text };
}

static void add_env(const char *text)
{
        env[run.n_env++] = (ProtobufCBinaryData) { strlen(text), (uint8_t *) text };
}

static void add_limit(const char *field, uint64_t value)
{
        limits[run.n_limits].key = (char *) field;
        limits[run.n_limits++].value = value;
}

static void add_file(const char *name, uint64_t size)
{
        files[run.n_files].name = (ProtobufCBinaryData) { strlen(name), (uint8_t *) name };
        files[run.n_files++].size = size;
}

static void python(const char *code)
{
        run.runtime = (ProtobufCBinaryData) BYTES("python");
        run.code = (ProtobufCBinaryData) { strlen(code), (uint8_t *) code };
}

static void expect_plan(void)
{
        ck_assert_msg(plan_make(&policy, &policy.profiles[0], &run, &plan, &error) == 0, "%s",
                error.text.text);
}

static void expect_refusal(Sandboxd__V1__ErrorCode code, const char *field, const char *part)
{
        struct plan none;

        ck_assert_int_eq(plan_make(&policy, &policy.profiles[0], &run, &none, &error), -EINVAL);
        ck_assert_int_eq(error.code, code);
        ck_assert_str_eq(error.field, field);
        ck_assert_msg(strstr(error.text.text, part), "'%s' is not in '%s'", part, error.text.text);
}

START_TEST(test_command)
{
        add_argv("echo");
        add_argv("");
        expect_plan();
        ck_assert_str_eq(plan.spec.exec, "echo");
        ck_assert(plan.spec.search_path);
        ck_assert_uint_eq(plan.spec.argc, 2);
        ck_assert_str_eq(plan.spec.argv[0], "echo");
        ck_assert_str_eq(plan.spec.argv[1], "");
        ck_assert_str_eq(plan.spec.workdir, "/box");
        ck_assert_uint_eq(plan.spec.n_files, 0);
        ck_assert_uint_eq(plan.spec.envc, 4);
        ck_assert_str_eq(plan.spec.envp[0], "PATH=/usr/local/bin:/usr/bin:/bin");
        ck_assert_str_eq(plan.runtime->name, "command");
        ck_assert_str_eq(plan.profile->name, "default");
}
END_TEST

START_TEST(test_language)
{
        python("print(1)");
        run.runtime = (ProtobufCBinaryData) BYTES("py");
        add_argv("user");
        add_file("data/x.csv", 10);
        files[0].mode = 0600;
        expect_plan();
        ck_assert_str_eq(plan.spec.exec, "/usr/bin/python3");
        ck_assert(!plan.spec.search_path);
        ck_assert_uint_eq(plan.spec.argc, 6);
        ck_assert_str_eq(plan.spec.argv[0], "python3");
        ck_assert_str_eq(plan.spec.argv[1], "-I");
        ck_assert_str_eq(plan.spec.argv[2], "/.sandbox/launchers/python.py");
        ck_assert_str_eq(plan.spec.argv[3], "/box/main.py");
        ck_assert_str_eq(plan.spec.argv[4], "100%");
        ck_assert_str_eq(plan.spec.argv[5], "user");
        ck_assert_uint_eq(plan.spec.n_files, 2);
        ck_assert_str_eq(plan.spec.file_names[0], "main.py");
        ck_assert_uint_eq(plan.spec.files[0].size, 8);
        ck_assert_uint_eq(plan.spec.files[0].mode, 0644);
        ck_assert_uint_eq(plan.spec.files[1].mode, 0600);
}
END_TEST

static const char *variable(const char *key)
{
        const char *found = NULL;
        size_t n = strlen(key);

        for (size_t i = 0; i < plan.spec.envc; i++)
                if (strncmp(plan.spec.envp[i], key, n) == 0 && plan.spec.envp[i][n] == '=') {
                        ck_assert_ptr_null(found);
                        found = plan.spec.envp[i] + n + 1;
                }
        return found;
}

START_TEST(test_environment)
{
        python("1");
        add_env("PATH=/x");
        add_env("A=1");
        add_env("A=2=3");
        add_env("EMPTY=");
        add_env("AB=4");
        expect_plan();
        ck_assert_str_eq(variable("PATH"), "/x");
        ck_assert_str_eq(variable("HOME"), "/box");
        ck_assert_str_eq(variable("TMPDIR"), "/tmp");
        ck_assert_str_eq(variable("LANG"), "C");
        ck_assert_str_eq(variable("LAUNCHER"), "/.sandbox/launchers/python.py");
        ck_assert_str_eq(variable("A"), "2=3");
        ck_assert_str_eq(variable("EMPTY"), "");
        ck_assert_str_eq(variable("AB"), "4");
        ck_assert_uint_eq(plan.spec.envc, 8);
}
END_TEST

START_TEST(test_limits)
{
        add_argv("true");
        add_limit("memory_bytes", 1 * GIB);
        add_limit("wall_time_usec", 2 * USEC_PER_SEC);
        expect_plan();
        ck_assert_uint_eq(plan.limits.value[LIMIT_MEMORY], 1 * GIB);
        ck_assert_uint_eq(plan.limits.value[LIMIT_WALL_TIME], 2 * USEC_PER_SEC);
        ck_assert_uint_eq(plan.limits.value[LIMIT_PIDS], 64);
        /* No CPU-time limit by default, but a maximum: the maximum holds. */
        ck_assert_uint_eq(plan.limits.value[LIMIT_CPU_TIME], 30 * USEC_PER_SEC);
}
END_TEST

START_TEST(test_no_cpu_limit)
{
        add_argv("true");
        run.profile = (ProtobufCBinaryData) BYTES("open");
        add_limit("cpu_time_usec", 0);
        expect_plan();
        ck_assert_uint_eq(plan.limits.value[LIMIT_CPU_TIME], 0);
        ck_assert_uint_eq(plan.profile_index, 1);
        run.profile = (ProtobufCBinaryData) BYTES("default");
        expect_refusal(CODE(OVER_LIMIT), "cpu_time_usec", "of none is over the maximum");
}
END_TEST

START_TEST(test_bad_limits)
{
        add_argv("true");
        add_limit("memory_bytes", 4 * GIB);
        expect_refusal(CODE(OVER_LIMIT), "memory_bytes",
                "memory_bytes (--memory) of 4G is over the maximum of profile 'default': "
                "ask for at most 2G");
        limits[0].value = UINT64_MAX;
        expect_refusal(CODE(OVER_LIMIT), "memory_bytes", "ask for at most 2G");
        limits[0].value = 1 * MIB;
        expect_refusal(CODE(INVALID_ARGUMENT), "memory_bytes", "too small: ask for at least 4M");
        limits[0].value = 0;
        expect_refusal(CODE(INVALID_ARGUMENT), "memory_bytes", "too small");
        limits[0].key = (char *) "disk_bytes";
        expect_refusal(CODE(INVALID_ARGUMENT), "limits",
                "no limit named 'disk_bytes': known are wall_time_usec, ");
        limits[0].key = (char *) "code_size_bytes";
        expect_refusal(CODE(INVALID_ARGUMENT), "limits", "no limit named");
        limits[0].key = (char *) "pids";
        limits[0].value = 513;
        expect_refusal(CODE(OVER_LIMIT), "pids", "at most 512");
}
END_TEST

START_TEST(test_runtimes)
{
        run.runtime = (ProtobufCBinaryData) BYTES("cobol");
        expect_refusal(CODE(UNKNOWN_RUNTIME), "runtime",
                "runtime 'cobol' is not known: choose one of python, javascript, command");
        run.runtime = (ProtobufCBinaryData) BYTES("javascript");
        expect_refusal(CODE(UNAVAILABLE), "runtime", "install it with 'apt-get install nodejs'");
        run.runtime = (ProtobufCBinaryData) BYTES("");
        run.profile = (ProtobufCBinaryData) BYTES("huge");
        expect_refusal(CODE(UNKNOWN_PROFILE), "profile", "choose one of default, open");
        run.profile = (ProtobufCBinaryData) BYTES("open\0zz");
        expect_refusal(CODE(INVALID_ARGUMENT), "profile", "NUL");
        run.profile.len = 0;
        run.runtime = (ProtobufCBinaryData) BYTES("command\0zz");
        expect_refusal(CODE(INVALID_ARGUMENT), "runtime", "NUL");
        run.runtime = (ProtobufCBinaryData) BYTES("0123456789012345678901234567890123456789"
                                                  "012345678901234567890123xyz");
        expect_refusal(CODE(UNKNOWN_RUNTIME), "runtime", "0123' is not known");
}
END_TEST

START_TEST(test_code)
{
        static char large[1001];

        python("");
        expect_refusal(CODE(INVALID_ARGUMENT), "code", "code is empty");
        run.code = (ProtobufCBinaryData) { sizeof(large), (uint8_t *) large };
        expect_refusal(CODE(OVER_LIMIT), "code", "profile 'default' takes at most 1000");
        run.code.len = 1000;
        expect_plan();
        plan_done(&plan);
        run.runtime = (ProtobufCBinaryData) BYTES("command");
        add_argv("true");
        expect_refusal(CODE(INVALID_ARGUMENT), "code", "not taken by runtime 'command'");
}
END_TEST

START_TEST(test_argv)
{
        static uint8_t large[PLAN_STRING_MAX + 1];

        expect_refusal(CODE(INVALID_ARGUMENT), "argv", "argv is missing: name the command");
        add_argv("");
        expect_refusal(CODE(INVALID_ARGUMENT), "argv", "starts with an empty string");
        argv[0] = (ProtobufCBinaryData) BYTES("true");
        argv[1] = (ProtobufCBinaryData) BYTES("a\0b");
        run.n_argv = 2;
        expect_refusal(CODE(INVALID_ARGUMENT), "argv[1]", "argv[1] contains a NUL byte");
        memset(large, 'x', sizeof(large));
        argv[1] = (ProtobufCBinaryData) { sizeof(large), large };
        expect_refusal(CODE(INVALID_ARGUMENT), "argv[1]", "the most is 131071");
        argv[1].len--;
        expect_plan();
        run.n_argv = PLAN_STRINGS_MAX + 1;
        expect_refusal(CODE(INVALID_ARGUMENT), "argv", "4097 strings: the most is 4096");
}
END_TEST

START_TEST(test_strings_in_all)
{
        static uint8_t large[PLAN_STRING_MAX];
        static ProtobufCBinaryData many[17];

        memset(large, 'x', sizeof(large));
        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = (ProtobufCBinaryData) { sizeof(large), large };
        run.argv = many;
        run.n_argv = ELEMENTSOF(many);
        expect_refusal(CODE(INVALID_ARGUMENT), "argv", "the most is 2097152");
}
END_TEST

START_TEST(test_many_strings)
{
        static ProtobufCBinaryData many[PLAN_STRINGS_MAX];

        for (size_t i = 0; i < ELEMENTSOF(many); i++)
                many[i] = (ProtobufCBinaryData) BYTES("A=1");
        run.argv = run.env = many;
        run.n_argv = run.n_env = ELEMENTSOF(many);
        expect_plan();
        run.n_env++;
        expect_refusal(CODE(INVALID_ARGUMENT), "env", "4097 strings: the most is 4096");
}
END_TEST

/* What is cheap to see is refused before what is costly to build. */
START_TEST(test_order)
{
        add_argv("a\nb");
        argv[1] = (ProtobufCBinaryData) BYTES("a\0b");
        run.n_argv = 2;
        run.n_env = PLAN_STRINGS_MAX + 1;
        expect_refusal(CODE(INVALID_ARGUMENT), "env", "strings");
        run.n_env = 0;
        run.workdir = (ProtobufCBinaryData) BYTES("..");
        expect_refusal(CODE(INVALID_ARGUMENT), "workdir", "folder");
        run.workdir.len = 0;
        run.n_files = SPEC_FILES_MAX + 1;
        expect_refusal(CODE(INVALID_ARGUMENT), "files", "the most is 4096");
        run.n_files = 0;
        expect_refusal(CODE(INVALID_ARGUMENT), "argv[1]", "NUL");
}
END_TEST

START_TEST(test_bad_environment)
{
        add_argv("true");
        add_env("A");
        expect_refusal(CODE(INVALID_ARGUMENT), "env[0]", "no '='");
        env[0] = (ProtobufCBinaryData) BYTES("=x");
        expect_refusal(CODE(INVALID_ARGUMENT), "env[0]", "no name before its '='");
        env[0] = (ProtobufCBinaryData) {};
        expect_refusal(CODE(INVALID_ARGUMENT), "env[0]", "KEY=VALUE");
        env[0] = (ProtobufCBinaryData) BYTES("A=\0");
        expect_refusal(CODE(INVALID_ARGUMENT), "env[0]", "NUL");
}
END_TEST

static const struct {
        const char *given;
        const char *taken; /* NULL: refused */
} workdirs[] = {
        { "/", "/" },
        { "/box", "/box" },
        { "x/y", "/box/x/y" },
        { ".", "/box" },
        { "/tmp//a/./b/", "/tmp/a/b" },
        { "/dev/shm", "/dev/shm" },
        { "/usr/lib", "/usr/lib" },
        { "/proc/self/fd/7", NULL },
        { "/proc", NULL },
        { "//proc/1/root", NULL },
        { "/box/../proc/self/fd/7", NULL },
        { "..", NULL },
        { "/boxer", NULL },
        { "/dev", NULL },
        { "/dev/fd/7", NULL },
        { "/.sandbox", NULL },
        { "/etc", NULL },
};

START_TEST(test_workdir)
{
        static uint8_t large[4096];

        add_argv("true");
        for (size_t i = 0; i < ELEMENTSOF(workdirs); i++) {
                run.workdir = (ProtobufCBinaryData) { strlen(workdirs[i].given),
                        (uint8_t *) workdirs[i].given };
                if (!workdirs[i].taken) {
                        expect_refusal(CODE(INVALID_ARGUMENT), "workdir",
                                "not a folder that a job may");
                        continue;
                }
                expect_plan();
                ck_assert_str_eq(plan.spec.workdir, workdirs[i].taken);
                plan_done(&plan);
        }
        run.workdir = (ProtobufCBinaryData) BYTES("a\0b");
        expect_refusal(CODE(INVALID_ARGUMENT), "workdir", "NUL");
        memset(large, 'x', sizeof(large));
        run.workdir = (ProtobufCBinaryData) { sizeof(large), large };
        expect_refusal(CODE(INVALID_ARGUMENT), "workdir", "4095");
}
END_TEST

START_TEST(test_file_names)
{
        static const char *const bad[] = { "../x", "/etc/x", "a/../../x", "" };

        python("1");
        add_file("x", 1);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                files[0].name = (ProtobufCBinaryData) { strlen(bad[i]), (uint8_t *) bad[i] };
                expect_refusal(CODE(INVALID_ARGUMENT), "files[0].name", "files[0].name: ");
        }
        files[0].name = (ProtobufCBinaryData) BYTES("a\0b");
        expect_refusal(CODE(INVALID_ARGUMENT), "files[0].name", "NUL");
        files[0].name = (ProtobufCBinaryData) BYTES("main.py");
        expect_refusal(CODE(INVALID_ARGUMENT), "files[0].name", "where the code goes");
        files[0].name = (ProtobufCBinaryData) BYTES("a");
        add_file("b", 1);
        add_file("a", 1);
        expect_refusal(CODE(INVALID_ARGUMENT), "files[2].name", "as an earlier file");
}
END_TEST

static const struct {
        const char *names[4];
        const char *field; /* NULL: a plan */
} folders[] = {
        { { "a", "b", "ab", "a.b" }, NULL },
        { { "a/b", "a/c", "a-/b", "a." }, NULL },
        { { "a/a", "a/b/a", "a/b/b", "b" }, NULL },
        { { "a", "a/b" }, "files[1].name" },
        { { "a/b", "a" }, "files[1].name" },
        { { "a/b/c/d", "x", "a/b" }, "files[2].name" },
        { { "a", "a!", "a.b", "a/b" }, "files[3].name" },
        { { "a/b", "a!", "a.x/y", "a/b/c" }, "files[3].name" },
        { { "x", "main.py/b" }, "files[1].name" },
        { { "main.py/b/c" }, "files[0].name" },
};

START_TEST(test_folders)
{
        for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
                python("1");
                run.n_files = 0;
                for (size_t j = 0; j < 4 && folders[i].names[j]; j++)
                        add_file(folders[i].names[j], 1);
                if (folders[i].field) {
                        expect_refusal(CODE(INVALID_ARGUMENT), folders[i].field,
                                "needs it as a folder");
                        continue;
                }
                expect_plan();
                ck_assert_uint_eq(plan_data_size(&plan), 5);
                plan_done(&plan);
        }
}
END_TEST

/* The common part of two names is longer than what is compared at one time. */
START_TEST(test_long_folders)
{
        for (size_t n = 120; n < 140; n++) {
                char name[200], inside[210];

                python("1");
                run.n_files = 0;
                memset(name, 'x', n);
                name[n] = '\0';
                (void) snprintf(inside, sizeof(inside), "%s/y", name);
                add_file(inside, 1);
                add_file(name, 1);
                expect_refusal(CODE(INVALID_ARGUMENT), "files[1].name", "needs it as a folder");
                inside[n] = '.';
                files[0].name.data = (uint8_t *) inside;
                expect_plan();
                plan_done(&plan);
                memcpy(inside, name, n + 1);
                files[0].name.len = n;
                expect_refusal(CODE(INVALID_ARGUMENT), "files[1].name", "as an earlier file");
        }
}
END_TEST

START_TEST(test_file_sizes)
{
        python("1");
        add_file("a", 512 * KIB);
        expect_plan();
        plan_done(&plan);
        add_file("b", 1);
        expect_refusal(CODE(OVER_LIMIT), "files", "takes at most 512K");
        files[1].size = UINT64_MAX;
        expect_refusal(CODE(OVER_LIMIT), "files", "takes at most 512K");
        run.n_files = 1;
        add_limit("tmp_size_bytes", 64 * KIB);
        expect_refusal(CODE(OVER_LIMIT), "files", "do not fit into the 64K of /box");
        files[0].size = 3;
        files[0].data = (ProtobufCBinaryData) BYTES("abcd");
        expect_refusal(CODE(INVALID_ARGUMENT), "files", "more bytes than its size");
        files[0].data.len = 3;
        files[0].mode = 04755;
        expect_refusal(CODE(INVALID_ARGUMENT), "files", "mode is 04755: the most is 0777");
}
END_TEST

/* What is to be fetched goes by the rules of file names; patterns are names of their own. */
START_TEST(test_get)
{
        ProtobufCBinaryData get[SPEC_GET_MAX + 1];

        for (size_t i = 0; i < ELEMENTSOF(get); i++)
                get[i] = (ProtobufCBinaryData) BYTES("out/*.png");
        add_argv("true");
        run.get = get;
        run.n_get = SPEC_GET_MAX;
        expect_plan();
        ck_assert_uint_eq(plan.spec.n_get, SPEC_GET_MAX);
        ck_assert_str_eq(plan.spec.get[1], "out/*.png");
        run.n_get++;
        expect_refusal(CODE(INVALID_ARGUMENT), "get", "256");
        run.n_get = 2;
        get[1] = (ProtobufCBinaryData) BYTES("*/../x");
        expect_refusal(CODE(INVALID_ARGUMENT), "get[1]", "'..'");
        get[1] = (ProtobufCBinaryData) BYTES("/box/x");
        expect_refusal(CODE(INVALID_ARGUMENT), "get[1]", "absolute");
        get[1] = (ProtobufCBinaryData) BYTES("a\0b");
        expect_refusal(CODE(INVALID_ARGUMENT), "get[1]", "NUL");
        get[1] = (ProtobufCBinaryData) {};
        expect_refusal(CODE(INVALID_ARGUMENT), "get[1]", "no name");
}
END_TEST

/* Beyond so many bytes the request's files are not in the spec; the code is. */
START_TEST(test_streamed)
{
        policy.profiles[0].defaults.value[LIMIT_FILES_SIZE] = 4 * MIB;
        policy.profiles[0].defaults.value[LIMIT_TMP_SIZE] = 4 * MIB;
        python("x");
        add_file("a", PLAN_INLINE_MAX - 1);
        expect_plan();
        ck_assert(!plan.streamed);
        ck_assert_uint_eq(plan.spec.n_inline, 2);
        plan_done(&plan);
        add_file("b", 1);
        expect_plan();
        ck_assert(plan.streamed);
        ck_assert_uint_eq(plan.spec.n_files, 3);
        ck_assert_uint_eq(plan.spec.n_inline, 1);
}
END_TEST

START_TEST(test_label)
{
        static uint8_t large[PLAN_LABEL_MAX + 1];

        add_argv("true");
        memset(large, 'x', sizeof(large));
        run.label = (ProtobufCBinaryData) { sizeof(large), large };
        expect_refusal(CODE(INVALID_ARGUMENT), "label", "the most is 256");
        run.label.len--;
        expect_plan();
        run.label = (ProtobufCBinaryData) BYTES("a\0");
        expect_refusal(CODE(INVALID_ARGUMENT), "label", "NUL");
}
END_TEST

/* What an interpreter that has started, in a sandbox that is made, cannot be given any more. */
START_TEST(test_warm)
{
        static uint8_t large[33 * KIB];
        struct policy_runtime *rt = &policy.runtimes[0];

        policy.pool.maximum = 1;
        rt->park = true;
        (void) str_copy(rt->cold_environment[0], POLICY_NAME_MAX, "PYTHON*");
        (void) str_copy(rt->cold_environment[1], POLICY_NAME_MAX, "TZ");
        (void) str_copy(rt->cold_files[0], POLICY_NAME_MAX, "*.pth");
        rt->n_cold_environment = 2;
        rt->n_cold_files = 1;
        python("1");
        switch (_i) {
        case 0:
                add_env("TZ_=1");
                add_env("XPYTHON=1");
                add_file("main.pth.txt", 1);
                add_argv("x");
                break;
        case 1:
                add_env("PYTHONHASHSEED=0");
                break;
        case 2:
                add_env("TZ=UTC");
                break;
        case 3:
                add_file("a/site.pth/b", 1);
                break;
        case 4:
                add_file("a/b.pth/c/d", 1);
                break;
        case 5:
                run.workdir = (ProtobufCBinaryData) BYTES("/tmp");
                break;
        case 6:
                add_limit("tmp_size_bytes", 2 * MIB);
                break;
        case 7:
                rt->park = false;
                break;
        case 8:
                memset(large, 'x', sizeof(large));
                memcpy(large, "K=", 2);
                large[sizeof(large) - 1] = '\0';
                add_env((const char *) large);
                break;
        default:
                policy.pool.maximum = 0;
        }
        expect_plan();
        ck_assert_int_eq(plan.warm, _i == 0);
}
END_TEST

int main(void)
{
        Suite *suite = suite_create("plan");
        TCase *tc = tcase_create("plan");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, test_command);
        tcase_add_test(tc, test_language);
        tcase_add_test(tc, test_environment);
        tcase_add_test(tc, test_limits);
        tcase_add_test(tc, test_no_cpu_limit);
        tcase_add_test(tc, test_bad_limits);
        tcase_add_test(tc, test_runtimes);
        tcase_add_test(tc, test_code);
        tcase_add_test(tc, test_argv);
        tcase_add_test(tc, test_strings_in_all);
        tcase_add_test(tc, test_many_strings);
        tcase_add_test(tc, test_order);
        tcase_add_test(tc, test_bad_environment);
        tcase_add_test(tc, test_workdir);
        tcase_add_test(tc, test_file_names);
        tcase_add_test(tc, test_folders);
        tcase_add_test(tc, test_long_folders);
        tcase_add_test(tc, test_file_sizes);
        tcase_add_test(tc, test_get);
        tcase_add_test(tc, test_streamed);
        tcase_add_test(tc, test_label);
        tcase_add_loop_test(tc, test_warm, 0, 10);
        suite_add_tcase(suite, tc);
        runner = srunner_create(suite);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
