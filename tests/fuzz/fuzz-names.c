/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of files, the patterns by which they are asked for, and the stream in which they come out of a
 * sandbox. The first byte says which of the three the rest is.
 */
#include <fnmatch.h>

#include "common/pattern.h"
#include "daemon/wire/transfer.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"

/* What a name may be, said in another way than spec.c does. */
static bool is_name(const char *s, size_t size)
{
        size_t part = 0, slashes = 0;
        char before[3] = "/"; /* the last characters of the part that is read */

        if (size == 0 || size > 4095)
                return false;
        for (size_t i = 0; i <= size; i++) {
                char c = i < size ? s[i] : '/';

                if (c == '\0' || part > 255)
                        return false;
                if (c != '/') {
                        before[part < 2 ? part : 2] = c == '.' ? '.' : 'x';
                        part++;
                        continue;
                }
                if (part == 0 || (part <= 2 && memcmp(before, "..", part) == 0))
                        return false;
                slashes += i < size;
                part = 0;
        }
        return slashes <= 32;
}

static void check_name(const char *name, size_t size)
{
        struct error error = {};
        int r = spec_check_name(name, size, &error);

        ASSERT((r == 0) == is_name(name, size));
        ASSERT(r == 0 || error.text[0]);
}

static bool is_beneath(const char *folder, const char *name)
{
        size_t n = strlen(folder);

        return strncmp(folder, name, n) == 0 && (name[n] == '\0' || name[n] == '/');
}

static int sign(int n)
{
        return (n > 0) - (n < 0);
}

/* The C library says the same, where both know what is meant. */
static void check_part(const char *pattern, const char *part)
{
        const char *open = strrchr(pattern, '['), *close = strrchr(pattern, ']');

        if (strlen(part) > PATTERN_PART_MAX)
                return;
        /* Of a set that is not closed it depends on what is in it. */
        if (open && (!close || close < open + 3))
                return;
        if (strchr(pattern, '/') || strchr(part, '/') || strstr(pattern, "[:") ||
                strstr(pattern, "[.") || strstr(pattern, "[="))
                return;
        /* Behind "*?" glibc takes a period anywhere for one that leads. */
        ASSERT(pattern_part_matches(pattern, part, NULL) ==
                (fnmatch(pattern, part, FNM_NOESCAPE | (*part == '.' ? FNM_PERIOD : 0)) == 0));
}

/* A pattern and a name with a NUL between them. */
static void check_pattern(const char *text, size_t size)
{
        _cleanup_free_ char *pattern = strndup(text, size), *name = NULL;
        size_t n;

        ASSERT(pattern);
        n = MIN(strlen(pattern) + 1, size);
        name = strndup(text + n, size - n);
        ASSERT(name);
        ASSERT(sign(transfer_compare(pattern, name)) == -sign(transfer_compare(name, pattern)));
        ASSERT((transfer_compare(pattern, name) == 0) == streq(pattern, name));
        check_part(pattern, name);
        if (!is_name(pattern, strlen(pattern)) || !is_name(name, strlen(name)))
                return;
        if (pattern_is(pattern))
                (void) pattern_matches(pattern, name, NULL);
        else
                ASSERT(pattern_matches(pattern, name, NULL) == is_beneath(pattern, name));
        /* Whatever asks for a folder asks for what is in it. */
        if (pattern_matches(pattern, name, NULL)) {
                _cleanup_free_ char *inside = malloc(strlen(name) + 3);

                ASSERT(inside);
                memcpy(inside, name, strlen(name));
                memcpy(inside + strlen(name), "/x", 3);
                ASSERT(pattern_matches(pattern, inside, NULL));
        }
}

/* What came out of a stream, to be compared. */
struct account {
        uint64_t bytes;
        uint64_t promised; /* sizes of files */
        uint64_t names;
        uint64_t hash;
        int end;
};

static void count(struct account *a, const struct transfer_reader *r, int kind, const uint8_t *data,
        size_t n)
{
        if (kind == TRANSFER_DATA) {
                a->bytes += n;
                for (size_t i = 0; i < n; i++)
                        a->hash = a->hash * 31 + data[i];
                return;
        }
        a->hash = a->hash * 37 + (uint64_t) kind;
        if (kind == TRANSFER_END)
                return;
        ASSERT(is_name(r->name, strlen(r->name)) && (r->record.mode & ~0777U) == 0);
        a->names++;
        a->hash = a->hash * 41 + strlen(r->name) + r->record.error;
        if (kind == TRANSFER_REGULAR)
                a->promised += r->record.size;
}

static void read_stream(const uint8_t *data, size_t size, uint64_t max, size_t piece,
        struct account *ret)
{
        struct transfer_reader r;

        *ret = (struct account) {};
        transfer_reader_init(&r, max);
        while (size > 0 && transfer_reader_wants(&r) > 0) {
                size_t n = MIN(MIN(size, piece), transfer_reader_wants(&r));
                int kind = transfer_reader_take(&r, data, n);

                if (kind > 0)
                        count(ret, &r, kind, data, n);
                ret->end = kind;
                if (kind < 0)
                        break;
                data += n;
                size -= n;
        }
        ASSERT(ret->promised <= max && ret->bytes <= ret->promised);
        ASSERT(ret->names <= 2 * TRANSFER_ENTRIES_MAX + 2 * SPEC_GET_MAX);
        if (ret->end == TRANSFER_END)
                ASSERT(transfer_reader_wants(&r) == 0 && !transfer_reader_in_file(&r));
}

/* However it is cut, the same comes out. */
static void check_stream(struct input *in)
{
        uint64_t max = input_number(in);
        size_t piece = (size_t) input_byte(in) + 1, size;
        const uint8_t *data = input_bytes(in, SIZE_MAX, &size);
        struct account whole, cut;

        read_stream(data, size, max, SIZE_MAX, &whole);
        read_stream(data, size, max, piece, &cut);
        ASSERT(whole.bytes == cut.bytes && whole.names == cut.names && whole.hash == cut.hash);
        ASSERT((whole.end < 0) == (cut.end < 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct input in = { data, size };
        size_t kind = input_below(&in, 3);

        if (kind == 0)
                check_name((const char *) in.data, in.left);
        else if (kind == 1)
                check_pattern((const char *) in.data, in.left);
        else
                check_stream(&in);
        return 0;
}
