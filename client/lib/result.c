/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a job ended. Runs in the client's process.
 */
#include "client/lib/convert.h"
#include "client/lib/object.h"
#include "common/status.h"

struct result_object {
        struct object object;
        sandbox_result result;
};

static void result_done(struct object *o)
{
        result_clear(&container_of(o, struct result_object, object)->result);
}

int result_new(struct received received, sandbox_result **ret)
{
        struct result_object *r = object_new(sizeof(*r), result_done);
        int q;

        if (!r) {
                wire_response_free(received.response);
                return -ENOMEM;
        }
        q = object_add(&r->object, received);
        if (q == 0)
                q = result_set(&r->result, &r->object, received.response->result);
        if (q < 0) {
                object_unref(&r->object);
                return q;
        }
        *ret = &r->result;
        return 0;
}

int result_set(sandbox_result *r, struct object *owner, const Sandboxd__V1__Result *message)
{
        *r = (sandbox_result) { .owner = owner, .message = message };
        return text_of_bytes(&message->label, &r->label);
}

void result_clear(sandbox_result *r)
{
        free(r->label);
        free(r->out);
        free(r->err);
        sandbox_fetch_free(r->fetch);
}

sandbox_result *sandbox_result_ref(sandbox_result *r)
{
        object_ref(r->owner);
        return r;
}

sandbox_result *sandbox_result_unref(sandbox_result *r)
{
        if (r)
                object_unref(r->owner);
        return NULL;
}

const char *sandbox_result_get_job_id(const sandbox_result *r)
{
        return r->message->job_id;
}

int sandbox_result_get_status(const sandbox_result *r)
{
        return (int) r->message->status;
}

int sandbox_result_get_exit_code(const sandbox_result *r)
{
        return r->message->exit_code;
}

int sandbox_result_get_signal(const sandbox_result *r)
{
        return r->message->signal;
}

int sandbox_result_get_shell_code(const sandbox_result *r)
{
        return job_status_exit_code((enum job_status) r->message->status, r->message->exit_code,
                r->message->signal, r->message->step, r->message->error);
}

const char *sandbox_result_get_message(const sandbox_result *r)
{
        return r->message->message;
}

const char *sandbox_result_get_step(const sandbox_result *r)
{
        return r->message->step;
}

int sandbox_result_get_error(const sandbox_result *r)
{
        return r->message->error;
}

const char *sandbox_result_get_stdout(const sandbox_result *r, size_t *ret_size)
{
        *ret_size = r->out_size;
        return r->out;
}

const char *sandbox_result_get_stderr(const sandbox_result *r, size_t *ret_size)
{
        *ret_size = r->err_size;
        return r->err;
}

uint64_t sandbox_result_get_stdout_bytes(const sandbox_result *r)
{
        return r->message->stdout_bytes;
}

uint64_t sandbox_result_get_stderr_bytes(const sandbox_result *r)
{
        return r->message->stderr_bytes;
}

int sandbox_result_get_stdout_truncated(const sandbox_result *r)
{
        return r->message->stdout_truncated ? 1 : 0;
}

int sandbox_result_get_stderr_truncated(const sandbox_result *r)
{
        return r->message->stderr_truncated ? 1 : 0;
}

int sandbox_result_get_pids_limit_hit(const sandbox_result *r)
{
        return r->message->pids_limit_hit ? 1 : 0;
}

int sandbox_result_get_cpu_throttled(const sandbox_result *r)
{
        return r->message->cpu_throttled ? 1 : 0;
}

int sandbox_result_has_return_value(const sandbox_result *r)
{
        return r->message->return_value ? 1 : 0;
}

const void *sandbox_result_get_return_text(const sandbox_result *r, size_t *ret_size)
{
        const Sandboxd__V1__ReturnValue *value = r->message->return_value;

        *ret_size = value ? value->text.len : 0;
        return value ? value->text.data : NULL;
}

const void *sandbox_result_get_return_json(const sandbox_result *r, size_t *ret_size)
{
        const Sandboxd__V1__ReturnValue *value = r->message->return_value;

        *ret_size = value ? value->json.len : 0;
        return value ? value->json.data : NULL;
}

int sandbox_result_get_usage(const sandbox_result *r, sandbox_usage *ret)
{
        return usage_of(r->message->usage, ret);
}

uint64_t sandbox_result_get_queued_usec(const sandbox_result *r)
{
        return r->message->queued_usec;
}

uint64_t sandbox_result_get_setup_usec(const sandbox_result *r)
{
        return r->message->setup_usec;
}

int sandbox_result_get_warm(const sandbox_result *r)
{
        return r->message->warm ? 1 : 0;
}

const char *sandbox_result_get_runtime(const sandbox_result *r)
{
        return r->message->runtime;
}

const char *sandbox_result_get_profile(const sandbox_result *r)
{
        return r->message->profile;
}

const char *sandbox_result_get_label(const sandbox_result *r)
{
        return r->label;
}

uint64_t sandbox_result_get_started_at_usec(const sandbox_result *r)
{
        return r->message->started_at_usec;
}

uint64_t sandbox_result_get_ended_at_usec(const sandbox_result *r)
{
        return r->message->ended_at_usec;
}

unsigned sandbox_result_get_files(const sandbox_result *r)
{
        return r->message->files;
}

const char *sandbox_result_get_failed_file(const sandbox_result *r, size_t index,
        const char **ret_reason)
{
        return r->fetch ? sandbox_fetch_get_failed(r->fetch, index, ret_reason) : NULL;
}
