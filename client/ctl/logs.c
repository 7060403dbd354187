/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl logs: what sandboxd kept of a job's output. Runs in sandboxctl.
 */
#include "client/ctl/interrupt.h"
#include "client/ctl/job-id.h"
#include "client/ctl/kept-output.h"

const char logs_help[] =
        "Usage: sandboxctl logs [OPTIONS] ID\n"
        "Print what sandboxd kept of a job's output: its stdout on stdout, its stderr on\n"
        "stderr.\n"
        "  -f, --follow              go on with what the job still writes, until it ends\n"
        "      --stream NAME         stdout or stderr alone\n"
        "      --json                print one JSON object in place of the output\n";

enum logs_option {
        OPTION_STREAM = CTL_OPTION_VERB,
};

struct logs {
        bool follow;
        enum sandbox_stream stream;
};

static int take_option(int option, const char *argument, void *userdata, struct error *e)
{
        struct logs *l = userdata;

        if (option == 'f')
                l->follow = true;
        else if (streq(argument, "stdout"))
                l->stream = SANDBOX_STDOUT;
        else if (streq(argument, "stderr"))
                l->stream = SANDBOX_STDERR;
        else
                return error_set(e, -EINVAL, "--stream '%s' is not known: use stdout or stderr",
                        argument);
        return 0;
}

static void show_json(const char *id, enum sandbox_stream stream, const struct run_stream *out,
        const struct run_stream *err, const sandbox_output_end *end)
{
        json_auto_t *object = json_new_object();

        json_set_text(object, "job_id", id);
        if (stream != SANDBOX_STDERR)
                json_set_bytes(object, "stdout", out->data, out->size);
        if (stream != SANDBOX_STDOUT)
                json_set_bytes(object, "stderr", err->data, err->size);
        json_set_number(object, "stdout_bytes", end->stdout_bytes);
        json_set_number(object, "stderr_bytes", end->stderr_bytes);
        json_set_number(object, "stdout_kept", end->stdout_kept);
        json_set_number(object, "stderr_kept", end->stderr_kept);
        json_set_bool(object, "running", end->running);
        json_show(object, stdout);
}

static void note_kept(const char *name, uint64_t kept, uint64_t written)
{
        char a[HUMAN_MAX], b[HUMAN_MAX];

        if (kept < written)
                (void) fprintf(stderr,
                        "sandboxctl: of %s only the first %s are kept, of %s that were written\n",
                        name, human_size(a, kept), human_size(b, written));
}

static int show_logs(const struct ctl *ctl, const struct logs *l, sandbox_client *c, const char *id)
{
        _cleanup_(run_stream_done) struct run_stream out, err;
        sandbox_output_end end;
        sandbox_error error;
        struct error e;
        int r;

        run_stream_init(&out, ctl->json ? -EBADF : STDOUT_FILENO);
        run_stream_init(&err, ctl->json ? -EBADF : STDERR_FILENO);
        if (l->follow)
                interrupt_says_job_goes_on(id);
        r = kept_output_read(c, id, l->stream, l->follow ? SANDBOX_FOLLOW : 0, &out, &err, &end, &e,
                &error);
        if (r == -EPIPE && error.code == SANDBOX_ERROR_LOCAL)
                return CTL_EXIT_PIPE;
        if (r < 0)
                return ctl_failed(ctl, &error);
        if (ctl->json) {
                show_json(id, l->stream, &out, &err, &end);
                return CTL_EXIT_OK;
        }
        if (l->stream != SANDBOX_STDERR)
                note_kept("stdout", end.stdout_kept, end.stdout_bytes);
        if (l->stream != SANDBOX_STDOUT)
                note_kept("stderr", end.stderr_kept, end.stderr_bytes);
        return CTL_EXIT_OK;
}

int verb_logs(struct ctl *ctl, int argc, char **argv)
{
        static const struct option options[] = {
                CTL_LONG_OPTIONS,
                { "follow", no_argument, NULL, 'f' },
                { "stream", required_argument, NULL, OPTION_STREAM },
                {},
        };
        static const struct ctl_syntax syntax = {
                .help = logs_help,
                .short_options = ":hf",
                .long_options = options,
                .take = take_option,
                .least = 1,
                .most = 1,
                .needed = JOB_ID_NEEDED,
        };
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        struct logs l = { .stream = SANDBOX_BOTH };
        char id[SANDBOX_JOB_ID_SIZE];
        int r;

        r = ctl_parse(ctl, &syntax, argc, argv, &l);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        r = ctl_connect_to(ctl, "jobs", &c);
        if (r == 0)
                r = ctl_find_job(ctl, c, argv[optind], id);
        return r != 0 ? r : show_logs(ctl, &l, c, id);
}
