/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds and reads policy files. Runs in the monitor, at start and on reload; opens only what is
 * beneath the policy folders, and knows no key.
 */
#include "daemon/monitor/policy-file.h"

#include <dirent.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/io.h"

int policy_item_error(const struct policy_item *item, const char *format, ...)
{
        char rest[ERROR_TEXT_MAX];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(rest, sizeof(rest), format, ap);
        va_end(ap);
        return error_set(item->error, -EINVAL, "%s:%u: %s=%.80s%s", item->origin.file,
                item->origin.line, item->key, item->value, rest);
}

static int read_text(const char *path, char **ret_text, struct error *ret_error)
{
        /* Not to be held up by a FIFO. */
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        _cleanup_free_ char *text = NULL;
        struct stat st;
        ssize_t n;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_set(ret_error, -errno, "cannot read %s: %s", path, strerror(errno));
        if (!S_ISREG(st.st_mode))
                return error_set(ret_error, -EINVAL,
                        "%s is not a regular file: replace or remove it", path);
        text = malloc(POLICY_FILE_MAX + 2);
        if (!text)
                return error_set(ret_error, -ENOMEM, "out of memory while reading %s", path);
        n = io_read_full(fd, text, POLICY_FILE_MAX + 1);
        if (n < 0)
                return error_set(ret_error, (int) n, "cannot read %s: %s", path,
                        strerror((int) -n));
        if ((size_t) n > POLICY_FILE_MAX)
                return error_set(ret_error, -EFBIG, "%s is larger than %llu KiB: shorten it", path,
                        (unsigned long long) (POLICY_FILE_MAX / KIB));
        text[n] = '\0';
        if (strlen(text) != (size_t) n)
                return error_set(ret_error, -EINVAL, "%s holds a NUL byte: it must be text", path);
        *ret_text = TAKE_PTR(text);
        return 0;
}

struct reading {
        const char *next; /* the text not yet given to inih */
        const char *path;
        unsigned line; /* of what inih was given last */
        bool too_long;
        int error; /* what the handler failed with, on line */
        policy_item_fn fn;
        void *userdata;
        struct error *ret_error;
};

/*
 * Gives inih one line at a time, as fgets() would. That is how the handler knows the line (inih
 * tells its number only when built so), how a line longer than inih's buffer becomes an error
 * instead of two lines, and how an indented line is one of its own and never goes on with the value
 * above. A comment is given as an empty line, so that it may be long.
 */
static char *give_line(char *buf, int size, void *stream)
{
        struct reading *r = stream;
        const char *begin = r->next + strspn(r->next, " \t");
        size_t n = strcspn(begin, "\n");

        if (r->error < 0 || r->too_long || *r->next == '\0')
                return NULL;
        r->line++;
        r->next = begin[n] == '\n' ? begin + n + 1 : begin + n;
        if (*begin == '#' || *begin == ';')
                n = 0;
        if (n + 2 > (size_t) size) {
                r->too_long = true;
                return NULL;
        }
        memcpy(buf, begin, n);
        memcpy(buf + n, "\n", 2);
        return buf;
}

static bool is_printable(const char *s)
{
        for (; *s; s++)
                if ((*s < ' ' && *s != '\t') || *s > '~')
                        return false;
        return true;
}

static int take_item(void *userdata, const char *section, const char *key, const char *value)
{
        struct reading *r = userdata;
        const struct policy_item item = {
                .origin = { r->path, r->line },
                .section = section,
                .key = key,
                .value = value,
                .error = r->ret_error,
        };

        if (!is_printable(section) || !is_printable(key) || !is_printable(value))
                r->error = error_set(r->ret_error, -EINVAL,
                        "%s:%u: a character that is not printable ASCII: use such only in "
                        "comments",
                        r->path, r->line);
        else
                r->error = r->fn(r->userdata, &item);
        return r->error >= 0;
}

int policy_file_read(const char *path, policy_item_fn fn, void *userdata, struct error *ret_error)
{
        _cleanup_free_ char *text = NULL;
        struct reading reading = {
                .path = path,
                .fn = fn,
                .userdata = userdata,
                .ret_error = ret_error,
        };
        int r;

        r = read_text(path, &text, ret_error);
        if (r < 0)
                return r;
        reading.next = text;
        r = ini_parse_stream(give_line, &reading, take_item, &reading);
        /* inih goes on after a line that it cannot read and returns the first bad one. */
        if (r > 0 && (reading.error >= 0 || (unsigned) r < reading.line))
                return error_set(ret_error, -EINVAL,
                        "%s:%d: neither a [Section] nor Key=Value: correct the line", path, r);
        if (reading.error < 0)
                return reading.error;
        if (reading.too_long)
                return error_set(ret_error, -EINVAL,
                        "%s:%u: the line is too long: split or shorten it", path, reading.line);
        return r < 0 ? error_set(ret_error, -ENOMEM, "out of memory while reading %s", path) : 0;
}

