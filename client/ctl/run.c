/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl run: one job from the command line to what is said of its end. Runs in sandboxctl.
 */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "client/ctl/memory.h"
#include "client/ctl/result-report.h"
#include "client/ctl/run-detach.h"
#include "client/ctl/run-loop.h"
#include "client/ctl/run-request.h"

const char run_help[] =
        "Usage: sandboxctl run [OPTIONS] -l LANGUAGE (-c CODE | FILE | -) [ARG...]\n"
        "       sandboxctl run [OPTIONS] [--] COMMAND [ARG...]\n"
        "  -l, --language LANGUAGE   python, javascript, bash; see 'sandboxctl runtimes'\n"
        "  -c CODE                   the code itself, not a FILE; - is stdin\n"
        "Limits (defaults and maximums: 'sandboxctl profiles'):\n"
        "  -t, --timeout TIME        wall-clock time, such as 5s\n"
        "      --cpu-time TIME       CPU time, such as 2s, or none\n"
        "  -m, --memory SIZE         memory with files in /tmp and /box, such as 256M\n"
        "      --cpus NUMBER         CPUs, such as 0.5, or 50%\n"
        "      --pids NUMBER         processes and threads\n"
        "      --output-limit SIZE   what is kept of stdout, and of stderr\n"
        "      --strict-output       end the job when it writes more than that\n"
        "      --tmp-size SIZE       files in each of /tmp, /box and /dev/shm\n"
        "Surroundings:\n"
        "  -e, --env KEY=VALUE       set a variable; repeatable\n"
        "  -w, --workdir DIR         where to run, in the sandbox (default /box)\n"
        "  -f, --file SRC[:NAME]     copy a file or folder into /box\n"
        "      --no-stdin            give the job an empty stdin\n"
        "  -d, --detach              print the job's id and leave: see 'sandboxctl help'\n"
        "      --profile NAME        what the sandbox may do (default 'default')\n"
        "      --label TEXT          a text to know the job by\n"
        "Result:\n"
        "  -o, --get NAME[:DEST]     fetch a file, folder or pattern from /box; repeatable\n"
        "      --no-progress         no line on a terminal that says how far it is\n"
        "      --summary             print status, value, times and memory on stderr\n"
        "      --json                print one JSON object in place of the output\n"
        "Exits as the job did; 124 timeout, 125 refused, 137 no memory: sandboxctl(1).\n";

static void show_json(const struct run *r)
{
        json_auto_t *object = result_json(r->result, &r->out, &r->err);

        if (r->options->downloads.n > 0)
                downloads_json(&r->options->downloads, object);
        result_show_json(object, r->result, stdout);
}

static int report(struct run *r)
{
        bool to_person = !r->interrupted || is_writable(STDERR_FILENO);
        int exit_code;

        if (!r->result)
                return r->exit_code;
        if (r->without_memory)
                (void) must(NULL);
        if (r->discard)
                return r->pipe_broken ? CTL_EXIT_PIPE : CTL_EXIT_REFUSED;
        downloads_end(&r->options->downloads);
        if (r->ctl->json)
                show_json(r);
        else if (to_person)
                result_show_text(r->ctl, r->result, r->options->summary, &r->out, &r->err);
        if (to_person)
                downloads_complain(&r->options->downloads);
        exit_code = sandbox_result_get_shell_code(r->result);
        return exit_code == 0 && r->options->downloads.failed > 0 ? CTL_EXIT_FAILURE : exit_code;
}

/* The end of a cancelled job whose result does not come. */
static int leave(struct run *r)
{
        if (is_writable(STDERR_FILENO))
                (void) ctl_error(r->ctl, "UNREACHABLE", NULL,
                        "the job was cancelled, and sandboxd did not tell how it ended: "
                        "see its log");
        return r->pipe_broken ? CTL_EXIT_PIPE : CTL_EXIT_CANCELLED;
}

/* Whether stdin has anything to forward at all. */
static bool stdin_wanted(const struct run_options *o)
{
        struct stat st;

        if (o->no_stdin || o->source == RUN_SOURCE_STDIN || fstat(STDIN_FILENO, &st) < 0)
                return false;
        return !(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)); /* /dev/null */
}

static int run_job(struct run *r, sandbox_spec *spec)
{
        int q;

        r->stdin_open = stdin_wanted(r->options);
        q = run_loop(r, spec);
        if (q == -ECANCELED)
                return CTL_EXIT_REFUSED;
        if (q == -ETIMEDOUT)
                return leave(r);
        return q < 0 ? ctl_failed(r->ctl, sandbox_client_get_error(r->client)) : report(r);
}

/* With a daemon that can do what was asked for. */
static int run_spec(struct run *r, sandbox_spec *spec)
{
        struct run_options *o = r->options;
        struct error e;
        int q = 0;

        if (o->detach)
                q = ctl_need(r->ctl, r->client, "detach");
        if (q == 0 && o->downloads.n > 0)
                q = ctl_need(r->ctl, r->client, "get");
        if (q != 0)
                return q;
        if (o->detach)
                return run_detached(r->ctl, o, r->client, spec);
        if (downloads_open(&o->downloads, &e) < 0)
                return ctl_error(r->ctl, "INVALID_ARGUMENT", "get", e.text);
        q = run_job(r, spec);
        run_done(r);
        return q;
}

int verb_run(struct ctl *ctl, int argc, char **argv)
{
        _cleanup_(sandbox_client_freep) sandbox_client *client = NULL;
        _cleanup_(sandbox_spec_freep) sandbox_spec *spec = NULL;
        _cleanup_(run_options_done) struct run_options options = {};
        struct run r = { .ctl = ctl, .options = &options };
        char spec_field[RUN_FIELD_MAX];
        const char *field;
        struct error e;
        int q;

        q = run_options_parse(&options, ctl, argc, argv, &field, &e);
        if (q > 0) {
                (void) fputs(run_help, stdout);
                return CTL_EXIT_OK;
        }
        if (q < 0)
                return ctl_error(ctl, "INVALID_ARGUMENT", field, e.text);
        q = ctl_connect(ctl, &client);
        if (q != 0)
                return q;
        q = run_request_make(&options, sandbox_client_get_max_request(client), &spec, spec_field,
                &e);
        if (q < 0)
                return ctl_error(ctl, "INVALID_ARGUMENT", spec_field, e.text);
        r.client = client;
        return run_spec(&r, spec);
}
