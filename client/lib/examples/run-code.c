/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a line of Python in a sandbox and shows what came of it:
 *
 *      cc run-code.c $(pkg-config --cflags --libs libsandbox) -o run-code && ./run-code '6 * 7'
 */
#include <sandbox.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
        const char *code = argc > 1 ? argv[1] : "print('hello from the sandbox')";
        sandbox_client *client = NULL;
        sandbox_spec *spec = NULL;
        sandbox_result *result = NULL;
        size_t size;
        int r = 1;

        if (sandbox_client_new(&client) < 0 || sandbox_spec_new(&spec) < 0)
                return 1;
        sandbox_spec_set_runtime(spec, "python");
        sandbox_spec_set_code(spec, code, strlen(code));
        sandbox_spec_set_limit(spec, SANDBOX_LIMIT_WALL_TIME, 5 * 1000 * 1000);
        if (sandbox_client_connect(client, NULL) < 0 ||
                sandbox_run(client, spec, SANDBOX_FOREVER, &result) < 0)
                fprintf(stderr, "%s\n", sandbox_client_get_error(client)->message);
        else {
                fputs(sandbox_result_get_stdout(result, &size), stdout);
                fputs(sandbox_result_get_stderr(result, &size), stderr);
                printf("%s\n", sandbox_status_name(sandbox_result_get_status(result)));
                r = sandbox_result_get_shell_code(result);
        }
        sandbox_result_unref(result);
        sandbox_spec_free(spec);
        sandbox_client_free(client);
        return r;
}
