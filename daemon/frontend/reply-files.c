/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building the responses about files. Runs in the frontend. protobuf-c takes `char *` for what it only
 * reads: hence the casts.
 */
#include "daemon/frontend/reply-files.h"

/* What a FileOut has beside its data: tags, lengths, the id, at their longest. */
#define FILE_OVERHEAD 64

static const Sandboxd__V1__FileOut__Kind kinds[_TRANSFER_KINDS] = {
        [TRANSFER_REGULAR] = SANDBOXD__V1__FILE_OUT__KIND__REGULAR,
        [TRANSFER_FOLDER] = SANDBOXD__V1__FILE_OUT__KIND__FOLDER,
        [TRANSFER_DATA] = SANDBOXD__V1__FILE_OUT__KIND__KIND_UNSPECIFIED,
        [TRANSFER_FAILED] = SANDBOXD__V1__FILE_OUT__KIND__FAILED,
};

size_t reply_file_most(const struct connection *c)
{
        return c->max_frame_bytes - FILE_OVERHEAD;
}

void reply_file(struct connection *c, uint64_t id, const struct fetch_event *e,
        const struct limits *limits)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__FileOut file = SANDBOXD__V1__FILE_OUT__INIT;
        struct error text = {};

        file.kind = kinds[e->kind];
        if (e->kind == TRANSFER_DATA)
                file.data = (ProtobufCBinaryData) { e->data_size, (uint8_t *) e->data };
        else
                file.name = (ProtobufCBinaryData) { strlen(e->name), (uint8_t *) e->name };
        file.mode = e->mode;
        file.size = e->size;
        if (e->kind == TRANSFER_FAILED)
                fetch_format_error(e, limits, &text);
        file.error = text.text;
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_FILE_OUT;
        response.file_out = &file;
        connection_send(c, &response);
}

void reply_file_credit(struct connection *c, uint64_t id, uint64_t bytes)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__FileCredit credit = SANDBOXD__V1__FILE_CREDIT__INIT;

        credit.bytes = bytes;
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_FILE_CREDIT;
        response.file_credit = &credit;
        connection_send(c, &response);
}