const struct policy_file *policy_files_get(const struct policy_files *f, const char *name)
{
        for (size_t i = 0; i < f->n; i++)
                if (streq(f->files[i].name, name))
                        return &f->files[i];
        return NULL;
}

static void policy_file_done(struct policy_file *file)
{
        free(file->name);
        free(file->path);
        *file = (struct policy_file) {};
}

/* Puts the file in, in the place of one of the same name. */
static int put_file(struct policy_files *f, struct policy_file *file)
{
        struct policy_file *old = (struct policy_file *) policy_files_get(f, file->name), *grown;

        if (old) {
                policy_file_done(old);
                *old = *file;
        } else {
                grown = reallocarray(f->files, f->n + 1, sizeof(*grown));
                if (!grown)
                        return -ENOMEM;
                f->files = grown;
                f->files[f->n++] = *file;
        }
        *file = (struct policy_file) {};
        return 0;
}

static int add_entry(struct policy_files *f, const char *dir, const char *entry, const char *ending)
{
        size_t size = strlen(entry), ending_size = strlen(ending);
        _cleanup_(policy_file_done) struct policy_file file = {};

        if (entry[0] == '.' || size <= ending_size || !streq(entry + size - ending_size, ending))
                return 0;
        file.name = strndup(entry, size - ending_size);
        if (!file.name)
                return -ENOMEM;
        if (asprintf(&file.path, "%s/%s", dir, entry) < 0) {
                file.path = NULL;
                return -ENOMEM;
        }
        return put_file(f, &file);
}

static void closedirp(DIR **d)
{
        if (*d)
                (void) closedir(*d);
}

static int add_folder(struct policy_files *f, const char *dir, const char *ending)
{
        _cleanup_(closedirp) DIR *d = opendir(dir);
        struct dirent *entry;
        int r;

        if (!d)
                return errno == ENOENT ? 0 : -errno;
        for (errno = 0; (entry = readdir(d)); errno = 0) {
                r = add_entry(f, dir, entry->d_name, ending);
                if (r < 0)
                        return r;
        }
        return -errno;
}

static int compare_files(const void *a, const void *b)
{
        return strcmp(((const struct policy_file *) a)->name,
                ((const struct policy_file *) b)->name);
}

int policy_files_find(struct policy_files *f, const struct policy_paths *paths, const char *sub,
        const char *ending, struct error *ret_error)
{
        for (size_t i = 0; i < POLICY_DIRS_MAX && paths->dirs[i]; i++) {
                _cleanup_free_ char *dir = NULL;
                int r;

                if (asprintf(&dir, "%s%s%s", paths->dirs[i], *sub ? "/" : "", sub) < 0) {
                        dir = NULL;
                        return error_set(ret_error, -ENOMEM, "out of memory while reading %s",
                                paths->dirs[i]);
                }
                r = add_folder(f, dir, ending);
                if (r < 0)
                        return error_set(ret_error, r, "cannot read the folder %s: %s", dir,
                                strerror(-r));
        }
        if (f->n > 1)
                qsort(f->files, f->n, sizeof(*f->files), compare_files);
        return 0;
}

void policy_files_done(struct policy_files *f)
{
        for (size_t i = 0; i < f->n; i++)
                policy_file_done(&f->files[i]);
        free(f->files);
        *f = (struct policy_files) {};
}

int policy_source_init(struct policy_source *s, const struct policy_paths *paths, const char *sub,
        const char *ending, const struct policy_file *file, struct error *ret_error)
{
        _cleanup_free_ char *drop_ins = NULL;

        *s = (struct policy_source) { .name = file->name, .path = file->path };
        if (asprintf(&drop_ins, "%s%s%s%s.d", sub, *sub ? "/" : "", file->name, ending) < 0) {
                drop_ins = NULL;
                return error_set(ret_error, -ENOMEM, "out of memory while reading the policy");
        }
        return policy_files_find(&s->drop_ins, paths, drop_ins, ".conf", ret_error);
}

void policy_source_done(struct policy_source *s)
{
        policy_files_done(&s->drop_ins);
}

int policy_source_read(const struct policy_source *s, policy_item_fn fn, void *userdata,
        struct error *ret_error)
{
        int r;

        if (s->path) {
                r = policy_file_read(s->path, fn, userdata, ret_error);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < s->drop_ins.n; i++) {
                r = policy_file_read(s->drop_ins.files[i].path, fn, userdata, ret_error);
                if (r < 0)
                        return r;
        }
        return 0;
}
