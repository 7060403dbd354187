/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for files beneath /box. Runs in init when the job has ended, with the payload's rights as
 * far as files go. What it walks through is the job's work: every step is an openat() of one part
 * that is not followed if it is a link, and what a part is gets asked before it is opened.
 */
#include "daemon/init/entries.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/pattern.h"

/* Names in folders that are looked at, all in all: init's time is not charged to the job. */
#define LOOK_MAX (128 * 1024)
/* With room to say of each thing asked for that it does not come. */
#define ENTRIES_ROOM (TRANSFER_ENTRIES_MAX + 2 * SPEC_GET_MAX)

enum transfer_error entry_check_mode(mode_t mode)
{
        switch (mode & S_IFMT) {
        case S_IFREG:
        case S_IFDIR:
                return TRANSFER_ERROR_NONE;
        case S_IFLNK:
                return TRANSFER_ERROR_SYMLINK;
        default:
                return TRANSFER_ERROR_SPECIAL;
        }
}

enum transfer_error entry_check_errno(int number)
{
        switch (number) {
        case ENOENT:
        case ENOTDIR:
                return TRANSFER_ERROR_MISSING;
        case ELOOP:
                return TRANSFER_ERROR_SYMLINK;
        default:
                return TRANSFER_ERROR_FAILED;
        }
}

/* O_PATH: to pass through a folder it need not be readable. Says ELOOP for a link, which the kernel
 * would say ENOTDIR of. */
