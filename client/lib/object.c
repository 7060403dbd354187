/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counted objects. Runs in the client's process. The counts are atomic, so that a result can go to
 * another thread than that of its client.
 */
#include "client/lib/object.h"

#include "client/lib/wire.h"

/* What all responses of one answer may hold, whatever the daemon sends. */
#define MEMORY_MAX (256 * MIB)

void *object_new(size_t size, void (*done)(struct object *o))
{
        struct object *o = calloc(1, size);

        if (!o)
                return NULL;
        o->refs = 1;
        o->done = done;
        return o;
}

void object_ref(struct object *o)
{
        (void) __atomic_add_fetch(&o->refs, 1, __ATOMIC_RELAXED);
}

void object_unref(struct object *o)
{
        if (!o || __atomic_sub_fetch(&o->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        if (o->done)
                o->done(o);
        for (size_t i = 0; i < o->n_responses; i++)
                wire_response_free(o->responses[i]);
        free(o->responses);
        free(o);
}

int object_add(struct object *o, struct received received)
{
        Sandboxd__V1__Response **grown =
                reallocarray(o->responses, o->n_responses + 1, sizeof(*grown));

        if (!grown) {
                wire_response_free(received.response);
                return -ENOMEM;
        }
        o->responses = grown;
        o->responses[o->n_responses++] = received.response;
        o->memory += received.memory;
        return o->memory > MEMORY_MAX ? -ENOBUFS : 0;
}
