/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors and the way to the daemon, the same for every verb. Runs in sandboxctl.
 */
#include "client/ctl/ctl.h"

#include <fcntl.h>

#include "client/ctl/json.h"
#include "client/ctl/reach.h"

/* A busy host may take its time, a dead daemon closes the connection. */
#define ANSWER_TIMEOUT_USEC (30 * USEC_PER_SEC)

int ctl_error(const struct ctl *ctl, const char *code, const char *field, const char *message)
{
        /* It may quote words of the command line, and names of files. */
        _cleanup_free_ char *shown = text_untrusted(message);

        (void) fflush(stdout);
        (void) fprintf(stderr, "sandboxctl: %s\n", shown);
        if (ctl->json) {
                json_auto_t *object = json_new_object();
                json_t *error = json_new_object();

                json_set_text(error, "code", code);
                json_set_text(error, "field", field ? field : "");
                json_set_text(error, "message", shown);
                json_set(object, "error", error);
                json_show(object, stdout);
        }
        return CTL_EXIT_REFUSED;
}

int ctl_refused(const struct ctl *ctl, const Sandboxd__V1__Error *error)
{
        const ProtobufCEnumValue *code =
                protobuf_c_enum_descriptor_get_value(&sandboxd__v1__error_code__descriptor,
                        (int) error->code);

        return ctl_error(ctl, code ? code->name : "ERROR_UNSPECIFIED", error->field,
                error->message);
}

int ctl_lost(const struct ctl *ctl, int error)
{
        static const struct {
                int error;
                const char *reason;
        } reasons[] = {
                { -ECONNRESET, "closed the connection: see its log for the reason" },
                { -ETIMEDOUT, "does not answer: see its log, and whether it is stopped" },
                { -EBADMSG, "sent what is no message of the protocol: "
                            "check that the socket is sandboxd's" },
                { -EPROTO, "sent a message out of order: install "
                           "sandboxd and sandboxctl of one version" },
                { -EMSGSIZE, "sent a message that is too large: "
                             "check that the socket is sandboxd's" },
                { -ENOBUFS, "sent a message that unpacks too large: "
                            "check that the socket is sandboxd's" },
                { -EPROTONOSUPPORT, "speaks another version of the protocol: "
                                    "install sandboxd and sandboxctl of one version" },
        };
        const char *reason = NULL;
        struct error e;

        for (size_t i = 0; i < ELEMENTSOF(reasons); i++)
                if (reasons[i].error == error)
                        reason = reasons[i].reason;
        if (reason)
                (void) error_set(&e, error, "sandboxd at %s %s", ctl->socket_path, reason);
        else
                (void) error_set(&e, error,
                        "the connection to sandboxd at %s failed (%s): try again", ctl->socket_path,
                        strerror(-error));
        return ctl_error(ctl, "UNREACHABLE", NULL, e.text);
}

/* Connects, and says what to do when nobody is there. */
static int connect_or_explain(const struct ctl *ctl, struct client **ret, struct error *e)
{
        _cleanup_close_ int root_fd = -EBADF;
        int r;

        r = client_connect(ctl->socket_path, ret);
        if (r == 0)
                return 0;
        root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        return reach_explain(root_fd, ctl->socket_path, r, e);
}

int ctl_connect(const struct ctl *ctl, struct client **ret)
{
        _cleanup_(client_freep) struct client *c = NULL;
        struct error e;
        int r;

        if (connect_or_explain(ctl, &c, &e) < 0)
                return ctl_error(ctl, "UNREACHABLE", NULL, e.text);
        r = client_hello(c, "sandboxctl " PACKAGE_VERSION, ANSWER_TIMEOUT_USEC);
        if (r > 0)
                return ctl_refused(ctl, client_response(c)->error);
        if (r < 0)
                return ctl_lost(ctl, r);
        *ret = TAKE_PTR(c);
        return 0;
}

int ctl_try_connect(const struct ctl *ctl, struct client **ret, struct error *e)
{
        _cleanup_(client_freep) struct client *c = NULL;
        int r;

        r = connect_or_explain(ctl, &c, e);
        if (r < 0)
                return r;
        r = client_hello(c, "sandboxctl " PACKAGE_VERSION, ANSWER_TIMEOUT_USEC);
        if (r > 0)
                return error_set(e, -EREMOTEIO, "%s", client_response(c)->error->message);
        if (r < 0)
                return error_set(e, r, "sandboxd at %s does not answer (%s): see its log",
                        ctl->socket_path, strerror(-r));
        *ret = TAKE_PTR(c);
        return 0;
}

int ctl_call(const struct ctl *ctl, struct client *c, Sandboxd__V1__Request *request,
        Sandboxd__V1__Response__BodyCase body, const Sandboxd__V1__Response **ret)
{
        const Sandboxd__V1__Response *response;
        int r;

        r = client_call(c, request, ANSWER_TIMEOUT_USEC, &response);
        if (r < 0)
                return ctl_lost(ctl, r);
        if (response->body_case == SANDBOXD__V1__RESPONSE__BODY_ERROR)
                return ctl_refused(ctl, response->error);
        if (response->body_case != body)
                return ctl_lost(ctl, -EPROTO);
        *ret = response;
        return 0;
}
