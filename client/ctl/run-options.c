/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `sandboxctl run`. Runs in sandboxctl; opens nothing and asks nobody.
 */
#include "client/ctl/run-options.h"

#include "client/ctl/memory.h"
#include "common/parse.h"

#define LABEL_MAX 256

enum run_option {
        OPTION_STRICT_OUTPUT = CTL_OPTION_VERB,
        OPTION_PROFILE,
        OPTION_LABEL,
        OPTION_NO_STDIN,
        OPTION_NO_PROGRESS,
        OPTION_SUMMARY,
        OPTION_LIMIT, /* + enum limit_id; last */
};

static const struct option long_options[] = {
        CTL_LONG_OPTIONS,
        { "language", required_argument, NULL, 'l' },
        { "timeout", required_argument, NULL, OPTION_LIMIT + LIMIT_WALL_TIME },
        { "cpu-time", required_argument, NULL, OPTION_LIMIT + LIMIT_CPU_TIME },
        { "memory", required_argument, NULL, OPTION_LIMIT + LIMIT_MEMORY },
        { "cpus", required_argument, NULL, OPTION_LIMIT + LIMIT_CPU_QUOTA },
        { "pids", required_argument, NULL, OPTION_LIMIT + LIMIT_PIDS },
        { "output-limit", required_argument, NULL, OPTION_LIMIT + LIMIT_OUTPUT },
        { "tmp-size", required_argument, NULL, OPTION_LIMIT + LIMIT_TMP_SIZE },
        { "strict-output", no_argument, NULL, OPTION_STRICT_OUTPUT },
        { "env", required_argument, NULL, 'e' },
        { "workdir", required_argument, NULL, 'w' },
        { "file", required_argument, NULL, 'f' },
        { "profile", required_argument, NULL, OPTION_PROFILE },
        { "label", required_argument, NULL, OPTION_LABEL },
        { "no-stdin", no_argument, NULL, OPTION_NO_STDIN },
        { "detach", no_argument, NULL, 'd' },
        { "get", required_argument, NULL, 'o' },
        { "no-progress", no_argument, NULL, OPTION_NO_PROGRESS },
        { "summary", no_argument, NULL, OPTION_SUMMARY },
        {},
};

/* What a value of each unit looks like, for the sentence when it does not. */
static const char *const unit_forms[] = {
        [LIMIT_UNIT_USEC] = "a time: use a number with us, ms, s, min or h, such as 5s",
        [LIMIT_UNIT_BYTES] = "a size: use a number with K, M or G, such as 256M",
        [LIMIT_UNIT_PERCENT] = "a number of CPUs: use one such as 0.5, or 50%",
        [LIMIT_UNIT_COUNT] = "a whole number: use one such as 64",
};

static char *format_value(enum limit_id id, uint64_t value, char buf[static LIMIT_TEXT_MAX])
{
        if (limit_table[id].unit != LIMIT_UNIT_PERCENT)
                return limit_format(id, value, buf);
        (void) snprintf(buf, LIMIT_TEXT_MAX, "%g", (double) value / 100);
        return buf;
}

/* A value as the option takes it: --cpus counts CPUs, and takes the percent of a profile too. */
static int parse_value(enum limit_id id, const char *text, uint64_t *ret)
{
        const struct limit_info *info = &limit_table[id];
        uint64_t v;
        int r;

        if (info->optional && (streq(text, "none") || streq(text, "0"))) {
                *ret = 0;
                return 0;
        }
        if (text[0] == '\0')
                return -EINVAL;
        if (info->unit != LIMIT_UNIT_PERCENT)
                return limit_parse(id, text, ret);
        r = strchr(text, '%') ? parse_percent(text, &v) : parse_cpus(text, &v);
        if (r < 0)
                return r;
        if (v < info->least || v > info->most)
                return -ERANGE;
        *ret = v;
        return 0;
}

