/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a Run to a plan: which runtime and profile, and the command line. Pure; runs in the
 * frontend. The request is hostile, the policy is not.
 */
#include "daemon/frontend/plan.h"

#include <inttypes.h>

#include <stdarg.h>
#include <stdio.h>

#include "common/pattern.h"
#include "daemon/wire/interpreter.h"

#define INVALID SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT

int plan_refuse(struct plan_error *e, Sandboxd__V1__ErrorCode code, const char *field,
        const char *format, ...)
{
        va_list ap;

        e->code = code;
        (void) snprintf(e->field, sizeof(e->field), "%s", field);
        va_start(ap, format);
        (void) vsnprintf(e->text.text, sizeof(e->text.text), format, ap);
        va_end(ap);
        return -EINVAL;
}

int plan_check_string(const ProtobufCBinaryData *s, const char *field, struct plan_error *e)
{
        if (s->len > 0 && memchr(s->data, '\0', s->len))
                return plan_refuse(e, INVALID, field, "%s contains a NUL byte: take it out", field);
        if (s->len > PLAN_STRING_MAX)
                return plan_refuse(e, INVALID, field,
                        "%s has %zu bytes: the most is %zu, pass it as a file instead", field,
                        s->len, (size_t) PLAN_STRING_MAX);
        return 0;
}

/* "a, b, c" of n names that lie stride bytes apart. Returns buf. */
static const char *join_names(const char *first, size_t n, size_t stride, char *buf, size_t size)
{
        size_t used = 0;

        buf[0] = '\0';
        for (size_t i = 0; i < n && used < size; i++)
                used += (size_t) snprintf(buf + used, size - used, "%s%s", i > 0 ? ", " : "",
                        first + i * stride);
        return buf;
}

/* Room for a name of the request: one that is longer is not in the policy, and is cut only to be
 * quoted. */
#define ASKED_MAX 65
_Static_assert(ASKED_MAX > POLICY_NAME_MAX, "a name that was cut must not be one of the policy's");

/* The name as a string; otherwise, where it is empty. */
static int take_name(const ProtobufCBinaryData *name, const char *field, const char *otherwise,
        char buf[static ASKED_MAX], struct plan_error *e)
{
        if (name->len > 0 && memchr(name->data, '\0', name->len))
                return plan_refuse(e, INVALID, field, "%s contains a NUL byte: take it out", field);
        if (name->len > 0)
                (void) snprintf(buf, ASKED_MAX, "%.*s", (int) MIN(name->len, (size_t) ASKED_MAX),
                        (const char *) name->data);
        else
                (void) snprintf(buf, ASKED_MAX, "%s", otherwise);
        return 0;
}

static int choose_runtime(struct plan *p, const struct policy *policy, const Sandboxd__V1__Run *run,
        struct plan_error *e)
{
        const struct policy_runtime *r;
        char name[ASKED_MAX], known[256];
        int q;

        q = take_name(&run->runtime, "runtime", "command", name, e);
        if (q < 0)
                return q;
        r = policy_find_runtime(policy, name);
        if (!r)
                return plan_refuse(e, SANDBOXD__V1__ERROR_CODE__UNKNOWN_RUNTIME, "runtime",
                        "runtime '%s' is not known: choose one of %s", name,
                        join_names(policy->runtimes[0].name, policy->n_runtimes,
                                sizeof(policy->runtimes[0]), known, sizeof(known)));
        if (!r->available)
                return plan_refuse(e, SANDBOXD__V1__ERROR_CODE__UNAVAILABLE, "runtime",
                        "runtime '%s' needs %s, which is not installed: install it with "
                        "'apt-get install %s'",
                        r->name, r->interpreter, r->package);
        p->runtime = r;
        return 0;
}

