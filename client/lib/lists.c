/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Languages, profiles and the daemon itself, as it tells of them. Runs in the client's process.
 */
#include "client/lib/convert.h"

/* An index from a caller may be any. */
#define AT(list, n, index) ((index) < (n) ? (list)[index] : NULL)

/* An object that shows one response, which it takes over. */
static void *show(struct received received, size_t size, int *ret_error)
{
        struct object *o = object_new(size, NULL);

        if (!o) {
                wire_response_free(received.response);
                *ret_error = -ENOMEM;
                return NULL;
        }
        *ret_error = object_add(o, received);
        if (*ret_error < 0) {
                object_unref(o);
                return NULL;
        }
        return o;
}

int runtime_list_new(struct received received, sandbox_runtime_list **ret)
{
        int r;
        sandbox_runtime_list *l = show(received, sizeof(*l), &r);

        if (!l)
                return r;
        l->message = received.response->runtimes;
        *ret = l;
        return 0;
}

sandbox_runtime_list *sandbox_runtime_list_ref(sandbox_runtime_list *l)
{
        object_ref(&l->object);
        return l;
}

sandbox_runtime_list *sandbox_runtime_list_unref(sandbox_runtime_list *l)
{
        if (l)
                object_unref(&l->object);
        return NULL;
}

size_t sandbox_runtime_list_get_count(const sandbox_runtime_list *l)
{
        return l->message->n_runtimes;
}

static const Sandboxd__V1__RuntimeInfo *runtime_at(const sandbox_runtime_list *l, size_t index)
{
        return AT(l->message->runtimes, l->message->n_runtimes, index);
}

const char *sandbox_runtime_list_get_name(const sandbox_runtime_list *l, size_t index)
{
        const Sandboxd__V1__RuntimeInfo *info = runtime_at(l, index);

        return info ? info->name : NULL;
}

const char *sandbox_runtime_list_get_description(const sandbox_runtime_list *l, size_t index)
{
        const Sandboxd__V1__RuntimeInfo *info = runtime_at(l, index);

        return info ? info->description : NULL;
}

const char *sandbox_runtime_list_get_alias(const sandbox_runtime_list *l, size_t index,
        size_t alias)
{
        const Sandboxd__V1__RuntimeInfo *info = runtime_at(l, index);

        return info ? AT(info->aliases, info->n_aliases, alias) : NULL;
}

int sandbox_runtime_list_get_available(const sandbox_runtime_list *l, size_t index)
{
        const Sandboxd__V1__RuntimeInfo *info = runtime_at(l, index);

        return info && info->available ? 1 : 0;
}

const char *sandbox_runtime_list_get_interpreter(const sandbox_runtime_list *l, size_t index)
{
        const Sandboxd__V1__RuntimeInfo *info = runtime_at(l, index);

        return info ? info->interpreter : NULL;
}

const char *sandbox_runtime_list_get_package(const sandbox_runtime_list *l, size_t index)
{
        const Sandboxd__V1__RuntimeInfo *info = runtime_at(l, index);

        return info ? info->package : NULL;
}

int sandbox_runtime_list_get_returns_value(const sandbox_runtime_list *l, size_t index)
{
        const Sandboxd__V1__RuntimeInfo *info = runtime_at(l, index);

        return info && info->returns_value ? 1 : 0;
}

const char *sandbox_runtime_list_get_file_name(const sandbox_runtime_list *l, size_t index)
{
        const Sandboxd__V1__RuntimeInfo *info = runtime_at(l, index);

        return info ? info->file_name : NULL;
}

int profile_list_new(struct received received, sandbox_profile_list **ret)
{
        int r;
        sandbox_profile_list *l = show(received, sizeof(*l), &r);

        if (!l)
                return r;
        l->message = received.response->profiles;
        *ret = l;
        return 0;
}

sandbox_profile_list *sandbox_profile_list_ref(sandbox_profile_list *l)
{
        object_ref(&l->object);
        return l;
}

sandbox_profile_list *sandbox_profile_list_unref(sandbox_profile_list *l)
{
        if (l)
                object_unref(&l->object);
        return NULL;
}

size_t sandbox_profile_list_get_count(const sandbox_profile_list *l)
{
        return l->message->n_profiles;
}

const char *sandbox_profile_list_get_name(const sandbox_profile_list *l, size_t index)
{
        const Sandboxd__V1__ProfileInfo *info =
                AT(l->message->profiles, l->message->n_profiles, index);

        return info ? info->name : NULL;
}

const char *sandbox_profile_list_get_description(const sandbox_profile_list *l, size_t index)
{
        const Sandboxd__V1__ProfileInfo *info =
                AT(l->message->profiles, l->message->n_profiles, index);

        return info ? info->description : NULL;
}

const char *sandbox_profile_list_get_limit(const sandbox_profile_list *l, size_t index,
        size_t limit, uint64_t *ret_default, uint64_t *ret_maximum)
{
        const Sandboxd__V1__ProfileInfo *info =
                AT(l->message->profiles, l->message->n_profiles, index);
        const Sandboxd__V1__LimitInfo *found =
                info ? AT(info->limits, info->n_limits, limit) : NULL;

        if (!found)
                return NULL;
        *ret_default = found->default_value;
        *ret_maximum = found->maximum;
        return found->field;
}

int host_new(struct received received, const Sandboxd__V1__Host *message, sandbox_host **ret)
{
        int r;
        sandbox_host *h = show(received, sizeof(*h), &r);

        if (!h)
                return r;
        h->message = message;
        *ret = h;
        return 0;
}

sandbox_host *sandbox_host_ref(sandbox_host *h)
{
        object_ref(&h->object);
        return h;
}

sandbox_host *sandbox_host_unref(sandbox_host *h)
{
        if (h)
                object_unref(&h->object);
        return NULL;
}

const char *sandbox_host_get_driver(const sandbox_host *h)
{
        return h->message->driver;
}

const char *sandbox_host_get_missing(const sandbox_host *h, size_t index)
{
        return AT(h->message->missing, h->message->n_missing, index);
}

pid_t sandbox_host_get_pid(const sandbox_host *h)
{
        return (pid_t) h->message->pid;
}

unsigned sandbox_host_get_running_jobs(const sandbox_host *h)
{
        return h->message->running_jobs;
}

unsigned sandbox_host_get_queued_jobs(const sandbox_host *h)
{
        return h->message->queued_jobs;
}

int sandbox_host_get_draining(const sandbox_host *h)
{
        return h->message->draining ? 1 : 0;
}

unsigned sandbox_host_get_kept_results(const sandbox_host *h)
{
        return h->message->kept_results;
}

uint64_t sandbox_host_get_kept_bytes(const sandbox_host *h)
{
        return h->message->kept_bytes;
}

unsigned sandbox_host_get_parked_max(const sandbox_host *h)
{
        return h->message->parked_max;
}

uint64_t sandbox_host_get_warm_jobs(const sandbox_host *h)
{
        return h->message->warm_jobs;
}

uint64_t sandbox_host_get_missed_jobs(const sandbox_host *h)
{
        return h->message->missed_jobs;
}
