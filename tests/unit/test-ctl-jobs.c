/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What people type to name a job, a signal, and the arguments of verbs about jobs.
 */
#include <check.h>
#include <signal.h>

#include "client/ctl/job-id.h"
#include "client/ctl/signal-name.h"

#define ARGS_MAX 16

static struct ctl ctl;

static void setup(void)
{
        ctl = (struct ctl) {};
        opterr = 0;
}

START_TEST(test_signals)
{
        static const struct {
                const char *text;
                int signal; /* 0: none */
        } rows[] = {
                { "TERM", SIGTERM },
                { "SIGTERM", SIGTERM },
                { "sigterm", SIGTERM },
                { "kill", SIGKILL },
                { "15", 15 },
                { "1", 1 },
                { "64", 64 },
                { "IOT", SIGABRT },
                { "SIGCLD", SIGCHLD },
                { "IO", SIGIO },
                { "poll", SIGIO },
                { "SYS", SIGSYS },
                { "0", 0 },
                { "65", 0 },
                { "-9", 0 },
                { "4294967305", 0 },
                { "", 0 },
                { "SIG", 0 },
                { "SIGSIGTERM", 0 },
                { "TERMS", 0 },
                { "NOSUCH", 0 },
                { "9x", 0 },
                { "RTMIN+", 0 },
                { "RTMIN-1", 0 },
                { "RTMIN+31", 0 },
                { "RTMAX+1", 0 },
                { "RTMAX-31", 0 },
                { "RTMIN+ 1", 0 },
        };
        int number;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                int r = signal_parse(rows[i].text, &number);

                ck_assert_msg(r == (rows[i].signal ? 0 : -EINVAL), "%s", rows[i].text);
                if (r == 0)
                        ck_assert_msg(number == rows[i].signal, "%s is %d", rows[i].text, number);
        }
}
END_TEST

/* As `kill -l` names them: 34 to 64. */
START_TEST(test_realtime_signals)
{
        static const struct {
                const char *text;
                int signal;
        } rows[] = { { "RTMIN", 34 }, { "SIGRTMIN", 34 }, { "rtmin+3", 37 }, { "RTMIN+30", 64 },
                { "RTMAX", 64 }, { "SIGRTMAX-1", 63 }, { "RTMAX-30", 34 } };
        int number;

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ck_assert_int_eq(signal_parse(rows[i].text, &number), 0);
                ck_assert_int_eq(number, rows[i].signal);
        }
}
END_TEST

START_TEST(test_job_ids)
{
        static const struct {
                const char *text;
                int result;
                const char *id;
        } rows[] = {
                { "0123456789abcdef", 1, "0123456789abcdef" },
                { "0123456789ABCDEF", 1, "0123456789abcdef" },
                { "0", 0, "0" },
                { "AB", 0, "ab" },
                { "0123456789abcde", 0, "0123456789abcde" },
                { "", -EINVAL, NULL },
                { "0123456789abcdef0", -EINVAL, NULL },
                { "0x12", -EINVAL, NULL },
                { "abc ", -EINVAL, NULL },
                { "12\n", -EINVAL, NULL },
                { "../..", -EINVAL, NULL },
        };
        char id[SANDBOX_JOB_ID_SIZE];

        for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
                ck_assert_msg(job_id_parse(rows[i].text, id) == rows[i].result, "%s", rows[i].text);
                if (rows[i].id)
                        ck_assert_str_eq(id, rows[i].id);
        }
}
END_TEST

/* What the verb of the tests below has: -x, --long VALUE, and one or two arguments. */
static char taken[64];

static int take_option(int option, const char *argument, void *userdata, struct error *e)
{
        ck_assert_ptr_eq(userdata, taken);
        if (option == CTL_OPTION_VERB && streq(argument, "bad"))
                return error_set(e, -EINVAL, "--long 'bad' is bad: use another");
        (void) snprintf(taken + strlen(taken), sizeof(taken) - strlen(taken), "%c%s ",
                option == 'x' ? 'x' : 'l', argument ? argument : "");
        return 0;
}

