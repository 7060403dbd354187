/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the job's files below /box. Runs in the payload's process with the payload's rights,
 * inside the job's cgroup and file system: a name that got past the frontend's check could reach
 * nothing that the payload cannot. The bytes are charged to the job.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "common/io.h"
#include "daemon/init/init.h"
#include "daemon/wire/transfer.h"

/* Makes the folders of name beneath /box. */
static int make_folders(const char *name)
{
        char path[SPEC_NAME_MAX + 1];

        if (str_copy(path, sizeof(path), name) < 0)
                return -ENAMETOOLONG;
        for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
                *slash = '\0';
                if (mkdir(path, 0755) < 0 && errno != EEXIST)
                        return -errno;
                *slash = '/';
        }
        return 0;
}

/* The file, empty, with its folders. Its mode comes when it is complete. */
static int create_file(const char *name)
{
        int r, fd;

        r = make_folders(name);
        if (r < 0)
                return r;
        fd = openat(AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        return fd < 0 ? -errno : fd;
}

static int complete_file(int fd, const struct spec_file *file)
{
        return fchmod(fd, file->mode & 0777) < 0 ? -errno : 0;
}

static int write_file(const char *name, const struct spec_file *file, const uint8_t *data)
{
        _cleanup_close_ int fd = create_file(name);
        int r;

        if (fd < 0)
                return fd;
        r = io_write_full(fd, data, file->size);
        return r < 0 ? r : complete_file(fd, file);
}

int files_write(const struct spec_view *spec)
{
        const uint8_t *data = spec->data;
        int r;

        for (size_t i = 0; i < spec->n_inline; i++) {
                r = write_file(spec->file_names[i], &spec->files[i], data);
                if (r < 0)
                        return r;
                data += spec->files[i].size;
        }
        return 0;
}

/* Files that come in parts. One is open at a time: there may be more of them than fds. */
struct receiver {
        const struct spec_view *spec;
        int pipe;
        uint64_t *left; /* bytes of each file that are still to come */
        size_t n_incomplete;
        uint32_t file; /* the one that is open */
        int fd;
};

/* All of them are made at first, so that a name that cannot be is known before its bytes come. */
static int create_files(struct receiver *r)
{
        for (size_t i = r->spec->n_inline; i < r->spec->n_files; i++) {
                _cleanup_close_ int fd = create_file(r->spec->file_names[i]);
                int q = 0;

                if (fd < 0)
                        return fd;
                r->left[i] = r->spec->files[i].size;
                if (r->left[i] > 0)
                        r->n_incomplete++;
                else
                        q = complete_file(fd, &r->spec->files[i]);
                if (q < 0)
                        return q;
        }
        return 0;
}

static int select_file(struct receiver *r, uint32_t file)
{
        if (r->fd >= 0 && r->file == file)
                return 0;
        r->fd = safe_close(r->fd);
        r->fd = openat(AT_FDCWD, r->spec->file_names[file],
                O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
        if (r->fd < 0)
                return -errno;
        r->file = file;
        return 0;
}

static int copy_bytes(struct receiver *r, size_t size)
{
        static uint8_t buffer[TRANSFER_PART_MAX];
        int q;

        while (size > 0) {
                ssize_t n = read(r->pipe, buffer, MIN(size, sizeof(buffer)));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EPIPE;
                q = io_write_full(r->fd, buffer, (size_t) n);
                if (q < 0)
                        return q;
                size -= (size_t) n;
        }
        return 0;
}

static int receive_part(struct receiver *r)
{
        struct transfer_part part;
        ssize_t n;
        int q;

        n = io_read_full(r->pipe, &part, sizeof(part));
        if (n != sizeof(part))
                return n < 0 ? (int) n : -EPIPE;
        if (part.file >= r->spec->n_files || part.size == 0 || part.size > r->left[part.file])
                return -EBADMSG;
        q = select_file(r, part.file);
        if (q == 0)
                q = copy_bytes(r, part.size);
        if (q < 0)
                return q;
        r->left[part.file] -= part.size;
        if (r->left[part.file] > 0)
                return 0;
        r->n_incomplete--;
        q = complete_file(r->fd, &r->spec->files[part.file]);
        r->fd = safe_close(r->fd);
        return q;
}

int files_receive(const struct spec_view *spec, int fd)
{
        _cleanup_free_ uint64_t *left = calloc(spec->n_files + 1, sizeof(*left));
        struct receiver r = { .spec = spec, .pipe = fd, .left = left, .fd = -EBADF };
        int q;

        if (!left)
                return -ENOMEM;
        q = create_files(&r);
        while (q == 0 && r.n_incomplete > 0)
                q = receive_part(&r);
        (void) safe_close(r.fd);
        return q;
}
