/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options that every verb takes, and what is said of options that none takes. Runs in
 * sandboxctl.
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
