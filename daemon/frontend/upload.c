/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling a spec. Runs in the frontend. Files may arrive in any order among each other: each has
 * its place in the memfd from the start.
 */
#include "daemon/frontend/upload.h"

#include "common/io.h"

static int write_at(int fd, const uint8_t *data, size_t size, uint64_t offset)
{
        while (size > 0) {
                ssize_t n = pwrite(fd, data, size, (off_t) offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t) n;
                offset += (uint64_t) n;
        }
        return 0;
}

/* Gives each file its place after the code. */
static int place_files(struct upload *u, const struct plan *plan, const Sandboxd__V1__Run *run,
        uint64_t offset)
{
        u->n_files = run->n_files;
        u->files = calloc(run->n_files + 1, sizeof(*u->files));
        if (!u->files)
                return -ENOMEM;
        for (size_t i = 0; i < run->n_files; i++) {
                uint64_t size = plan->files[plan->has_code + i].size;

                u->files[i] = (struct upload_file) { .offset = offset, .left = size };
                u->left += size;
                offset += size;
        }
        return 0;
}

static int fill(struct upload *u, const struct plan *plan, const Sandboxd__V1__Run *run)
{
        off_t offset;
        int r;

        r = spec_write_head(u->fd, &plan->spec);
        if (r < 0)
                return r;
        if (plan->has_code) {
                r = io_write_full(u->fd, run->code.data, run->code.len);
                if (r < 0)
                        return r;
        }
        if (plan->streamed)
                return 0;
        offset = lseek(u->fd, 0, SEEK_CUR);
        if (offset < 0)
                return -errno;
        r = place_files(u, plan, run, (uint64_t) offset);
        for (size_t i = 0; i < run->n_files && r >= 0; i++)
                r = upload_push(u, i, run->files[i]->data.data, run->files[i]->data.len);
        return r;
}

int upload_init(struct upload *u, const struct plan *plan, const Sandboxd__V1__Run *run)
{
        int r;

        *u = (struct upload) { .fd = io_memfd_new("sandbox-job") };
        if (u->fd < 0)
                return u->fd;
        r = fill(u, plan, run);
        if (r < 0)
                upload_done(u);
        return r;
}

void upload_done(struct upload *u)
{
        u->fd = safe_close(u->fd);
        free(TAKE_PTR(u->files));
}

int upload_push(struct upload *u, size_t file, const void *data, size_t size)
{
        struct upload_file *f;
        int r;

        if (file >= u->n_files)
                return -ENOENT;
        f = &u->files[file];
        if (size > f->left)
                return -EFBIG;
        r = write_at(u->fd, data, size, f->offset);
        if (r < 0)
                return r;
        f->offset += size;
        f->left -= size;
        u->left -= size;
        return 0;
}

int upload_finish(struct upload *u)
{
        int r;

        ASSERT(upload_is_complete(u));
        r = io_memfd_seal(u->fd);
        if (r < 0)
                return r;
        r = TAKE_FD(u->fd);
        upload_done(u);
        return r;
}
