/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the files of a job go. Runs in sandboxctl. The job chose their names: they are written by
 * the library's sandbox_fetch alone, beneath folders that the user named.
 */
#include "client/ctl/download.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "client/ctl/memory.h"
#include "common/pattern.h"

static struct download *append(struct downloads *d)
{
        d->list = must(reallocarray(d->list, d->n + 1, sizeof(*d->list)));
        d->list[d->n] = (struct download) { .dir_fd = -EBADF };
        return &d->list[d->n++];
}

void downloads_done(struct downloads *d)
{
        for (size_t i = 0; i < d->n; i++) {
                sandbox_fetch_free(d->list[i].fetch);
                safe_close(d->list[i].dir_fd);
                free(d->list[i].name);
                free(d->list[i].dest);
        }
        for (size_t i = 0; i < d->n_files; i++) {
                free(d->files[i].name);
                free(d->files[i].path);
                free(d->files[i].reason);
        }
        free(d->list);
        free(d->files);
        *d = (struct downloads) {};
}

/* As people name what is in /box: "/box/out/" and "./out" are "out". */
static char *plain_name(const char *text, size_t size)
{
        if (size > 5 && strncmp(text, "/box/", 5) == 0) {
                text += 5;
                size -= 5;
        }
        while (size > 2 && strncmp(text, "./", 2) == 0) {
                text += 2;
                size -= 2;
        }
        while (size > 1 && text[size - 1] == '/')
                size--;
        return must(strndup(text, size));
}

int downloads_add(struct downloads *d, const char *text, struct error *e)
{
        /* Cut at the last colon, as --file is. */
        const char *colon = strrchr(text, ':');
        size_t size = colon ? (size_t) (colon - text) : strlen(text);
        struct download *new;

        if (size == 0 || (colon && colon[1] == '\0'))
                return error_set(e, -EINVAL,
                        "'%s' is not NAME or NAME:DEST: name a file in /box and, after a colon, "
                        "where it goes",
                        text);
        new = append(d);
        new->name = plain_name(text, size);
        if (colon)
                new->dest = must(strdup(colon + 1));
        return 0;
}

void downloads_add_all(struct downloads *d)
{
        (void) append(d);
}

static int cannot_open(const char *folder, int error, struct error *e)
{
        return error_set(e, error,
                "cannot put files into %s: %s: name a folder that you can write to", folder,
                strerror(-error));
}

/* Opens the folder that DEST is in: it may become a file. */
static int open_parent(struct download *one, struct error *e)
{
        const char *slash = strrchr(one->dest, '/');
        _cleanup_free_ char *parent = NULL;

        one->rename = slash ? slash + 1 : one->dest;
        parent = must(slash ? strndup(one->dest, (size_t) (one->rename - one->dest)) : strdup("."));
        one->dir_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return one->dir_fd < 0 ? cannot_open(parent, -errno, e) : 0;
}

