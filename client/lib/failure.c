/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors of the library as sentences. Runs in the client's process; allocates nothing.
 */
#include "client/lib/failure.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
        int error;
        const char *name;
} codes[] = {
        [SANDBOX_ERROR_NONE] = { -EREMOTEIO, "ERROR_UNSPECIFIED" },
        [SANDBOX_ERROR_BAD_FRAME] = { -EPROTO, "BAD_FRAME" },
        [SANDBOX_ERROR_BAD_REQUEST] = { -EPROTO, "BAD_REQUEST" },
        [SANDBOX_ERROR_INVALID_ARGUMENT] = { -EINVAL, "INVALID_ARGUMENT" },
        [SANDBOX_ERROR_OVER_LIMIT] = { -ERANGE, "OVER_LIMIT" },
        [SANDBOX_ERROR_UNKNOWN_RUNTIME] = { -ENOENT, "UNKNOWN_RUNTIME" },
        [SANDBOX_ERROR_UNKNOWN_PROFILE] = { -ENOENT, "UNKNOWN_PROFILE" },
        [SANDBOX_ERROR_UNAVAILABLE] = { -ENOPKG, "UNAVAILABLE" },
        [SANDBOX_ERROR_BUSY] = { -EBUSY, "BUSY" },
        [SANDBOX_ERROR_DENIED] = { -EACCES, "DENIED" },
        [SANDBOX_ERROR_INTERNAL] = { -EREMOTEIO, "INTERNAL" },
        [SANDBOX_ERROR_DRAINING] = { -ESHUTDOWN, "DRAINING" },
        [SANDBOX_ERROR_NO_SUCH_JOB] = { -ESRCH, "NO_SUCH_JOB" },
        [SANDBOX_ERROR_NOT_RUNNING] = { -ECHILD, "NOT_RUNNING" },
};

static const char *code_name(enum sandbox_error_code code)
{
        if (code == SANDBOX_ERROR_UNREACHABLE)
                return "UNREACHABLE";
        if (code == SANDBOX_ERROR_LOCAL)
                return "LOCAL";
        return (size_t) code < ELEMENTSOF(codes) ? codes[code].name : "ERROR_UNSPECIFIED";
}

static int fill(struct failure *f, int error, enum sandbox_error_code code)
{
        f->error = (sandbox_error) {
                .error = error,
                .code = code,
                .name = code_name(code),
                .field = f->field,
                .message = f->message,
        };
        return error;
}

void failure_init(struct failure *f)
{
        f->message[0] = f->field[0] = '\0';
        (void) fill(f, 0, SANDBOX_ERROR_NONE);
        f->error.name = "";
}

void failure_copy(struct failure *f, const sandbox_error *from)
{
        uint64_t retry_after_usec = from->retry_after_usec;

        if (from == &f->error)
                return;
        (void) snprintf(f->message, sizeof(f->message), "%s", from->message);
        (void) snprintf(f->field, sizeof(f->field), "%s", from->field);
        (void) fill(f, from->error, from->code);
        f->error.retry_after_usec = retry_after_usec;
}

int failure_set(struct failure *f, int error, enum sandbox_error_code code, const char *field,
        const char *format, ...)
{
        va_list ap;

        ASSERT(error < 0);
        va_start(ap, format);
        (void) vsnprintf(f->message, sizeof(f->message), format, ap);
        va_end(ap);
        (void) snprintf(f->field, sizeof(f->field), "%s", field ? field : "");
        return fill(f, error, code);
}

int failure_memory(struct failure *f)
{
        return failure_set(f, -ENOMEM, SANDBOX_ERROR_LOCAL, NULL,
                "out of memory: end other programs and try again");
}

int failure_refused(struct failure *f, const Sandboxd__V1__Error *error)
{
        size_t code = (size_t) error->code;
        int e = code < ELEMENTSOF(codes) ? codes[code].error : -EREMOTEIO;

        (void) failure_set(f, e, (enum sandbox_error_code) error->code, error->field, "%s",
                error->message);
        f->error.retry_after_usec = error->retry_after_usec;
        return e;
}

int failure_lost(struct failure *f, int error, const char *path)
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
                           "sandboxd and its client of one version" },
                { -EMSGSIZE, "sent a message that is too large: "
                             "check that the socket is sandboxd's" },
                { -ENOBUFS, "sent a message that unpacks too large: "
                            "check that the socket is sandboxd's" },
                { -EPROTONOSUPPORT, "speaks another version of the protocol: "
                                    "install sandboxd and its client of one version" },
        };

        for (size_t i = 0; i < ELEMENTSOF(reasons); i++)
                if (reasons[i].error == error)
                        return failure_set(f, error, SANDBOX_ERROR_UNREACHABLE, NULL,
                                "sandboxd at %s %s", path, reasons[i].reason);
        if (error == -ENOMEM)
                return failure_memory(f);
        return failure_set(f, error, SANDBOX_ERROR_UNREACHABLE, NULL,
                "the connection to sandboxd at %s failed (%s): try again", path,
                strerrordesc_np(-error));
}

int failure_connect(struct failure *f, int error, const char *path)
{
        switch (error) {
        case -ENOMEM:
                return failure_memory(f);
        case -ENOENT:
        case -ECONNREFUSED:
                return failure_set(f, error, SANDBOX_ERROR_UNREACHABLE, NULL,
                        "sandboxd is not running at %s: start it, or name the socket of one that "
                        "is",
                        path);
        case -EACCES:
        case -EPERM:
                return failure_set(f, error, SANDBOX_ERROR_UNREACHABLE, NULL,
                        "you may not use the socket %s: ask its administrator for access", path);
        case -ENAMETOOLONG:
                return failure_set(f, error, SANDBOX_ERROR_UNREACHABLE, NULL,
                        "'%s' is too long for a socket: use a path of at most 107 bytes", path);
        default:
                return failure_set(f, error, SANDBOX_ERROR_UNREACHABLE, NULL,
                        "cannot connect to sandboxd at %s (%s): check that the path is right", path,
                        strerrordesc_np(-error));
        }
}
