/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors and the way to the daemon, the same for every verb. Runs in sandboxctl.
 */
#include "client/ctl/ctl.h"

#include <fcntl.h>

#include "client/ctl/memory.h"
#include "client/ctl/reach.h"

/* A busy host may take its time, a dead daemon closes the connection. */
#define ANSWER_TIMEOUT_USEC (30 * USEC_PER_SEC)

void ctl_complain(const char *message)
{
        /* It may quote words of the command line, names of files, and what others wrote. */
        _cleanup_free_ char *shown = text_untrusted(message);

        (void) fflush(stdout);
        (void) fprintf(stderr, "sandboxctl: %s\n", shown);
}

json_t *ctl_error_json(const char *code, const char *field, const char *message)
{
        _cleanup_free_ char *shown = text_untrusted(message);
        json_t *error = json_new_object();

        json_set_text(error, "code", code);
        json_set_text(error, "field", field ? field : "");
        json_set_text(error, "message", shown);
        return error;
}

int ctl_error(const struct ctl *ctl, const char *code, const char *field, const char *message)
{
        ctl_complain(message);
        if (ctl->json) {
                json_auto_t *object = json_new_object();

                json_set(object, "error", ctl_error_json(code, field, message));
                json_show(object, stdout);
        }
        return CTL_EXIT_REFUSED;
}

const char *ctl_error_code(const sandbox_error *error)
{
        /* What is wrong on this side is a matter of the command line, or nobody's fault. */
        if (error->code == SANDBOX_ERROR_LOCAL)
                return error->field[0] != '\0' ? "INVALID_ARGUMENT" : "INTERNAL";
        return error->name;
}

int ctl_failed(const struct ctl *ctl, const sandbox_error *error)
{
        return ctl_error(ctl, ctl_error_code(error), error->field, error->message);
}

/* What the library says of a connection that could not be made, or with what to do on this host. */
static int explain(const struct ctl *ctl, const sandbox_error *error, struct error *e)
{
        static const int known[] = { -ENOENT, -ECONNREFUSED, -EACCES, -EPERM, -ENOTSOCK,
                -EPROTOTYPE, -ENAMETOOLONG };

        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (error->code == SANDBOX_ERROR_UNREACHABLE && error->error == known[i]) {
                        _cleanup_close_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

                        return reach_explain(root_fd, ctl->socket_path, error->error, e);
                }
        return error_set(e, error->error, "%s", error->message);
}

/* Connects. On failure the client is there all the same, to say why. */
static int try_connect(const struct ctl *ctl, sandbox_client **ret)
{
        if (sandbox_client_new(ret) < 0 ||
                sandbox_client_set_name(*ret, "sandboxctl " PACKAGE_VERSION) < 0)
                (void) must(NULL);
        sandbox_client_set_timeout(*ret, ANSWER_TIMEOUT_USEC);
        return sandbox_client_connect(*ret, ctl->socket_path);
}

int ctl_connect(const struct ctl *ctl, sandbox_client **ret)
{
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        const sandbox_error *error;
        struct error e;

        if (try_connect(ctl, &c) < 0) {
                error = sandbox_client_get_error(c);
                (void) explain(ctl, error, &e);
                return ctl_error(ctl, error->name, error->field, e.text);
        }
        *ret = TAKE_PTR(c);
        return 0;
}

int ctl_try_connect(const struct ctl *ctl, sandbox_client **ret, struct error *e)
{
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        const sandbox_error *error;

        if (try_connect(ctl, &c) < 0) {
                error = sandbox_client_get_error(c);
                /* A refusal is none of the errors that mean that no daemon runs. */
                if (error->code != SANDBOX_ERROR_UNREACHABLE)
                        return error_set(e, -EREMOTEIO, "%s", error->message);
                return explain(ctl, error, e);
        }
        *ret = TAKE_PTR(c);
        return 0;
}

int ctl_need(const struct ctl *ctl, const sandbox_client *c, const char *feature)
{
        struct error e;

        if (sandbox_client_has_feature(c, feature))
                return 0;
        (void) error_set(&e, -EOPNOTSUPP,
                "sandboxd %s at %s cannot do that (it has no feature '%s'): "
                "install sandboxd and sandboxctl of one version",
                sandbox_client_get_daemon_version(c), ctl->socket_path, feature);
        return ctl_error(ctl, "UNAVAILABLE", NULL, e.text);
}

int ctl_connect_to(const struct ctl *ctl, const char *feature, sandbox_client **ret)
{
        _cleanup_(sandbox_client_freep) sandbox_client *c = NULL;
        int r;

        r = ctl_connect(ctl, &c);
        if (r == 0)
                r = ctl_need(ctl, c, feature);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}
