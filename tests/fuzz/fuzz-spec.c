/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's memfd, as the payload's process opens it, and the names of files in it.
 */
#include <sys/mman.h>

#include "common/io.h"
#include "daemon/wire/spec.h"
#include "tests/fuzz/fuzz.h"

static uint8_t touched;

/* Reads everything that a view promises. */
static void touch(const struct spec_view *v)
{
        const uint8_t *data = v->data;

        for (char **s = v->argv; *s; s++)
                touched ^= (uint8_t) strlen(*s);
        for (char **s = v->envp; *s; s++)
                touched ^= (uint8_t) strlen(*s);
        touched ^= (uint8_t) (strlen(v->workdir) + strlen(v->exec));
        for (size_t i = 0; i < v->n_files; i++) {
                touched ^= (uint8_t) strlen(v->file_names[i]);
                for (uint64_t k = 0; k < v->files[i].size; k++)
                        touched ^= data[k];
                data += v->files[i].size;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_close_ int fd = io_memfd_new("fuzz");
        _cleanup_free_ char *name = strndup((const char *) data, size);
        struct spec_view view;

        ASSERT(fd >= 0 && name);
        (void) spec_check_name((const char *) data, size, NULL);
        if (spec_check_name(name, strlen(name), NULL) == 0)
                ASSERT(name[0] != '/' && !strstr(name, "/../") && strncmp(name, "../", 3) != 0);
        if (io_write_full(fd, data, size) < 0 || io_memfd_seal(fd) < 0)
                return 0;
        if (spec_view_open(&view, fd) == 0) {
                touch(&view);
                spec_view_done(&view);
        }
        return 0;
}
