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
        { "runtimes", verb_runtimes, runtimes_help, "list the languages that sandboxd can run" },
        { "profiles", verb_profiles, profiles_help, "list the profiles and their limits" },
        { "doctor", verb_doctor, doctor_help, "check what this host lacks, and what that costs" },
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

static int usage_error(const struct ctl *ctl, const char *message)
{
        (void) ctl_error(ctl, "INVALID_ARGUMENT", NULL, message);
        return CTL_EXIT_USAGE;
}

static int unknown_verb(const struct ctl *ctl, const char *name)
{
        struct error e;

        (void) error_set(&e, -EINVAL, "there is no verb '%s': see 'sandboxctl help'", name);
        return usage_error(ctl, e.text);
}

int ctl_parse_plain(struct ctl *ctl, const char *help, int argc, char **argv)
{
        static const struct option options[] = { CTL_LONG_OPTIONS, {} };
        struct error e, found;
        int option, r = 0;

        /* Of several mistakes the first is told, with --json also when that comes after it. */
        while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
                int q;

                if (option == 'h') {
                        (void) fputs(help, stdout);
                        return 1;
                }
                if (option == ':' || option == '?')
                        q = ctl_bad_option(option, argv, argv[0], &found);
                else
                        q = ctl_take_option(ctl, option, optarg, &found);
                if (q < 0 && r == 0) {
                        r = q;
                        e = found;
                }
        }
        if (r == 0 && optind < argc)
                r = error_set(&e, -EINVAL, "%s takes no argument: leave out '%s'", argv[0],
                        argv[optind]);
        if (r < 0)
                (void) usage_error(ctl, e.text);
        return r;
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
                return finish(usage_error(&ctl, e.text));
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
