/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl: the table of verbs and the global options. Runs as the user who calls it, with no
 * right of its own; all that it knows of jobs comes over the socket.
 */
#include "client/ctl/ctl.h"

#include <fcntl.h>
#include <signal.h>

#include "client/ctl/reach.h"

static const struct verb {
        const char *name;
        int (*run)(struct ctl *ctl, int argc, char **argv);
        const char *help;
        const char *summary;
} verbs[] = {
        { "run", verb_run, run_help, "run code or a command in a sandbox of its own" },
        { "ps", verb_ps, ps_help, "list jobs" },
        { "show", verb_show, show_help, "show all that is known of a job" },
        { "wait", verb_wait, wait_help, "wait for the end of a job, and exit as it did" },
        { "logs", verb_logs, logs_help, "print the output of a job, or follow it" },
        { "get", verb_get, get_help, "fetch the files that were kept of a job" },
        { "signal", verb_signal, signal_help, "send a signal to a job" },
        { "cancel", verb_cancel, cancel_help, "end jobs" },
        { "runtimes", verb_runtimes, runtimes_help, "list the languages that sandboxd can run" },
        { "profiles", verb_profiles, profiles_help, "list the profiles and their limits" },
        { "doctor", verb_doctor, doctor_help, "check what this host lacks, and what that costs" },
        { "drain", verb_drain, drain_help, "have sandboxd take no new jobs" },
        { "resume", verb_resume, resume_help, "have sandboxd take jobs again" },
        { "stop-all", verb_stop_all, stop_all_help, "end every job of every user" },
        { "version", verb_version, version_help, "show the versions of sandboxctl and sandboxd" },
        { "help", verb_help, NULL, "show this text, or that of a verb: help run" },
};

static const struct verb *find_verb(const char *name)
{
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, name))
                        return &verbs[i];
        return NULL;
}

static void print_help(FILE *f)
{
        (void) fputs("Usage: sandboxctl [OPTIONS] VERB [ARGUMENTS...]\n"
                     "Run untrusted code, each job in a sandbox of its own.\n\n"
                     "Verbs:\n",
                f);
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                (void) fprintf(f, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
        (void) fputs("\nOptions, before or after the verb:\n"
                     "  --socket PATH        of sandboxd (default $SANDBOXD_SOCKET, then\n"
                     "                       " REACH_SOCKET ")\n"
                     "  --json               print JSON for programs\n"
                     "  --color WHEN         auto, always or never (default auto)\n"
                     "  --version, --help\n\n"
                     "Try:\n"
                     "  sandboxctl run -l python -c 'print(6*7)'\n"
                     "  sandboxctl run --help\n\n"
                     "See sandboxctl(1).\n",
                f);
}

static int unknown_verb(const struct ctl *ctl, const char *name)
{
        struct error e;

        (void) error_set(&e, -EINVAL, "there is no verb '%s': see 'sandboxctl help'", name);
        return ctl_usage_error(ctl, e.text);
}

int verb_help(struct ctl *ctl, int argc, char **argv)
{
        const struct verb *verb;

        if (argc < 2) {
                print_help(stdout);
                return CTL_EXIT_OK;
        }
        verb = find_verb(argv[1]);
        if (!verb)
                return unknown_verb(ctl, argv[1]);
        if (verb->help)
                (void) fputs(verb->help, stdout);
        else
                print_help(stdout);
        return CTL_EXIT_OK;
}

/* Reads the options before the verb: 0 to go on, 1 when that was all there is to do. */
static int parse_globals(struct ctl *ctl, int argc, char **argv, struct error *e)
{
        static const struct option options[] = {
                CTL_LONG_OPTIONS,
                { "version", no_argument, NULL, 'V' },
                {},
        };
        struct error found;
        int option, r = 0;

        while ((option = getopt_long(argc, argv, "+:hV", options, NULL)) != -1) {
                int q;

                if (option == 'h') {
                        print_help(stdout);
                        return 1;
                }
                if (option == 'V') {
                        (void) fputs("sandboxctl " PACKAGE_VERSION "\n", stdout);
                        return 1;
                }
                if (option == ':' || option == '?')
                        q = ctl_bad_option(option, argv, NULL, &found);
                else
                        q = ctl_take_option(ctl, option, optarg, &found);
                if (q < 0 && r == 0) {
                        r = q;
                        *e = found;
                }
        }
        return r;
}

/* A closed stdin, stdout or stderr must not become the number of some other file. Read-only, so
 * that writing still fails. */
static void reserve_stdio(void)
{
        int fd;

        do
                fd = open("/dev/null", O_RDONLY);
        while (fd >= 0 && fd <= STDERR_FILENO);
        safe_close(fd);
}

/* What was written may still have failed. */
static int finish(int exit_code)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return exit_code;
        if (errno == EPIPE)
                return CTL_EXIT_PIPE;
        (void) fprintf(stderr, "sandboxctl: cannot write to stdout: %s\n", strerror(errno));
        return exit_code ? exit_code : CTL_EXIT_REFUSED;
}

int main(int argc, char **argv)
{
        const char *socket_path = getenv("SANDBOXD_SOCKET");
        struct ctl ctl = { .socket_path = strnull(socket_path) ? REACH_SOCKET : socket_path };
        const struct verb *verb;
        struct error e;
        int r;

        reserve_stdio();
        (void) signal(SIGPIPE, SIG_IGN);
        r = parse_globals(&ctl, argc, argv, &e);
        if (r < 0)
                return finish(ctl_usage_error(&ctl, e.text));
        if (r > 0)
                return finish(CTL_EXIT_OK);
        if (optind == argc) {
                print_help(stderr);
                return CTL_EXIT_USAGE;
        }
        verb = find_verb(argv[optind]);
        if (!verb)
                return finish(unknown_verb(&ctl, argv[optind]));
        argc -= optind;
        argv += optind;
        optind = 0; /* getopt_long() starts anew */
        return finish(verb->run(&ctl, argc, argv));
}
