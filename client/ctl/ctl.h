/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What every verb of sandboxctl shares: the global options, how errors are shown, how to reach the
 * daemon. A verb returns the program's exit code.
 */

#include <getopt.h>

#include "client/ctl/json.h"
#include "client/ctl/style.h"
#include "client/lib/sandbox.h"
#include "common/error.h"

enum ctl_exit {
        CTL_EXIT_OK = 0,
        CTL_EXIT_FAILURE = 1,     /* doctor: something required is missing */
        CTL_EXIT_USAGE = 2,       /* a verb or option that is none; of run: CTL_EXIT_REFUSED */
        CTL_EXIT_REFUSED = 125,   /* a request that was refused, or no daemon to take it */
        CTL_EXIT_PIPE = 141,      /* nobody reads the output, as a shell shows SIGPIPE */
        CTL_EXIT_CANCELLED = 143, /* a signal ended it before the result was there */
};

struct ctl {
        const char *socket_path;
        bool json;
        enum color_mode color;
};

/* The global options, for the long options of a verb; val is one of enum ctl_option. */
enum ctl_option {
        CTL_OPTION_SOCKET = 0x100,
        CTL_OPTION_JSON,
        CTL_OPTION_COLOR,
        CTL_OPTION_VERB, /* the first of a verb's own */
};

/* clang-format off */
#define CTL_LONG_OPTIONS                                                                           \
        { "help", no_argument, NULL, 'h' },                                                        \
        { "socket", required_argument, NULL, CTL_OPTION_SOCKET },                                  \
        { "json", no_argument, NULL, CTL_OPTION_JSON },                                            \
        { "color", required_argument, NULL, CTL_OPTION_COLOR }
/* clang-format on */

/* Takes option if it is a global one: 1, 0 when it is not, -EINVAL with the sentence. */
int ctl_take_option(struct ctl *ctl, int option, const char *argument, struct error *e);
/* The sentence for what getopt_long() gave ':' or '?' for. verb may be NULL. Returns -EINVAL. */
int ctl_bad_option(int result, char **argv, const char *verb, struct error *e);

/* What the command line of a verb may have. */
struct ctl_syntax {
        const char *help;
        const char *short_options; /* for getopt_long(), beginning with ":h" */
        const struct option *long_options;
        /* Takes an option that is not a global one: 0, or -EINVAL with the sentence. NULL when there
         * is none. */
        int (*take)(int option, const char *argument, void *userdata, struct error *e);
        int least, most;    /* arguments */
        const char *needed; /* "the id of a job: ...", where at least one is */
};
/* Reads the options and counts the arguments, which begin at argv[optind] then. 0 to go on, 1 when
 * the help was printed, -EINVAL after the reason was shown. */
int ctl_parse(struct ctl *ctl, const struct ctl_syntax *s, int argc, char **argv, void *userdata);
/* Reads the options of a verb that has none but the global ones and takes no argument: 0 to go on,
 * 1 when the help was printed, -EINVAL after the reason was shown. */
int ctl_parse_plain(struct ctl *ctl, const char *help, int argc, char **argv);

/* Shows what is wrong with the command line. Returns CTL_EXIT_USAGE. */
int ctl_usage_error(const struct ctl *ctl, const char *message);
/* Shows why something failed: a line on stderr, with --json also an error object on stdout. code is
 * that of the protocol's Error, or UNREACHABLE; field may be NULL. Returns CTL_EXIT_REFUSED. */
int ctl_error(const struct ctl *ctl, const char *code, const char *field, const char *message);
/* The same for what the library failed with: a refusal, a lost connection, a file. */
int ctl_failed(const struct ctl *ctl, const sandbox_error *error);
/* The line alone, for what goes on after an error. */
void ctl_complain(const char *message);
/* The object that "error" is. field may be NULL. */
json_t *ctl_error_json(const char *code, const char *field, const char *message);
/* The code that JSON has for an error of the library. */
const char *ctl_error_code(const sandbox_error *error);

/* Connects and says hello. 0, or the exit code after the reason was shown. */
int ctl_connect(const struct ctl *ctl, sandbox_client **ret);
/* Whether the daemon can do what feature names: 0, or the exit code after that was shown. */
int ctl_need(const struct ctl *ctl, const sandbox_client *c, const char *feature);
/* Both. */
int ctl_connect_to(const struct ctl *ctl, const char *feature, sandbox_client **ret);
/* As ctl_connect(), silent: a negative errno with the sentence when no daemon answers; -ENOENT and
 * -ECONNREFUSED when none runs. */
int ctl_try_connect(const struct ctl *ctl, sandbox_client **ret, struct error *e);

/* For _cleanup_() of what the library hands out. */
DEFINE_CLEANUP(sandbox_client *, sandbox_client_free)
DEFINE_CLEANUP(sandbox_spec *, sandbox_spec_free)
DEFINE_CLEANUP(sandbox_result *, sandbox_result_unref)
DEFINE_CLEANUP(sandbox_runtime_list *, sandbox_runtime_list_unref)
DEFINE_CLEANUP(sandbox_profile_list *, sandbox_profile_list_unref)
DEFINE_CLEANUP(sandbox_host *, sandbox_host_unref)

int verb_cancel(struct ctl *ctl, int argc, char **argv);
int verb_doctor(struct ctl *ctl, int argc, char **argv);
int verb_drain(struct ctl *ctl, int argc, char **argv);
int verb_get(struct ctl *ctl, int argc, char **argv);
int verb_help(struct ctl *ctl, int argc, char **argv);
int verb_logs(struct ctl *ctl, int argc, char **argv);
int verb_profiles(struct ctl *ctl, int argc, char **argv);
int verb_ps(struct ctl *ctl, int argc, char **argv);
int verb_resume(struct ctl *ctl, int argc, char **argv);
int verb_run(struct ctl *ctl, int argc, char **argv);
int verb_runtimes(struct ctl *ctl, int argc, char **argv);
int verb_show(struct ctl *ctl, int argc, char **argv);
int verb_signal(struct ctl *ctl, int argc, char **argv);
int verb_stop_all(struct ctl *ctl, int argc, char **argv);
int verb_version(struct ctl *ctl, int argc, char **argv);
int verb_wait(struct ctl *ctl, int argc, char **argv);

extern const char cancel_help[];
extern const char doctor_help[];
extern const char drain_help[];
extern const char get_help[];
extern const char logs_help[];
extern const char profiles_help[];
extern const char ps_help[];
extern const char resume_help[];
extern const char run_help[];
extern const char runtimes_help[];
extern const char show_help[];
extern const char signal_help[];
extern const char stop_all_help[];
extern const char version_help[];
extern const char wait_help[];
