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
static uint64_t default_in_force(const Sandboxd__V1__LimitInfo *info)
{
        int limit = find_limit(info->field);

        if (limit >= 0 && limit_table[limit].optional && info->default_value == 0)
                return info->maximum;
        return info->default_value;
}

static json_t *profile_json(const Sandboxd__V1__ProfileInfo *info)
{
        json_t *object = json_new_object(), *limits = json_new_object();

        json_set_text(object, "name", info->name);
        json_set_text(object, "description", info->description);
        for (size_t i = 0; i < info->n_limits; i++) {
                json_t *limit = json_new_object();

                json_set_number(limit, "default", default_in_force(info->limits[i]));
                json_set_number(limit, "maximum", info->limits[i]->maximum);
                json_set(limits, info->limits[i]->field, limit);
        }
        json_set(object, "limits", limits);
        return object;
}

static void show_json(const Sandboxd__V1__ProfileList *list)
{
        json_auto_t *array = json_new_array();

        for (size_t i = 0; i < list->n_profiles; i++)
                json_append(array, profile_json(list->profiles[i]));
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

static void add_row(struct table *t, const Sandboxd__V1__LimitInfo *info)
{
        int limit = find_limit(info->field);
        const char *option = limit < 0 ? NULL : limit_table[limit].option;

        table_add_format(t, STYLE_NONE, "  %s", info->field);
        table_add(t, STYLE_NONE, option ? option : "-");
        add_value(t, limit, default_in_force(info));
        /* 0 stands for "no maximum" here, whatever it stands for as a value. */
        if (info->maximum == 0)
                table_add(t, STYLE_NONE, "none");
        else
                add_value(t, limit, info->maximum);
}

static void show_table(const struct ctl *ctl, const Sandboxd__V1__ProfileInfo *info)
{
        static const char *const headers[] = { "  LIMIT", "OPTION", "DEFAULT", "MAXIMUM" };
        _cleanup_(table_freep) struct table *t = table_new(headers, ELEMENTSOF(headers));
        bool colors = color_enabled(ctl->color, stdout);

        style_print(stdout, colors, STYLE_BOLD, info->name);
        if (!strnull(info->description))
                (void) printf(": %s", info->description);
        (void) putchar('\n');
        for (size_t i = 0; i < info->n_limits; i++)
                add_row(t, info->limits[i]);
        table_print(t, stdout, colors);
}

int verb_profiles(struct ctl *ctl, int argc, char **argv)
{
        Sandboxd__V1__ListProfiles list = SANDBOXD__V1__LIST_PROFILES__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        _cleanup_(client_freep) struct client *c = NULL;
        const Sandboxd__V1__Response *response;
        int r;

        r = ctl_parse_plain(ctl, profiles_help, argc, argv);
        if (r != 0)
                return r < 0 ? CTL_EXIT_USAGE : CTL_EXIT_OK;
        r = ctl_connect(ctl, &c);
        if (r != 0)
                return r;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_LIST_PROFILES;
        request.list_profiles = &list;
        r = ctl_call(ctl, c, &request, SANDBOXD__V1__RESPONSE__BODY_PROFILES, &response);
        if (r != 0)
                return r;
        if (ctl->json) {
                show_json(response->profiles);
                return CTL_EXIT_OK;
        }
        for (size_t i = 0; i < response->profiles->n_profiles; i++) {
                if (i > 0)
                        (void) putchar('\n');
                show_table(ctl, response->profiles->profiles[i]);
        }
        return CTL_EXIT_OK;
}
