/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What to run. Runs in the client's process; keeps copies of all that it is given.
 */
#include "client/lib/spec.h"

#include <fcntl.h>

#define WITHOUT_MEMORY(s) failure_memory(&(s)->failure)

int sandbox_spec_new(sandbox_spec **ret)
{
        sandbox_spec *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->fetch_fd = -EBADF;
        s->credit = SANDBOX_CREDIT_DEFAULT;
        failure_init(&s->failure);
        *ret = s;
        return 0;
}

static void strings_free(char **list, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(list[i]);
        free(list);
}

sandbox_spec *sandbox_spec_free(sandbox_spec *s)
{
        if (!s)
                return NULL;
        free(s->runtime);
        blob_unref(s->code);
        strings_free(s->argv, s->argc);
        strings_free(s->env, s->n_env);
        strings_free(s->get, s->n_get);
        free(s->workdir);
        free(s->profile);
        free(s->label);
        for (size_t i = 0; i < s->n_limits; i++)
                free(s->limits[i].name);
        free(s->limits);
        for (size_t i = 0; i < s->n_sources; i++)
                source_unref(s->sources[i]);
        free(s->sources);
        safe_close(s->fetch_fd);
        blob_unref(s->stdin_data);
        free(s);
        return NULL;
}

const sandbox_error *sandbox_spec_get_error(const sandbox_spec *s)
{
        return &s->failure.error;
}

/* NULL takes back what was set. */
static int set_text(sandbox_spec *s, char **field, const char *text)
{
        char *copy = NULL;

        if (text) {
                copy = strdup(text);
                if (!copy)
                        return WITHOUT_MEMORY(s);
        }
        free(*field);
        *field = copy;
        return 0;
}

/* A list that is made by this alone has room for the next power of two. */
static int add_text(sandbox_spec *s, char ***list, size_t *n, const char *text)
{
        if ((*n & (*n - 1)) == 0) {
                char **grown = reallocarray(*list, *n > 0 ? 2 * *n : 1, sizeof(*grown));

                if (!grown)
                        return WITHOUT_MEMORY(s);
                *list = grown;
        }
        (*list)[*n] = strdup(text);
        if (!(*list)[*n])
                return WITHOUT_MEMORY(s);
        (*n)++;
        return 0;
}

static int set_blob(sandbox_spec *s, struct blob **field, const void *data, size_t size)
{
        struct blob *b = blob_new(data, size);

        if (!b)
                return WITHOUT_MEMORY(s);
        blob_unref(*field);
        *field = b;
        return 0;
}

int sandbox_spec_set_runtime(sandbox_spec *s, const char *runtime)
{
        return set_text(s, &s->runtime, runtime);
}

int sandbox_spec_set_code(sandbox_spec *s, const void *code, size_t size)
{
        return set_blob(s, &s->code, code, size);
}

int sandbox_spec_set_argv(sandbox_spec *s, const char *const *argv)
{
        char **old = s->argv;
        size_t n_old = s->argc;

        s->argv = NULL;
        s->argc = 0;
        for (size_t i = 0; argv && argv[i]; i++) {
                int r = sandbox_spec_add_arg(s, argv[i]);

                if (r < 0) {
                        strings_free(s->argv, s->argc);
                        s->argv = old;
                        s->argc = n_old;
                        return r;
                }
        }
        strings_free(old, n_old);
        return 0;
}

int sandbox_spec_add_arg(sandbox_spec *s, const char *arg)
{
        return add_text(s, &s->argv, &s->argc, arg);
}

int sandbox_spec_add_env(sandbox_spec *s, const char *assignment)
{
        const char *equals = strchr(assignment, '=');

        if (!equals || equals == assignment)
                return failure_set(&s->failure, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT, "env",
                        "'%s' is not KEY=VALUE: write it as in LANG=C.UTF-8", assignment);
        return add_text(s, &s->env, &s->n_env, assignment);
}

int sandbox_spec_set_workdir(sandbox_spec *s, const char *workdir)
{
        return set_text(s, &s->workdir, workdir);
}

int sandbox_spec_set_profile(sandbox_spec *s, const char *profile)
{
        return set_text(s, &s->profile, profile);
}

int sandbox_spec_set_label(sandbox_spec *s, const char *label)
{
        return set_text(s, &s->label, label);
}

int sandbox_spec_set_limit(sandbox_spec *s, enum sandbox_limit limit, uint64_t value)
{
        const char *name = sandbox_limit_name(limit);

        if (!name)
                return failure_set(&s->failure, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT, "limits",
                        "there is no limit %d: use one of enum sandbox_limit", (int) limit);
        return sandbox_spec_set_limit_by_name(s, name, value);
}

int sandbox_spec_set_limit_by_name(sandbox_spec *s, const char *name, uint64_t value)
{
        struct spec_limit *grown;
        char *copy;

        for (size_t i = 0; i < s->n_limits; i++)
                if (streq(s->limits[i].name, name)) {
                        s->limits[i].value = value;
                        return 0;
                }
        grown = reallocarray(s->limits, s->n_limits + 1, sizeof(*grown));
        if (!grown)
                return WITHOUT_MEMORY(s);
        s->limits = grown;
        copy = strdup(name);
        if (!copy)
                return WITHOUT_MEMORY(s);
        s->limits[s->n_limits++] = (struct spec_limit) { .name = copy, .value = value };
        return 0;
}

void sandbox_spec_set_strict_output(sandbox_spec *s, int on)
{
        s->strict_output = on != 0;
}

void sandbox_spec_set_detach(sandbox_spec *s, int on)
{
        s->detach = on != 0;
}

int sandbox_spec_add_get(sandbox_spec *s, const char *pattern)
{
        return add_text(s, &s->get, &s->n_get, pattern);
}

int sandbox_spec_set_fetch_dir(sandbox_spec *s, const char *path)
{
        int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return failure_set(&s->failure, -errno, SANDBOX_ERROR_LOCAL, "get",
                        "cannot open the folder %s: %s: name one that is there", path,
                        strerrordesc_np(errno));
        safe_close(s->fetch_fd);
        s->fetch_fd = fd;
        return 0;
}

int sandbox_spec_set_stdin_data(sandbox_spec *s, const void *data, size_t size)
{
        s->stdin_stream = false;
        return set_blob(s, &s->stdin_data, data, size);
}

void sandbox_spec_set_stdin_stream(sandbox_spec *s, int on)
{
        s->stdin_data = blob_unref(s->stdin_data);
        s->stdin_stream = on != 0;
}

int sandbox_spec_set_stream_socket(sandbox_spec *s, enum sandbox_stream stream, int on)
{
        if (stream < SANDBOX_STDIN || stream > SANDBOX_STDERR)
                return failure_set(&s->failure, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT,
                        "stream_sockets", "only stdin, stdout and stderr can go over a socket");
        s->sockets[stream] = on != 0;
        return 0;
}

int sandbox_spec_set_credit(sandbox_spec *s, uint64_t bytes)
{
        if (bytes == 0)
                return failure_set(&s->failure, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT,
                        "output_credit", "without credit no output comes: give at least one byte");
        s->credit = bytes;
        return 0;
}
