/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a return value. Runs in the frontend; the file is a hostile job's, which may still be
 * changing it: it is copied once, with a bound, and only the copy is looked at.
 */
#include "daemon/frontend/return-value.h"

#include <sys/stat.h>

/* The line with the lengths, at its longest. */
#define HEAD_MAX (sizeof("1048576 1048576\n") - 1)

/* Reads the file from its start, whatever its offset is; max does not count the head. */
static int copy_file(int fd, size_t max, char **ret, size_t *ret_size)
{
        _cleanup_free_ char *buffer = NULL;
        struct stat st;
        size_t size = 0;

        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EBADMSG;
        if (st.st_size > (off_t) (max + HEAD_MAX))
                return -EFBIG;
        buffer = malloc((size_t) st.st_size + 1);
        if (!buffer)
                return -ENOMEM;
        while (size < (size_t) st.st_size) {
                ssize_t n = pread(fd, buffer + size, (size_t) st.st_size - size, (off_t) size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
        }
        buffer[size] = '\0';
        *ret = TAKE_PTR(buffer);
        *ret_size = size;
        return 0;
}

/* Takes a decimal number that is ended by stop; no number in the file can be larger than the file.
 */
static int take_length(const char **p, char stop, size_t *ret)
{
        size_t v = 0;
        const char *s = *p;

        if (*s < '0' || *s > '9')
                return -EBADMSG;
        for (; *s >= '0' && *s <= '9'; s++) {
                v = v * 10 + (size_t) (*s - '0');
                if (v > RETURN_VALUE_MAX)
                        return -EBADMSG;
        }
        if (*s != stop)
                return -EBADMSG;
        *p = s + 1;
        *ret = v;
        return 0;
}

int return_value_read(int fd, size_t max, struct return_value *ret)
{
        _cleanup_free_ char *buffer = NULL;
        size_t size = 0, text_size, json_size;
        const char *p;
        int r;

        ASSERT(max <= RETURN_VALUE_MAX);
        r = copy_file(fd, max, &buffer, &size);
        if (r < 0)
                return r;
        if (size == 0)
                return 0;
        p = buffer;
        r = take_length(&p, ' ', &text_size);
        if (r >= 0)
                r = take_length(&p, '\n', &json_size);
        if (r < 0)
                return r;
        if (text_size + json_size != size - (size_t) (p - buffer))
                return -EBADMSG;
        if (text_size + json_size > max)
                return -EFBIG;
        *ret = (struct return_value) {
                .size = size + 1,
                .text = (const uint8_t *) p,
                .text_size = text_size,
                .json = (const uint8_t *) p + text_size,
                .json_size = json_size,
        };
        ret->buffer = TAKE_PTR(buffer);
        return 1;
}

void return_value_done(struct return_value *v)
{
        free(v->buffer);
        *v = (struct return_value) {};
}
