/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs by their id, one or a list of them, as the daemon tells of them. Runs in the client's
 * process.
 */
#include "client/lib/convert.h"

static void job_list_done(struct object *o)
{
        sandbox_job_list *l = container_of(o, sandbox_job_list, object);

        for (size_t i = 0; i < l->n_infos; i++) {
                free(l->infos[i].label);
                result_clear(&l->infos[i].result);
        }
        free(l->infos);
}

sandbox_job_list *job_list_new(void)
{
        return object_new(sizeof(sandbox_job_list), job_list_done);
}

static int add_info(sandbox_job_list *l, const Sandboxd__V1__Job *message)
{
        sandbox_job_info *i = &l->infos[l->n_infos++];
        int r;

        *i = (sandbox_job_info) { .owner = &l->object, .message = message };
        r = text_of_bytes(&message->label, &i->label);
        if (r == 0 && message->result)
                r = result_set(&i->result, &l->object, message->result);
        return r;
}

int job_list_close(sandbox_job_list *l)
{
        size_t n = 0;

        for (size_t i = 0; i < l->object.n_responses; i++)
                n += l->object.responses[i]->jobs->n_jobs;
        l->infos = calloc(n + 1, sizeof(*l->infos));
        if (!l->infos)
                return -ENOMEM;
        for (size_t i = 0; i < l->object.n_responses; i++) {
                const Sandboxd__V1__JobList *message = l->object.responses[i]->jobs;

                for (size_t k = 0; k < message->n_jobs; k++) {
                        int r = add_info(l, message->jobs[k]);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* One alone is a list of one. */
int job_info_new(struct received received, const Sandboxd__V1__Job *message, sandbox_job_info **ret)
{
        sandbox_job_list *l = job_list_new();
        int r;

        if (!l) {
                wire_response_free(received.response);
                return -ENOMEM;
        }
        r = object_add(&l->object, received);
        if (r == 0) {
                l->infos = calloc(1, sizeof(*l->infos));
                r = l->infos ? add_info(l, message) : -ENOMEM;
        }
        if (r < 0) {
                object_unref(&l->object);
                return r;
        }
        *ret = &l->infos[0];
        return 0;
}

sandbox_job_list *sandbox_job_list_ref(sandbox_job_list *l)
{
        object_ref(&l->object);
        return l;
}

sandbox_job_list *sandbox_job_list_unref(sandbox_job_list *l)
{
        if (l)
                object_unref(&l->object);
        return NULL;
}

sandbox_job_info *sandbox_job_list_get(const sandbox_job_list *l, size_t index)
{
        return index < l->n_infos ? &l->infos[index] : NULL;
}

sandbox_job_info *sandbox_job_info_ref(sandbox_job_info *i)
{
        object_ref(i->owner);
        return i;
}

sandbox_job_info *sandbox_job_info_unref(sandbox_job_info *i)
{
        if (i)
                object_unref(i->owner);
        return NULL;
}

const char *sandbox_job_info_get_id(const sandbox_job_info *i)
{
        return i->message->job_id;
}

uid_t sandbox_job_info_get_owner(const sandbox_job_info *i)
{
        return i->message->owner_uid;
}

int sandbox_job_info_get_state(const sandbox_job_info *i)
{
        return (int) i->message->state;
}

const char *sandbox_job_info_get_runtime(const sandbox_job_info *i)
{
        return i->message->runtime;
}

const char *sandbox_job_info_get_profile(const sandbox_job_info *i)
{
        return i->message->profile;
}

const char *sandbox_job_info_get_label(const sandbox_job_info *i)
{
        return i->label;
}

int sandbox_job_info_get_detached(const sandbox_job_info *i)
{
        return i->message->detached ? 1 : 0;
}

uint64_t sandbox_job_info_get_created_at_usec(const sandbox_job_info *i)
{
        return i->message->created_at_usec;
}

uint64_t sandbox_job_info_get_started_at_usec(const sandbox_job_info *i)
{
        return i->message->started_at_usec;
}

uint64_t sandbox_job_info_get_ended_at_usec(const sandbox_job_info *i)
{
        return i->message->ended_at_usec;
}

uint64_t sandbox_job_info_get_stdout_bytes(const sandbox_job_info *i)
{
        return i->message->stdout_bytes;
}

uint64_t sandbox_job_info_get_stderr_bytes(const sandbox_job_info *i)
{
        return i->message->stderr_bytes;
}

const char *sandbox_job_info_get_sandbox_id(const sandbox_job_info *i)
{
        return i->message->sandbox_id;
}

int sandbox_job_info_get_usage(const sandbox_job_info *i, sandbox_usage *ret)
{
        return usage_of(i->message->usage, ret);
}

sandbox_result *sandbox_job_info_get_result(const sandbox_job_info *i)
{
        return i->message->result ? (sandbox_result *) &i->result : NULL;
}

const char *sandbox_job_info_get_limit(const sandbox_job_info *i, size_t index, uint64_t *ret_value)
{
        const Sandboxd__V1__Job *message = i->message;

        if (index >= message->n_limits)
                return NULL;
        *ret_value = message->limits[index]->value;
        return message->limits[index]->key;
}
