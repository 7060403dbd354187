/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of a detached job: waits until sandboxd has its files and it runs, then leaves. Runs in
 * sandboxctl. Until then the job is ours alone: whatever ends this program ends the job.
 */
#include "client/ctl/run-detach.h"

#include "client/ctl/progress.h"

struct start {
        const struct ctl *ctl;
        struct progress progress;
        sandbox_job *job; /* until on_end */
        char id[SANDBOX_JOB_ID_SIZE];
        int exit_code;
};

static void on_end(sandbox_job *job, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        struct start *s = userdata;
        const char *id = sandbox_job_get_id(job);

        s->job = NULL;
        progress_done(&s->progress);
        if (error)
                s->exit_code = ctl_failed(s->ctl, error);
        else if (!id || str_copy(s->id, sizeof(s->id), id) < 0)
                s->exit_code = ctl_error(s->ctl, "INTERNAL", NULL,
                        "sandboxd did not tell the id of the job: see 'sandboxctl ps'");
}

static void print_id(const struct ctl *ctl, const char *id)
{
        if (ctl->json) {
                json_auto_t *object = json_new_object();

                json_set_text(object, "job_id", id);
                json_show(object, stdout);
                return;
        }
        (void) puts(id);
        if (isatty(STDERR_FILENO))
                (void) fprintf(stderr,
                        "sandboxctl: 'sandboxctl logs --follow %s' shows its output, "
                        "'sandboxctl wait %s' waits for its end\n",
                        id, id);
}

int run_detached(const struct ctl *ctl, const struct run_options *o, sandbox_client *c,
        const sandbox_spec *spec)
{
        static const sandbox_job_handlers handlers = { .size = sizeof(handlers), .on_end = on_end };
        struct start s = { .ctl = ctl };
        int r;

        progress_init(&s.progress, c, !o->no_progress, false);
        r = sandbox_job_start(c, spec, &handlers, &s, 0, &s.job);
        if (r < 0)
                return ctl_failed(ctl, sandbox_client_get_error(c));
        while (s.job && r >= 0) {
                progress_tick(&s.progress, s.job);
                r = sandbox_client_wait(c, progress_timeout(&s.progress));
                if (r < 0 && r != -EINTR)
                        break;
                do
                        r = sandbox_client_process(c);
                while (r > 0 && s.job);
        }
        progress_done(&s.progress);
        if (s.job)
                return ctl_failed(ctl, sandbox_client_get_error(c));
        if (s.exit_code == 0)
                print_id(ctl, s.id);
        return s.exit_code;
}