/* Parses "verb" and the words up to NULL; ret_said gets what was said on stderr. */
static int parse(char ret_said[static ERROR_TEXT_MAX], const char *first, ...)
{
        static const struct option options[] = {
                CTL_LONG_OPTIONS,
                { "long", required_argument, NULL, CTL_OPTION_VERB },
                {},
        };
        static const struct ctl_syntax syntax = {
                .help = "",
                .short_options = ":hx",
                .long_options = options,
                .take = take_option,
                .least = 1,
                .most = 2,
                .needed = "the id of a job",
        };
        static char *argv[ARGS_MAX + 2];
        FILE *file = stderr;
        va_list ap;
        int argc = 0, r;

        argv[argc++] = (char *) "verb";
        va_start(ap, first);
        for (const char *word = first; word; word = va_arg(ap, const char *)) {
                ck_assert_int_lt(argc, ARGS_MAX);
                argv[argc++] = (char *) word;
        }
        va_end(ap);
        argv[argc] = NULL;
        optind = 0;
        taken[0] = '\0';
        memset(ret_said, 0, ERROR_TEXT_MAX);
        stderr = fmemopen(ret_said, ERROR_TEXT_MAX, "w");
        r = ctl_parse(&ctl, &syntax, argc, argv, taken);
        (void) fclose(stderr);
        stderr = file;
        if (r == 0)
                ck_assert_str_eq(argv[optind], "ID");
        return r;
}

START_TEST(test_syntax)
{
        char said[ERROR_TEXT_MAX];

        ck_assert_int_eq(parse(said, "ID", NULL), 0);
        ck_assert_str_eq(taken, "");
        ck_assert_str_eq(said, "");
        /* Options stand anywhere, global ones too. */
        ck_assert_int_eq(parse(said, "ID", "-x", "two", "--long=v", "--json", NULL), 0);
        ck_assert_str_eq(taken, "x lv ");
        ck_assert(ctl.json);
        ck_assert_int_eq(parse(said, "--", "ID", "-x", NULL), 0);
        ck_assert_str_eq(taken, "");
}
END_TEST

START_TEST(test_bad_syntax)
{
        char said[ERROR_TEXT_MAX];

        ck_assert_int_eq(parse(said, NULL), -EINVAL);
        ck_assert_str_eq(said, "sandboxctl: verb needs the id of a job\n");
        ck_assert_int_eq(parse(said, "ID", "b", "c\033", NULL), -EINVAL);
        ck_assert_str_eq(said, "sandboxctl: verb takes 2 arguments: leave out 'c\\x1b'\n");
        ck_assert_int_eq(parse(said, "ID", "--long", "bad", "-q", NULL), -EINVAL);
        ck_assert_str_eq(said, "sandboxctl: --long 'bad' is bad: use another\n");
        ck_assert_int_eq(parse(said, "ID", "--long", NULL), -EINVAL);
        ck_assert_str_eq(said, "sandboxctl: option '--long' needs a value: "
                               "see 'sandboxctl verb --help'\n");
        ck_assert_int_eq(parse(said, "-q", "ID", "--color", "blue", NULL), -EINVAL);
        ck_assert_str_eq(said, "sandboxctl: there is no option '-q': "
                               "see 'sandboxctl verb --help'\n");
}
END_TEST

int main(void)
{
        Suite *s = suite_create("ctl-jobs");
        TCase *t = tcase_create("ctl-jobs");
        SRunner *runner;
        int failed;

        tcase_add_checked_fixture(t, setup, NULL);
        tcase_add_test(t, test_signals);
        tcase_add_test(t, test_realtime_signals);
        tcase_add_test(t, test_job_ids);
        tcase_add_test(t, test_syntax);
        tcase_add_test(t, test_bad_syntax);
        suite_add_tcase(s, t);
        runner = srunner_create(s);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed != 0;
}
