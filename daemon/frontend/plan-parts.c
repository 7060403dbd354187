/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a plan that travel in the spec beside argv: environment, working directory, files.
 * Pure; runs in the frontend.
 */
#include <search.h>
#include <stdio.h>

#include "daemon/frontend/plan.h"
#include "daemon/wire/interpreter.h"

#define INVALID SANDBOXD__V1__ERROR_CODE__INVALID_ARGUMENT
#define FILE_MODE_DEFAULT 0644

/* Where a job may start: its own folders and the read-only ones that ordinary programs need. In
 * particular nothing of /proc, where a folder can be somebody else's open fd. */
static const char *const workdir_roots[] = { "/box", "/tmp", "/dev/shm", "/usr" };

static void keep(void *p)
{
}

/* The search trees hold slots of a strv, which do not move. */
static int compare_keys(const void *a, const void *b)
{
        const char *x = *(char *const *) a, *y = *(char *const *) b;
        size_t n = strcspn(x, "="), m = strcspn(y, "=");
        int r = memcmp(x, y, MIN(n, m));

        return r != 0 ? r : (n > m) - (n < m);
}

/* Skips what is equal; strncmp() is far faster at that than we are. */
static void skip_equal(const unsigned char **x, const unsigned char **y)
{
        enum { STEP = 64 };

        while (strnlen((const char *) *x, STEP) == STEP &&
                strncmp((const char *) *x, (const char *) *y, STEP) == 0) {
                *x += STEP;
                *y += STEP;
        }
        while (**x != '\0' && **x == **y) {
                (*x)++;
                (*y)++;
        }
}

/* By bytes, but '/' comes before all others: then what is in a folder follows the folder's own name,
 * with nothing in between. */
static int compare_names(const void *a, const void *b)
{
        const unsigned char *x = *(unsigned char *const *) a, *y = *(unsigned char *const *) b;

        skip_equal(&x, &y);
        if (*x == '\0' || *y == '\0' || (*x != '/' && *y != '/'))
                return *x - *y;
        return *x == '/' ? -1 : 1;
}

/* Enters the string added last into the tree; where its key is there already, it replaces that. */
static int enter_variable(struct strv *env, void **tree)
{
        char **slot = &env->items[env->n - 1], **found, ***node;

        node = tsearch(slot, tree, compare_keys);
        if (!node)
                return -ENOMEM;
        found = *node;
        if (found != slot) {
                free(*found);
                *found = TAKE_PTR(*slot);
                env->n--;
        }
        return 0;
}

