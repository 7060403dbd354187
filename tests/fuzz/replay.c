/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over the corpus of its name, each input whole and cut at every length up to a
 * bound, so that `make check` covers it without libFuzzer. The program is called replay-TARGET.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "common/io.h"
#include "tests/fuzz/fuzz.h"

#define CUTS_MAX 512

static void replay(const uint8_t *data, size_t size)
{
        /* An exact copy, so that a sanitizer sees the first byte read beyond it. */
        uint8_t *copy = malloc(size > 0 ? size : 1);

        ASSERT(copy);
        memcpy(copy, data, size);
        (void) LLVMFuzzerTestOneInput(copy, size);
        free(copy);
}

int main(int argc, char **argv)
{
        const char *target = strrchr(argv[0], '-');
        unsigned n = 0;
        char path[1024];
        struct dirent *e;
        DIR *dir;

        (void) snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", getenv("srcdir") ?: ".",
                target ? target + 1 : "");
        dir = opendir(path);
        if (!dir) {
                fprintf(stderr, "%s: %s\n", path, strerror(errno));
                return 1;
        }
        while ((e = readdir(dir))) {
                char *data;
                size_t size;

                if (e->d_name[0] == '.' ||
                        io_read_file(dirfd(dir), e->d_name, 16 * MIB, &data, &size) < 0)
                        continue;
                for (size_t cut = 0; cut < MIN(size, (size_t) CUTS_MAX); cut++)
                        replay((const uint8_t *) data, cut);
                replay((const uint8_t *) data, size);
                free(data);
                n++;
        }
        (void) closedir(dir);
        printf("%u inputs of %s\n", n, path);
        return n == 0;
}