static int open_part(int dir, const char *part)
{
        struct stat st;
        int fd;

        if (fstatat(dir, part, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -errno;
        if (S_ISLNK(st.st_mode))
                return -ELOOP;
        fd = openat(dir, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int entry_open_parent(int dir, const char *path, const char **ret_name)
{
        _cleanup_close_ int at = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (at < 0)
                return -errno;
        for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
                char part[SPEC_PART_MAX + 1];
                int next;

                if ((size_t) (slash - path) > SPEC_PART_MAX)
                        return -ENAMETOOLONG;
                memcpy(part, path, (size_t) (slash - path));
                part[slash - path] = '\0';
                next = open_part(at, part);
                if (next < 0)
                        return next;
                (void) close(at);
                at = next;
        }
        *ret_name = path;
        return TAKE_FD(at);
}

static int add(struct entries *e, const char *path, enum transfer_error error, int number,
        size_t room)
{
        _cleanup_free_ char *copy = NULL;

        if (e->n >= room)
                return -ENOSPC;
        if (e->n == e->room) {
                size_t grown = MAX(2 * e->room, (size_t) 64);
                struct entry *items = reallocarray(e->items, grown, sizeof(*items));

                if (!items)
                        return -ENOMEM;
                e->items = items;
                e->room = grown;
        }
        copy = strdup(path);
        if (!copy)
                return -ENOMEM;
        e->items[e->n++] = (struct entry) {
                .path = TAKE_PTR(copy),
                .error = error,
                .number = error == TRANSFER_ERROR_FAILED ? number : 0,
        };
        return 0;
}

static int add_found(struct entries *e, const char *path, enum transfer_error error, int number)
{
        return add(e, path, error, number, TRANSFER_ENTRIES_MAX);
}

/* The name of something in a folder. -ENAMETOOLONG when it could not be a file's name in a spec. */
static int join(const char *folder, const char *name, char buf[static SPEC_NAME_MAX + 1])
{
        int n = snprintf(buf, SPEC_NAME_MAX + 1, "%s%s%s", folder, folder[0] ? "/" : "", name);

        return n > SPEC_NAME_MAX || spec_check_name(buf, (size_t) n, NULL) < 0 ? -ENAMETOOLONG : 0;
}

/* Called for each name in a folder; path is the folder's. */
typedef int (*visitor)(struct entries *e, int dir, const char *path, const char *name,
        const void *userdata);

/* -ENOSPC when all folders together have too many names. */
static int visit(struct entries *e, int dir, const char *path, visitor f, const void *userdata)
{
        int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        struct dirent *d;
        DIR *stream;

        if (fd < 0)
                return -errno;
        stream = fdopendir(fd);
        if (!stream) {
                (void) close(fd);
                return -ENOMEM;
        }
        while (r >= 0 && (errno = 0, d = readdir(stream))) {
                if (streq(d->d_name, ".") || streq(d->d_name, ".."))
                        continue;
                r = ++e->looked_at > LOOK_MAX ? -ENOSPC : f(e, fd, path, d->d_name, userdata);
        }
        if (r >= 0 && errno != 0)
                r = -errno;
        (void) closedir(stream);
        return MIN(r, 0);
}

static int add_tree(struct entries *e, int dir, const char *folder, const char *name);

static int visit_tree(struct entries *e, int dir, const char *path, const char *name,
        const void *userdata)
{
        return add_tree(e, dir, path, name);
}

/* A folder, before what is in it. */
static int add_folder(struct entries *e, int dir, const char *path, const char *name)
{
        _cleanup_close_ int fd = open_part(dir, name);
        int r;

        if (fd < 0)
                return add_found(e, path, entry_check_errno(-fd), -fd);
        r = add_found(e, path, TRANSFER_ERROR_NONE, 0);
        if (r < 0)
                return r;
        r = visit(e, fd, path, visit_tree, NULL);
        /* What cannot be named cannot come: that is said of the folder that it is in. */
        if (r == -ENAMETOOLONG)
                return add_found(e, path, TRANSFER_ERROR_TOO_DEEP, 0);
        if (r < 0 && r != -ENOMEM && r != -ENOSPC)
                return add_found(e, path, entry_check_errno(-r), -r);
        return r;
}

/* A file, or a folder with all that is in it. The depth is bounded by that of a name. */
static int add_tree(struct entries *e, int dir, const char *folder, const char *name)
{
        char path[SPEC_NAME_MAX + 1];
        enum transfer_error error;
        struct stat st;
        int r;

        r = join(folder, name, path);
        if (r < 0)
                return r;
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return add_found(e, path, entry_check_errno(errno), errno);
        error = entry_check_mode(st.st_mode);
        if (error == TRANSFER_ERROR_NONE && S_ISDIR(st.st_mode))
                return add_folder(e, dir, path, name);
        return add_found(e, path, error, 0);
}

/* What is left of a pattern in a folder. */
struct rest {
        char part[SPEC_PART_MAX + 1]; /* its first part */
        const char *next;             /* the others; NULL: there are none */
};

static int expand(struct entries *e, int dir, const char *folder, const char *pattern);

/* A name that the part matches. What is no folder has nothing in it that could match the others. */
static int expand_name(struct entries *e, int dir, const char *folder, const char *name,
        const struct rest *rest)
{
        _cleanup_close_ int fd = -EBADF;
        char path[SPEC_NAME_MAX + 1];
        int r;

        if (!rest->next)
                return add_tree(e, dir, folder, name);
        r = join(folder, name, path);
        if (r < 0)
                return r;
        fd = open_part(dir, name);
        return fd < 0 ? fd : expand(e, fd, path, rest->next);
}

static int visit_match(struct entries *e, int dir, const char *path, const char *name,
        const void *userdata)
{
        const struct rest *rest = userdata;
        int r;

        if (!pattern_part_matches(rest->part, name, NULL))
                return 0;
        r = expand_name(e, dir, path, name, rest);
        /* Of many that match, one that leads nowhere is none. */
        return r == -ENOMEM || r == -ENOSPC ? r : 0;
}

/* Follows a pattern part by part. A negative errno says why a part that is no pattern led nowhere. */
static int expand(struct entries *e, int dir, const char *folder, const char *pattern)
{
        size_t n = strcspn(pattern, "/");
        struct rest rest = {};

        if (n > SPEC_PART_MAX)
                return -ENAMETOOLONG;
        memcpy(rest.part, pattern, n);
        rest.next = pattern[n] == '/' ? pattern + n + 1 : NULL;
        if (pattern_is(rest.part))
                return visit(e, dir, folder, visit_match, &rest);
        return expand_name(e, dir, folder, rest.part, &rest);
}

int entries_find(struct entries *e, int box, const char *pattern)
{
        enum transfer_error error = TRANSFER_ERROR_MISSING;
        size_t before = e->n;
        int r;

        r = expand(e, box, "", pattern);
        if (r == -ENOMEM)
                return r;
        if (r == -ENOSPC)
                error = TRANSFER_ERROR_TOO_MANY;
        else if (r == -ENAMETOOLONG)
                error = TRANSFER_ERROR_TOO_DEEP;
        else if (r < 0)
                error = entry_check_errno(-r);
        else if (e->n > before)
                return 0;
        return add(e, pattern, error, -r, ENTRIES_ROOM);
}

static int compare(const void *a, const void *b)
{
        const struct entry *x = a, *y = b;
        int r = transfer_compare(x->path, y->path);

        return r != 0 ? r : (int) x->error - (int) y->error;
}

void entries_sort(struct entries *e)
{
        size_t n = 0;

        if (e->n == 0)
                return;
        qsort(e->items, e->n, sizeof(*e->items), compare);
        for (size_t i = 1; i < e->n; i++) {
                if (compare(&e->items[n], &e->items[i]) == 0)
                        free(e->items[i].path);
                else
                        e->items[++n] = e->items[i];
        }
        e->n = n + 1;
}
