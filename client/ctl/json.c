/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON output through jansson. Runs in sandboxctl. Never puts bytes into a string that are not
 * UTF-8, and never passes on JSON of a job that jansson has not found valid.
 */
#include "client/ctl/json.h"

#include <ctype.h>
#include <limits.h>

#include "client/ctl/memory.h"

static size_t show_flags(FILE *f)
{
        return JSON_ENCODE_ANY | (isatty(fileno(f)) ? JSON_INDENT(2) : JSON_COMPACT);
}

void json_show(const json_t *value, FILE *f)
{
        /* What stdio failed to write shows when main() flushes. */
        if (json_dumpf(value, f, show_flags(f)) < 0 && !ferror(f))
                must(NULL);
        (void) fputc('\n', f);
}

void json_show_with(const json_t *value, const char *key, const char *text, FILE *f)
{
        _cleanup_free_ char *dump = must(json_dumps(value, show_flags(f)));
        char mark[64];
        char *place;

        /* No string can pass for the key: a quote in one has a backslash before it, and the quote
         * that ends one has no colon after it. */
        (void) snprintf(mark, sizeof(mark), "\"%s\":", key);
        place = strstr(dump, mark);
        ASSERT(place);
        place += strlen(mark);
        place += strspn(place, " ");
        ASSERT(strncmp(place, "null", 4) == 0);
        *place = '\0';
        (void) fprintf(f, "%s%s%s\n", dump, text, place + 4);
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

/* The length of the string that starts at p, with its quotes; size when it does not end. */
static size_t string_length(const char *p, size_t size)
{
        for (size_t i = 1; i < size; i++)
                if (p[i] == '\\')
                        i++;
                else if (p[i] == '"')
                        return i + 1;
        return size;
}

/* Copies text to shown without blanks, and to probe with at most two digits of each run: JSON has
 * numbers of any size, jansson has not, and for the grammar two digits are as good as all. Both get
 * room for the whole text. -ELOOP when it nests too deep. */
static int copy_tokens(const char *text, size_t size, char *shown, char *probe)
{
        size_t depth = 0, digits = 0, n;

        for (const char *end = text + size; text < end; text += n) {
                n = *text == '"' ? string_length(text, (size_t) (end - text)) : 1;
                digits = isdigit((unsigned char) *text) ? digits + 1 : 0;
                if (digits <= 2)
                        probe = mempcpy(probe, text, n);
                if (!strchr(" \t\r\n", *text))
                        shown = mempcpy(shown, text, n);
                if (*text == '[' || *text == '{')
                        depth++;
                else if ((*text == ']' || *text == '}') && depth > 0)
                        depth--;
                if (depth > JSON_DEPTH_MAX)
                        return -ELOOP;
        }
        *shown = *probe = '\0';
        return 0;
}

char *json_minify_untrusted(const void *text, size_t size)
{
        _cleanup_free_ char *shown = must(malloc(size + 1)), *probe = must(malloc(size + 1));
        json_auto_t *value = NULL;

        /* So that the copies are strings. */
        if (size == 0 || memchr(text, '\0', size) || copy_tokens(text, size, shown, probe) < 0)
                return NULL;
        value = json_loads(probe, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        return value ? TAKE_PTR(shown) : NULL;
}
