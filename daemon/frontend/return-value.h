/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The file that a job's launcher writes the return value to: the lengths of text and JSON in ASCII
 * decimal, parted by a space and ended by a newline, then the text, then the JSON. The job can
 * write anything there.
 */

#include "common/macro.h"

/* Of text and JSON together; the launchers cut to this. */
#define RETURN_VALUE_MAX (1 * MIB)

struct return_value {
        char *buffer;
        size_t size;         /* of the buffer */
        const uint8_t *text; /* into buffer */
        size_t text_size;
        const uint8_t *json;
        size_t json_size; /* 0: none */
};

/* Reads a value of at most max bytes, RETURN_VALUE_MAX or less. Returns 1 with it, 0 when the file is
 * empty, -EBADMSG when it is not of the form, -EFBIG when it is larger, or another errno. */
int return_value_read(int fd, size_t max, struct return_value *ret);
void return_value_done(struct return_value *v);
