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

static json_t *runtime_json(const sandbox_runtime_list *list, size_t i)
{
        json_t *object = json_new_object(), *aliases = json_new_array();
        const char *alias;

        json_set_text(object, "name", sandbox_runtime_list_get_name(list, i));
        json_set_text(object, "description", sandbox_runtime_list_get_description(list, i));
        for (size_t k = 0; (alias = sandbox_runtime_list_get_alias(list, i, k)); k++)
                json_append_text(aliases, alias);
        json_set(object, "aliases", aliases);
        json_set_bool(object, "available", sandbox_runtime_list_get_available(list, i));
        json_set_text(object, "interpreter", sandbox_runtime_list_get_interpreter(list, i));
        json_set_text(object, "package", sandbox_runtime_list_get_package(list, i));
        json_set_bool(object, "returns_value", sandbox_runtime_list_get_returns_value(list, i));
        json_set_text(object, "file_name", sandbox_runtime_list_get_file_name(list, i));
        return object;
}

static void show_json(const sandbox_runtime_list *list)
{
        json_auto_t *array = json_new_array();

        for (size_t i = 0; i < sandbox_runtime_list_get_count(list); i++)
                json_append(array, runtime_json(list, i));
        json_show(array, stdout);
}

static void add_row(struct table *t, const sandbox_runtime_list *list, size_t i)
{
        const char *package = sandbox_runtime_list_get_package(list, i), *alias;
        char aliases[128] = "";

        for (size_t k = 0; (alias = sandbox_runtime_list_get_alias(list, i, k)); k++) {
                size_t n = strlen(aliases);

                (void) snprintf(aliases + n, sizeof(aliases) - n, "%s%s", k > 0 ? ", " : "", alias);
        }
        table_add(t, STYLE_NONE, sandbox_runtime_list_get_name(list, i));
        table_add(t, STYLE_NONE, aliases);
        if (sandbox_runtime_list_get_available(list, i))
                table_add(t, STYLE_GREEN, "yes");
        else
                table_add_format(t, STYLE_RED, "no: install %s",
                        strnull(package) ? sandbox_runtime_list_get_interpreter(list, i) : package);
        table_add(t, STYLE_NONE, sandbox_runtime_list_get_returns_value(list, i) ? "yes" : "-");
        table_add(t, STYLE_NONE, sandbox_runtime_list_get_description(list, i));
}

static void show_table(const struct ctl *ctl, const sandbox_runtime_list *list)
{
        static const char *const headers[] = { "RUNTIME", "ALIASES", "AVAILABLE", "VALUE",
                "DESCRIPTION" };
        _cleanup_(table_freep) struct table *t = table_new(headers, ELEMENTSOF(headers));

        for (size_t i = 0; i < sandbox_runtime_list_get_count(list); i++)
                add_row(t, list, i);
        table_print(t, stdout, color_enabled(ctl->color, stdout));
}

int verb_runtimes(struct ctl *ctl, int argc, char **argv)
{
        _cleanup_(sandbox_runtime_list_unrefp) sandbox_runtime_list *list = NULL;
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        int r;

        r = ctl_parse_plain(ctl, runtimes_help, argc, argv);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        r = ctl_connect(ctl, &c);
        if (r != 0)
                return r;
        if (sandbox_list_runtimes(c, &list) < 0)
                return ctl_failed(ctl, sandbox_client_get_error(c));
        if (ctl->json)
                show_json(list);
        else
                show_table(ctl, list);
        return CTL_EXIT_OK;
}
