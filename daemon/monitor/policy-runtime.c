/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtimes from their files: how the code of a language is run. Runs in the monitor, which asks
 * whether an interpreter is there and never runs it.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "daemon/monitor/policy-key.h"
#include "daemon/monitor/policy-load.h"

static int append_alias(const struct policy_item *item, const char *word, void *userdata)
{
        struct policy_runtime *rt = userdata;

        if (!policy_is_name(word))
                return policy_item_error(item,
                        ": %.40s is not a name: use a to z, 0 to 9 and - only", word);
        for (size_t i = 0; i < POLICY_ALIASES_MAX; i++) {
                if (rt->aliases[i][0])
                        continue;
                if (str_copy(rt->aliases[i], POLICY_NAME_MAX, word) < 0)
                        return policy_item_error(item,
                                ": %.40s is too long: use at most %d characters", word,
                                POLICY_NAME_MAX - 1);
                return 0;
        }
        return policy_item_error(item, " is one alias too many: give at most %d",
                POLICY_ALIASES_MAX);
}

static int append_word(const struct policy_item *item, const char *word,
        char list[static POLICY_ARGS_MAX][POLICY_ARG_MAX], uint32_t *n)
{
        if (*n >= POLICY_ARGS_MAX)
                return policy_item_error(item, " is one word too many: give at most %d",
                        POLICY_ARGS_MAX);
        for (const char *p = strchr(word, '%'); p; p = strchr(p + 2, '%'))
                if (p[1] == '\0' || !strchr("fl%", p[1]))
                        return policy_item_error(item,
                                ": %% begins %%f (the code's file), %%l (the "
                                "launcher) or %%%%: use no other");
        if (str_copy(list[*n], POLICY_ARG_MAX, word) < 0)
                return policy_item_error(item, ": a word is too long: use at most %d characters",
                        POLICY_ARG_MAX - 1);
        (*n)++;
        return 0;
}

static int append_argument(const struct policy_item *item, const char *word, void *userdata)
{
        struct policy_runtime *rt = userdata;

        return append_word(item, word, rt->arguments, &rt->n_arguments);
}

static int check_variable(const struct policy_item *item, const char *word)
{
        if (word[0] == '=' || !strchr(word, '='))
                return policy_item_error(item, ": %.40s is not NAME=VALUE: write it so", word);
        return 0;
}

static int append_variable(const struct policy_item *item, const char *word, void *userdata)
{
        struct policy_runtime *rt = userdata;
        int r = check_variable(item, word);

        return r < 0 ? r : append_word(item, word, rt->environment, &rt->n_environment);
}

static int append_park_variable(const struct policy_item *item, const char *word, void *userdata)
{
        struct policy_runtime *rt = userdata;
        int r = check_variable(item, word);

        return r < 0 ? r : append_word(item, word, rt->park_environment, &rt->n_park_environment);
}

static int set_aliases(const struct policy_key *key, const struct policy_item *item, void *field)
{
        struct policy_runtime *rt = field;

        if (item->value[0] == '\0')
                memset(rt->aliases, 0, sizeof(rt->aliases));
        return policy_each_word(item, append_alias, rt);
}

static int set_arguments(const struct policy_key *key, const struct policy_item *item, void *field)
{
        struct policy_runtime *rt = field;

        if (item->value[0] == '\0')
                rt->n_arguments = 0;
        return policy_each_word(item, append_argument, rt);
}

static int set_environment(const struct policy_key *key, const struct policy_item *item,
        void *field)
{
        struct policy_runtime *rt = field;

        if (item->value[0] == '\0')
                rt->n_environment = 0;
        return policy_each_word(item, append_variable, rt);
}

static int set_park_environment(const struct policy_key *key, const struct policy_item *item,
        void *field)
{
        struct policy_runtime *rt = field;

        if (item->value[0] == '\0')
                rt->n_park_environment = 0;
        return policy_each_word(item, append_park_variable, rt);
}

static int append_cold(const struct policy_item *item, const char *word,
        char list[static POLICY_COLD_MAX][POLICY_NAME_MAX], uint32_t *n)
{
        if (*n >= POLICY_COLD_MAX)
                return policy_item_error(item, " is one word too many: give at most %d",
                        POLICY_COLD_MAX);
        if (str_copy(list[*n], POLICY_NAME_MAX, word) < 0)
                return policy_item_error(item, ": %.40s is too long: use at most %d characters",
                        word, POLICY_NAME_MAX - 1);
        (*n)++;
        return 0;
}

static int append_cold_variable(const struct policy_item *item, const char *word, void *userdata)
{
        struct policy_runtime *rt = userdata;

        if (strpbrk(word, "=/"))
                return policy_item_error(item,
                        ": %.40s is not a variable's name: write it so, "
                        "such as LC_*",
                        word);
        return append_cold(item, word, rt->cold_environment, &rt->n_cold_environment);
}

