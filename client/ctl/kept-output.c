/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kept output on its way to its reader. Runs in sandboxctl. Bytes are passed on as they are: they
 * are the job's, and whoever asked for them decides where they go.
 */
#include "client/ctl/kept-output.h"

#include <poll.h>

struct reading {
        struct run_stream *out;
        struct run_stream *err;
        int error; /* of writing */
};

/* Waits for the reader as long as it takes. */
static int write_pending(struct run_stream *s)
{
        while (run_stream_pending(s) > 0) {
                struct pollfd p = { .fd = s->fd, .events = POLLOUT };
                ssize_t n;

                if (poll(&p, 1, -1) < 0 && errno != EINTR)
                        return -errno;
                n = run_stream_write(s);
                if (n < 0)
                        return (int) n;
        }
        return 0;
}

static int on_output(sandbox_request *q _unused_, enum sandbox_stream stream, const void *data,
        size_t size, void *userdata)
{
        struct reading *reading = userdata;
        struct run_stream *s = stream == SANDBOX_STDOUT ? reading->out : reading->err;
        int r;

        r = run_stream_take(s, data, size);
        if (r == 0)
                r = write_pending(s);
        reading->error = r;
        return r;
}

int kept_output_read(sandbox_client *c, const char *job_id, enum sandbox_stream stream,
        unsigned flags, struct run_stream *out, struct run_stream *err, sandbox_output_end *ret_end,
        struct error *e, sandbox_error *ret_error)
{
        struct reading reading = { .out = out, .err = err };
        int r;

        r = sandbox_read_output(c, job_id, stream, 0, flags, on_output, &reading, ret_end);
        if (r == 0)
                return 0;
        if (reading.error == 0) {
                *ret_error = *sandbox_client_get_error(c);
                return r;
        }
        (void) error_set(e, reading.error, "cannot write the job's output: %s",
                strerror(-reading.error));
        *ret_error = (sandbox_error) {
                .error = reading.error,
                .code = SANDBOX_ERROR_LOCAL,
                .name = "LOCAL",
                .field = "",
                .message = e->text,
        };
        return reading.error;
}
