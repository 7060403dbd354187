/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command lines of verbs: the options that every one takes, the loop over them, and what is said
 * of options and arguments that none takes. Runs in sandboxctl.
 */
#include "client/ctl/ctl.h"

int ctl_take_option(struct ctl *ctl, int option, const char *argument, struct error *e)
{
        switch (option) {
        case CTL_OPTION_SOCKET:
                ctl->socket_path = argument;
                return 1;
        case CTL_OPTION_JSON:
                ctl->json = true;
                return 1;
        case CTL_OPTION_COLOR:
                if (color_mode_parse(argument, &ctl->color) < 0)
                        return error_set(e, -EINVAL,
                                "--color '%s' is not known: use auto, always or never", argument);
                return 1;
        default:
                return 0;
        }
}

int ctl_bad_option(int result, char **argv, const char *verb, struct error *e)
{
        const char *word = argv[optind > 0 ? optind - 1 : 0], *help = verb ? verb : "";
        const char *blank = verb ? " " : "";
        bool is_long = strncmp(word, "--", 2) == 0;

        if (result == ':' && is_long)
                return error_set(e, -EINVAL,
                        "option '%s' needs a value: see 'sandboxctl%s%s --help'", word, blank,
                        help);
        if (result == ':')
                return error_set(e, -EINVAL,
                        "option '-%c' needs a value: see 'sandboxctl%s%s --help'", optopt, blank,
                        help);
        if (is_long && optopt >= CTL_OPTION_SOCKET)
                return error_set(e, -EINVAL,
                        "option '%s' takes no value: leave out what follows '='", word);
        if (optopt > 0 && optopt < CTL_OPTION_SOCKET)
                return error_set(e, -EINVAL,
                        "there is no option '-%c': see 'sandboxctl%s%s --help'", optopt, blank,
                        help);
        return error_set(e, -EINVAL, "there is no option '%s': see 'sandboxctl%s%s --help'", word,
                blank, help);
}

int ctl_usage_error(const struct ctl *ctl, const char *message)
{
        (void) ctl_error(ctl, "INVALID_ARGUMENT", NULL, message);
        return CTL_EXIT_USAGE;
}

static int check_arguments(const struct ctl_syntax *s, int argc, char **argv, struct error *e)
{
        int n = argc - optind;

        if (n < s->least)
                return error_set(e, -EINVAL, "%s needs %s", argv[0], s->needed);
        if (s->most == 0 && n > 0)
                return error_set(e, -EINVAL, "%s takes no argument: leave out '%s'", argv[0],
                        argv[optind]);
        if (n > s->most)
                return error_set(e, -EINVAL, "%s takes %d argument%s: leave out '%s'", argv[0],
                        s->most, s->most > 1 ? "s" : "", argv[optind + s->most]);
        return 0;
}

int ctl_parse(struct ctl *ctl, const struct ctl_syntax *s, int argc, char **argv, void *userdata)
{
        struct error e, found;
        int option, r = 0;

        /* Of several mistakes the first is told, with --json also when that comes after it. */
        while ((option = getopt_long(argc, argv, s->short_options, s->long_options, NULL)) != -1) {
                int q;

                if (option == 'h') {
                        (void) fputs(s->help, stdout);
                        return 1;
                }
                if (option == ':' || option == '?')
                        q = ctl_bad_option(option, argv, argv[0], &found);
                else
                        q = ctl_take_option(ctl, option, optarg, &found);
                if (q == 0)
                        q = s->take(option, optarg, userdata, &found);
                if (q < 0 && r == 0) {
                        r = q;
                        e = found;
                }
        }
        if (r == 0)
                r = check_arguments(s, argc, argv, &e);
        if (r < 0)
                (void) ctl_usage_error(ctl, e.text);
        return r;
}

int ctl_parse_plain(struct ctl *ctl, const char *help, int argc, char **argv)
{
        static const struct option options[] = { CTL_LONG_OPTIONS, {} };
        const struct ctl_syntax s = {
                .help = help,
                .short_options = ":h",
                .long_options = options,
        };

        return ctl_parse(ctl, &s, argc, argv, NULL);
}
