/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the command line to the Run message: reads the code and the user's files. Runs in
 * sandboxctl, and opens only what the user named.
 */
#include "client/ctl/run-request.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "client/ctl/memory.h"
#include "common/io.h"
#include "common/parse.h"

/* Files of up to this size go into the Run message itself, as long as it stays below the second
 * number and what sandboxd takes; others are streamed. */
#define INLINE_FILE_MAX (64 * KIB)
#define INLINE_TOTAL_MAX MIB
/* What a file adds beside its name and bytes, and a request around its Run: tags, lengths, numbers,
 * at their longest. */
#define FILE_OVERHEAD 64
#define REQUEST_OVERHEAD 32

static ProtobufCBinaryData text_bytes(const char *text)
{
        return (ProtobufCBinaryData) {
                .len = text ? strlen(text) : 0,
                .data = (uint8_t *) text,
        };
}

static int too_large(const char *what, size_t max, struct error *e)
{
        char text[FORMAT_MAX];

        return error_set(e, -EMSGSIZE,
                "%s is larger than the %s that one request "
                "can carry: send most of it with --file",
                what, format_size(text, max));
}

static int read_code(struct run_request *r, const struct run_options *o, size_t max,
        struct error *e)
{
        const char *name = o->source == RUN_SOURCE_STDIN ? "the code on stdin" : o->code;
        _cleanup_close_ int opened = -EBADF;
        size_t size;
        int q;

        if (o->source == RUN_SOURCE_COMMAND)
                return 0;
        if (o->source == RUN_SOURCE_TEXT) {
                r->message.code = text_bytes(o->code);
                return 0;
        }
        if (o->source == RUN_SOURCE_FILE) {
                opened = open(o->code, O_RDONLY | O_CLOEXEC | O_NOCTTY);
                if (opened < 0)
                        return error_set(e, -errno, "cannot open %s: %s: name a file with code",
                                name, strerror(errno));
        }
        q = io_read_fd(o->source == RUN_SOURCE_FILE ? opened : STDIN_FILENO, max, &r->code, &size);
        if (q == -EFBIG)
                return too_large(name, max, e);
        if (q < 0)
                return error_set(e, q, "cannot read %s: %s: name a file with code", name,
                        strerror(-q));
        r->message.code = (ProtobufCBinaryData) { .len = size, .data = (uint8_t *) r->code };
        return 0;
}

static void set_limits(struct run_request *r, const struct run_options *o)
{
        Sandboxd__V1__Run *m = &r->message;

        m->limits = must(calloc(_LIMIT_COUNT, sizeof(*m->limits)));
        for (int i = 0; i < _LIMIT_COUNT; i++) {
                Sandboxd__V1__Run__LimitsEntry *entry;

                if (!o->limit_text[i])
                        continue;
                entry = must(malloc(sizeof(*entry)));
                sandboxd__v1__run__limits_entry__init(entry);
                entry->key = (char *) limit_table[i].field;
                entry->value = o->limits[i];
                m->limits[m->n_limits++] = entry;
        }
}

static ProtobufCBinaryData *text_list(char *const *texts, size_t n)
{
        ProtobufCBinaryData *list = must(calloc(n + 1, sizeof(*list)));

        for (size_t i = 0; i < n; i++)
                list[i] = text_bytes(texts[i]);
        return list;
}

/* O_NONBLOCK: a FIFO is refused below, and must not hold us up before. */
static int open_file(const char *path, struct stat *st, struct error *e)
{
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

        if (fd < 0)
                return error_set(e, -errno,
                        "--file: cannot open %s: %s: name a file that you can read", path,
                        strerror(errno));
        if (fstat(fd, st) < 0)
                return error_set(e, -errno,
                        "--file: cannot look at %s: %s: name a file that you can read", path,
                        strerror(errno));
        if (S_ISDIR(st->st_mode))
                return error_set(e, -EISDIR, "--file: %s is a folder: name its files one by one",
                        path);
        if (!S_ISREG(st->st_mode))
                return error_set(e, -EINVAL,
                        "--file: %s is no regular file: copy it into one first", path);
        return TAKE_FD(fd);
}

static int file_changed(const char *path, struct error *e)
{
        return error_set(e, -ESTALE, "--file: %s became shorter while it was read: try again",
                path);
}

/* Puts the bytes of a small file into the message itself. */
static int read_inline(Sandboxd__V1__File *file, struct run_upload *upload, const char *path,
        struct error *e)
{
        ssize_t n;

        file->data.data = must(malloc(upload->left + 1));
        n = io_read_full(upload->fd, file->data.data, upload->left);
        if (n < 0)
                return error_set(e, (int) n,
                        "--file: cannot read %s: %s: name a file that you can read", path,
                        strerror((int) -n));
        if ((uint64_t) n < upload->left)
                return file_changed(path, e);
        file->data.len = (size_t) n;
        upload->left = 0;
        upload->fd = safe_close(upload->fd);
        return 0;
}