static int choose_profile(struct plan *p, const struct policy *policy,
        const struct policy_profile *otherwise, const Sandboxd__V1__Run *run, struct plan_error *e)
{
        const struct policy_profile *found;
        char name[ASKED_MAX], known[256];
        int r;

        r = take_name(&run->profile, "profile", otherwise->name, name, e);
        if (r < 0)
                return r;
        found = policy_find_profile(policy, name);
        if (!found)
                return plan_refuse(e, SANDBOXD__V1__ERROR_CODE__UNKNOWN_PROFILE, "profile",
                        "profile '%s' is not known: choose one of %s", name,
                        join_names(policy->profiles[0].name, policy->n_profiles,
                                sizeof(policy->profiles[0]), known, sizeof(known)));
        p->profile = found;
        p->profile_index = (uint32_t) (found - policy->profiles);
        return 0;
}

static int check_code(struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e)
{
        const struct policy_runtime *r = p->runtime;
        uint64_t most = p->limits.value[LIMIT_CODE_SIZE];
        char text[LIMIT_TEXT_MAX];

        p->has_code = r->interpreter[0] != '\0';
        if (!p->has_code && run->code.len > 0)
                return plan_refuse(e, INVALID, "code",
                        "code is not taken by runtime '%s': put the command in argv, or "
                        "name a language",
                        r->name);
        if (p->has_code && run->code.len == 0)
                return plan_refuse(e, INVALID, "code",
                        "code is empty: give runtime '%s' a program to run", r->name);
        if (run->code.len > most)
                return plan_refuse(e, SANDBOXD__V1__ERROR_CODE__OVER_LIMIT, "code",
                        "code has %zu bytes: profile '%s' takes at most %s", run->code.len,
                        p->profile->name, limit_format(LIMIT_CODE_SIZE, most, text));
        return 0;
}

static int check_strings(const struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e)
{
        if (!p->has_code && (run->n_argv == 0 || run->argv[0].len == 0))
                return plan_refuse(e, INVALID, "argv", "argv %s: name the command to run",
                        run->n_argv == 0 ? "is missing" : "starts with an empty string");
        if (run->n_argv > PLAN_STRINGS_MAX)
                return plan_refuse(e, INVALID, "argv",
                        "argv has %zu strings: the most is %d, pass them in a file instead",
                        run->n_argv, PLAN_STRINGS_MAX);
        if (run->n_env > PLAN_STRINGS_MAX)
                return plan_refuse(e, INVALID, "env",
                        "env has %zu strings: the most is %d, pass them in a file instead",
                        run->n_env, PLAN_STRINGS_MAX);
        return 0;
}

/* The interpreter and its arguments, which come before those of the request. */
static int add_interpreter(struct plan *p)
{
        const struct policy_runtime *r = p->runtime;
        const char *name = interpreter_name(r);
        int e;

        e = strv_add(&p->argv, name, strlen(name));
        for (uint32_t i = 0; i < r->n_arguments && e >= 0; i++) {
                _cleanup_free_ char *argument = interpreter_expand(r, r->arguments[i]);

                e = argument ? strv_add(&p->argv, argument, strlen(argument)) : -ENOMEM;
        }
        return e;
}

static int build_argv(struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e)
{
        size_t own = p->has_code ? 1 + p->runtime->n_arguments : 0;
        int r;

        r = strv_init(&p->argv, own + run->n_argv);
        if (r < 0)
                return r;
        if (p->has_code) {
                r = add_interpreter(p);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < run->n_argv; i++) {
                char field[PLAN_FIELD_MAX];

                (void) snprintf(field, sizeof(field), "argv[%zu]", i);
                r = plan_check_string(&run->argv[i], field, e);
                if (r < 0)
                        return r;
                r = strv_add(&p->argv, (const char *) run->argv[i].data, run->argv[i].len);
                if (r < 0)
                        return r;
        }
        p->exec = strdup(p->has_code ? p->runtime->interpreter : p->argv.items[0]);
        return p->exec ? 0 : -ENOMEM;
}

