/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl wait: the end of a job. Runs in sandboxctl. The job is only watched: whatever becomes of
 * this program, it goes on.
 */
#include "client/ctl/download.h"
#include "client/ctl/interrupt.h"
#include "client/ctl/job-id.h"
#include "client/ctl/kept-output.h"
#include "client/ctl/progress.h"
#include "client/ctl/result-report.h"

const char wait_help[] =
        "Usage: sandboxctl wait [OPTIONS] ID\n"
        "Wait for the end of a job, and exit as 'sandboxctl run' would.\n"
        "  -o, --get NAME[:DEST]     fetch a file that was kept of it; repeatable\n"
        "      --summary             print status, value, times and memory on stderr\n"
        "      --no-progress         no line on a terminal that says how far it is\n"
        "      --json                print one JSON object, with the output that was kept\n";

enum wait_option {
        OPTION_SUMMARY = CTL_OPTION_VERB,
        OPTION_NO_PROGRESS,
};

struct wait {
        const struct ctl *ctl;
        sandbox_client *client;
        char id[SANDBOX_JOB_ID_SIZE];
        struct downloads downloads;
        bool summary;
        bool no_progress;
        bool ended;
        sandbox_result *result; /* NULL when there is none; then the reason was shown */
};

static int take_option(int option, const char *argument, void *userdata, struct error *e)
{
        struct wait *w = userdata;

        switch (option) {
        case 'o':
                return downloads_add(&w->downloads, argument, e);
        case OPTION_SUMMARY:
                w->summary = true;
                return 0;
        default:
                ASSERT(option == OPTION_NO_PROGRESS);
                w->no_progress = true;
                return 0;
        }
}

static void on_result(sandbox_client *c _unused_, const sandbox_error *error,
        sandbox_result *result, void *userdata)
{
        struct wait *w = userdata;

        w->ended = true;
        if (error)
                (void) ctl_failed(w->ctl, error);
        else
                w->result = sandbox_result_ref(result);
}

/* 0 with w->result, or the exit code after the reason was shown. */
static int wait_for_result(struct wait *w)
{
        struct progress progress;
        int r = 0;

        if (sandbox_wait_job_async(w->client, w->id, on_result, w, NULL) < 0)
                return ctl_failed(w->ctl, sandbox_client_get_error(w->client));
        progress_init(&progress, w->client, !w->no_progress, false);
        (void) str_copy(progress.job_id, sizeof(progress.job_id), w->id);
        while (!w->ended && r >= 0) {
                progress_tick(&progress, NULL);
                r = sandbox_client_wait(w->client, progress_timeout(&progress));
                if (r < 0 && r != -EINTR)
                        break;
                do
                        r = sandbox_client_process(w->client);
                while (r > 0);
        }
        progress_done(&progress);
        if (!w->ended)
                return ctl_failed(w->ctl, sandbox_client_get_error(w->client));
        return w->result ? 0 : CTL_EXIT_REFUSED;
}

static int on_file(sandbox_request *q _unused_, const sandbox_file_piece *piece, void *userdata)
{
        return downloads_put(userdata, piece);
}

static int fetch(struct wait *w)
{
        _cleanup_free_ const char **names = NULL;

        if (w->downloads.n == 0)
                return 0;
        names = downloads_names(&w->downloads);
        if (sandbox_get_files(w->client, w->id, names, on_file, &w->downloads) < 0)
                return ctl_failed(w->ctl, sandbox_client_get_error(w->client));
        downloads_end(&w->downloads);
        downloads_complain(&w->downloads);
        return 0;
}

/* The object that `run --json` would have printed, with as much of the output as is kept. */
static int show_json(struct wait *w)
{
        _cleanup_(run_stream_done) struct run_stream out, err;
        json_auto_t *object = NULL;
        sandbox_output_end end;
        sandbox_error error;
        struct error e;

        run_stream_init(&out, -EBADF);
        run_stream_init(&err, -EBADF);
        if (kept_output_read(w->client, w->id, SANDBOX_BOTH, 0, &out, &err, &end, &e, &error) < 0)
                return ctl_failed(w->ctl, &error);
        object = result_json(w->result, &out, &err);
        json_set_bool(object, "stdout_truncated", end.stdout_kept < end.stdout_bytes);
        json_set_bool(object, "stderr_truncated", end.stderr_kept < end.stderr_bytes);
        if (w->downloads.n > 0)
                downloads_json(&w->downloads, object);
        result_show_json(object, w->result, stdout);
        return 0;
}

static int wait_and_show(struct wait *w)
{
        struct error e;
        int r;

        if (downloads_open(&w->downloads, &e) < 0)
                return ctl_error(w->ctl, "INVALID_ARGUMENT", "get", e.text);
        interrupt_says_job_goes_on(w->id);
        r = wait_for_result(w);
        if (r == 0)
                r = fetch(w);
        if (r != 0)
                return r;
        if (w->ctl->json)
                r = show_json(w);
        else
                result_show_text(w->ctl, w->result, w->summary, NULL, NULL);
        if (r == 0)
                r = sandbox_result_get_shell_code(w->result);
        return r == 0 && w->downloads.failed > 0 ? CTL_EXIT_FAILURE : r;
}

int verb_wait(struct ctl *ctl, int argc, char **argv)
{
        static const struct option options[] = {
                CTL_LONG_OPTIONS,
                { "get", required_argument, NULL, 'o' },
                { "summary", no_argument, NULL, OPTION_SUMMARY },
                { "no-progress", no_argument, NULL, OPTION_NO_PROGRESS },
                {},
        };
        static const struct ctl_syntax syntax = {
                .help = wait_help,
                .short_options = ":ho:",
                .long_options = options,
                .take = take_option,
                .least = 1,
                .most = 1,
                .needed = JOB_ID_NEEDED,
        };
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        struct wait w = { .ctl = ctl };
        int r;

        r = ctl_parse(ctl, &syntax, argc, argv, &w);
        if (r < 0)
                r = CTL_EXIT_REFUSED; /* 2 would be the job's */
        else if (r == 0) {
                r = ctl_connect_to(ctl, w.downloads.n > 0 ? "get" : "jobs", &c);
                if (r == 0)
                        r = ctl_find_job(ctl, c, argv[optind], w.id);
                w.client = c;
                if (r == 0)
                        r = wait_and_show(&w);
        } else
                r = CTL_EXIT_OK;
        sandbox_result_unref(w.result);
        downloads_done(&w.downloads);
        return r;
}
