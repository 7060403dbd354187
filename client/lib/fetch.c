/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of a job on their way into a folder. Runs in the client's process, with all its rights, and
 * takes names from the job: so each part of a name is opened by itself, beneath the one before, and
 * no symbolic link is followed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "client/lib/failure.h"
#include "common/error.h"
#include "common/io.h"

#define NAME_PARTS_MAX 64
#define TEMPORARY_MAX 40

struct failed_file {
        char *name;
        char *reason;
};

struct sandbox_fetch {
        int dir_fd;
        uint64_t files;
        uint64_t bytes;
        struct failed_file *failed;
        size_t n_failed;

        char *name; /* of the file whose pieces come, until its last */
        int fd;     /* of what is written of it; -EBADF when it has failed */
        int parent_fd;
        char temporary[TEMPORARY_MAX];
};

int sandbox_fetch_new(int dir_fd, sandbox_fetch **ret)
{
        _cleanup_close_ int fd = -EBADF;
        sandbox_fetch *f;

        fd = openat(dir_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        *f = (sandbox_fetch) { .dir_fd = TAKE_FD(fd), .fd = -EBADF, .parent_fd = -EBADF };
        *ret = f;
        return 0;
}

/* Closes the current file. One that is not in place is removed. */
static void close_current(sandbox_fetch *f)
{
        if (f->temporary[0] != '\0')
                (void) unlinkat(f->parent_fd, f->temporary, 0);
        f->temporary[0] = '\0';
        f->fd = safe_close(f->fd);
        f->parent_fd = safe_close(f->parent_fd);
}

static void drop_current(sandbox_fetch *f)
{
        close_current(f);
        free(TAKE_PTR(f->name));
}

sandbox_fetch *sandbox_fetch_free(sandbox_fetch *f)
{
        if (!f)
                return NULL;
        drop_current(f);
        for (size_t i = 0; i < f->n_failed; i++) {
                free(f->failed[i].name);
                free(f->failed[i].reason);
        }
        free(f->failed);
        safe_close(f->dir_fd);
        free(f);
        return NULL;
}

static int note_failed(sandbox_fetch *f, const char *name, const char *reason)
{
        struct failed_file *grown = reallocarray(f->failed, f->n_failed + 1, sizeof(*f->failed));
        struct failed_file file;

        if (!grown)
                return -ENOMEM;
        f->failed = grown;
        file = (struct failed_file) { .name = strdup(name), .reason = strdup(reason) };
        if (!file.name || !file.reason) {
                free(file.name);
                free(file.reason);
                return -ENOMEM;
        }
        f->failed[f->n_failed++] = file;
        return 0;
}

/* The next part of a name into part: 1, 0 after the last, -EINVAL for one that could lead out. */
static int next_part(const char **name, char part[static NAME_MAX + 1])
{
        size_t n = strcspn(*name, "/");

        if (**name == '\0')
                return 0;
        if (n == 0 || n > NAME_MAX)
                return -EINVAL;
        memcpy(part, *name, n);
        part[n] = '\0';
        if (streq(part, ".") || streq(part, ".."))
                return -EINVAL;
        *name += n;
        if (**name == '/') {
                (*name)++;
                if (**name == '\0')
                        return -EINVAL;
        }
        return 1;
}

static int check_name(const char *name, struct error *e)
{
        char part[NAME_MAX + 1];
        int r, parts = 0;

        while ((r = next_part(&name, part)) > 0)
                parts++;
        if (r < 0 || parts == 0 || parts > NAME_PARTS_MAX)
                return error_set(e, -EINVAL,
                        "its name leads out of the folder, or is too long: "
                        "have the job name it otherwise");
        return 0;
}

/* Opens a folder beneath another, made if it is not there. */
static int open_folder(int parent_fd, const char *part, mode_t mode, struct error *e)
{
        int fd;

        if (mkdirat(parent_fd, part, mode | S_IRWXU) < 0 && errno != EEXIST)
                return error_set(e, -errno, "cannot make the folder %s: %s", part,
                        strerrordesc_np(errno));
        fd = openat(parent_fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return error_set(e, -errno,
                        "%s is there and no folder, or cannot be opened (%s): move it away", part,
                        strerrordesc_np(errno));
        return fd;
}

/* Opens the folder that a file is in, and copies the file's own part. */
static int open_parent(sandbox_fetch *f, const char *name, char part[static NAME_MAX + 1],
        struct error *e)
{
        _cleanup_close_ int fd = fcntl(f->dir_fd, F_DUPFD_CLOEXEC, 3);
        int r;

        if (fd < 0)
                return error_set(e, -errno, "cannot open its folder: %s", strerrordesc_np(errno));
        r = check_name(name, e);
        if (r < 0)
                return r;
        while (next_part(&name, part) > 0 && *name != '\0') {
                int next = open_folder(fd, part, 0777, e);

                if (next < 0)
                        return next;
                safe_close(fd);
                fd = next;
        }
        return TAKE_FD(fd);
}

/* A name that nobody has. */
static int open_temporary(int parent_fd, mode_t mode, char name[static TEMPORARY_MAX])
{
        for (int tries = 0; tries < 16; tries++) {
                uint64_t random;
                int fd;

                if (getrandom(&random, sizeof(random), 0) != (ssize_t) sizeof(random))
                        return -EIO;
                (void) snprintf(name, TEMPORARY_MAX, ".sandbox-fetch-%016llx",
                        (unsigned long long) random);
                fd = openat(parent_fd, name,
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode);
                if (fd >= 0)
                        return fd;
                if (errno != EEXIST)
                        return -errno;
        }
        return -EEXIST;
}

static int check_replaced(int parent_fd, const char *part, struct error *e)
{
        struct stat st;

        if (fstatat(parent_fd, part, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISREG(st.st_mode))
                return 0;
        return error_set(e, -EEXIST,
                "something of that name is there that is no file: move it away");
}

static int begin_file(sandbox_fetch *f, const sandbox_file_piece *piece, struct error *e)
{
        char part[NAME_MAX + 1];
        int r;

        f->parent_fd = open_parent(f, piece->name, part, e);
        if (f->parent_fd < 0)
                return f->parent_fd;
        r = check_replaced(f->parent_fd, part, e);
        if (r < 0)
                return r;
        f->fd = open_temporary(f->parent_fd, piece->mode & 0777, f->temporary);
        if (f->fd < 0) {
                f->temporary[0] = '\0';
                return error_set(e, f->fd, "cannot make it: %s", strerrordesc_np(-f->fd));
        }
        return 0;
}

/* rename(2) replaces what has the name by then, be it a link, and never follows one. */
static int finish_file(sandbox_fetch *f, uint64_t size, struct error *e)
{
        const char *slash = strrchr(f->name, '/');

        if (renameat(f->parent_fd, f->temporary, f->parent_fd, slash ? slash + 1 : f->name) < 0)
                return error_set(e, -errno, "cannot put it in place: %s", strerrordesc_np(errno));
        f->temporary[0] = '\0';
        f->files++;
        f->bytes += size;
        return 0;
}

/* Of a file that has failed the other pieces are left out. */
static int put_regular(sandbox_fetch *f, const sandbox_file_piece *piece, struct error *e)
{
        int r = 0;

        if (!f->name || !streq(f->name, piece->name)) {
                drop_current(f);
                f->name = strdup(piece->name);
                if (!f->name)
                        return error_set(e, -ENOMEM, "out of memory");
                r = begin_file(f, piece, e);
        }
        if (r < 0 || f->fd < 0)
                return r;
        r = io_write_full(f->fd, piece->data, piece->data_size);
        if (r < 0)
                return error_set(e, r, "cannot write it: %s", strerrordesc_np(-r));
        return piece->last ? finish_file(f, piece->size, e) : 0;
}

static int put_folder(sandbox_fetch *f, const sandbox_file_piece *piece, struct error *e)
{
        _cleanup_close_ int parent_fd = -EBADF, fd = -EBADF;
        char part[NAME_MAX + 1];

        parent_fd = open_parent(f, piece->name, part, e);
        if (parent_fd < 0)
                return parent_fd;
        fd = open_folder(parent_fd, part, piece->mode & 0777, e);
        return MIN(fd, 0);
}

/* What came of a file that failed over there; one that failed here before is noted already. */
static int put_failed(sandbox_fetch *f, const sandbox_file_piece *piece, struct error *e)
{
        if (f->name && streq(f->name, piece->name) && f->fd < 0)
                return 0;
        return error_set(e, -EIO, "%s", piece->error ? piece->error : "it did not come");
}

int sandbox_fetch_put(sandbox_fetch *f, const sandbox_file_piece *piece)
{
        static int (*const put[])(sandbox_fetch * f, const sandbox_file_piece *piece,
                struct error *e) = {
                [SANDBOX_FILE_REGULAR] = put_regular,
                [SANDBOX_FILE_FOLDER] = put_folder,
                [SANDBOX_FILE_FAILED] = put_failed,
        };
        struct error e;
        int r;

        if ((size_t) piece->kind >= ELEMENTSOF(put) || !put[piece->kind])
                return -EINVAL;
        r = put[piece->kind](f, piece, &e);
        if (r < 0) {
                close_current(f);
                if (note_failed(f, piece->name, e.text) < 0)
                        return -ENOMEM;
        }
        if (piece->last || piece->kind != SANDBOX_FILE_REGULAR)
                drop_current(f);
        return 0;
}

uint64_t sandbox_fetch_get_files(const sandbox_fetch *f)
{
        return f->files;
}

uint64_t sandbox_fetch_get_bytes(const sandbox_fetch *f)
{
        return f->bytes;
}

const char *sandbox_fetch_get_failed(const sandbox_fetch *f, size_t index, const char **ret_reason)
{
        if (index >= f->n_failed)
                return NULL;
        if (ret_reason)
                *ret_reason = f->failed[index].reason;
        return f->failed[index].name;
}
