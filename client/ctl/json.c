/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON output through jansson. Runs in sandboxctl. Never puts bytes into a string that are not
 * UTF-8, and never passes on JSON of a job that it has not parsed.
 */
#include "client/ctl/json.h"

#include <limits.h>

#include "client/ctl/memory.h"

void json_show(const json_t *value, FILE *f)
{
        size_t flags = JSON_ENCODE_ANY | (isatty(fileno(f)) ? JSON_INDENT(2) : JSON_COMPACT);

        /* What stdio failed to write shows when main() flushes. */
        if (json_dumpf(value, f, flags) < 0 && !ferror(f))
                must(NULL);
        (void) fputc('\n', f);
}

json_t *json_new_object(void)
{
        return must(json_object());
}

json_t *json_new_array(void)
{
        return must(json_array());
}

void json_append(json_t *array, json_t *value)
{
        if (json_array_append_new(array, must(value)) < 0)
                must(NULL);
}

void json_append_text(json_t *array, const char *text)
{
        json_t *value = json_string(text);

        json_append(array, value ? value : json_null());
}

void json_set(json_t *object, const char *key, json_t *value)
{
        if (json_object_set_new(object, key, must(value)) < 0)
                must(NULL);
}

void json_set_text(json_t *object, const char *key, const char *text)
{
        json_set_bytes(object, key, text, strlen(text));
}

void json_set_number(json_t *object, const char *key, uint64_t value)
{
        json_set(object, key, json_integer((json_int_t) MIN(value, (uint64_t) LLONG_MAX)));
}

void json_set_bool(json_t *object, const char *key, bool value)
{
        json_set(object, key, json_boolean(value));
}

static char *base64_encode(const uint8_t *data, size_t size)
{
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        char *text = must(malloc(ROUND_UP(size, 3) * 4 + 1)), *p = text;

        for (size_t i = 0; i < size; i += 3) {
                size_t n = MIN(size - i, (size_t) 3);
                uint32_t v = (uint32_t) data[i] << 16;

                if (n > 1)
                        v |= (uint32_t) data[i + 1] << 8;
                if (n > 2)
                        v |= data[i + 2];
                *p++ = digits[v >> 18];
                *p++ = digits[v >> 12 & 63];
                *p++ = n > 1 ? digits[v >> 6 & 63] : '=';
                *p++ = n > 2 ? digits[v & 63] : '=';
        }
        *p = '\0';
        return text;
}

void json_set_bytes(json_t *object, const char *key, const void *data, size_t size)
{
        json_t *value = json_stringn(size > 0 ? data : "", size);
        _cleanup_free_ char *base64 = NULL;
        char base64_key[64];

        if (value) {
                json_set(object, key, value);
                return;
        }
        base64 = base64_encode(data, size);
        (void) snprintf(base64_key, sizeof(base64_key), "%s_base64", key);
        json_set(object, base64_key, json_string(base64));
}

json_t *json_parse_untrusted(const void *text, size_t size)
{
        json_t *value;

        if (size == 0)
                return json_null();
        value = json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        return value ? value : json_null();
}
