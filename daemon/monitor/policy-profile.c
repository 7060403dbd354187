/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Profiles from their files: what a sandbox may do, and each limit's default and maximum. Runs in
 * the monitor.
 */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/monitor/policy-key.h"
#include "daemon/monitor/policy-load.h"

#define PROFILE(f) offsetof(struct policy_profile, f)

static const struct policy_key profile_keys[] = {
        { "Profile", "Description", policy_set_text, PROFILE(description), 0, POLICY_TEXT_MAX },
        { "Profile", "SystemCallFilter", policy_set_name, PROFILE(filter), 0, POLICY_NAME_MAX },
        /* The runtimes need some 20 to start. */
        { "Profile", "OpenFiles", policy_set_u32, PROFILE(open_files), 32, 1048576 },
        { "Profile", "TmpInodes", policy_set_u32, PROFILE(tmp_inodes), 64, 16777216 },
        { "Profile", "Loopback", policy_set_bool, PROFILE(loopback), 0, 0 },
};

static const struct policy_profile profile_defaults = {
        .filter = "default",
        .open_files = 1024,
        .tmp_inodes = 16384,
        .loopback = true,
};

struct profile_load {
        struct policy_profile profile;
        struct policy_origin origins[ELEMENTSOF(profile_keys)];
        struct policy_origin default_origins[_LIMIT_COUNT];
        struct policy_origin maximum_origins[_LIMIT_COUNT];
};

/* A limit that a request cannot set has no maximum beside its value. */
static bool has_maximum(enum limit_id id)
{
        return limit_table[id].option != NULL;
}

struct limit_form {
        const char *what;
        const char *example;
};

static const struct limit_form limit_forms[] = {
        [LIMIT_UNIT_USEC] = { "a time: use a number with us, ms, s, min or h", "30s" },
        [LIMIT_UNIT_BYTES] = { "a size: use a number with K, M or G", "256M" },
        [LIMIT_UNIT_PERCENT] = { "a percentage of one CPU: use a whole number with %", "100%" },
        [LIMIT_UNIT_COUNT] = { "a whole number: use one", "64" },
};

static int set_limit(const struct policy_item *item, enum limit_id id, uint64_t *field)
{
        const struct limit_info *info = &limit_table[id];
        char least[LIMIT_TEXT_MAX], most[LIMIT_TEXT_MAX];
        int r;

        r = limit_parse(id, item->value, field);
        if (r == -ERANGE)
                return policy_item_error(item, " is out of range: use %s to %s",
                        limit_format(id, info->least, least), limit_format(id, info->most, most));
        if (r < 0)
                return policy_item_error(item, " is not %s, such as %s",
                        limit_forms[info->unit].what, limit_forms[info->unit].example);
        return 0;
}

static int take_limit(struct profile_load *l, const struct policy_item *item)
{
        char known[ERROR_TEXT_MAX] = "";
        size_t used = 0;

        for (enum limit_id id = 0; id < _LIMIT_COUNT; id++) {
                const char *key = limit_table[id].key;

                if (streq(item->key, key)) {
                        l->default_origins[id] = item->origin;
                        return set_limit(item, id, &l->profile.defaults.value[id]);
                }
                if (has_maximum(id) && strncmp(item->key, "Max", 3) == 0 &&
                        streq(item->key + 3, key)) {
                        l->maximum_origins[id] = item->origin;
                        return set_limit(item, id, &l->profile.maximums.value[id]);
                }
                used += (size_t) snprintf(known + used, sizeof(known) - used,
                        "%s%s%s=", id > 0 ? ", " : "", has_maximum(id) ? "[Max]" : "", key);
                ASSERT(used < sizeof(known));
        }
        return error_set(item->error, -EINVAL, "%s:%u: [Limits] has no key %s=: use one of %s",
                item->origin.file, item->origin.line, item->key, known);
}

static int take_profile_item(void *userdata, const struct policy_item *item)
{
        struct profile_load *l = userdata;

        if (streq(item->section, "Limits"))
                return take_limit(l, item);
        return policy_keys_set(profile_keys, ELEMENTSOF(profile_keys), item, &l->profile,
                l->origins);
}

static int missing_error(const struct policy_source *source, enum limit_id id, const char *prefix,
        struct error *ret_error)
{
        const struct limit_info *info = &limit_table[id];

        return error_set(ret_error, -EINVAL,
                "%s: %s%s= is missing: add it to [Limits], such as %s%s=%s", source->path, prefix,
                info->key, prefix, info->key, limit_forms[info->unit].example);
}

/* Every limit is given, with its maximum, and is not over it. */
static int check_limit(struct profile_load *l, enum limit_id id, const struct policy_source *source,
        struct error *ret_error)
{
        const struct limit_info *info = &limit_table[id];
        uint64_t value = l->profile.defaults.value[id], *maximum = &l->profile.maximums.value[id];
        char value_text[LIMIT_TEXT_MAX], maximum_text[LIMIT_TEXT_MAX];
        const struct policy_origin *o = &l->default_origins[id];

        if (!o->file && !info->optional)
                return missing_error(source, id, "", ret_error);
        if (!has_maximum(id)) {
                *maximum = value;
                return 0;
        }
        if (!l->maximum_origins[id].file && !info->optional)
                return missing_error(source, id, "Max", ret_error);
        if (value <= *maximum || (info->optional && *maximum == 0))
                return 0;
        return error_set(ret_error, -EINVAL,
                "%s:%u: %s=%s is over Max%s=%s (%s:%u): lower the one or raise the other", o->file,
                o->line, info->key, limit_format(id, value, value_text), info->key,
                limit_format(id, *maximum, maximum_text), l->maximum_origins[id].file,
                l->maximum_origins[id].line);
}

static int load_profile(struct policy *p, const struct policy_source *source,
        struct error *ret_error)
{
        struct profile_load l = { .profile = profile_defaults };
        int r;

        if (p->n_profiles >= POLICY_PROFILES_MAX)
                return error_set(ret_error, -E2BIG, "%s is one profile too many: keep at most %d",
                        source->path, POLICY_PROFILES_MAX);
        r = str_copy(l.profile.name, sizeof(l.profile.name), source->name);
        ASSERT(r >= 0);
        r = policy_source_read(source, take_profile_item, &l, ret_error);
        if (r < 0)
                return r;
        for (enum limit_id id = 0; id < _LIMIT_COUNT; id++) {
                r = check_limit(&l, id, source, ret_error);
                if (r < 0)
                        return r;
        }
        p->profiles[p->n_profiles++] = l.profile;
        return 0;
}

const struct policy_kind policy_kind_profile = {
        .folder = "profiles",
        .ending = ".profile",
        .what = "profile",
        .load = load_profile,
};
