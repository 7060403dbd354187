/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files on their way from the daemon. Runs in the client's process. Names come from the job: here
 * they are only checked to be texts.
 */
#include "client/lib/incoming.h"

#include "client/lib/convert.h"

#define NAME_LENGTH_MAX 4095
#define ERROR_LENGTH_MAX 4095
/* Files, folders and failures of one request. They use no credit, and whoever is told of them keeps them:
 * so they are counted. The daemon sends fewer, as PROTOCOL.md says. */
#define NAMED_MAX 9472

void incoming_done(struct incoming *in)
{
        free(in->name);
        free(in->shown);
        *in = (struct incoming) {};
}

bool incoming_open(const struct incoming *in)
{
        return in->name;
}

static int take_name(struct incoming *in, const Sandboxd__V1__FileOut *m)
{
        if (m->name.len == 0 || m->name.len > NAME_LENGTH_MAX ||
                memchr(m->name.data, '\0', m->name.len) || strlen(m->error) > ERROR_LENGTH_MAX)
                return -EBADMSG;
        if (in->named >= NAMED_MAX)
                return -EPROTO;
        in->named++;
        free(TAKE_PTR(in->shown));
        return text_of_bytes(&m->name, &in->shown);
}

static int take_data(struct incoming *in, const Sandboxd__V1__FileOut *m, sandbox_file_piece *ret)
{
        if (!in->name || m->data.len > in->size - in->received)
                return -EBADMSG;
        *ret = (sandbox_file_piece) {
                .kind = SANDBOX_FILE_REGULAR,
                .name = in->name,
                .mode = in->mode,
                .size = in->size,
                .offset = in->received,
                .data = m->data.data,
                .data_size = m->data.len,
        };
        in->received += m->data.len;
        if (in->received < in->size)
                return 0;
        ret->last = 1;
        free(in->shown);
        ret->name = in->shown = TAKE_PTR(in->name);
        return 0;
}

static int take_regular(struct incoming *in, const Sandboxd__V1__FileOut *m,
        sandbox_file_piece *ret)
{
        if (in->name)
                return -EBADMSG;
        in->name = TAKE_PTR(in->shown);
        in->mode = m->mode & 07777;
        in->size = m->size;
        in->received = 0;
        return take_data(in, m, ret);
}

static int take_folder(struct incoming *in, const Sandboxd__V1__FileOut *m, sandbox_file_piece *ret)
{
        if (in->name)
                return -EBADMSG;
        *ret = (sandbox_file_piece) {
                .kind = SANDBOX_FILE_FOLDER,
                .last = 1,
                .name = in->shown,
                .mode = m->mode & 07777,
        };
        return 0;
}

static int take_failed(struct incoming *in, const Sandboxd__V1__FileOut *m, sandbox_file_piece *ret)
{
        /* Of a file that has begun, or of one that has not, but not of another one in between. */
        if (in->name && !streq(in->name, in->shown))
                return -EBADMSG;
        free(TAKE_PTR(in->name));
        *ret = (sandbox_file_piece) {
                .kind = SANDBOX_FILE_FAILED,
                .last = 1,
                .name = in->shown,
                .error = m->error,
        };
        return 0;
}

int incoming_take(struct incoming *in, const Sandboxd__V1__FileOut *m, sandbox_file_piece *ret)
{
        int r;

        if (m->kind == SANDBOXD__V1__FILE_OUT__KIND__KIND_UNSPECIFIED)
                return take_data(in, m, ret);
        r = take_name(in, m);
        if (r < 0)
                return r;
        switch (m->kind) {
        case SANDBOXD__V1__FILE_OUT__KIND__REGULAR:
                return take_regular(in, m, ret);
        case SANDBOXD__V1__FILE_OUT__KIND__FOLDER:
                return take_folder(in, m, ret);
        case SANDBOXD__V1__FILE_OUT__KIND__FAILED:
                return take_failed(in, m, ret);
        default:
                return -EBADMSG;
        }
}
