/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line and environment of interpreters. Pure functions of the policy; run in the frontend and
 * in the monitor.
 */
#include "daemon/wire/interpreter.h"

#include <stdio.h>

#include "daemon/wire/launch.h"

const char *const interpreter_environment[INTERPRETER_ENVIRONMENT_N] = {
        "PATH=/usr/local/bin:/usr/bin:/bin",
        "HOME=/box",
        "TMPDIR=/tmp",
        "LANG=C.UTF-8",
};

const char *interpreter_name(const struct policy_runtime *rt)
{
        const char *slash = strrchr(rt->interpreter, '/');

        return slash ? slash + 1 : rt->interpreter;
}

char *interpreter_expand(const struct policy_runtime *runtime, const char *text)
{
        char *out = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&out, &size);

        if (!f)
                return NULL;
        for (const char *p = text; *p; p++) {
                if (p[0] != '%' || p[1] == '\0') {
                        (void) fputc(*p, f);
                        continue;
                }
                p++;
                if (*p == 'l')
                        (void) fprintf(f, "%s/%s", LAUNCH_LAUNCHER_DIR, runtime->launcher);
                else if (*p == 'f')
                        (void) fprintf(f, "/box/%s", runtime->file_name);
                else
                        (void) fputc(*p, f);
        }
        if (fclose(f) != 0) {
                free(out);
                return NULL;
        }
        return out;
}