static int append_cold_file(const struct policy_item *item, const char *word, void *userdata)
{
        struct policy_runtime *rt = userdata;

        if (strchr(word, '/'))
                return policy_item_error(item,
                        ": %.40s has a slash: name the file or folder alone, "
                        "wherever it is",
                        word);
        return append_cold(item, word, rt->cold_files, &rt->n_cold_files);
}

static int set_cold_environment(const struct policy_key *key, const struct policy_item *item,
        void *field)
{
        struct policy_runtime *rt = field;

        if (item->value[0] == '\0')
                rt->n_cold_environment = 0;
        return policy_each_word(item, append_cold_variable, rt);
}

static int set_cold_files(const struct policy_key *key, const struct policy_item *item, void *field)
{
        struct policy_runtime *rt = field;

        if (item->value[0] == '\0')
                rt->n_cold_files = 0;
        return policy_each_word(item, append_cold_file, rt);
}

static int set_interpreter(const struct policy_key *key, const struct policy_item *item,
        void *field)
{
        const char *v = item->value;

        if (v[0] != '\0' && (strncmp(v, "/usr/", 5) != 0 || strstr(v, "/..") || strchr(v, ' ')))
                return policy_item_error(item, " is not a path below /usr: a sandbox has no other "
                                               "programs, such as "
                                               "/usr/bin/python3");
        return policy_set_text(key, item, field);
}

#define RUNTIME(f) offsetof(struct policy_runtime, f)

enum runtime_key {
        KEY_DESCRIPTION,
        KEY_ALIASES,
        KEY_INTERPRETER,
        KEY_PACKAGE,
        KEY_FILE_NAME,
        KEY_LAUNCHER,
        KEY_ARGUMENTS,
        KEY_ENVIRONMENT,
        KEY_RETURNS_VALUE,
        KEY_PARK,
        KEY_PARK_MINIMUM,
        KEY_PARK_MAXIMUM,
        KEY_PARK_ENVIRONMENT,
        KEY_COLD_ENVIRONMENT,
        KEY_COLD_FILES,
        _KEY_COUNT,
};

static const struct policy_key runtime_keys[_KEY_COUNT] = {
        [KEY_DESCRIPTION] = { "Runtime", "Description", policy_set_text, RUNTIME(description), 0,
                POLICY_TEXT_MAX },
        [KEY_ALIASES] = { "Runtime", "Aliases", set_aliases },
        [KEY_INTERPRETER] = { "Runtime", "Interpreter", set_interpreter, RUNTIME(interpreter), 0,
                POLICY_PATH_MAX },
        [KEY_PACKAGE] = { "Runtime", "Package", policy_set_file_name, RUNTIME(package), 0,
                POLICY_NAME_MAX },
        [KEY_FILE_NAME] = { "Runtime", "FileName", policy_set_file_name, RUNTIME(file_name), 0,
                POLICY_NAME_MAX },
        [KEY_LAUNCHER] = { "Runtime", "Launcher", policy_set_file_name, RUNTIME(launcher), 0,
                POLICY_NAME_MAX },
        [KEY_ARGUMENTS] = { "Runtime", "Arguments", set_arguments },
        [KEY_ENVIRONMENT] = { "Runtime", "Environment", set_environment },
        [KEY_RETURNS_VALUE] = { "Runtime", "ReturnsValue", policy_set_bool,
                RUNTIME(returns_value) },
        [KEY_PARK] = { "Runtime", "Park", policy_set_bool, RUNTIME(park) },
        [KEY_PARK_MINIMUM] = { "Runtime", "ParkMinimum", policy_set_u32, RUNTIME(park_minimum), 0,
                4096 },
        [KEY_PARK_MAXIMUM] = { "Runtime", "ParkMaximum", policy_set_u32, RUNTIME(park_maximum), 0,
                4096 },
        [KEY_PARK_ENVIRONMENT] = { "Runtime", "ParkEnvironment", set_park_environment },
        [KEY_COLD_ENVIRONMENT] = { "Runtime", "ColdEnvironment", set_cold_environment },
        [KEY_COLD_FILES] = { "Runtime", "ColdFiles", set_cold_files },
};

struct runtime_load {
        struct policy_runtime runtime;
        struct policy_origin origins[_KEY_COUNT];
};

static int take_runtime_item(void *userdata, const struct policy_item *item)
{
        struct runtime_load *l = userdata;

        return policy_keys_set(runtime_keys, _KEY_COUNT, item, &l->runtime, l->origins);
}

static bool words_have(const char words[][POLICY_ARG_MAX], uint32_t n, const char *what)
{
        for (uint32_t i = 0; i < n; i++)
                if (strstr(words[i], what))
                        return true;
        return false;
}

static bool runtime_uses(const struct policy_runtime *rt, const char *what)
{
        return words_have(rt->arguments, rt->n_arguments, what) ||
               words_have(rt->environment, rt->n_environment, what) ||
               words_have(rt->park_environment, rt->n_park_environment, what);
}

