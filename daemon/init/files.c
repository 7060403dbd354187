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
#include "daemon/wire/spec.h"

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

static int write_file(const char *name, const struct spec_file *file, const uint8_t *data)
{
        _cleanup_close_ int fd = -EBADF;
        int r;

        r = make_folders(name);
        if (r < 0)
                return r;
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return -errno;
        r = io_write_full(fd, data, file->size);
        if (r < 0)
                return r;
        return fchmod(fd, file->mode & 0777) < 0 ? -errno : 0;
}

int files_write(const struct spec_view *spec)
{
        const uint8_t *data = spec->data;
        int r;

        for (size_t i = 0; i < spec->n_files; i++) {
                r = spec_check_name(spec->file_names[i], strlen(spec->file_names[i]), NULL);
                if (r == 0)
                        r = write_file(spec->file_names[i], &spec->files[i], data);
                if (r < 0)
                        return r;
                data += spec->files[i].size;
        }
        return 0;
}
