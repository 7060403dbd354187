/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl cancel: ends jobs. Runs in sandboxctl.
 */
#include <limits.h>

#include "client/ctl/job-id.h"

const char cancel_help[] =
        "Usage: sandboxctl cancel [--json] ID...\n"
        "End jobs as CANCELLED, those that wait for others too. One that has ended stays\n"
        "as it is. Returns at once: 'sandboxctl wait ID' waits for the end.\n";

/* Adds what came of it to array. Goes on after a failure, which it shows and returns. */
static int cancel_one(sandbox_client *c, const char *text, json_t *array)
{
        json_t *object = json_new_object();
        char id[SANDBOX_JOB_ID_SIZE];
        sandbox_error error = {};
        struct error e;
        int r;

        json_append(array, object);
        r = job_id_find(c, text, id, &e, &error);
        json_set_text(object, "job_id", r < 0 ? text : id);
        if (r == 0) {
                r = sandbox_cancel_job(c, id);
                if (r < 0)
                        error = *sandbox_client_get_error(c);
        }
        if (r == 0) {
                json_set(object, "error", json_null());
                return 0;
        }
        ctl_complain(error.message);
        json_set(object, "error",
                ctl_error_json(ctl_error_code(&error), error.field, error.message));
        return r;
}

int verb_cancel(struct ctl *ctl, int argc, char **argv)
{
        static const struct option options[] = { CTL_LONG_OPTIONS, {} };
        static const struct ctl_syntax syntax = {
                .help = cancel_help,
                .short_options = ":h",
                .long_options = options,
                .least = 1,
                .most = INT_MAX,
                .needed = JOB_ID_NEEDED,
        };
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        json_auto_t *array = json_new_array();
        int r, exit_code = CTL_EXIT_OK;

        r = ctl_parse(ctl, &syntax, argc, argv, NULL);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        r = ctl_connect_to(ctl, "jobs", &c);
        if (r != 0)
                return r;
        for (int i = optind; i < argc; i++)
                if (cancel_one(c, argv[i], array) < 0)
                        exit_code = CTL_EXIT_REFUSED;
        if (ctl->json)
                json_show(array, stdout);
        return exit_code;
}