static int check_label(const Sandboxd__V1__Run *run, struct plan_error *e)
{
        if (run->label.len > PLAN_LABEL_MAX)
                return plan_refuse(e, INVALID, "label", "label has %zu bytes: the most is %d",
                        run->label.len, PLAN_LABEL_MAX);
        return plan_check_string(&run->label, "label", e);
}

static bool matches_any(const char *text, const char patterns[][POLICY_NAME_MAX], uint32_t n)
{
        for (uint32_t i = 0; i < n; i++)
                if (pattern_part_matches(patterns[i], text, NULL))
                        return true;
        return false;
}

/* The same of each part of a file's name, between slashes. */
static bool part_matches_any(const char *name, const char patterns[][POLICY_NAME_MAX], uint32_t n)
{
        while (*name) {
                char part[SPEC_PART_MAX + 1];
                size_t size = strcspn(name, "/");

                ASSERT(size < sizeof(part)); /* spec_check_name() was asked */
                memcpy(part, name, size);
                part[size] = '\0';
                if (matches_any(part, patterns, n))
                        return true;
                name += size + (name[size] == '/');
        }
        return false;
}

/* Those of the runtime's own environment are there already. */
static bool environment_is_taken_over(const struct plan *p, const Sandboxd__V1__Run *run)
{
        const struct policy_runtime *rt = p->runtime;

        for (size_t i = 0; i < run->n_env; i++) {
                char key[PATTERN_PART_MAX + 1];
                const uint8_t *equals = memchr(run->env[i].data, '=', run->env[i].len);
                size_t n = equals ? (size_t) (equals - run->env[i].data) : run->env[i].len;

                /* A pattern is not as long. */
                if (n >= sizeof(key))
                        continue;
                memcpy(key, run->env[i].data, n);
                key[n] = '\0';
                if (matches_any(key, rt->cold_environment, rt->n_cold_environment))
                        return false;
        }
        return true;
}

static bool files_are_taken_over(const struct plan *p)
{
        const struct policy_runtime *rt = p->runtime;

        for (size_t i = p->has_code; rt->n_cold_files > 0 && i < p->names.n; i++)
                if (part_matches_any(p->names.items[i], rt->cold_files, rt->n_cold_files))
                        return false;
        return true;
}

/* Of arguments and environment. A launcher may read them byte by byte, where exec() takes them as they are. */
#define WARM_STRINGS_MAX (32 * KIB)

/* Whether a sandbox with the profile's own file systems is as good as one that is made now; and an interpreter
 * that has started in it can do all that one could which starts now. */
static bool may_be_warm(const struct plan *p, const struct policy *policy,
        const Sandboxd__V1__Run *run)
{
        if (policy->pool.maximum == 0 || !p->runtime->park ||
                p->limits.value[LIMIT_TMP_SIZE] != p->profile->defaults.value[LIMIT_TMP_SIZE])
                return false;
        return !p->runtime->interpreter[0] ||
               (streq(p->workdir, "/box") &&
                       strv_bytes(&p->argv) + strv_bytes(&p->env) <= WARM_STRINGS_MAX &&
                       environment_is_taken_over(p, run) && files_are_taken_over(p));
}

/* Points the spec at what was built, and checks what only the whole shows. */
static int finish(struct plan *p, struct plan_error *e)
{
        p->streamed = p->names.n > p->has_code && plan_data_size(p) > PLAN_INLINE_MAX;
        p->spec = (struct spec) {
                .workdir = p->workdir,
                .exec = p->exec,
                .search_path = !p->has_code,
                .argc = p->argv.n,
                .argv = (const char *const *) p->argv.items,
                .envc = p->env.n,
                .envp = (const char *const *) p->env.items,
                .n_files = p->names.n,
                .file_names = (const char *const *) p->names.items,
                .files = p->files,
                .n_inline = p->streamed ? p->has_code : p->names.n,
                .n_get = p->get.n,
                .get = (const char *const *) p->get.items,
        };
        p->strings_size = strlen(p->workdir) + strlen(p->exec) + 2 + strv_bytes(&p->argv) +
                          strv_bytes(&p->env) + strv_bytes(&p->names) + strv_bytes(&p->get);
        if (p->strings_size > SPEC_STRINGS_MAX)
                return plan_refuse(e, INVALID, "argv",
                        "argv, env and file names have %zu bytes together: the most is %zu",
                        p->strings_size, (size_t) SPEC_STRINGS_MAX);
        return 0;
}