static int parse_limits(struct run_options *o, const char **ret_field, struct error *e)
{
        for (int i = 0; i < _LIMIT_COUNT; i++) {
                const struct limit_info *info = &limit_table[i];
                const char *text = o->limit_text[i];
                const char *none = info->optional ? ", or none" : "";
                char least[LIMIT_TEXT_MAX], most[LIMIT_TEXT_MAX];
                int r;

                if (!text)
                        continue;
                r = parse_value((enum limit_id) i, text, &o->limits[i]);
                if (r == 0)
                        continue;
                *ret_field = info->field;
                if (r == -ERANGE)
                        return error_set(e, -EINVAL, "%s '%s' is out of range: use %s to %s%s",
                                info->option, text,
                                format_value((enum limit_id) i, info->least, least),
                                format_value((enum limit_id) i, info->most, most), none);
                return error_set(e, -EINVAL, "%s '%s' is not %s%s", info->option, text,
                        unit_forms[info->unit], none);
        }
        return 0;
}

/* What a file or folder is called in /box when that was not said: its last part. What is in "." goes
 * into /box itself. */
static char *own_name(const char *path, size_t size)
{
        const char *name = path;

        while (size > 1 && path[size - 1] == '/')
                size--;
        for (size_t i = 0; i + 1 < size; i++)
                if (path[i] == '/')
                        name = path + i + 1;
        size -= (size_t) (name - path);
        return must(strndup(name, size == 1 && name[0] == '.' ? 0 : size));
}

/* SRC or SRC:NAME, cut at the last colon, so that NAME has none. */
static int add_file(struct run_options *o, const char *text, struct error *e)
{
        const char *colon = strrchr(text, ':');
        size_t path_size = colon ? (size_t) (colon - text) : strlen(text);
        struct run_file *file;

        if (path_size == 0 || (colon && colon[1] == '\0'))
                return error_set(e, -EINVAL,
                        "--file '%s' is not SRC or SRC:NAME: name a file or folder "
                        "here and, after a colon, its name in /box",
                        text);
        o->files = must(reallocarray(o->files, o->n_files + 1, sizeof(*o->files)));
        file = &o->files[o->n_files++];
        file->path = must(strndup(text, path_size));
        file->name = colon ? must(strdup(colon + 1)) : own_name(text, path_size);
        return 0;
}

static int add_env(struct run_options *o, char *text, struct error *e)
{
        const char *equals = strchr(text, '=');

        if (!equals || equals == text)
                return error_set(e, -EINVAL,
                        "--env '%s' is not KEY=VALUE: write it as in --env LANG=C.UTF-8", text);
        o->env = must(reallocarray(o->env, o->n_env + 1, sizeof(*o->env)));
        o->env[o->n_env++] = text;
        return 0;
}

static int set_label(struct run_options *o, const char *text, struct error *e)
{
        if (strlen(text) > LABEL_MAX)
                return error_set(e, -EINVAL, "--label is longer than %d bytes: use a shorter one",
                        LABEL_MAX);
        o->label = text;
        return 0;
}

static int take_option(struct run_options *o, struct ctl *ctl, int option, struct error *e)
{
        switch (option) {
        case 'l':
                o->language = optarg;
                return 0;
        case 'c':
                o->source = RUN_SOURCE_TEXT;
                o->code = optarg;
                return 0;
        case 't':
                o->limit_text[LIMIT_WALL_TIME] = optarg;
                return 0;
        case 'm':
                o->limit_text[LIMIT_MEMORY] = optarg;
                return 0;
        case 'e':
                return add_env(o, optarg, e);
        case 'w':
                o->workdir = optarg;
                return 0;
        case 'f':
                return add_file(o, optarg, e);
        case 'd':
                o->detach = true;
                return 0;
        case 'o':
                return downloads_add(&o->downloads, optarg, e);
        case OPTION_PROFILE:
                o->profile = optarg;
                return 0;
        case OPTION_LABEL:
                return set_label(o, optarg, e);
        case OPTION_STRICT_OUTPUT:
                o->strict_output = true;
                return 0;
        case OPTION_NO_STDIN:
                o->no_stdin = true;
                return 0;
        case OPTION_NO_PROGRESS:
                o->no_progress = true;
                return 0;
        case OPTION_SUMMARY:
                o->summary = true;
                return 0;
        default:
                if (ctl_take_option(ctl, option, optarg, e) < 0)
                        return -EINVAL;
                if (option >= OPTION_LIMIT)
                        o->limit_text[option - OPTION_LIMIT] = optarg;
                return 0;
        }
}

