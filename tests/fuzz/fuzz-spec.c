/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job's memfd, as the payload's process opens it.
 */
#include <sys/mman.h>

#include "common/io.h"
#include "daemon/wire/spec.h"
#include "tests/fuzz/fuzz.h"

static uint8_t touched;

static size_t touch_strings(char *const *strings)
{
        size_t n = 0;

        for (; strings[n]; n++)
                touched ^= (uint8_t) strlen(strings[n]);
        return n;
}

static void touch_names(const char *const *names, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                touched ^= (uint8_t) strlen(names[i]);
                ASSERT(spec_check_name(names[i], strlen(names[i]), NULL) == 0);
        }
}

/* Reads everything that a view promises, which is what its header says. */
static void touch(const struct spec_view *v, const struct spec_header *h)
{
        const uint8_t *data = v->data;

        ASSERT(touch_strings(v->argv) == h->argc && touch_strings(v->envp) == h->envc);
        ASSERT(v->n_files == h->n_files && v->n_inline == h->n_inline && v->n_get == h->n_get);
        touched ^= (uint8_t) (strlen(v->workdir) + strlen(v->exec));
        touch_names(v->file_names, v->n_files);
        touch_names(v->get, v->n_get);
        for (size_t i = 0; i < v->n_inline; i++) {
                for (uint64_t k = 0; k < v->files[i].size; k++)
                        touched ^= data[k];
                data += v->files[i].size;
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_close_ int fd = io_memfd_new("fuzz");
        struct spec_header header;
        struct spec_view view;

        ASSERT(fd >= 0);
        if (io_write_full(fd, data, size) < 0 || io_memfd_seal(fd) < 0)
                return 0;
        if (spec_view_open(&view, fd) == 0) {
                ASSERT(size >= sizeof(header));
                memcpy(&header, data, sizeof(header));
                touch(&view, &header);
                spec_view_done(&view);
        }
        return 0;
}