static int open_dest(struct download *one, struct error *e)
{
        bool folder;

        if (!one->dest) {
                one->dir_fd = AT_FDCWD;
                return 0;
        }
        folder = one->dest[strlen(one->dest) - 1] == '/' || pattern_is(one->name);
        if (folder && mkdir(one->dest, 0777) < 0 && errno != EEXIST)
                return cannot_open(one->dest, -errno, e);
        one->dir_fd = open(one->dest, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (one->dir_fd >= 0)
                return 0;
        if (folder || (errno != ENOENT && errno != ENOTDIR))
                return cannot_open(one->dest, -errno, e);
        return open_parent(one, e);
}

int downloads_open(struct downloads *d, struct error *e)
{
        for (size_t i = 0; i < d->n; i++) {
                struct download *one = &d->list[i];
                int r;

                r = open_dest(one, e);
                if (r < 0)
                        return r;
                r = sandbox_fetch_new(one->dir_fd, &one->fetch);
                if (r < 0)
                        return cannot_open(one->dest ? one->dest : ".", r, e);
        }
        return 0;
}

const char **downloads_names(const struct downloads *d)
{
        const char **names = must(calloc(d->n + 1, sizeof(*names)));

        for (size_t i = 0; i < d->n; i++) {
                names[i] = d->list[i].name;
                if (!names[i]) {
                        free(names);
                        return NULL;
                }
        }
        return names;
}

static struct download_file *note(struct downloads *d, const char *name)
{
        d->files = must(reallocarray(d->files, d->n_files + 1, sizeof(*d->files)));
        d->files[d->n_files] = (struct download_file) { .name = must(strdup(name)) };
        return &d->files[d->n_files++];
}

static void note_failed(struct downloads *d, const char *name, const char *reason)
{
        note(d, name)->reason = must(strdup(reason));
        d->failed++;
}

static void note_written(struct downloads *d, const struct download *one,
        const sandbox_file_piece *piece)
{
        struct download_file *file = note(d, piece->name);
        bool slash = one->dest && one->dest[strlen(one->dest) - 1] == '/';

        file->size = piece->size;
        if (one->rename || !one->dest)
                file->path = strdup(one->rename ? one->dest : piece->name);
        else if (asprintf(&file->path, "%s%s%s", one->dest, slash ? "" : "/", piece->name) < 0)
                file->path = NULL;
        must(file->path);
}

/* Whether the name, or a folder that it is in, is what was asked for: by the daemon's own rules. What cannot
 * be had comes under the name that it was asked for by. */
static bool matches(const struct download *one, const sandbox_file_piece *piece)
{
        return !one->name || streq(one->name, piece->name) ||
               pattern_matches(one->name, piece->name, NULL);
}

/* DEST turns out to be a folder, since the first that came is one. 0, or a negative errno with one as it was. */
static int become_folder(struct download *one)
{
        _cleanup_close_ int fd = -EBADF;
        sandbox_fetch *fetch;
        int r;

        if (mkdirat(one->dir_fd, one->rename, 0777) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(one->dir_fd, one->rename, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = sandbox_fetch_new(fd, &fetch);
        if (r < 0)
                return r;
        sandbox_fetch_free(one->fetch);
        one->fetch = fetch;
        one->rename = NULL;
        safe_close(one->dir_fd);
        one->dir_fd = TAKE_FD(fd);
        return 0;
}

/* Whether the piece is that of the one file that DEST is to be. */
static bool is_itself(const struct download *one, const sandbox_file_piece *piece)
{
        return piece->kind != SANDBOX_FILE_FOLDER && streq(one->name, piece->name);
}

static int put(struct downloads *d, struct download *one, const sandbox_file_piece *piece)
{
        sandbox_file_piece renamed = *piece;
        const char *reason;
        uint64_t before;
        int r;

        one->found = true;
        if (one->broken)
                return 0;
        if (one->rename && !is_itself(one, piece)) {
                r = become_folder(one);
                if (r < 0) {
                        note_failed(d, one->name, strerror(-r));
                        one->broken = true;
                        return 0;
                }
        }
        if (one->rename)
                renamed.name = one->rename;
        before = sandbox_fetch_get_files(one->fetch);
        r = sandbox_fetch_put(one->fetch, &renamed);
        if (r < 0)
                return r;
        if (sandbox_fetch_get_files(one->fetch) > before)
                note_written(d, one, piece);
        while (sandbox_fetch_get_failed(one->fetch, one->failed, &reason)) {
                note_failed(d, piece->name, reason);
                one->failed++;
        }
        return 0;
}

int downloads_put(struct downloads *d, const sandbox_file_piece *piece)
{
        bool wanted = false;

        for (size_t i = 0; i < d->n; i++) {
                int r;

                if (!matches(&d->list[i], piece))
                        continue;
                wanted = true;
                r = put(d, &d->list[i], piece);
                if (r < 0)
                        return r;
        }
        /* Of what nobody asked for, nothing is written; that something failed is told all the same. */
        if (!wanted && piece->kind == SANDBOX_FILE_FAILED)
                note_failed(d, piece->name, piece->error);
        return 0;
}

void downloads_end(struct downloads *d)
{
        for (size_t i = 0; i < d->n; i++) {
                struct download *one = &d->list[i];

                one->fetch = sandbox_fetch_free(one->fetch);
                if (!one->found && one->name)
                        note_failed(d, one->name,
                                "nothing of that name was kept of the job: name it with "
                                "'run --get' when it is started");
        }
}

void downloads_complain(const struct downloads *d)
{
        for (size_t i = 0; i < d->n_files; i++) {
                struct error e;

                if (!d->files[i].reason)
                        continue;
                (void) error_set(&e, -EIO, "%s was not fetched: %s", d->files[i].name,
                        d->files[i].reason);
                ctl_complain(e.text);
        }
}

void downloads_json(const struct downloads *d, json_t *object)
{
        json_t *fetched = json_new_array(), *failed = json_new_array();

        for (size_t i = 0; i < d->n_files; i++) {
                const struct download_file *file = &d->files[i];
                json_t *one = json_new_object();

                json_set_text(one, "name", file->name);
                if (file->reason) {
                        json_set_text(one, "message", file->reason);
                        json_append(failed, one);
                        continue;
                }
                json_set_text(one, "path", file->path);
                json_set_number(one, "size", file->size);
                json_append(fetched, one);
        }
        json_set(object, "fetched", fetched);
        json_set(object, "not_fetched", failed);
}
