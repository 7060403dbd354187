/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl get: files that sandboxd kept of a detached job. Runs in sandboxctl.
 */
#include <limits.h>

#include "client/ctl/download.h"
#include "client/ctl/job-id.h"

const char get_help[] =
        "Usage: sandboxctl get [--json] ID [NAME[:DEST]...]\n"
        "Fetch files that sandboxd kept of a detached job: those that 'run --get' named\n"
        "and that fit NAME, which may be a pattern such as 'out/*.png', or a folder. They\n"
        "keep their names beneath /box, in the current folder or the folder DEST. Where\n"
        "NAME is one file, DEST may be its new name. Without NAME, all are fetched.\n"
        "Prints the names of what was written.\n";

static int on_file(sandbox_request *q _unused_, const sandbox_file_piece *piece, void *userdata)
{
        return downloads_put(userdata, piece);
}

static void show_text(const struct downloads *d)
{
        for (size_t i = 0; i < d->n_files; i++) {
                if (!d->files[i].path)
                        continue;
                print_untrusted(stdout, d->files[i].path, strlen(d->files[i].path), ONE_LINE);
                (void) putchar('\n');
        }
}

static void show_json(const char *id, const struct downloads *d)
{
        json_auto_t *object = json_new_object();

        json_set_text(object, "job_id", id);
        downloads_json(d, object);
        json_show(object, stdout);
}

static int fetch(const struct ctl *ctl, sandbox_client *c, const char *id, struct downloads *d)
{
        _cleanup_free_ const char **names = NULL;
        struct error e;

        if (downloads_open(d, &e) < 0)
                return ctl_error(ctl, "INVALID_ARGUMENT", "names", e.text);
        names = downloads_names(d);
        if (sandbox_get_files(c, id, names, on_file, d) < 0)
                return ctl_failed(ctl, sandbox_client_get_error(c));
        downloads_end(d);
        if (ctl->json)
                show_json(id, d);
        else
                show_text(d);
        downloads_complain(d);
        return d->failed > 0 ? CTL_EXIT_FAILURE : CTL_EXIT_OK;
}

static int find_and_fetch(const struct ctl *ctl, int argc, char **argv, struct downloads *d)
{
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        char id[SANDBOX_JOB_ID_SIZE];
        struct error e;
        int r;

        for (int i = 1; i < argc; i++)
                if (downloads_add(d, argv[i], &e) < 0)
                        return ctl_usage_error(ctl, e.text);
        if (argc == 1)
                downloads_add_all(d);
        r = ctl_connect_to(ctl, "get", &c);
        if (r == 0)
                r = ctl_find_job(ctl, c, argv[0], id);
        return r != 0 ? r : fetch(ctl, c, id, d);
}

int verb_get(struct ctl *ctl, int argc, char **argv)
{
        static const struct option options[] = { CTL_LONG_OPTIONS, {} };
        static const struct ctl_syntax syntax = {
                .help = get_help,
                .short_options = ":h",
                .long_options = options,
                .least = 1,
                .most = INT_MAX,
                .needed = JOB_ID_NEEDED,
        };
        _cleanup_(downloads_done) struct downloads d = {};
        int r;

        r = ctl_parse(ctl, &syntax, argc, argv, NULL);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        return find_and_fetch(ctl, argc - optind, argv + optind, &d);
}
