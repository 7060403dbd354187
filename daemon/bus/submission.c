/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the methods that begin a job have in common. Runs in sandboxd-bus; what the request means is checked
 * by sandboxd, as that of any client.
 */
#include "daemon/bus/submission.h"

void submission_done(struct submission *s)
{
        options_done(&s->options);
}

void submission_refuse(struct call *c, int r, const struct error *error)
{
        if (r == -EINVAL && error->text[0])
                call_fail(c, "InvalidArgument", "%s", error->text);
        else if (r == -E2BIG)
                call_fail(c, "OverLimit",
                        "there are more than %d arguments, variables and files: give fewer",
                        OPTIONS_PARTS_MAX);
        else if (r == -EBADMSG || r == -ENXIO || r == -EINVAL)
                call_fail(c, "InvalidArgument",
                        "the message cannot be read: its strings have code points that are no "
                        "characters, or it is broken");
        else
                call_fail_errno(c, r, "take the request");
}

static int read_texts(sd_bus_message *m, struct options *o)
{
        const char *text;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "s");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(m, "s", &text)) > 0) {
                r = options_add_part(o, strlen(text));
                if (r < 0)
                        return r;
                r = sandbox_spec_add_arg(o->spec, text);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_code(sd_bus_message *m, struct options *o, bool is_text)
{
        const void *data;
        const char *text;
        size_t size;
        int r;

        if (is_text) {
                r = sd_bus_message_read(m, "s", &text);
                if (r < 0)
                        return r;
                data = text;
                size = strlen(text);
        } else {
                r = sd_bus_message_read_array(m, 'y', &data, &size);
                if (r < 0)
                        return r;
        }
        o->size += size;
        /* A command has none, and is refused with some. */
        return size > 0 || is_text ? sandbox_spec_set_code(o->spec, data, size) : 0;
}

static int read_all(sd_bus_message *m, struct options *o, enum options_of of, struct error *error)
{
        const char *runtime;
        int r;

        r = sandbox_spec_new(&o->spec);
        if (r < 0)
                return r;
        r = sd_bus_message_read(m, "s", &runtime);
        if (r < 0)
                return r;
        o->size += strlen(runtime);
        r = sandbox_spec_set_runtime(o->spec, runtime);
        if (r < 0)
                return r;
        if (of != OPTIONS_EXECUTE) {
                r = read_texts(m, o);
                if (r < 0)
                        return r;
        }
        r = read_code(m, o, of == OPTIONS_EXECUTE);
        if (r < 0)
                return r;
        return options_read(m, of, o, error);
}

int submission_read(struct call *c, sd_bus_message *m, struct submission *s, enum options_of of)
{
        struct error error = {};
        int r;

        r = read_all(m, &s->options, of, &error);
        if (r < 0) {
                submission_refuse(c, r, &error);
                return r;
        }
        /* The spec has it, and what is sent to sandboxd. */
        return call_charge(c, 2 * s->options.size);
}

static void on_profile_allowed(struct call *c, bool allowed, const char *reason)
{
        const struct submission *s = c->data;

        if (!allowed)
                call_deny(c, "%s", reason);
        else
                call_connect(c, s->step);
}

static void on_run_allowed(struct call *c, bool allowed, const char *reason)
{
        const struct submission *s = c->data;
        const char *profile = s->options.profile;

        if (!allowed)
                call_deny(c, "%s", reason);
        else if (strnull(profile) || streq(profile, "default"))
                call_connect(c, s->step);
        else
                question_ask(c, ACTION_USE_PROFILE, "profile", profile, on_profile_allowed);
}

void submission_begin(struct call *c, struct submission *s, call_step step)
{
        s->step = step;
        question_ask(c, ACTION_RUN, NULL, NULL, on_run_allowed);
}
