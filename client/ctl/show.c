/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl show: all that is known of one job. Runs in sandboxctl.
 */
#include "client/ctl/job-id.h"
#include "client/ctl/job-report.h"
#include "common/io.h"

const char show_help[] =
        "Usage: sandboxctl show [--json] ID\n"
        "Show one job: what it uses so far, or how it ended. Of an ID its beginning is\n"
        "enough, as far as no other job's begins so.\n";

int verb_show(struct ctl *ctl, int argc, char **argv)
{
        static const struct option options[] = { CTL_LONG_OPTIONS, {} };
        static const struct ctl_syntax syntax = {
                .help = show_help,
                .short_options = ":h",
                .long_options = options,
                .least = 1,
                .most = 1,
                .needed = JOB_ID_NEEDED,
        };
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        char id[SANDBOX_JOB_ID_SIZE];
        sandbox_job_info *info;
        int r;

        r = ctl_parse(ctl, &syntax, argc, argv, NULL);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        r = ctl_connect_to(ctl, "jobs", &c);
        if (r == 0)
                r = ctl_find_job(ctl, c, argv[optind], id);
        if (r != 0)
                return r;
        if (sandbox_get_job(c, id, &info) < 0)
                return ctl_failed(ctl, sandbox_client_get_error(c));
        if (ctl->json)
                job_report_show_json(info, stdout);
        else
                job_report_page(info, io_realtime_usec(), stdout,
                        color_enabled(ctl->color, stdout));
        sandbox_job_info_unref(info);
        return CTL_EXIT_OK;
}