/* Keys that go together: with an interpreter come the code's file and what tells of it. */
static int check_keys(const struct runtime_load *l, const struct policy_source *source,
        struct error *ret_error)
{
        const struct policy_runtime *rt = &l->runtime;
        const char *missing = NULL;

        if (!rt->interpreter[0] && (rt->file_name[0] || rt->launcher[0] || rt->n_arguments > 0))
                missing = "Interpreter=/usr/bin/python3";
        else if (rt->interpreter[0] && !rt->file_name[0])
                missing = "FileName=main.py";
        else if (rt->interpreter[0] && !rt->package[0])
                missing = "Package=python3";
        else if (rt->interpreter[0] && !runtime_uses(rt, "%f") && !rt->launcher[0])
                missing = "Arguments=%f";
        else if (rt->launcher[0] && !runtime_uses(rt, "%l"))
                missing = "Arguments=%l %f";
        else if (!rt->launcher[0] && ((rt->interpreter[0] && rt->park) || runtime_uses(rt, "%l")))
                missing = "Launcher=python.py";
        if (!missing)
                return 0;
        return error_set(ret_error, -EINVAL,
                "%s: %.*s= is missing: add it to [Runtime], such as %s", source->path,
                (int) strcspn(missing, "="), missing, missing);
}

/* Only what this runtime says: [Pool] is for all, and may have a maximum that is below its minimum. */
static int check_parking(const struct runtime_load *l, struct error *ret_error)
{
        const struct policy_origin *o = &l->origins[KEY_PARK_MINIMUM];
        const struct policy_runtime *rt = &l->runtime;

        if (!o->file || !l->origins[KEY_PARK_MAXIMUM].file || rt->park_minimum <= rt->park_maximum)
                return 0;
        return error_set(ret_error, -EINVAL,
                "%s:%u: ParkMinimum=%u is more than ParkMaximum=%u: lower it, or raise that",
                o->file, o->line, (unsigned) rt->park_minimum, (unsigned) rt->park_maximum);
}

/* A name calls one runtime. */
static int check_names(const struct runtime_load *l, const struct policy *p,
        const struct policy_source *source, struct error *ret_error)
{
        const struct policy_runtime *rt = &l->runtime, *other = policy_find_runtime(p, rt->name);
        const struct policy_origin *o = &l->origins[KEY_ALIASES];

        if (other)
                return error_set(ret_error, -EEXIST,
                        "%s: %s is an alias of the runtime %s: rename the file or change "
                        "Aliases= "
                        "there",
                        source->path, rt->name, other->name);
        for (size_t i = 0; i < POLICY_ALIASES_MAX && rt->aliases[i][0]; i++) {
                bool again = streq(rt->aliases[i], rt->name);

                for (size_t j = 0; j < i; j++)
                        again = again || streq(rt->aliases[i], rt->aliases[j]);
                other = again ? rt : policy_find_runtime(p, rt->aliases[i]);
                if (other)
                        return error_set(ret_error, -EEXIST,
                                "%s:%u: Aliases=: %s is a name of the runtime %s already: "
                                "use "
                                "another",
                                o->file, o->line, rt->aliases[i], other->name);
        }
        return 0;
}

/* Whether payloads, which run as a user of their own and see nothing but /usr, can execute it. */
static bool interpreter_available(const char *path)
{
        _cleanup_free_ char *real = realpath(path, NULL);
        struct stat st;

        return real && strncmp(real, "/usr/", 5) == 0 && stat(real, &st) >= 0 &&
               S_ISREG(st.st_mode) && (st.st_mode & S_IXOTH);
}

static int load_runtime(struct policy *p, const struct policy_source *source,
        struct error *ret_error)
{
        struct runtime_load l = {
                .runtime = {
                        .park_minimum = p->pool.minimum,
                        .park_maximum = p->pool.maximum_per_user,
                },
        };
        struct policy_runtime *rt = &l.runtime;
        int r;

        if (p->n_runtimes >= POLICY_RUNTIMES_MAX)
                return error_set(ret_error, -E2BIG, "%s is one runtime too many: keep at most %d",
                        source->path, POLICY_RUNTIMES_MAX);
        r = str_copy(rt->name, sizeof(rt->name), source->name);
        ASSERT(r >= 0);
        r = policy_source_read(source, take_runtime_item, &l, ret_error);
        if (r < 0)
                return r;
        r = check_keys(&l, source, ret_error);
        if (r < 0)
                return r;
        r = check_parking(&l, ret_error);
        if (r < 0)
                return r;
        r = check_names(&l, p, source, ret_error);
        if (r < 0)
                return r;
        rt->available = !rt->interpreter[0] || interpreter_available(rt->interpreter);
        p->runtimes[p->n_runtimes++] = *rt;
        return 0;
}

const struct policy_kind policy_kind_runtime = {
        .folder = "runtimes",
        .ending = ".runtime",
        .what = "runtime",
        .load = load_runtime,
};
