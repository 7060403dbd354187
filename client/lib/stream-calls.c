/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls whose answer comes in pieces: kept output and fetched files, blocking and not. Runs in
 * the client's process.
 */
#include "client/lib/calls.h"

static int bad_argument(sandbox_client *c, const char *field, const char *sentence)
{
        return failure_set(&c->failure, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT, field, "%s",
                sentence);
}

static uint64_t credit_of(const sandbox_client *c)
{
        return c->has_credit ? SANDBOX_CREDIT_DEFAULT : 0;
}

static int begin_output(sandbox_client *c, const char *job_id, enum sandbox_stream stream,
        uint64_t offset, unsigned flags, sandbox_output_handler on_output, void *userdata,
        sandbox_request **ret)
{
        Sandboxd__V1__ReadOutput body = SANDBOXD__V1__READ_OUTPUT__INIT;
        Sandboxd__V1__Request message = REQUEST(read_output, READ_OUTPUT, &body);
        sandbox_request *q;
        int r;

        if (stream != SANDBOX_STDOUT && stream != SANDBOX_STDERR && stream != SANDBOX_BOTH)
                return bad_argument(c, "stream",
                        "output is read of SANDBOX_STDOUT, SANDBOX_STDERR or SANDBOX_BOTH");
        if (!on_output || flags & ~(SANDBOX_MANUAL_CREDIT | SANDBOX_FOLLOW))
                return bad_argument(c, "flags", "output needs a handler, and has two flags only");
        body.job_id = bytes_of_text(job_id);
        if (stream != SANDBOX_BOTH)
                body.stream = (Sandboxd__V1__Output__Stream) stream;
        body.offset = offset;
        body.follow = flags & SANDBOX_FOLLOW;
        body.output_credit = credit_of(c);
        r = request_begin(c, REQUEST_OUTPUT, &message, &q);
        if (r < 0)
                return r;
        q->x.manual = flags & SANDBOX_MANUAL_CREDIT;
        q->on_output = on_output;
        q->userdata = userdata;
        *ret = q;
        return 0;
}

int sandbox_read_output(sandbox_client *c, const char *job_id, enum sandbox_stream stream,
        uint64_t offset, unsigned flags, sandbox_output_handler on_output, void *userdata,
        sandbox_output_end *ret_end)
{
        struct answer a = {
                .timeout_usec = flags & SANDBOX_FOLLOW ? SANDBOX_FOREVER : c->timeout_usec,
        };
        sandbox_request *q;
        int r;

        a.deadline_usec = deadline_after(a.timeout_usec);
        r = client_may_wait(c);
        if (r == 0)
                r = begin_output(c, job_id, stream, offset, flags & ~SANDBOX_MANUAL_CREDIT,
                        on_output, userdata, &q);
        if (r == 0)
                r = request_wait(q, &a);
        if (r == 0 && ret_end)
                *ret_end = a.end;
        return r;
}

int sandbox_read_output_async(sandbox_client *c, const char *job_id, enum sandbox_stream stream,
        uint64_t offset, unsigned flags, sandbox_output_handler on_output,
        sandbox_output_end_handler on_end, void *userdata, sandbox_request **ret)
{
        sandbox_request *q;
        int r;

        r = begin_output(c, job_id, stream, offset, flags, on_output, userdata, &q);
        if (r < 0)
                return r;
        q->handler.output_end = on_end;
        if (ret)
                *ret = q;
        return 0;
}

static int begin_files(sandbox_client *c, const char *job_id, const char *const *names,
        unsigned flags, sandbox_file_handler on_file, void *userdata, sandbox_request **ret)
{
        Sandboxd__V1__GetFiles body = SANDBOXD__V1__GET_FILES__INIT;
        Sandboxd__V1__Request message = REQUEST(get_files, GET_FILES, &body);
        _cleanup_free_ ProtobufCBinaryData *list = NULL;
        sandbox_request *q;
        size_t n = 0;
        int r;

        if (!on_file || flags & ~SANDBOX_MANUAL_CREDIT)
                return bad_argument(c, "flags", "files need a handler, and have one flag only");
        while (names && names[n])
                n++;
        list = calloc(n + 1, sizeof(*list));
        if (!list)
                return failure_memory(&c->failure);
        for (size_t i = 0; i < n; i++)
                list[i] = bytes_of_text(names[i]);
        body.job_id = bytes_of_text(job_id);
        body.names = list;
        body.n_names = n;
        body.output_credit = credit_of(c);
        r = request_begin(c, REQUEST_FILES, &message, &q);
        if (r < 0)
                return r;
        q->x.manual = flags & SANDBOX_MANUAL_CREDIT;
        q->on_file = on_file;
        q->userdata = userdata;
        *ret = q;
        return 0;
}

int sandbox_get_files(sandbox_client *c, const char *job_id, const char *const *names,
        sandbox_file_handler on_file, void *userdata)
{
        struct answer a = {
                .timeout_usec = c->timeout_usec,
                .deadline_usec = deadline_after(c->timeout_usec),
        };
        sandbox_request *q;
        int r;

        r = client_may_wait(c);
        if (r == 0)
                r = begin_files(c, job_id, names, 0, on_file, userdata, &q);
        return r < 0 ? r : request_wait(q, &a);
}

int sandbox_get_files_async(sandbox_client *c, const char *job_id, const char *const *names,
        unsigned flags, sandbox_file_handler on_file, sandbox_done_handler on_end, void *userdata,
        sandbox_request **ret)
{
        sandbox_request *q;
        int r;

        r = begin_files(c, job_id, names, flags, on_file, userdata, &q);
        if (r < 0)
                return r;
        q->handler.done = on_end;
        if (ret)
                *ret = q;
        return 0;
}

static int put_piece(sandbox_request *q, const sandbox_file_piece *piece, void *userdata)
{
        return sandbox_fetch_put(userdata, piece);
}

int sandbox_fetch_to_dir(sandbox_client *c, const char *job_id, const char *const *names,
        int dir_fd, sandbox_fetch **ret)
{
        sandbox_fetch *f;
        int r;

        r = sandbox_fetch_new(dir_fd, &f);
        if (r < 0)
                return failure_set(&c->failure, r, SANDBOX_ERROR_LOCAL, NULL,
                        "cannot open the folder for the files: %s", strerrordesc_np(-r));
        r = sandbox_get_files(c, job_id, names, put_piece, f);
        if (r < 0 || !ret) {
                sandbox_fetch_free(f);
                return r;
        }
        *ret = f;
        return 0;
}