/* What is about the end of a job is for those who will wait for it. */
static int check_detached(const struct run_options *o, struct error *e)
{
        if (!o->detach)
                return 0;
        if (o->summary)
                return error_set(e, -EINVAL,
                        "--summary is about the end of the job: leave it out with --detach, and "
                        "use it with 'sandboxctl wait'");
        for (size_t i = 0; i < o->downloads.n; i++)
                if (o->downloads.list[i].dest)
                        return error_set(e, -EINVAL,
                                "--get '%s' has a place, ':%s': leave that out with --detach, and "
                                "say it to 'sandboxctl get' or 'wait --get'",
                                o->downloads.list[i].name, o->downloads.list[i].dest);
        return 0;
}

/* What follows the options: code and its arguments, or the command. */
static int take_arguments(struct run_options *o, int argc, char **argv, const char **ret_field,
        struct error *e)
{
        bool command = !o->language || streq(o->language, "command");

        if (o->language && o->language[0] == '\0') {
                *ret_field = "runtime";
                return error_set(e, -EINVAL,
                        "--language is empty: name one that 'sandboxctl runtimes' lists");
        }
        if (command && o->source == RUN_SOURCE_TEXT) {
                *ret_field = "runtime";
                return error_set(e, -EINVAL,
                        "-c needs the language of the code: add "
                        "--language python, javascript or bash");
        }
        if (!command && o->source != RUN_SOURCE_TEXT) {
                if (argc == 0) {
                        *ret_field = "code";
                        return error_set(e, -EINVAL,
                                "there is no code to run: add "
                                "-c CODE, a FILE, or - for stdin");
                }
                o->source = streq(argv[0], "-") ? RUN_SOURCE_STDIN : RUN_SOURCE_FILE;
                o->code = argv[0];
                argc--;
                argv++;
        }
        if (command && argc == 0) {
                *ret_field = "argv";
                return error_set(e, -EINVAL,
                        "there is no command to run: add one, or --language and code");
        }
        o->argv = argv;
        o->argc = (size_t) argc;
        return 0;
}

int run_options_parse(struct run_options *o, struct ctl *ctl, int argc, char **argv,
        const char **ret_field, struct error *e)
{
        struct error found;
        int option, r = 0;

        *o = (struct run_options) {};
        *ret_field = NULL;
        /* The first word that is no option ends the options: what follows is the job's. Of several
         * mistakes the first is told, with --json also when that comes after it. */
        while ((option = getopt_long(argc, argv, "+:hdl:c:t:m:e:w:f:o:", long_options, NULL)) !=
                -1) {
                int q;

                if (option == 'h')
                        return 1;
                if (option == ':' || option == '?')
                        q = ctl_bad_option(option, argv, argv[0], &found);
                else
                        q = take_option(o, ctl, option, &found);
                if (q < 0 && r == 0) {
                        r = q;
                        *e = found;
                }
        }
        if (r < 0)
                return r;
        r = check_detached(o, e);
        if (r == 0)
                r = parse_limits(o, ret_field, e);
        if (r < 0)
                return r;
        return take_arguments(o, argc - optind, argv + optind, ret_field, e);
}

void run_options_done(struct run_options *o)
{
        for (size_t i = 0; i < o->n_files; i++) {
                free(o->files[i].path);
                free(o->files[i].name);
        }
        downloads_done(&o->downloads);
        free(o->files);
        free(o->env);
        *o = (struct run_options) {};
}
