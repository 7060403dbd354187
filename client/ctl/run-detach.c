/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of a detached job: waits until sandboxd has its files, and it runs or waits for others to
 * end, then leaves. Runs in sandboxctl. Until then whatever ends this program ends the job.
 */
#include "client/ctl/run-detach.h"

#include "client/ctl/progress.h"

struct start {
        const struct ctl *ctl;
        struct progress progress;
        bool done;
        char id[SANDBOX_JOB_ID_SIZE]; /* of one that is on its own */
        int exit_code;
};

static void leave(struct start *s, const sandbox_job *job)
{
        const char *id = sandbox_job_get_id(job);

        s->done = true;
        if (!id || str_copy(s->id, sizeof(s->id), id) < 0)
                s->exit_code = ctl_error(s->ctl, "INTERNAL", NULL,
                        "sandboxd did not tell the id of the job: see 'sandboxctl ps'");
}

/* Large files are sent when its turn has come. */
static void on_queued(sandbox_job *job, unsigned position, void *userdata)
{
        if (sandbox_job_may_be_left(job))
                leave(userdata, job);
}

static void on_end(sandbox_job *job, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        struct start *s = userdata;

        if (s->done)
                return;
        progress_done(&s->progress);
        if (!error) {
                leave(s, job);
                return;
        }
        s->done = true;
        s->exit_code = ctl_failed(s->ctl, error);
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
        static const sandbox_job_handlers handlers = {
                .size = sizeof(handlers),
                .on_queued = on_queued,
                .on_end = on_end,
        };
        struct start s = { .ctl = ctl };
        sandbox_job *job; /* until it is done */
        int r;

        progress_init(&s.progress, c, !o->no_progress, false);
        r = sandbox_job_start(c, spec, &handlers, &s, 0, &job);
        if (r < 0)
                return ctl_failed(ctl, sandbox_client_get_error(c));
        while (!s.done && r >= 0) {
                progress_tick(&s.progress, job);
                r = sandbox_client_wait(c, progress_timeout(&s.progress));
                if (r < 0 && r != -EINTR)
                        break;
                do
                        r = sandbox_client_process(c);
                while (r > 0 && !s.done);
        }
        progress_done(&s.progress);
        if (!s.done)
                return ctl_failed(ctl, sandbox_client_get_error(c));
        if (s.exit_code == 0)
                print_id(ctl, s.id);
        return s.exit_code;
}