static int add_own_variables(struct plan *p, void **tree)
{
        const struct policy_runtime *runtime = p->runtime;
        int r;

        for (size_t i = 0; i < (size_t) INTERPRETER_ENVIRONMENT_N; i++) {
                r = strv_add(&p->env, interpreter_environment[i],
                        strlen(interpreter_environment[i]));
                if (r >= 0)
                        r = enter_variable(&p->env, tree);
                if (r < 0)
                        return r;
        }
        for (uint32_t i = 0; i < runtime->n_environment; i++) {
                _cleanup_free_ char *text = interpreter_expand(runtime, runtime->environment[i]);

                r = text ? strv_add(&p->env, text, strlen(text)) : -ENOMEM;
                if (r >= 0)
                        r = enter_variable(&p->env, tree);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_request_variables(struct plan *p, const Sandboxd__V1__Run *run, void **tree,
        struct plan_error *e)
{
        for (size_t i = 0; i < run->n_env; i++) {
                const ProtobufCBinaryData *s = &run->env[i];
                const uint8_t *equals = s->len > 0 ? memchr(s->data, '=', s->len) : NULL;
                char field[PLAN_FIELD_MAX];
                int r;

                (void) snprintf(field, sizeof(field), "env[%zu]", i);
                r = plan_check_string(s, field, e);
                if (r < 0)
                        return r;
                if (!equals || equals == s->data)
                        return plan_refuse(e, INVALID, field, "%s has no %s: write it as KEY=VALUE",
                                field, equals ? "name before its '='" : "'='");
                r = strv_add(&p->env, (const char *) s->data, s->len);
                if (r >= 0)
                        r = enter_variable(&p->env, tree);
                if (r < 0)
                        return r;
        }
        return 0;
}

int plan_build_environment(struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e)
{
        size_t own = (size_t) INTERPRETER_ENVIRONMENT_N + p->runtime->n_environment;
        void *tree = NULL;
        int r;

        r = strv_init(&p->env, own + run->n_env);
        if (r < 0)
                return r;
        r = add_own_variables(p, &tree);
        if (r >= 0)
                r = add_request_variables(p, run, &tree, e);
        tdestroy(tree, keep);
        return r;
}

static bool workdir_is_allowed(const char *path)
{
        if (streq(path, "/"))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(workdir_roots); i++) {
                size_t n = strlen(workdir_roots[i]);

                if (strncmp(path, workdir_roots[i], n) == 0 && (path[n] == '/' || path[n] == '\0'))
                        return true;
        }
        return false;
}

/* Appends the parts of path to out, without empty and "." ones. -EINVAL for a ".." part. */
static int append_parts(char *out, const char *path)
{
        size_t used = strlen(out);

        for (const char *p = path; *p;) {
                size_t n = strcspn(p, "/");

                if (n == 2 && p[0] == '.' && p[1] == '.')
                        return -EINVAL;
                if (n > 0 && !(n == 1 && p[0] == '.')) {
                        out[used++] = '/';
                        memcpy(out + used, p, n);
                        used += n;
                }
                p += n;
                p += strspn(p, "/");
        }
        out[used] = '\0';
        return 0;
}

int plan_build_workdir(struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e)
{
        _cleanup_free_ char *given = NULL, *path = NULL;
        int r;

        r = plan_check_string(&run->workdir, "workdir", e);
        if (r < 0)
                return r;
        if (run->workdir.len >= 4096)
                return plan_refuse(e, INVALID, "workdir", "workdir has %zu bytes: the most is 4095",
                        run->workdir.len);
        given = run->workdir.len > 0 ? strndup((const char *) run->workdir.data, run->workdir.len)
                                     : strdup("/box");
        path = calloc(1, sizeof("/box/") + run->workdir.len + sizeof("/box"));
        if (!given || !path)
                return -ENOMEM;
        if (given[0] != '/')
                strcpy(path, "/box");
        r = append_parts(path, given);
        if (path[0] == '\0')
                strcpy(path, "/");
        if (r < 0 || !workdir_is_allowed(path))
                return plan_refuse(e, INVALID, "workdir",
                        "workdir '%.200s' is not a folder that a job may start in: use one "
                        "in /box, /tmp, /dev/shm or /usr, without '..'",
                        given);
        p->workdir = TAKE_PTR(path);
        return 0;
}

/* Enters the name added last; refuses one that is there already, the code's file included. */
static int enter_name(struct plan *p, void **tree, const char *field, struct plan_error *e)
{
        char **slot = &p->names.items[p->names.n - 1], ***node;

        node = tsearch(slot, tree, compare_names);
        if (!node)
                return -ENOMEM;
        if (*node == slot)
                return 0;
        if (p->has_code && *node == &p->names.items[0])
                return plan_refuse(e, INVALID, field,
                        "%s is '%s', where the code goes: choose another name", field, *slot);
        return plan_refuse(e, INVALID, field,
                "%s is '%.200s', as an earlier file: choose another name", field, *slot);
}

static int add_file(struct plan *p, const Sandboxd__V1__File *file, size_t i, void **tree,
        struct plan_error *e)
{
        char field[PLAN_FIELD_MAX];
        struct error why;
        int r;

        (void) snprintf(field, sizeof(field), "files[%zu].name", i);
        r = spec_check_name((const char *) file->name.data, file->name.len, &why);
        if (r < 0)
                return plan_refuse(e, INVALID, field, "%s: %s", field, why.text);
        if (file->mode & ~0777U)
                return plan_refuse(e, INVALID, "files", "files[%zu].mode is 0%o: the most is 0777",
                        i, file->mode);
        if (file->data.len > file->size)
                return plan_refuse(e, INVALID, "files",
                        "files[%zu].data has more bytes than its size", i);
        p->files[p->names.n] = (struct spec_file) {
                .size = file->size,
                .mode = file->mode ?: FILE_MODE_DEFAULT,
        };
        r = strv_add(&p->names, (const char *) file->name.data, file->name.len);
        return r < 0 ? r : enter_name(p, tree, field, e);
}

int plan_check_files(const struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e)
{
        size_t most_files = SPEC_FILES_MAX - (p->has_code ? 1 : 0);
        uint64_t most = p->limits.value[LIMIT_FILES_SIZE], room = p->limits.value[LIMIT_TMP_SIZE];
        char text[LIMIT_TEXT_MAX];
        uint64_t sum = 0;

        if (run->n_files > most_files)
                return plan_refuse(e, INVALID, "files", "files has %zu files: the most is %zu",
                        run->n_files, most_files);
        for (size_t i = 0; i < run->n_files; i++)
                if (__builtin_add_overflow(sum, run->files[i]->size, &sum) || sum > most)
                        return plan_refuse(e, SANDBOXD__V1__ERROR_CODE__OVER_LIMIT, "files",
                                "files are too large: profile '%s' takes at most %s of all",
                                p->profile->name, limit_format(LIMIT_FILES_SIZE, most, text));
        if (sum + run->code.len > room)
                return plan_refuse(e, SANDBOXD__V1__ERROR_CODE__OVER_LIMIT, "files",
                        "code and files do not fit into the %s of /box: raise "
                        "tmp_size_bytes (--tmp-size)",
                        limit_format(LIMIT_TMP_SIZE, room, text));
        return 0;
}

/* Two names that cannot both be, found on a walk through them in their order. */
struct clash {
        char **last;
        char **file;   /* NULL when there is none */
        char **inside; /* a name that needs it as a folder */
};

static void find_clash(const void *node, VISIT visit, void *userdata)
{
        struct clash *clash = userdata;
        char **slot = *(char ***) node;
        size_t n;

        if ((visit != postorder && visit != leaf) || clash->file)
                return;
        n = clash->last ? strlen(*clash->last) : 0;
        if (n > 0 && strncmp(*slot, *clash->last, n) == 0 && (*slot)[n] == '/') {
                clash->file = clash->last;
                clash->inside = slot;
        }
        clash->last = slot;
}

/* No file's name may be the folder of another's. Of the two, the one of the request is told, and if
 * both are, the later one. */
static int check_folders(const struct plan *p, void *tree, struct plan_error *e)
{
        struct clash clash = {};
        char field[PLAN_FIELD_MAX];
        size_t index;

        twalk_r(tree, find_clash, &clash);
        if (!clash.file)
                return 0;
        index = (size_t) (MAX(clash.file, clash.inside) - p->names.items) - p->has_code;
        (void) snprintf(field, sizeof(field), "files[%zu].name", index);
        return plan_refuse(e, INVALID, field,
                "%s cannot be: '%.160s' is a file, and '%.160s' needs it as a folder: choose "
                "another name",
                field, *clash.file, *clash.inside);
}

static bool is_pattern(const ProtobufCBinaryData *name)
{
        for (size_t i = 0; i < name->len; i++)
                if (strchr("*?[", name->data[i]))
                        return true;
        return false;
}

int plan_check_names(const ProtobufCBinaryData *names, size_t n, const char *field,
        struct plan_error *e)
{
        size_t pattern_bytes = 0;

        if (n > SPEC_GET_MAX)
                return plan_refuse(e, INVALID, field,
                        "%s has %zu names: the most is %d, use patterns or a folder", field, n,
                        SPEC_GET_MAX);
        for (size_t i = 0; i < n; i++) {
                char item[PLAN_FIELD_MAX];
                struct error why;

                (void) snprintf(item, sizeof(item), "%s[%zu]", field, i);
                if (spec_check_name((const char *) names[i].data, names[i].len, &why) < 0)
                        return plan_refuse(e, INVALID, item, "%s: %s", item, why.text);
                if (is_pattern(&names[i]))
                        pattern_bytes += names[i].len;
        }
        if (pattern_bytes > PLAN_PATTERNS_MAX)
                return plan_refuse(e, INVALID, field,
                        "%s has patterns of %zu bytes together: the most is %d, name a folder",
                        field, pattern_bytes, PLAN_PATTERNS_MAX);
        return 0;
}

int plan_build_get(struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e)
{
        int r;

        r = plan_check_names(run->get, run->n_get, "get", e);
        if (r < 0)
                return r;
        r = strv_init(&p->get, run->n_get);
        for (size_t i = 0; i < run->n_get && r >= 0; i++)
                r = strv_add(&p->get, (const char *) run->get[i].data, run->get[i].len);
        return r;
}

int plan_build_files(struct plan *p, const Sandboxd__V1__Run *run, struct plan_error *e)
{
        size_t own = p->has_code ? 1 : 0;
        void *tree = NULL;
        int r;

        p->files = calloc(own + run->n_files + 1, sizeof(*p->files));
        r = p->files ? strv_init(&p->names, own + run->n_files) : -ENOMEM;
        if (r >= 0 && p->has_code) {
                p->files[0] = (struct spec_file) { run->code.len, FILE_MODE_DEFAULT, 0 };
                r = strv_add(&p->names, p->runtime->file_name, strlen(p->runtime->file_name));
                if (r >= 0)
                        r = enter_name(p, &tree, "code", e);
        }
        for (size_t i = 0; i < run->n_files && r >= 0; i++)
                r = add_file(p, run->files[i], i, &tree, e);
        if (r >= 0)
                r = check_folders(p, tree, e);
        tdestroy(tree, keep);
        return r;
}