/* room: bytes that the message can still take. */
static int add_file(struct run_request *r, const struct run_file *source, size_t *room,
        struct error *e)
{
        Sandboxd__V1__File *file = must(malloc(sizeof(*file)));
        struct run_upload *upload = &r->uploads[r->message.n_files];
        struct stat st;

        sandboxd__v1__file__init(file);
        *upload = (struct run_upload) { .fd = -EBADF };
        r->message.files[r->message.n_files++] = file;
        upload->fd = open_file(source->path, &st, e);
        if (upload->fd < 0)
                return upload->fd;
        upload->left = (uint64_t) st.st_size;
        file->name = text_bytes(source->name);
        file->mode = st.st_mode & 0777;
        file->size = upload->left;
        if (upload->left > MIN(INLINE_FILE_MAX, *room))
                return 0;
        *room -= (size_t) upload->left;
        return read_inline(file, upload, source->path, e);
}

/* What the message leaves for the bytes of files when their names are in it too. */
static size_t inline_room(const struct run_request *r, const struct run_options *o, size_t max_size)
{
        size_t used = sandboxd__v1__run__get_packed_size(&r->message) + REQUEST_OVERHEAD;
        size_t most = MIN(max_size, INLINE_TOTAL_MAX);

        for (size_t i = 0; i < o->n_files; i++)
                used += strlen(o->files[i].name) + FILE_OVERHEAD;
        return used < most ? most - used : 0;
}

static int add_files(struct run_request *r, const struct run_options *o, size_t max_size,
        struct error *e)
{
        size_t room = inline_room(r, o, max_size);
        int q;

        r->uploads = must(calloc(o->n_files + 1, sizeof(*r->uploads)));
        r->message.files = must(calloc(o->n_files + 1, sizeof(*r->message.files)));
        for (size_t i = 0; i < o->n_files; i++) {
                q = add_file(r, &o->files[i], &room, e);
                if (q < 0)
                        return q;
        }
        return 0;
}

int run_request_init(struct run_request *r, const struct run_options *o, bool with_stdin,
        size_t max_size, const char **ret_field, struct error *e)
{
        Sandboxd__V1__Run *m = &r->message;
        int q;

        *r = (struct run_request) { .message = SANDBOXD__V1__RUN__INIT };
        if (o->language)
                m->runtime = text_bytes(o->language);
        if (o->profile)
                m->profile = text_bytes(o->profile);
        m->argv = text_list(o->argv, o->argc);
        m->n_argv = o->argc;
        m->env = text_list(o->env, o->n_env);
        m->n_env = o->n_env;
        m->workdir = text_bytes(o->workdir);
        m->label = text_bytes(o->label);
        m->strict_output = o->strict_output;
        m->stdin = with_stdin;
        set_limits(r, o);
        *ret_field = "code";
        q = read_code(r, o, max_size, e);
        if (q < 0)
                return q;
        *ret_field = "files";
        return add_files(r, o, max_size, e);
}

void run_request_done(struct run_request *r)
{
        Sandboxd__V1__Run *m = &r->message;

        for (size_t i = 0; i < m->n_files; i++) {
                safe_close(r->uploads[i].fd);
                free(m->files[i]->data.data);
                free(m->files[i]);
        }
        for (size_t i = 0; i < m->n_limits; i++)
                free(m->limits[i]);
        free(m->files);
        free(m->limits);
        free(m->argv);
        free(m->env);
        free(r->uploads);
        free(r->code);
        *r = (struct run_request) {};
}

bool run_request_unfinished(const struct run_request *r)
{
        for (size_t i = r->next_upload; i < r->message.n_files; i++)
                if (r->uploads[i].left > 0)
                        return true;
        return false;
}

int run_request_next(struct run_request *r, const struct run_options *o, void *buf, size_t size,
        Sandboxd__V1__FileData *ret, struct error *e)
{
        while (r->next_upload < r->message.n_files) {
                struct run_upload *upload = &r->uploads[r->next_upload];
                const char *path = o->files[r->next_upload].path;
                ssize_t n;

                if (upload->left == 0) {
                        upload->fd = safe_close(upload->fd);
                        r->next_upload++;
                        continue;
                }
                n = io_read_full(upload->fd, buf, MIN(size, upload->left));
                if (n < 0)
                        return error_set(e, (int) n,
                                "--file: cannot read %s: %s: name a file that you can read", path,
                                strerror((int) -n));
                if (n == 0)
                        return file_changed(path, e);
                sandboxd__v1__file_data__init(ret);
                ret->file = (uint32_t) r->next_upload;
                ret->data = (ProtobufCBinaryData) { .len = (size_t) n, .data = buf };
                upload->left -= (uint64_t) n;
                return 1;
        }
        return 0;
}
