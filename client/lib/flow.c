/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exchanges by their id, and their credit. Runs in the client's process. The daemon sends of each
 * stream no more than there is credit for; one that does is read no further until what it sent is
 * consumed, so that what waits here is bounded either way.
 */
#include "client/lib/connection.h"

#define BUCKETS_MIN 16

static struct exchange **bucket_of(sandbox_client *c, uint64_t id)
{
        /* Ids count up: they fill the buckets evenly. */
        return &c->buckets[id & (c->n_buckets - 1)];
}

static int grow_buckets(sandbox_client *c)
{
        size_t n = c->n_buckets, more = MAX(2 * n, (size_t) BUCKETS_MIN);
        struct exchange **old = c->buckets, **grown;

        if (c->n_exchanges < n)
                return 0;
        grown = calloc(more, sizeof(*grown));
        if (!grown)
                return -ENOMEM;
        c->buckets = grown;
        c->n_buckets = more;
        for (size_t i = 0; i < n; i++)
                while (old[i]) {
                        struct exchange *x = old[i], **bucket = bucket_of(c, x->id);

                        old[i] = x->next;
                        x->next = *bucket;
                        *bucket = x;
                }
        free(old);
        return 0;
}

int exchange_begin(struct exchange *x, sandbox_client *c, const struct exchange_ops *ops)
{
        struct exchange **bucket;
        int r;

        r = grow_buckets(c);
        if (r < 0)
                return r;
        x->ops = ops;
        x->client = c;
        x->id = wire_next_id(c->wire);
        bucket = bucket_of(c, x->id);
        x->next = *bucket;
        *bucket = x;
        c->n_exchanges++;
        return 0;
}

void exchange_end(struct exchange *x)
{
        sandbox_client *c = x->client;
        struct exchange **link = bucket_of(c, x->id);

        while (*link != x)
                link = &(*link)->next;
        *link = x->next;
        c->n_exchanges--;
        for (size_t i = 0; i < FLOW_STREAMS; i++)
                if (x->flows[i].congested)
                        c->n_congested--;
        x->ops->free(x);
}

struct exchange *exchange_find(sandbox_client *c, uint64_t id)
{
        struct exchange *x;

        if (c->n_buckets == 0)
                return NULL;
        for (x = *bucket_of(c, id); x && x->id != id;)
                x = x->next;
        return x;
}

static void set_congested(struct exchange *x, struct flow *f, bool congested)
{
        if (f->congested == congested)
                return;
        f->congested = congested;
        if (congested)
                x->client->n_congested++;
        else
                x->client->n_congested--;
}

void flow_receive(struct exchange *x, enum sandbox_stream stream, uint64_t bytes)
{
        struct flow *f = &x->flows[stream];

        f->unconsumed += bytes;
        if (f->unconsumed > x->window)
                set_congested(x, f, true);
}

/* Credit is told in portions of half the window: the daemon never runs out while we keep up. */
static int tell_credit(struct exchange *x, enum sandbox_stream stream)
{
        Sandboxd__V1__OutputCredit body = SANDBOXD__V1__OUTPUT_CREDIT__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        struct flow *f = &x->flows[stream];
        int r;

        if (!x->client->has_credit || f->owed == 0 || f->owed < x->window / 2)
                return 0;
        body.of = (Sandboxd__V1__OutputCredit__Of) stream;
        body.bytes = f->owed;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_OUTPUT_CREDIT;
        request.output_credit = &body;
        r = client_queue(x->client, x, &request);
        if (r == 0)
                f->owed = 0;
        return r;
}

int flow_consume(struct exchange *x, enum sandbox_stream stream, uint64_t bytes)
{
        struct flow *f;

        if (stream < SANDBOX_STDOUT || stream > SANDBOX_FILES)
                return -EINVAL;
        f = &x->flows[stream];
        if (bytes > f->unconsumed)
                return -EINVAL;
        f->unconsumed -= bytes;
        f->owed += bytes;
        if (f->unconsumed <= x->window)
                set_congested(x, f, false);
        return tell_credit(x, stream);
}

int flow_settle(struct exchange *x, enum sandbox_stream stream, uint64_t bytes)
{
        return flow_consume(x, stream, MIN(bytes, x->flows[stream].unconsumed));
}

void flow_release(struct exchange *x)
{
        x->manual = false;
        for (enum sandbox_stream s = SANDBOX_STDOUT; s <= SANDBOX_FILES; s++)
                (void) flow_consume(x, s, x->flows[s].unconsumed);
}
