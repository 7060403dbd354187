/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl show: all that is known of one job. Runs in sandboxctl.
 */
#include "client/ctl/job-id.h"
#include "client/ctl/job-report.h"
#include "common/io.h"

const char show_help[] =
        "Usage: sandboxctl show [--json] ID\n"
        "Show one job: its scope, what it uses so far, or how it ended. Of an ID its\n"
        "beginning is enough, as far as no other job's begins so.\n";

/* Whether sandboxes are scopes of systemd. */
static int ask_scopes(sandbox_client *c, bool *ret)
{
        _cleanup_(sandbox_host_unrefp) sandbox_host *host = NULL;
        int r;

        r = sandbox_get_host(c, &host);
        if (r == 0)
                *ret = strncmp(sandbox_host_get_driver(host), "scope ", 6) == 0;
        return r;
}

static int show(struct ctl *ctl, sandbox_client *c, const sandbox_job_info *info)
{
        bool has_scopes = false;

        if (ctl->json) {
                job_report_show_json(info, stdout);
                return CTL_EXIT_OK;
        }
        if (ask_scopes(c, &has_scopes) < 0)
                return ctl_failed(ctl, sandbox_client_get_error(c));
        job_report_page(info, has_scopes, io_realtime_usec(), stdout,
                color_enabled(ctl->color, stdout));
        return CTL_EXIT_OK;
}

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
        r = show(ctl, c, info);
        sandbox_job_info_unref(info);
        return r;
}
