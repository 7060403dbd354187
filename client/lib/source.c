/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of a spec. Runs in the client's process, and opens only what the caller named. A path
 * is opened anew by each job, so that any number of files can be on their way.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "client/lib/spec.h"

/* Deeper folders than these the daemon would refuse, and a loop of mounts would never end. */
#define DEPTH_MAX 64

struct blob *blob_new(const void *data, size_t size)
{
        struct blob *b = malloc(sizeof(*b) + size + 1);

        if (!b)
                return NULL;
        *b = (struct blob) { .refs = 1, .size = size };
        if (size > 0)
                memcpy(b->data, data, size);
        return b;
}

/* Counts are atomic: clients of several threads may run jobs of one spec. */
struct blob *blob_ref(struct blob *b)
{
        if (b)
                (void) __atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
        return b;
}

struct blob *blob_unref(struct blob *b)
{
        if (b && __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) == 0)
                free(b);
        return NULL;
}

struct source *source_ref(struct source *s)
{
        (void) __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
        return s;
}

struct source *source_unref(struct source *s)
{
        if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return NULL;
        safe_close(s->fd);
        blob_unref(s->data);
        free(s->path);
        free(s->name);
        free(s);
        return NULL;
}

static struct source *source_new(enum source_kind kind, const char *name, unsigned mode)
{
        struct source *s = calloc(1, sizeof(*s));

        if (!s)
                return NULL;
        *s = (struct source) {
                .refs = 1,
                .kind = kind,
                .name = strdup(name),
                .mode = mode,
                .fd = -EBADF,
        };
        return s->name ? s : source_unref(s);
}

static int check_regular(const char *path, const struct stat *st, struct failure *f)
{
        if (S_ISREG(st->st_mode))
                return 0;
        if (S_ISDIR(st->st_mode))
                return failure_set(f, -EISDIR, SANDBOX_ERROR_INVALID_ARGUMENT, "files",
                        "%s is a folder: name its files one by one", path);
        return failure_set(f, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT, "files",
                "%s is no regular file: copy it into one first", path);
}

static int cannot(struct failure *f, const char *what, const char *path)
{
        return failure_set(f, -errno, SANDBOX_ERROR_LOCAL, "files",
                "cannot %s %s: %s: name a file that you can read", what, path,
                strerrordesc_np(errno));
}

/* O_NONBLOCK: a FIFO is refused below, and must not hold us up before. */
int source_open(const struct source *s, struct stat *ret, struct failure *f)
{
        const char *path = s->kind == SOURCE_PATH ? s->path : s->name;
        _cleanup_close_ int fd = -EBADF;
        int r;

        if (s->kind == SOURCE_PATH)
                fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        else
                fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
                return cannot(f, "open", path);
        if (fstat(fd, ret) < 0)
                return cannot(f, "look at", path);
        r = check_regular(path, ret, f);
        return r < 0 ? r : TAKE_FD(fd);
}

/* Takes source over in any case. */
static int add_source(sandbox_spec *s, struct source *source)
{
        struct source **grown = reallocarray(s->sources, s->n_sources + 1, sizeof(*grown));

        if (!grown) {
                source_unref(source);
                return failure_memory(&s->failure);
        }
        s->sources = grown;
        s->sources[s->n_sources++] = source;
        return 0;
}

int sandbox_spec_add_file_data(sandbox_spec *s, const char *name, unsigned mode, const void *data,
        size_t size)
{
        struct source *source = source_new(SOURCE_DATA, name, mode);

        if (source)
                source->data = blob_new(data, size);
        if (!source || !source->data) {
                source_unref(source);
                return failure_memory(&s->failure);
        }
        return add_source(s, source);
}

/* Adds a source that is a file, once it was seen to be one. Takes source over. */
static int add_checked(sandbox_spec *s, struct source *source)
{
        _cleanup_close_ int fd = -EBADF;
        struct stat st;

        fd = source_open(source, &st, &s->failure);
        if (fd < 0) {
                source_unref(source);
                return fd;
        }
        if (source->mode == 0)
                source->mode = st.st_mode & 0777;
        return add_source(s, source);
}

int sandbox_spec_add_file_path(sandbox_spec *s, const char *name, unsigned mode, const char *path)
{
        struct source *source = source_new(SOURCE_PATH, name, mode);

        if (source)
                source->path = strdup(path);
        if (!source || !source->path) {
                source_unref(source);
                return failure_memory(&s->failure);
        }
        return add_checked(s, source);
}

int sandbox_spec_add_file_fd(sandbox_spec *s, const char *name, unsigned mode, int fd)
{
        struct source *source;
        int copy;

        copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (copy < 0)
                return cannot(&s->failure, "duplicate the fd of", name);
        source = source_new(SOURCE_FD, name, mode);
        if (!source) {
                safe_close(copy);
                return failure_memory(&s->failure);
        }
        source->fd = copy;
        return add_checked(s, source);
}

static int add_folder(sandbox_spec *s, const char *name, const char *path, int depth);

static int add_entry(sandbox_spec *s, const char *name, const char *path, int depth)
{
        struct stat st;

        if (lstat(path, &st) < 0)
                return cannot(&s->failure, "look at", path);
        if (S_ISDIR(st.st_mode))
                return add_folder(s, name, path, depth + 1);
        if (S_ISLNK(st.st_mode) && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
                return failure_set(&s->failure, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT, "files",
                        "%s is a symbolic link to a folder: leave it out, or name that folder",
                        path);
        return sandbox_spec_add_file_path(s, name, 0, path);
}

/* "a" and "b": "a/b". An empty one is left out. */
static char *join(const char *a, const char *b)
{
        size_t n = strlen(a);
        char *text;

        if (n == 0)
                return strdup(b);
        if (asprintf(&text, "%s%s%s", a, a[n - 1] == '/' ? "" : "/", b) < 0)
                return NULL;
        return text;
}

static int skip_dots(const struct dirent *entry)
{
        return !streq(entry->d_name, ".") && !streq(entry->d_name, "..");
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(sandbox_spec *s, const char *name, const char *path, int depth)
{
        struct dirent **entries;
        int n, r = 0;

        if (depth > DEPTH_MAX)
                return failure_set(&s->failure, -ELOOP, SANDBOX_ERROR_INVALID_ARGUMENT, "files",
                        "%s is more than %d folders deep: name a smaller part", path, DEPTH_MAX);
        n = scandir(path, &entries, skip_dots, by_name);
        if (n < 0)
                return cannot(&s->failure, "list", path);
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *inner = join(name, entries[i]->d_name);
                _cleanup_free_ char *full = join(path, entries[i]->d_name);

                if (r == 0)
                        r = inner && full ? add_entry(s, inner, full, depth)
                                          : failure_memory(&s->failure);
                free(entries[i]);
        }
        free(entries);
        return r;
}

int sandbox_spec_add_tree(sandbox_spec *s, const char *name, const char *path)
{
        size_t before = s->n_sources;
        struct stat st;
        int r;

        if (stat(path, &st) < 0)
                return cannot(&s->failure, "look at", path);
        if (S_ISDIR(st.st_mode))
                r = add_folder(s, name, path, 0);
        else
                r = sandbox_spec_add_file_path(s, name, 0, path);
        if (r == 0 && s->n_sources == before)
                r = failure_set(&s->failure, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT, "files",
                        "there is no file in the folder %s: put one there, or leave it out", path);
        /* All of it or nothing. */
        while (r < 0 && s->n_sources > before)
                source_unref(s->sources[--s->n_sources]);
        return r;
}
