/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl runtimes: what languages there are. Runs in sandboxctl.
 */
#include "client/ctl/ctl.h"
#include "client/ctl/json.h"
#include "client/ctl/table.h"

const char runtimes_help[] =
        "Usage: sandboxctl runtimes [--json]\n"
        "List the languages that sandboxd can run, the names that 'run --language'\n"
        "takes for them, and for a missing interpreter the package to install.\n";

static json_t *runtime_json(const Sandboxd__V1__RuntimeInfo *info)
{
        json_t *object = json_new_object(), *aliases = json_new_array();

        json_set_text(object, "name", info->name);
        json_set_text(object, "description", info->description);
        for (size_t i = 0; i < info->n_aliases; i++)
                json_append_text(aliases, info->aliases[i]);
        json_set(object, "aliases", aliases);
        json_set_bool(object, "available", info->available);
        json_set_text(object, "interpreter", info->interpreter);
        json_set_text(object, "package", info->package);
        json_set_bool(object, "returns_value", info->returns_value);
        json_set_text(object, "file_name", info->file_name);
        return object;
}

static void show_json(const Sandboxd__V1__RuntimeList *list)
{
        json_auto_t *array = json_new_array();

        for (size_t i = 0; i < list->n_runtimes; i++)
                json_append(array, runtime_json(list->runtimes[i]));
        json_show(array, stdout);
}

static void add_row(struct table *t, const Sandboxd__V1__RuntimeInfo *info)
{
        char aliases[128] = "";

        for (size_t i = 0; i < info->n_aliases; i++) {
                size_t n = strlen(aliases);

                (void) snprintf(aliases + n, sizeof(aliases) - n, "%s%s", i > 0 ? ", " : "",
                        info->aliases[i]);
        }
        table_add(t, STYLE_NONE, info->name);
        table_add(t, STYLE_NONE, aliases);
        if (info->available)
                table_add(t, STYLE_GREEN, "yes");
        else
                table_add_format(t, STYLE_RED, "no: install %s",
                        strnull(info->package) ? info->interpreter : info->package);
        table_add(t, STYLE_NONE, info->returns_value ? "yes" : "-");
        table_add(t, STYLE_NONE, info->description);
}

static void show_table(const struct ctl *ctl, const Sandboxd__V1__RuntimeList *list)
{
        static const char *const headers[] = { "RUNTIME", "ALIASES", "AVAILABLE", "VALUE",
                "DESCRIPTION" };
        _cleanup_(table_freep) struct table *t = table_new(headers, ELEMENTSOF(headers));

        for (size_t i = 0; i < list->n_runtimes; i++)
                add_row(t, list->runtimes[i]);
        table_print(t, stdout, color_enabled(ctl->color, stdout));
}

int verb_runtimes(struct ctl *ctl, int argc, char **argv)
{
        Sandboxd__V1__ListRuntimes list = SANDBOXD__V1__LIST_RUNTIMES__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        _cleanup_(client_freep) struct client *c = NULL;
        const Sandboxd__V1__Response *response;
        int r;

        r = ctl_parse_plain(ctl, runtimes_help, argc, argv);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        r = ctl_connect(ctl, &c);
        if (r != 0)
                return r;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_LIST_RUNTIMES;
        request.list_runtimes = &list;
        r = ctl_call(ctl, c, &request, SANDBOXD__V1__RESPONSE__BODY_RUNTIMES, &response);
        if (r != 0)
                return r;
        if (ctl->json)
                show_json(response->runtimes);
        else
                show_table(ctl, response->runtimes);
        return CTL_EXIT_OK;
}
