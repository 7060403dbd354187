/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sandboxctl profiles: what limits a job gets and may ask for. Runs in sandboxctl.
 */
#include <inttypes.h>

#include "client/ctl/ctl.h"
#include "client/ctl/json.h"
#include "client/ctl/table.h"
#include "common/limit.h"

const char profiles_help[] =
        "Usage: sandboxctl profiles [--json]\n"
        "List the profiles that 'run --profile' takes, and for each limit its default\n"
        "and the most that a job may ask for.\n";

/* A newer daemon may have limits that this sandboxctl has no name for. */
static int find_limit(const char *field)
{
        for (int i = 0; i < _LIMIT_COUNT; i++)
                if (streq(limit_table[i].field, field))
                        return i;
        return -ENOENT;
}

/* What a job gets: where the profile names no default but a maximum, the maximum. */
static uint64_t default_in_force(const char *field, uint64_t value, uint64_t maximum)
{
        int limit = find_limit(field);

        return limit >= 0 && limit_table[limit].optional && value == 0 ? maximum : value;
}

static json_t *profile_json(const sandbox_profile_list *list, size_t i)
{
        json_t *object = json_new_object(), *limits = json_new_object();
        uint64_t value, maximum;
        const char *field;

        json_set_text(object, "name", sandbox_profile_list_get_name(list, i));
        json_set_text(object, "description", sandbox_profile_list_get_description(list, i));
        for (size_t k = 0; (field = sandbox_profile_list_get_limit(list, i, k, &value, &maximum));
                k++) {
                json_t *limit = json_new_object();

                json_set_number(limit, "default", default_in_force(field, value, maximum));
                json_set_number(limit, "maximum", maximum);
                json_set(limits, field, limit);
        }
        json_set(object, "limits", limits);
        return object;
}

static void show_json(const sandbox_profile_list *list)
{
        json_auto_t *array = json_new_array();

        for (size_t i = 0; i < sandbox_profile_list_get_count(list); i++)
                json_append(array, profile_json(list, i));
        json_show(array, stdout);
}

static void add_value(struct table *t, int limit, uint64_t value)
{
        char text[LIMIT_TEXT_MAX];

        if (limit < 0)
                table_add_format(t, STYLE_NONE, "%" PRIu64, value);
        else
                table_add(t, STYLE_NONE, limit_format((enum limit_id) limit, value, text));
}

static void add_row(struct table *t, const char *field, uint64_t value, uint64_t maximum)
{
        int limit = find_limit(field);
        const char *option = limit < 0 ? NULL : limit_table[limit].option;

        table_add_format(t, STYLE_NONE, "  %s", field);
        table_add(t, STYLE_NONE, option ? option : "-");
        add_value(t, limit, default_in_force(field, value, maximum));
        /* 0 stands for "no maximum" here, whatever it stands for as a value. */
        if (maximum == 0)
                table_add(t, STYLE_NONE, "none");
        else
                add_value(t, limit, maximum);
}

static void show_table(const struct ctl *ctl, const sandbox_profile_list *list, size_t i)
{
        static const char *const headers[] = { "  LIMIT", "OPTION", "DEFAULT", "MAXIMUM" };
        _cleanup_(table_freep) struct table *t = table_new(headers, ELEMENTSOF(headers));
        const char *description = sandbox_profile_list_get_description(list, i), *field;
        bool colors = color_enabled(ctl->color, stdout);
        uint64_t value, maximum;

        style_print(stdout, colors, STYLE_BOLD, sandbox_profile_list_get_name(list, i));
        if (!strnull(description))
                (void) printf(": %s", description);
        (void) putchar('\n');
        for (size_t k = 0; (field = sandbox_profile_list_get_limit(list, i, k, &value, &maximum));
                k++)
                add_row(t, field, value, maximum);
        table_print(t, stdout, colors);
}

int verb_profiles(struct ctl *ctl, int argc, char **argv)
{
        _cleanup_(sandbox_profile_list_unrefp) sandbox_profile_list *list = NULL;
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        int r;

        r = ctl_parse_plain(ctl, profiles_help, argc, argv);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        r = ctl_connect(ctl, &c);
        if (r != 0)
                return r;
        if (sandbox_list_profiles(c, &list) < 0)
                return ctl_failed(ctl, sandbox_client_get_error(c));
        if (ctl->json) {
                show_json(list);
                return CTL_EXIT_OK;
        }
        for (size_t i = 0; i < sandbox_profile_list_get_count(list); i++) {
                if (i > 0)
                        (void) putchar('\n');
                show_table(ctl, list, i);
        }
        return CTL_EXIT_OK;
}
