/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the command line to the spec of a job: reads the code, and has the library look at the user's
 * files. Runs in sandboxctl, and opens only what the user named.
 */
#include "client/ctl/run-request.h"

#include <fcntl.h>

#include "client/ctl/memory.h"
#include "common/io.h"
#include "common/parse.h"

/* What the library says of a field; memory that runs out ends the program. */
static int spec_failed(const sandbox_spec *s, int error, char ret_field[static RUN_FIELD_MAX],
        struct error *e)
{
        const sandbox_error *found = sandbox_spec_get_error(s);

        if (error == -ENOMEM)
                (void) must(NULL);
        (void) snprintf(ret_field, RUN_FIELD_MAX, "%s", found->field);
        return error_set(e, error, "%s", found->message);
}

static int too_large(const char *what, size_t max, struct error *e)
{
        char text[FORMAT_MAX];

        return error_set(e, -EMSGSIZE,
                "%s is larger than the %s that one request "
                "can carry: send most of it with --file",
                what, format_size(text, max));
}

static int read_code(const struct run_options *o, size_t max, char **ret, size_t *ret_size,
        struct error *e)
{
        const char *name = o->source == RUN_SOURCE_STDIN ? "the code on stdin" : o->code;
        _cleanup_close_ int opened = -EBADF;
        int r;

        if (o->source == RUN_SOURCE_FILE) {
                opened = open(o->code, O_RDONLY | O_CLOEXEC | O_NOCTTY);
                if (opened < 0)
                        return error_set(e, -errno, "cannot open %s: %s: name a file with code",
                                name, strerror(errno));
        }
        r = io_read_fd(o->source == RUN_SOURCE_FILE ? opened : STDIN_FILENO, max, ret, ret_size);
        if (r == -EFBIG)
                return too_large(name, max, e);
        if (r < 0)
                return error_set(e, r, "cannot read %s: %s: name a file with code", name,
                        strerror(-r));
        return 0;
}

static int set_code(sandbox_spec *s, const struct run_options *o, size_t max, struct error *e)
{
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        if (o->source == RUN_SOURCE_COMMAND)
                return 0;
        if (o->source == RUN_SOURCE_TEXT)
                return sandbox_spec_set_code(s, o->code, strlen(o->code));
        r = read_code(o, max, &text, &size, e);
        return r < 0 ? r : sandbox_spec_set_code(s, text, size);
}

static int set_values(sandbox_spec *s, const struct run_options *o)
{
        int r;

        r = sandbox_spec_set_runtime(s, o->language);
        if (r == 0)
                r = sandbox_spec_set_profile(s, o->profile);
        if (r == 0)
                r = sandbox_spec_set_workdir(s, o->workdir);
        if (r == 0)
                r = sandbox_spec_set_label(s, o->label);
        for (size_t i = 0; r == 0 && i < o->argc; i++)
                r = sandbox_spec_add_arg(s, o->argv[i]);
        for (size_t i = 0; r == 0 && i < o->n_env; i++)
                r = sandbox_spec_add_env(s, o->env[i]);
        for (int i = 0; r == 0 && i < _LIMIT_COUNT; i++)
                if (o->limit_text[i])
                        r = sandbox_spec_set_limit_by_name(s, limit_table[i].field, o->limits[i]);
        for (size_t i = 0; r == 0 && i < o->n_files; i++)
                r = sandbox_spec_add_tree(s, o->files[i].name, o->files[i].path);
        for (size_t i = 0; r == 0 && i < o->downloads.n; i++)
                r = sandbox_spec_add_get(s, o->downloads.list[i].name);
        sandbox_spec_set_strict_output(s, o->strict_output);
        sandbox_spec_set_detach(s, o->detach);
        return r;
}

int run_request_make(const struct run_options *o, size_t max_size, sandbox_spec **ret,
        char ret_field[static RUN_FIELD_MAX], struct error *e)
{
        _cleanup_(sandbox_spec_freep) sandbox_spec *s = NULL;
        int r;

        if (sandbox_spec_new(&s) < 0)
                (void) must(NULL);
        r = set_values(s, o);
        if (r < 0)
                return spec_failed(s, r, ret_field, e);
        *e = (struct error) {};
        r = set_code(s, o, max_size, e);
        if (r < 0 && e->text[0] == '\0')
                return spec_failed(s, r, ret_field, e);
        if (r < 0) {
                (void) snprintf(ret_field, RUN_FIELD_MAX, "code");
                return r;
        }
        *ret = TAKE_PTR(s);
        return 0;
}
