/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options a{sv} of Execute, Run and RunWithFds: one table of what there is. Runs in sandboxd-bus; what
 * the values mean is checked by sandboxd.
 */
#include "daemon/bus/options.h"

#include "daemon/bus/text.h"

#define KEY_MAX 64

struct option_entry;

/* Takes the variant's contents, which have the type of the entry. */
typedef int (*option_reader)(sd_bus_message *m, const struct option_entry *e, struct options *o,
        struct error *ret_error);

struct option_entry {
        const char *key;
        const char *type; /* "": any integer */
        option_reader read;
        unsigned of;
        int (*set)(sandbox_spec *s, const char *value);
        void (*set_flag)(sandbox_spec *s, int on);
};

#define OF_ALL (OPTIONS_EXECUTE | OPTIONS_RUN | OPTIONS_RUN_WITH_FDS)

static int refuse_spec(const struct options *o, int r, const char *key, struct error *ret_error)
{
        if (r == -EINVAL)
                return error_set(ret_error, r, "option '%s': %s", key,
                        sandbox_spec_get_error(o->spec)->message);
        return r;
}

static int read_text(sd_bus_message *m, const struct option_entry *e, struct options *o,
        struct error *ret_error)
{
        const char *text;
        int r = sd_bus_message_read(m, "s", &text);

        if (r < 0)
                return r;
        o->size += strlen(text);
        return refuse_spec(o, e->set(o->spec, text), e->key, ret_error);
}

static int read_profile(sd_bus_message *m, const struct option_entry *e, struct options *o,
        struct error *ret_error)
{
        const char *text;
        int r = sd_bus_message_read(m, "s", &text);

        if (r < 0)
                return r;
        o->profile = strdup(text);
        if (!o->profile)
                return -ENOMEM;
        o->size += 2 * strlen(text);
        return sandbox_spec_set_profile(o->spec, text);
}

