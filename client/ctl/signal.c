/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl signal: sends a signal to a job. Runs in sandboxctl.
 */
#include "client/ctl/job-id.h"
#include "client/ctl/signal-name.h"

const char signal_help[] =
        "Usage: sandboxctl signal [--json] ID SIGNAL\n"
        "Send a signal to the main process of a job that runs: a name such as TERM or\n"
        "SIGTERM, or a number. A job that dies of it ends as SIGNALED.\n";

int verb_signal(struct ctl *ctl, int argc, char **argv)
{
        static const struct option options[] = { CTL_LONG_OPTIONS, {} };
        static const struct ctl_syntax syntax = {
                .help = signal_help,
                .short_options = ":h",
                .long_options = options,
                .least = 2,
                .most = 2,
                .needed = "the id of a job and a signal: see 'sandboxctl ps' and 'kill -l'",
        };
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        json_auto_t *object = json_new_object();
        char id[SANDBOX_JOB_ID_SIZE];
        struct error e;
        int r, signal;

        r = ctl_parse(ctl, &syntax, argc, argv, NULL);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        if (signal_parse(argv[optind + 1], &signal) < 0) {
                (void) error_set(&e, -EINVAL,
                        "'%s' is no signal: use a name such as TERM, or a number from 1 to %d",
                        argv[optind + 1], SIGNAL_NUMBER_MAX);
                return ctl_usage_error(ctl, e.text);
        }
        r = ctl_connect_to(ctl, "jobs", &c);
        if (r == 0)
                r = ctl_find_job(ctl, c, argv[optind], id);
        if (r != 0)
                return r;
        if (sandbox_signal_job(c, id, signal) < 0)
                return ctl_failed(ctl, sandbox_client_get_error(c));
        if (ctl->json) {
                json_set_text(object, "job_id", id);
                json_set_number(object, "signal", (uint64_t) signal);
                json_show(object, stdout);
        }
        return CTL_EXIT_OK;
}
