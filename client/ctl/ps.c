/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl ps: what jobs there are. Runs in sandboxctl.
 */
#include "client/ctl/job-report.h"
#include "common/io.h"

const char ps_help[] =
        "Usage: sandboxctl ps [-a | --all] [--json]\n"
        "List your jobs: those that wait or run, and with --all also those that have\n"
        "ended, as long as sandboxd keeps their results. root sees everybody's.\n";

static int take_option(int option, const char *argument _unused_, void *userdata,
        struct error *e _unused_)
{
        bool *all = userdata;

        ASSERT(option == 'a');
        *all = true;
        return 0;
}

static void show_json(const sandbox_job_list *list)
{
        json_auto_t *array = json_new_array();
        const sandbox_job_info *info;

        for (size_t i = 0; (info = sandbox_job_list_get(list, i)); i++)
                json_append(array, job_report_json(info, false));
        json_show(array, stdout);
}

int verb_ps(struct ctl *ctl, int argc, char **argv)
{
        static const struct option options[] = {
                CTL_LONG_OPTIONS,
                { "all", no_argument, NULL, 'a' },
                {},
        };
        static const struct ctl_syntax syntax = {
                .help = ps_help,
                .short_options = ":ha",
                .long_options = options,
                .take = take_option,
        };
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        sandbox_job_list *list;
        bool all = false;
        int r;

        r = ctl_parse(ctl, &syntax, argc, argv, &all);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        r = ctl_connect_to(ctl, "jobs", &c);
        if (r != 0)
                return r;
        if (sandbox_list_jobs(c, all, &list) < 0)
                return ctl_failed(ctl, sandbox_client_get_error(c));
        if (ctl->json)
                show_json(list);
        else
                job_report_table(list, geteuid() == 0, io_realtime_usec(), stdout,
                        color_enabled(ctl->color, stdout));
        sandbox_job_list_unref(list);
        return CTL_EXIT_OK;
}
