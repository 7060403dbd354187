/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hands over the files that were asked for. Runs in init when the job has ended, with nothing left
 * but the id that the job's files belong to. The job's names and its folders are hostile; nothing of
 * the job runs any more, and nothing here depends on that: no link is followed, nothing is opened that
 * could block, and of each file comes what it had when it was opened, or an error.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/io.h"
#include "daemon/init/entries.h"
#include "daemon/init/init.h"

struct collector {
        int box;
        int out;
        uint64_t left; /* bytes that the files may still have */
};

static int send_record(const struct collector *c, enum transfer_kind kind, const char *path,
        const struct stat *st)
{
        const struct transfer_record record = {
                .kind = kind,
                .mode = st->st_mode & 0777,
                .size = kind == TRANSFER_REGULAR ? (uint64_t) st->st_size : 0,
                .name_size = (uint32_t) strlen(path),
        };

        return transfer_write(c->out, &record, path);
}

static int send_failed(const struct collector *c, const char *path, enum transfer_error error,
        int number)
{
        const struct transfer_record record = {
                .kind = TRANSFER_FAILED,
                .error = error,
                .number = error == TRANSFER_ERROR_FAILED ? (uint32_t) number : 0,
                .name_size = (uint32_t) strlen(path),
        };

        return transfer_write(c->out, &record, path);
}

static int send_data(const struct collector *c, const uint8_t *data, size_t size)
{
        const struct transfer_record record = { .kind = TRANSFER_DATA, .size = size };

        return transfer_write(c->out, &record, data);
}

/* As much as was announced: what came to it meanwhile is left out, what went from it is an error. */
static int send_content(const struct collector *c, const char *path, int fd, uint64_t size)
{
        static uint8_t buffer[TRANSFER_PART_MAX];

        while (size > 0) {
                ssize_t n = read(fd, buffer, (size_t) MIN(size, (uint64_t) sizeof(buffer)));
                int r;

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return send_failed(c, path, TRANSFER_ERROR_FAILED, errno);
                if (n == 0)
                        return send_failed(c, path, TRANSFER_ERROR_CHANGED, 0);
                r = send_data(c, buffer, (size_t) n);
                if (r < 0)
                        return r;
                size -= (uint64_t) n;
        }
        return 0;
}

static int send_file(struct collector *c, const char *path, int fd)
{
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return send_failed(c, path, TRANSFER_ERROR_FAILED, errno);
        if (!S_ISREG(st.st_mode))
                return send_failed(c, path, TRANSFER_ERROR_SPECIAL, 0);
        if ((uint64_t) st.st_size > c->left)
                return send_failed(c, path, TRANSFER_ERROR_TOO_LARGE, 0);
        c->left -= (uint64_t) st.st_size;
        r = send_record(c, TRANSFER_REGULAR, path, &st);
        return r < 0 ? r : send_content(c, path, fd, (uint64_t) st.st_size);
}

/* O_NONBLOCK: should it have become a FIFO, or have a lease on it, the open does not wait. */
static int send_entry(struct collector *c, const char *path)
{
        _cleanup_close_ int dir = -EBADF, fd = -EBADF;
        enum transfer_error error;
        const char *name;
        struct stat st;

        dir = entry_open_parent(c->box, path, &name);
        if (dir < 0)
                return send_failed(c, path, entry_check_errno(-dir), -dir);
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return send_failed(c, path, entry_check_errno(errno), errno);
        error = entry_check_mode(st.st_mode);
        if (error != TRANSFER_ERROR_NONE)
                return send_failed(c, path, error, 0);
        if (S_ISDIR(st.st_mode))
                return send_record(c, TRANSFER_FOLDER, path, &st);
        fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return send_failed(c, path, entry_check_errno(errno), errno);
        return send_file(c, path, fd);
}

static int send_entries(struct collector *c, const struct entries *entries)
{
        const struct transfer_record end = { .kind = TRANSFER_END };
        int r;

        for (size_t i = 0; i < entries->n; i++) {
                const struct entry *e = &entries->items[i];

                r = e->error == TRANSFER_ERROR_NONE ? send_entry(c, e->path)
                                                    : send_failed(c, e->path, e->error, e->number);
                if (r < 0)
                        return r;
        }
        return transfer_write(c->out, &end, NULL);
}

/* Ends what the payload left running: then nothing changes any more. Every process of this pid
 * namespace but us has the id that we have as our effective one. */
static void end_others(void)
{
        siginfo_t info;

        (void) kill(-1, SIGKILL);
        while (waitid(P_ALL, 0, &info, WEXITED) == 0 || errno == EINTR)
                ;
}

void collect_files(struct init *i)
{
        struct collector c = {
                .box = open("/box", O_PATH | O_DIRECTORY | O_CLOEXEC),
                .out = i->run_fds[LAUNCH_FD_COLLECT],
                .left = i->run.collect_max,
        };
        struct entries entries = {};
        struct spec_view spec;

        end_others();
        /* Without an END the reader knows that not all came. */
        if (c.box < 0 || spec_view_open(&spec, i->run_fds[LAUNCH_FD_SPEC]) < 0)
                return;
        for (size_t k = 0; k < spec.n_get; k++)
                if (entries_find(&entries, c.box, spec.get[k]) < 0)
                        return;
        entries_sort(&entries);
        (void) send_entries(&c, &entries);
}
