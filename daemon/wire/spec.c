/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing and reading the job's memfd. The frontend writes; the payload's process, already without
 * privilege, reads. The reader takes every byte for hostile: it follows no offset that it has not
 * counted out itself, and asks for the seals first, since a mapping that somebody else can shrink
 * is a SIGBUS. Linked into the static init: needs nothing but common/error.c and common/io.c.
 */
#include "daemon/wire/spec.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "common/io.h"

#define SHOWN_MAX 200 /* bytes of a name in a sentence */

/* Checks one part of a name, the text between two slashes. */
static int check_part(const char *part, size_t size)
{
        if (size == 0)
                return -EINVAL;
        if (part[0] == '.' && (size == 1 || (size == 2 && part[1] == '.')))
                return -EINVAL;
        return size > SPEC_PART_MAX ? -ENAMETOOLONG : 0;
}

int spec_check_name(const char *name, size_t size, struct error *ret_error)
{
        const int shown = (int) MIN(size, (size_t) SHOWN_MAX);
        size_t depth = 0;
        int r;

        if (size == 0)
                return error_set(ret_error, -EINVAL, "a file has no name: give each one a name");
        if (memchr(name, '\0', size))
                return error_set(ret_error, -EINVAL, "a file's name contains a NUL byte");
        if (size > SPEC_NAME_MAX)
                return error_set(ret_error, -ENAMETOOLONG,
                        "file name '%.*s...' is too long: the most is %d bytes", shown, name,
                        SPEC_NAME_MAX);
        if (name[0] == '/')
                return error_set(ret_error, -EINVAL,
                        "file name '%.*s' is absolute: names are relative to /box", shown, name);
        for (size_t start = 0, end; start <= size; start = end + 1) {
                const char *slash = memchr(name + start, '/', size - start);

                end = slash ? (size_t) (slash - name) : size;
                r = check_part(name + start, end - start);
                if (r == -ENAMETOOLONG)
                        return error_set(ret_error, r,
                                "file name '%.*s...' has a part of over %d bytes", shown, name,
                                SPEC_PART_MAX);
                if (r < 0)
                        return error_set(ret_error, r,
                                "file name '%.*s' has an empty, '.' or '..' part: names "
                                "stay in /box",
                                shown, name);
                if (slash && ++depth > SPEC_DEPTH_MAX)
                        return error_set(ret_error, -ENAMETOOLONG,
                                "file name '%.*s...' is in more than %d folders", shown, name,
                                SPEC_DEPTH_MAX);
        }
        return 0;
}

/* A growing region with a write position; sized before, so that no step can fail. */
struct cursor {
        uint8_t *p;
};

static void put(struct cursor *c, const void *data, size_t size)
{
        if (size > 0)
                memcpy(c->p, data, size);
        c->p += size;
}

static void put_strings(struct cursor *c, const char *const *strings, size_t n)
{
        for (size_t i = 0; i < n; i++)
                put(c, strings[i], strlen(strings[i]) + 1);
}

static size_t strings_size(const char *const *strings, size_t n)
{
        size_t size = 0;

        for (size_t i = 0; i < n; i++)
                size += strlen(strings[i]) + 1;
        return size;
}

int spec_write_head(int fd, const struct spec *spec)
{
        struct spec_header h = {
                .magic = SPEC_MAGIC,
                .argc = (uint32_t) spec->argc,
                .envc = (uint32_t) spec->envc,
                .n_files = (uint32_t) spec->n_files,
                .n_inline = (uint32_t) spec->n_inline,
                .n_get = (uint32_t) spec->n_get,
                .search_path = spec->search_path,
        };
        _cleanup_free_ uint8_t *buffer = NULL;
        size_t files_size, size;
        struct cursor c;

        if (spec->argc > SPEC_ARGS_MAX || spec->envc > SPEC_ARGS_MAX ||
                spec->n_files > SPEC_FILES_MAX || spec->n_get > SPEC_GET_MAX)
                return -E2BIG;
        ASSERT(spec->n_inline <= spec->n_files);
        h.strings_size = strlen(spec->workdir) + 1 + strlen(spec->exec) + 1 +
                         strings_size(spec->argv, spec->argc) +
                         strings_size(spec->envp, spec->envc) +
                         strings_size(spec->file_names, spec->n_files) +
                         strings_size(spec->get, spec->n_get);
        if (h.strings_size > SPEC_STRINGS_MAX)
                return -E2BIG;
        for (size_t i = 0; i < spec->n_inline; i++)
                if (__builtin_add_overflow(h.data_size, spec->files[i].size, &h.data_size))
                        return -E2BIG;

        files_size = spec->n_files * sizeof(struct spec_file);
        size = sizeof(h) + files_size + h.strings_size;
        buffer = malloc(size);
        if (!buffer)
                return -ENOMEM;
        c.p = buffer;
        put(&c, &h, sizeof(h));
        put(&c, spec->files, files_size);
        put_strings(&c, &spec->workdir, 1);
        put_strings(&c, &spec->exec, 1);
        put_strings(&c, spec->argv, spec->argc);
        put_strings(&c, spec->envp, spec->envc);
        put_strings(&c, spec->file_names, spec->n_files);
        put_strings(&c, spec->get, spec->n_get);
        ASSERT(c.p == buffer + size);
        return io_write_full(fd, buffer, size);
}