static int read_texts(sd_bus_message *m, const struct option_entry *e, struct options *o,
        struct error *ret_error)
{
        const char *text;
        int r = sd_bus_message_enter_container(m, 'a', "s");

        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "s", &text)) > 0) {
                r = options_add_part(o, strlen(text));
                if (r < 0)
                        return r;
                r = refuse_spec(o, e->set(o->spec, text), e->key, ret_error);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_flag(sd_bus_message *m, const struct option_entry *e, struct options *o,
        struct error *ret_error)
{
        int on, r = sd_bus_message_read(m, "b", &on);

        if (r < 0)
                return r;
        if (e->set_flag)
                e->set_flag(o->spec, on);
        else
                o->output_fd = on;
        return 0;
}

static int set_stdin(struct options *o, const void *data, size_t size)
{
        o->size += size;
        return sandbox_spec_set_stdin_data(o->spec, data, size);
}

static int read_stdin(sd_bus_message *m, const struct option_entry *e, struct options *o,
        struct error *ret_error)
{
        const char *text, *type;
        const void *data;
        size_t size;
        char kind;
        int r;

        r = sd_bus_message_peek_type(m, &kind, &type);
        if (r < 0)
                return r;
        if (kind == 's') {
                r = sd_bus_message_read(m, "s", &text);
                return r < 0 ? r : set_stdin(o, text, strlen(text));
        }
        r = sd_bus_message_read_array(m, 'y', &data, &size);
        return r < 0 ? r : set_stdin(o, data, size);
}

static int read_files(sd_bus_message *m, const struct option_entry *e, struct options *o,
        struct error *ret_error)
{
        int r = sd_bus_message_enter_container(m, 'a', "{say}");

        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "say")) > 0) {
                const char *name;
                const void *data;
                size_t size;

                r = sd_bus_message_read(m, "s", &name);
                if (r < 0)
                        return r;
                r = sd_bus_message_read_array(m, 'y', &data, &size);
                if (r < 0)
                        return r;
                r = options_add_part(o, strlen(name) + size);
                if (r < 0)
                        return r;
                r = refuse_spec(o, sandbox_spec_add_file_data(o->spec, name, 0, data, size), e->key,
                        ret_error);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* Of whatever integer type: languages choose one by the number's size. -ERANGE when it is negative. */
static int read_integer(sd_bus_message *m, char type, uint64_t *ret)
{
        union {
                uint8_t y;
                int16_t n;
                uint16_t q;
                int32_t i;
                uint32_t u;
                int64_t x;
                uint64_t t;
        } v = {};
        int r = sd_bus_message_read_basic(m, type, &v);

        if (r < 0)
                return r;
        switch (type) {
        case 'y':
                *ret = v.y;
                return 0;
        case 'q':
                *ret = v.q;
                return 0;
        case 'u':
                *ret = v.u;
                return 0;
        case 't':
                *ret = v.t;
                return 0;
        case 'n':
                v.x = v.n;
                break;
        case 'i':
                v.x = v.i;
                break;
        default:
                break;
        }
        if (v.x < 0)
                return -ERANGE;
        *ret = (uint64_t) v.x;
        return 0;
}

static int read_limit(sd_bus_message *m, const struct option_entry *e, struct options *o,
        struct error *ret_error)
{
        uint64_t value;
        const char *inner;
        char type;
        int r;

        r = sd_bus_message_peek_type(m, &type, &inner);
        if (r < 0)
                return r;
        r = read_integer(m, type, &value);
        if (r == -ERANGE)
                return error_set(ret_error, -EINVAL,
                        "option '%s' is negative: give a number from 0 on", e->key);
        if (r < 0)
                return r;
        return refuse_spec(o, sandbox_spec_set_limit_by_name(o->spec, e->key, value), e->key,
                ret_error);
}

static const struct option_entry entries[] = {
        { "args", "as", read_texts, OPTIONS_EXECUTE, .set = sandbox_spec_add_arg },
        { "env", "as", read_texts, OF_ALL, .set = sandbox_spec_add_env },
        { "workdir", "s", read_text, OF_ALL, .set = sandbox_spec_set_workdir },
        { "profile", "s", read_profile, OF_ALL },
        { "label", "s", read_text, OF_ALL, .set = sandbox_spec_set_label },
        { "stdin", "s or ay", read_stdin, OPTIONS_EXECUTE },
        { "files", "a{say}", read_files, OF_ALL },
        { "strict_output", "b", read_flag, OF_ALL, .set_flag = sandbox_spec_set_strict_output },
        { "output_fd", "b", read_flag, OPTIONS_EXECUTE },
        { "wall_time_usec", "", read_limit, OF_ALL },
        { "cpu_time_usec", "", read_limit, OF_ALL },
        { "memory_bytes", "", read_limit, OF_ALL },
        { "cpu_quota_percent", "", read_limit, OF_ALL },
        { "pids", "", read_limit, OF_ALL },
        { "output_bytes", "", read_limit, OF_ALL },
        { "tmp_size_bytes", "", read_limit, OF_ALL },
};

_Static_assert(ELEMENTSOF(entries) <= 32, "options that were seen are bits of an unsigned");

static const struct option_entry *find(const char *key)
{
        char plain[KEY_MAX];

        if (str_copy(plain, sizeof(plain), key) < 0)
                return NULL;
        for (char *p = plain; *p; p++)
                if (*p == '-')
                        *p = '_';
        for (size_t i = 0; i < ELEMENTSOF(entries); i++)
                if (streq(entries[i].key, plain))
                        return &entries[i];
        return NULL;
}

static bool fits(const struct option_entry *e, const char *type)
{
        if (e->read == read_limit)
                return strlen(type) == 1 && strchr("ynqiuxt", type[0]);
        if (e->read == read_stdin)
                return streq(type, "s") || streq(type, "ay");
        return streq(type, e->type);
}

static int check(const char *key, const struct option_entry *e, const char *type,
        enum options_of of, unsigned seen, struct error *ret_error)
{
        if (!e)
                return error_set(ret_error, -EINVAL,
                        "'%.64s' is no option: org.sandboxd1(5) has the list", key);
        if (!(e->of & of))
                return error_set(ret_error, -EINVAL,
                        "option '%s' is not one of this method: leave it out", e->key);
        if (seen & 1U << (e - entries))
                return error_set(ret_error, -EINVAL, "option '%s' is there twice: give it once",
                        e->key);
        if (!fits(e, type))
                return error_set(ret_error, -EINVAL,
                        "option '%s' has the type '%.16s': give it as %s", e->key, type,
                        e->type[0] ? e->type : "an integer, 't' for one");
        return 0;
}

static int read_option(sd_bus_message *m, enum options_of of, struct options *o, unsigned *seen,
        struct error *ret_error)
{
        const struct option_entry *e;
        const char *key, *type;
        int r;

        r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return r;
        r = sd_bus_message_peek_type(m, NULL, &type);
        if (r < 0)
                return r;
        e = find(key);
        r = check(key, e, type, of, *seen, ret_error);
        if (r < 0)
                return r;
        *seen |= 1U << (e - entries);
        r = sd_bus_message_enter_container(m, 'v', type);
        if (r < 0)
                return r;
        r = e->read(m, e, o, ret_error);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

int options_read(sd_bus_message *m, enum options_of of, struct options *o, struct error *ret_error)
{
        unsigned seen = 0;
        int r;

        if (!o->spec) {
                r = sandbox_spec_new(&o->spec);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_option(m, of, o, &seen, ret_error);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        return MIN(r, 0);
}

void options_done(struct options *o)
{
        o->spec = sandbox_spec_free(o->spec);
        free(o->profile);
        *o = (struct options) {};
}