/* Bits of Run.stream_sockets. */
#define STREAM_SOCKETS_STDIN 1U
#define STREAM_SOCKETS_ALL 7U

static int check_sockets(const Sandboxd__V1__Run *run, struct plan_error *e)
{
        if (run->stream_sockets & ~STREAM_SOCKETS_ALL)
                return plan_refuse(e, INVALID, "stream_sockets",
                        "stream_sockets is %" PRIu32 ": add up 1 for stdin, 2 for stdout and 4 for "
                        "stderr",
                        run->stream_sockets);
        if (run->stdin && run->stream_sockets & STREAM_SOCKETS_STDIN)
                return plan_refuse(e, INVALID, "stream_sockets",
                        "stdin goes over a socket and in StdinData at once: leave one of stdin and "
                        "stream_sockets out");
        return 0;
}

/* Who is not there cannot feed it, nor read what it writes. */
static int check_detached(const Sandboxd__V1__Run *run, struct plan_error *e)
{
        if (run->detach && run->stdin)
                return plan_refuse(e, INVALID, "stdin",
                        "stdin cannot go to a job that is detached: send it as a file, or leave "
                        "detach out");
        if (run->detach && run->stream_sockets)
                return plan_refuse(e, INVALID, "stream_sockets",
                        "stream_sockets cannot go with detach: leave one of the two out");
        return check_sockets(run, e);
}

static int build(struct plan *p, const struct policy *policy,
        const struct policy_profile *otherwise, const Sandboxd__V1__Run *run, struct plan_error *e)
{
        int r;

        r = choose_runtime(p, policy, run, e);
        if (r < 0)
                return r;
        r = choose_profile(p, policy, otherwise, run, e);
        if (r < 0)
                return r;
        r = plan_resolve_limits(p->profile, run, &p->limits, e);
        if (r < 0)
                return r;
        r = check_code(p, run, e);
        if (r < 0)
                return r;
        r = check_label(run, e);
        if (r < 0)
                return r;
        r = check_detached(run, e);
        if (r < 0)
                return r;
        r = check_strings(p, run, e);
        if (r < 0)
                return r;
        r = plan_check_files(p, run, e);
        if (r < 0)
                return r;
        r = plan_build_workdir(p, run, e);
        if (r < 0)
                return r;
        r = build_argv(p, run, e);
        if (r < 0)
                return r;
        r = plan_build_environment(p, run, e);
        if (r < 0)
                return r;
        r = plan_build_files(p, run, e);
        if (r < 0)
                return r;
        r = plan_build_get(p, run, e);
        if (r < 0)
                return r;
        p->warm = may_be_warm(p, policy, run);
        return finish(p, e);
}

int plan_make(const struct policy *policy, const struct policy_profile *otherwise,
        const Sandboxd__V1__Run *run, struct plan *ret, struct plan_error *ret_error)
{
        struct plan p = {};
        int r;

        r = build(&p, policy, otherwise, run, ret_error);
        if (r < 0) {
                plan_done(&p);
                if (r == -ENOMEM)
                        (void) plan_refuse(ret_error, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                                "sandboxd is out of memory: try again later");
                return r;
        }
        *ret = p;
        return 0;
}

uint64_t plan_data_size(const struct plan *p)
{
        uint64_t size = 0;

        for (size_t i = 0; i < p->names.n; i++)
                size += p->files[i].size;
        return size;
}

void plan_done(struct plan *p)
{
        free(p->workdir);
        free(p->exec);
        strv_done(&p->argv);
        strv_done(&p->env);
        strv_done(&p->names);
        strv_done(&p->get);
        free(p->files);
        *p = (struct plan) {};
}