/* Checks the header against the size of the memfd; nothing of the rest has been read. */
static int check_header(const struct spec_header *h, size_t size)
{
        uint64_t total = sizeof(*h);

        if (h->magic != SPEC_MAGIC || h->search_path > 1)
                return -EBADMSG;
        if (h->argc == 0 || h->argc > SPEC_ARGS_MAX || h->envc > SPEC_ARGS_MAX ||
                h->n_files > SPEC_FILES_MAX || h->n_inline > h->n_files ||
                h->n_get > SPEC_GET_MAX || h->strings_size > SPEC_STRINGS_MAX)
                return -EBADMSG;
        total += h->n_files * sizeof(struct spec_file) + h->strings_size;
        if (__builtin_add_overflow(total, h->data_size, &total) || total != size)
                return -EBADMSG;
        return 0;
}

/* The strings still to be read; every one lies whole inside it. */
struct strings {
        const char *p;
        size_t left;
};

static const char *take_string(struct strings *s)
{
        const char *start = s->p, *nul = s->left > 0 ? memchr(start, '\0', s->left) : NULL;
        size_t size;

        if (!nul)
                return NULL;
        size = (size_t) (nul - start) + 1;
        s->p += size;
        s->left -= size;
        return start;
}

/* Reads n strings into a fresh NULL-terminated array. */
static int take_array(struct strings *s, size_t n, const char ***ret)
{
        _cleanup_free_ const char **array = calloc(n + 1, sizeof(*array));

        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                array[i] = take_string(s);
                if (!array[i])
                        return -EBADMSG;
        }
        *ret = TAKE_PTR(array);
        return 0;
}

static int check_names(const char *const *names, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (spec_check_name(names[i], strlen(names[i]), NULL) < 0)
                        return -EBADMSG;
        return 0;
}

static int check_files(const struct spec_view *v, uint64_t data_size)
{
        uint64_t sum = 0;

        for (size_t i = 0; i < v->n_files; i++)
                if (v->files[i].mode & ~0777U)
                        return -EBADMSG;
        for (size_t i = 0; i < v->n_inline; i++)
                if (__builtin_add_overflow(sum, v->files[i].size, &sum) || sum > data_size)
                        return -EBADMSG;
        return sum == data_size ? 0 : -EBADMSG;
}

static int read_map(struct spec_view *v)
{
        const struct spec_header *h = v->map;
        struct strings s;
        int r;

        r = check_header(h, v->map_size);
        if (r < 0)
                return r;
        v->search_path = h->search_path;
        v->n_files = h->n_files;
        v->n_inline = h->n_inline;
        v->n_get = h->n_get;
        v->files = (const struct spec_file *) (h + 1);
        s = (struct strings) {
                .p = (const char *) (v->files + v->n_files),
                .left = h->strings_size,
        };
        v->data = (const uint8_t *) s.p + s.left;

        v->workdir = take_string(&s);
        v->exec = take_string(&s);
        if (strnull(v->workdir) || strnull(v->exec))
                return -EBADMSG;
        r = take_array(&s, h->argc, (const char ***) &v->argv);
        if (r < 0)
                return r;
        r = take_array(&s, h->envc, (const char ***) &v->envp);
        if (r < 0)
                return r;
        r = take_array(&s, h->n_files, &v->file_names);
        if (r < 0)
                return r;
        r = take_array(&s, h->n_get, &v->get);
        if (r < 0)
                return r;
        if (s.left > 0)
                return -EBADMSG;
        r = check_names(v->file_names, v->n_files);
        if (r < 0)
                return r;
        r = check_names(v->get, v->n_get);
        if (r < 0)
                return r;
        return check_files(v, h->data_size);
}

int spec_view_open(struct spec_view *v, int fd)
{
        struct spec_view view = {};
        struct stat st;
        int r;

        if (!io_memfd_is_sealed(fd) || fstat(fd, &st) < 0)
                return -EBADMSG;
        if (st.st_size < (off_t) sizeof(struct spec_header))
                return -EBADMSG;
        view.map_size = (size_t) st.st_size;
        view.map = mmap(NULL, view.map_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (view.map == MAP_FAILED)
                return -errno;
        r = read_map(&view);
        if (r < 0) {
                spec_view_done(&view);
                return r;
        }
        *v = view;
        return 0;
}

void spec_view_done(struct spec_view *v)
{
        free(v->argv);
        free(v->envp);
        free(v->file_names);
        free(v->get);
        if (v->map)
                (void) munmap(v->map, v->map_size);
        *v = (struct spec_view) {};
}
