/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what init hands over. Runs in the frontend; the stream is hostile, and the reader in
 * daemon/wire checks it.
 */
#include "daemon/frontend/fetch.h"

#include <stdio.h>

#include "daemon/frontend/text.h"

void fetch_init(struct fetch *f, int fd, uint64_t max)
{
        *f = (struct fetch) { .fd = fd, .pending = true };
        transfer_reader_init(&f->reader, max);
}

void fetch_done(struct fetch *f)
{
        f->fd = safe_close(f->fd);
        f->pending = false;
}

static void fill_event(const struct fetch *f, enum transfer_kind kind, const uint8_t *data,
        size_t size, struct fetch_event *ret)
{
        const struct transfer_record *r = &f->reader.record;

        *ret = (struct fetch_event) { .kind = kind, .name = f->reader.name };
        if (kind == TRANSFER_DATA) {
                ret->data = data;
                ret->data_size = size;
                return;
        }
        ret->mode = r->mode;
        ret->size = r->size;
        ret->error = r->error;
        ret->number = (int) r->number;
}

int fetch_read(struct fetch *f, uint8_t *buffer, size_t buffer_size, size_t room,
        struct fetch_event *ret)
{
        size_t wanted = MIN(transfer_reader_wants(&f->reader), buffer_size);
        ssize_t n;
        int kind;

        if (fetch_wants_data(f))
                wanted = MIN(wanted, room);
        ASSERT(wanted > 0);
        do
                n = read(f->fd, buffer, wanted);
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno == EAGAIN)
                return -EAGAIN;
        if (n <= 0)
                return -EPIPE;
        kind = transfer_reader_take(&f->reader, buffer, (size_t) n);
        if (kind <= 0)
                return kind;
        fill_event(f, (enum transfer_kind) kind, buffer, (size_t) n, ret);
        return 1;
}

/* What is said before and behind the name. */
static const struct {
        const char *before;
        const char *behind;
} sentences[_TRANSFER_ERRORS] = {
        [TRANSFER_ERROR_MISSING] = { "there is no ", " in /box: see what the job leaves there" },
        [TRANSFER_ERROR_SYMLINK] = { "",
                " is a symbolic link, or in a folder that is one, and links are not followed: name "
                "what it points to" },
        [TRANSFER_ERROR_SPECIAL] = { "",
                " is a FIFO, a socket or a device: only files and folders can be fetched" },
        [TRANSFER_ERROR_TOO_LARGE] = { "",
                " does not fit into FilesSize=, which is for all fetched files together" },
        [TRANSFER_ERROR_TOO_MANY] = { "",
                " has, with what comes before it, more than 4096 files and folders: pack them into "
                "one" },
        [TRANSFER_ERROR_TOO_DEEP] = { "", " has something in it that is in more than 32 folders, "
                                          "or has too long a name: pack "
                                          "it into one file" },
        [TRANSFER_ERROR_CHANGED] = { "", " became shorter while it was read: fetch it again" },
        [TRANSFER_ERROR_FAILED] = { "", " cannot be read" },
        [TRANSFER_ERROR_NOT_KEPT] = { "",
                " is not kept: MaxKeptPerUser= or MaxKept= in sandboxd.conf allows no more" },
        [TRANSFER_ERROR_NOT_ASKED] = { "nothing of ",
                " was fetched when the job ended: name it when the job is started" },
        [TRANSFER_ERROR_LOST] = { "the sandbox was gone before all of ",
                " was fetched: run the job again" },
};

void fetch_format_error(const struct fetch_event *e, const struct limits *limits,
        struct error *text)
{
        char most[LIMIT_TEXT_MAX], more[LIMIT_TEXT_MAX + 64] = "";

        ASSERT(e->error < _TRANSFER_ERRORS && sentences[e->error].before);
        if (e->error == TRANSFER_ERROR_TOO_LARGE)
                (void) snprintf(more, sizeof(more), " (%s): ask for less",
                        limit_format(LIMIT_FILES_SIZE, limits->value[LIMIT_FILES_SIZE], most));
        if (e->error == TRANSFER_ERROR_FAILED)
                (void) snprintf(more, sizeof(more), " (%s)",
                        strerrordesc_np(e->number) ?: "unknown error");
        (void) snprintf(text->text, sizeof(text->text), "%s'%.200s'%s%s",
                sentences[e->error].before, e->name, sentences[e->error].behind, more);
        (void) text_clean(text->text);
}
