/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The forms that values in policy files have. Pure functions; runs in the monitor.
 */
#include "daemon/monitor/policy-key.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/parse.h"

/* "A=, B= and C=": the keys of a section; false when there is no such section. */
static bool known_keys(const struct policy_key *keys, size_t n_keys, const char *section,
        char text[static ERROR_TEXT_MAX])
{
        size_t used = 0;

        for (size_t i = 0; i < n_keys; i++) {
                int n;

                if (!streq(keys[i].section, section))
                        continue;
                n = snprintf(text + used, ERROR_TEXT_MAX - used, "%s%s=", used > 0 ? ", " : "",
                        keys[i].name);
                used = MIN(used + (size_t) n, (size_t) ERROR_TEXT_MAX - 1);
        }
        return used > 0;
}

int policy_keys_set(const struct policy_key *keys, size_t n_keys, const struct policy_item *item,
        void *target, struct policy_origin *origins)
{
        char known[ERROR_TEXT_MAX];

        for (size_t i = 0; i < n_keys; i++) {
                int r;

                if (!streq(keys[i].section, item->section) || !streq(keys[i].name, item->key))
                        continue;
                r = keys[i].set(&keys[i], item, (char *) target + keys[i].offset);
                if (r < 0)
                        return r;
                origins[i] = item->origin;
                return 0;
        }
        if (known_keys(keys, n_keys, item->section, known))
                return error_set(item->error, -EINVAL, "%s:%u: [%s] has no key %s=: use one of %s",
                        item->origin.file, item->origin.line, item->section, item->key, known);
        return error_set(item->error, -EINVAL,
                "%s:%u: %s= is in the section [%s], which is unknown: put it in a known "
                "one, such as "
                "[%s]",
                item->origin.file, item->origin.line, item->key, item->section, keys[0].section);
}

static int number_error(const struct policy_item *item, int code, const char *what,
        const char *least, const char *most)
{
        if (code == -ERANGE)
                return policy_item_error(item, " is out of range: use %s to %s", least, most);
        return policy_item_error(item, " is not %s", what);
}

static int read_number(const struct policy_key *key, const struct policy_item *item,
        int (*parse)(const char *s, uint64_t *ret), uint64_t *ret)
{
        uint64_t v;
        int r;

        r = parse(item->value, &v);
        if (r < 0)
                return r;
        if (v < key->least || v > key->most)
                return -ERANGE;
        *ret = v;
        return 0;
}

int policy_set_u32(const struct policy_key *key, const struct policy_item *item, void *field)
{
        char least[FORMAT_MAX], most[FORMAT_MAX];
        uint64_t v;
        int r;

        r = read_number(key, item, parse_u64, &v);
        if (r < 0) {
                (void) snprintf(least, sizeof(least), "%" PRIu64, key->least);
                (void) snprintf(most, sizeof(most), "%" PRIu64, key->most);
                return number_error(item, r, "a whole number: use one such as 64", least, most);
        }
        *(uint32_t *) field = (uint32_t) v;
        return 0;
}

int policy_set_hex(const struct policy_key *key, const struct policy_item *item, void *field)
{
        char least[FORMAT_MAX], most[FORMAT_MAX];
        uint64_t v;
        int r;

        r = read_number(key, item, parse_u64_hex, &v);
        if (r < 0) {
                (void) snprintf(least, sizeof(least), "0x%" PRIx64, key->least);
                (void) snprintf(most, sizeof(most), "0x%" PRIx64, key->most);
                return number_error(item, r, "a number: use one such as 65536 or 0x10000", least,
                        most);
        }
        *(uint32_t *) field = (uint32_t) v;
        return 0;
}

int policy_set_size(const struct policy_key *key, const struct policy_item *item, void *field)
{
        char least[FORMAT_MAX], most[FORMAT_MAX];
        uint64_t v;
        int r;

        r = read_number(key, item, parse_size, &v);
        if (r < 0)
                return number_error(item, r, "a size: use a number with K, M or G, such as 4M",
                        format_size(least, key->least), format_size(most, key->most));
        *(uint32_t *) field = (uint32_t) v;
        return 0;
}

int policy_set_time(const struct policy_key *key, const struct policy_item *item, void *field)
{
        char least[FORMAT_MAX], most[FORMAT_MAX];
        uint64_t v;
        int r;

        r = read_number(key, item, parse_time, &v);
        if (r < 0)
                return number_error(item, r,
                        "a time: use a number with us, ms, s, min or h, such as 10s",
                        format_time(least, key->least), format_time(most, key->most));
        *(uint64_t *) field = v;
        return 0;
}

int policy_set_bool(const struct policy_key *key, const struct policy_item *item, void *field)
{
        bool v;

        if (parse_bool(item->value, &v) < 0)
                return policy_item_error(item, " is neither yes nor no: use one of them");
        *(uint8_t *) field = v;
        return 0;
}

int policy_set_text(const struct policy_key *key, const struct policy_item *item, void *field)
{
        if (str_copy(field, key->most, item->value) < 0)
                return policy_item_error(item, " is too long: use at most %" PRIu64 " characters",
                        key->most - 1);
        return 0;
}

bool policy_is_name(const char *s)
{
        return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

int policy_set_name(const struct policy_key *key, const struct policy_item *item, void *field)
{
        if (!policy_is_name(item->value))
                return policy_item_error(item, " is not a name: use a to z, 0 to 9 and - only");
        return policy_set_text(key, item, field);
}

int policy_set_file_name(const struct policy_key *key, const struct policy_item *item, void *field)
{
        const char *v = item->value;

        if (v[0] == '.' || v[strspn(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                       "0123456789._-")] != '\0')
                return policy_item_error(item,
                        " is not a file's name: use letters, digits and . _ -, no folder");
        return policy_set_text(key, item, field);
}

int policy_each_word(const struct policy_item *item,
        int (*fn)(const struct policy_item *item, const char *word, void *userdata), void *userdata)
{
        _cleanup_free_ char *words = strdup(item->value);
        char *state = NULL;
        int r;

        if (!words)
                return error_set(item->error, -ENOMEM, "out of memory while reading %s",
                        item->origin.file);
        for (char *w = strtok_r(words, " \t", &state); w; w = strtok_r(NULL, " \t", &state)) {
                r = fn(item, w, userdata);
                if (r < 0)
                        return r;
        }
        return 0;
}
