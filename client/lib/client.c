/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client: from connecting to the end of the connection, and the dispatch of what comes. Runs in the
 * client's process, in whatever thread calls it; waits only where a function says so.
 */
#include "client/lib/connection.h"

#include <poll.h>

#include "common/io.h"

#define TIMEOUT_DEFAULT_USEC (30 * USEC_PER_SEC)
/* How soon to try again when the daemon's queue of connections is full. */
#define RETRY_USEC (10 * USEC_PER_MSEC)
/* Responses that one call of process() takes at most, so that a loop's other fds have their turn. */
#define RESPONSES_MAX 64

static void set_state(sandbox_client *c, enum client_state state)
{
        static const bool allowed[_CLIENT_STATE_COUNT][_CLIENT_STATE_COUNT] = {
                [CLIENT_IDLE] = { [CLIENT_CONNECTING] = true, [CLIENT_GREETING] = true },
                [CLIENT_CONNECTING] = { [CLIENT_GREETING] = true, [CLIENT_LOST] = true },
                [CLIENT_GREETING] = { [CLIENT_READY] = true, [CLIENT_LOST] = true },
                [CLIENT_READY] = { [CLIENT_LOST] = true },
                [CLIENT_LOST] = { [CLIENT_IDLE] = true },
        };

        ASSERT(allowed[c->state][state]);
        c->state = state;
}

uint64_t deadline_after(uint64_t timeout_usec)
{
        uint64_t deadline;

        if (__builtin_add_overflow(io_now_usec(), timeout_usec, &deadline))
                return SANDBOX_FOREVER;
        return deadline;
}

int sandbox_client_new(sandbox_client **ret)
{
        sandbox_client *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->timeout_usec = TIMEOUT_DEFAULT_USEC;
        TAILQ_INIT(&c->feeding);
        failure_init(&c->failure);
        *ret = c;
        return 0;
}

/* The connection and all that is on it; no callback. */
static void drop_connection(sandbox_client *c)
{
        for (size_t i = 0; i < c->n_buckets; i++)
                while (c->buckets[i])
                        exchange_end(c->buckets[i]);
        c->wire = wire_free(c->wire);
        wire_response_free(TAKE_PTR(c->hello));
        free(TAKE_PTR(c->buckets));
        free(TAKE_PTR(c->piece));
        c->n_buckets = 0;
        c->more = false;
}

sandbox_client *sandbox_client_free(sandbox_client *c)
{
        if (!c)
                return NULL;
        drop_connection(c);
        free(c->name);
        free(c->behalf);
        free(c->path);
        free(c);
        return NULL;
}

int sandbox_client_set_name(sandbox_client *c, const char *name)
{
        char *copy = strdup(name);

        if (!copy)
                return failure_memory(&c->failure);
        free(c->name);
        c->name = copy;
        return 0;
}

int sandbox_client_set_on_behalf_of(sandbox_client *c, uid_t uid, const gid_t *gids, size_t n_gids)
{
        struct behalf *b;
        size_t size;

        if (__builtin_mul_overflow(n_gids, sizeof(b->gids[0]), &size) ||
                __builtin_add_overflow(size, sizeof(*b), &size))
                return failure_memory(&c->failure);
        b = malloc(size);
        if (!b)
                return failure_memory(&c->failure);
        b->uid = uid;
        b->n_gids = n_gids;
        for (size_t i = 0; i < n_gids; i++)
                b->gids[i] = gids[i];
        free(c->behalf);
        c->behalf = b;
        return 0;
}

void sandbox_client_set_timeout(sandbox_client *c, uint64_t timeout_usec)
{
        c->timeout_usec = timeout_usec;
}

const sandbox_error *sandbox_client_get_error(const sandbox_client *c)
{
        return &c->failure.error;
}

static void tell_connected(sandbox_client *c, const sandbox_error *error)
{
        sandbox_connect_handler handler = TAKE_PTR(c->on_connect);

        if (handler)
                handler(c, error, c->connect_userdata);
}

static int lost_error(sandbox_client *c)
{
        failure_copy(&c->failure, &c->lost.error);
        return c->lost.error.error;
}

/* Ends everything with c->failure, which stays. Returns its errno. */
static int lose(sandbox_client *c)
{
        bool connecting = c->state != CLIENT_READY, was = c->dispatching;

        failure_copy(&c->lost, &c->failure.error);
        set_state(c, CLIENT_LOST);
        c->dispatching = true;
        if (connecting)
                tell_connected(c, &c->lost.error);
        /* A callback may end other exchanges, and begins none. */
        for (size_t i = 0; i < c->n_buckets; i++)
                while (c->buckets[i]) {
                        struct exchange *x = c->buckets[i];

                        c->current = x;
                        if (!x->silent)
                                x->ops->lose(x, &c->lost.error);
                        c->current = NULL;
                        exchange_end(x);
                }
        c->dispatching = was;
        drop_connection(c);
        return lost_error(c);
}

static int lose_with(sandbox_client *c, int error)
{
        (void) failure_lost(&c->failure, error, c->path);
        return lose(c);
}

static int send_hello(sandbox_client *c)
{
        Sandboxd__V1__Hello hello = SANDBOXD__V1__HELLO__INIT;
        Sandboxd__V1__OnBehalfOf behalf = SANDBOXD__V1__ON_BEHALF_OF__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;

        hello.protocol = SANDBOX_PROTOCOL;
        if (c->name)
                hello.client = c->name;
        if (c->behalf) {
                behalf.uid = c->behalf->uid;
                behalf.n_gids = c->behalf->n_gids;
                behalf.gids = c->behalf->gids;
                hello.on_behalf_of = &behalf;
        }
        request.id = c->hello_id = wire_next_id(c->wire);
        request.body_case = SANDBOXD__V1__REQUEST__BODY_HELLO;
        request.hello = &hello;
        return wire_queue(c->wire, &request);
}

/* One attempt to connect. 0 also when another one is to follow. */
static int try_connect(sandbox_client *c)
{
        int r;

        r = wire_connect(c->path, &c->wire);
        if (r == -EAGAIN) {
                if (c->state == CLIENT_IDLE)
                        set_state(c, CLIENT_CONNECTING);
                return 0;
        }
        if (r < 0)
                return failure_connect(&c->failure, r, c->path);
        set_state(c, CLIENT_GREETING);
        r = send_hello(c);
        if (r == 0)
                r = wire_flush(c->wire);
        return r < 0 ? failure_lost(&c->failure, r, c->path) : 0;
}

static int begin_connecting(sandbox_client *c, const char *path)
{
        const char *named = getenv("SANDBOXD_SOCKET");
        char *copy;

        if (c->dispatching)
                return client_may_wait(c);
        if (c->state != CLIENT_IDLE && c->state != CLIENT_LOST)
                return failure_set(&c->failure, -EISCONN, SANDBOX_ERROR_LOCAL, NULL,
                        "the client is connected already: make another one");
        if (c->state == CLIENT_LOST)
                set_state(c, CLIENT_IDLE);
        if (!path)
                path = strnull(named) ? SANDBOX_SOCKET : named;
        copy = strdup(path);
        if (!copy)
                return failure_memory(&c->failure);
        free(c->path);
        c->path = copy;
        c->deadline_usec = deadline_after(c->timeout_usec);
        return 0;
}

int sandbox_client_connect_async(sandbox_client *c, const char *path,
        sandbox_connect_handler handler, void *userdata)
{
        int r;

        r = begin_connecting(c, path);
        if (r < 0)
                return r;
        c->on_connect = NULL;
        r = try_connect(c);
        if (r < 0)
                return c->state == CLIENT_IDLE ? r : lose(c);
        c->on_connect = handler;
        c->connect_userdata = userdata;
        return 0;
}

static void set_done(sandbox_client *c, const sandbox_error *error, void *userdata)
{
        *(bool *) userdata = true;
}

int sandbox_client_connect(sandbox_client *c, const char *path)
{
        uint64_t forever = SANDBOX_FOREVER; /* connecting has its own deadline */
        bool done = false;
        int r;

        r = sandbox_client_connect_async(c, path, set_done, &done);
        if (r < 0)
                return r;
        r = client_loop(c, &done, &forever);
        return r == 0 && c->state == CLIENT_LOST ? lost_error(c) : r;
}

void sandbox_client_disconnect(sandbox_client *c)
{
        if (c->dispatching || c->state == CLIENT_IDLE)
                return;
        if (c->state != CLIENT_LOST) {
                (void) failure_set(&c->failure, -ECANCELED, SANDBOX_ERROR_LOCAL, NULL,
                        "the client was disconnected");
                (void) lose(c);
        }
        set_state(c, CLIENT_IDLE);
}

static const Sandboxd__V1__HelloReply *peer(const sandbox_client *c)
{
        return c->hello ? c->hello->hello : NULL;
}

const char *sandbox_client_get_daemon_version(const sandbox_client *c)
{
        return peer(c) ? peer(c)->version : NULL;
}

const char *sandbox_client_get_feature(const sandbox_client *c, size_t index)
{
        return peer(c) && index < peer(c)->n_features ? peer(c)->features[index] : NULL;
}

int sandbox_client_has_feature(const sandbox_client *c, const char *name)
{
        const char *feature;

        for (size_t i = 0; (feature = sandbox_client_get_feature(c, i)); i++)
                if (streq(feature, name))
                        return 1;
        return 0;
}

int client_require(sandbox_client *c, const char *feature)
{
        if (sandbox_client_has_feature(c, feature))
                return 0;
        return failure_set(&c->failure, -EOPNOTSUPP, SANDBOX_ERROR_LOCAL, NULL,
                "this sandboxd, version %s, lacks the feature '%s': update it",
                sandbox_client_get_daemon_version(c), feature);
}

size_t sandbox_client_get_max_request(const sandbox_client *c)
{
        return c->wire ? wire_max_request(c->wire) : 0;
}

int client_ready(sandbox_client *c)
{
        if (c->state == CLIENT_READY)
                return 0;
        return failure_set(&c->failure, -ENOTCONN, SANDBOX_ERROR_LOCAL, NULL,
                "the client is not connected: connect it first");
}

int client_may_wait(sandbox_client *c)
{
        if (!c->dispatching)
                return 0;
        return failure_set(&c->failure, -EDEADLK, SANDBOX_ERROR_LOCAL, NULL,
                "a callback may not wait: use what ends in _async or _start");
}

int client_queue(sandbox_client *c, struct exchange *x, Sandboxd__V1__Request *request)
{
        int r;

        request->id = x ? x->id : wire_next_id(c->wire);
        r = wire_queue(c->wire, request);
        if (r == -EMSGSIZE)
                return failure_set(&c->failure, r, SANDBOX_ERROR_OVER_LIMIT, NULL,
                        "the request is larger than the %zu bytes that sandboxd takes in one "
                        "(MaxFrameSize=): send code and arguments in files",
                        wire_max_request(c->wire));
        return r < 0 ? failure_memory(&c->failure) : 0;
}

void client_flush(sandbox_client *c)
{
        if (!c->dispatching && c->wire)
                (void) wire_flush(c->wire);
}

int sandbox_client_get_fd(const sandbox_client *c)
{
        return c->wire ? wire_fd(c->wire) : -ENOTCONN;
}

int sandbox_client_get_events(const sandbox_client *c)
{
        int events = 0;

        if (!c->wire)
                return 0;
        if (c->n_congested == 0)
                events |= POLLIN;
        if (wire_queued(c->wire) > 0 || !TAILQ_EMPTY(&c->feeding))
                events |= POLLOUT;
        return events;
}

uint64_t sandbox_client_get_timeout(const sandbox_client *c)
{
        if (c->state == CLIENT_CONNECTING)
                return MIN(c->deadline_usec, io_now_usec() + RETRY_USEC);
        if (c->more && c->n_congested == 0)
                return 0;
        return c->state == CLIENT_GREETING ? c->deadline_usec : SANDBOX_FOREVER;
}

size_t sandbox_client_get_queued(const sandbox_client *c)
{
        return c->wire ? wire_queued(c->wire) : 0;
}

static int take_hello(sandbox_client *c, const Sandboxd__V1__Response *response)
{
        const Sandboxd__V1__HelloReply *reply = response->hello;
        int r;

        if (response->id != c->hello_id)
                return 0;
        if (response->body_case != SANDBOXD__V1__RESPONSE__BODY_HELLO)
                return -EPROTO;
        if (reply->protocol != SANDBOX_PROTOCOL)
                return -EPROTONOSUPPORT;
        /* It outlives the responses that follow. */
        c->hello = wire_take(c->wire).response;
        if (reply->max_frame_bytes > 0)
                wire_set_max_request(c->wire, reply->max_frame_bytes);
        c->has_credit = sandbox_client_has_feature(c, "credit");
        /* One that does not know of it would take us for ourselves. */
        r = c->behalf ? client_require(c, "on-behalf") : 0;
        if (r < 0)
                return r;
        set_state(c, CLIENT_READY);
        tell_connected(c, NULL);
        return 0;
}

static int dispatch(sandbox_client *c, const Sandboxd__V1__Response *response)
{
        struct exchange *x;
        int r;

        if (c->state == CLIENT_GREETING)
                return take_hello(c, response);
        /* What was abandoned is answered all the same. */
        x = exchange_find(c, response->id);
        if (!x)
                return 0;
        c->current = x;
        r = x->ops->take(x, response);
        c->current = NULL;
        if (r == 0 && x->finished)
                exchange_end(x);
        return r;
}

/* Whether a response is the end of the connection, with its reason. */
static bool is_farewell(const sandbox_client *c, const Sandboxd__V1__Response *response)
{
        return response->body_case == SANDBOXD__V1__RESPONSE__BODY_ERROR &&
               (response->id == 0 || (c->state == CLIENT_GREETING && response->id == c->hello_id));
}

/* Takes what is there: how many responses, or what the connection is lost with. */
static int receive(sandbox_client *c)
{
        int n;

        for (n = 0; n < RESPONSES_MAX && c->n_congested == 0; n++) {
                const Sandboxd__V1__Response *response;
                int r;

                r = wire_receive(c->wire, &response);
                if (r < 0)
                        return lose_with(c, r);
                if (r == 0) {
                        c->more = false;
                        return n;
                }
                if (is_farewell(c, response)) {
                        (void) failure_refused(&c->failure, response->error);
                        return lose(c);
                }
                r = dispatch(c, response);
                /* Of what the daemon lacks the sentence is there. */
                if (r == -EOPNOTSUPP)
                        return lose(c);
                if (r < 0)
                        return lose_with(c, r);
        }
        c->more = true;
        return n;
}

static int step(sandbox_client *c)
{
        int n, r;

        if (c->state != CLIENT_READY && io_now_usec() >= c->deadline_usec)
                return lose_with(c, -ETIMEDOUT);
        if (c->state == CLIENT_CONNECTING) {
                r = try_connect(c);
                return r < 0 ? lose(c) : 0;
        }
        jobs_feed(c);
        r = wire_flush(c->wire);
        if (r < 0)
                return lose_with(c, r);
        n = receive(c);
        if (n < 0)
                return n;
        jobs_feed(c);
        r = wire_flush(c->wire);
        return r < 0 ? lose_with(c, r) : n > 0;
}

int sandbox_client_process(sandbox_client *c)
{
        int r;

        r = client_may_wait(c);
        if (r < 0)
                return r;
        if (c->state == CLIENT_LOST)
                return lost_error(c);
        if (c->state == CLIENT_IDLE)
                return client_ready(c);
        c->dispatching = true;
        r = step(c);
        c->dispatching = false;
        return r;
}

int sandbox_client_wait(sandbox_client *c, uint64_t timeout_usec)
{
        uint64_t now = io_now_usec(), until = sandbox_client_get_timeout(c);
        uint64_t deadline = MIN(deadline_after(timeout_usec), until);
        int events = sandbox_client_get_events(c);
        /* A socket that was hung up would end every poll, also one for no event. */
        struct pollfd p = {
                .fd = events ? wire_fd(c->wire) : -EBADF,
                .events = (short) events,
        };
        struct timespec left;
        int r;

        if (c->state == CLIENT_IDLE || c->state == CLIENT_LOST)
                return 1; /* process() says why */
        left.tv_sec = (time_t) ((MAX(deadline, now) - now) / USEC_PER_SEC);
        left.tv_nsec = (long) ((MAX(deadline, now) - now) % USEC_PER_SEC * 1000);
        r = ppoll(&p, 1, deadline == SANDBOX_FOREVER ? NULL : &left, NULL);
        if (r < 0)
                return -errno;
        return r > 0 || io_now_usec() >= until;
}

int client_loop(sandbox_client *c, const bool *done, const uint64_t *deadline_usec)
{
        while (!*done) {
                uint64_t now;
                int r;

                r = sandbox_client_process(c);
                if (*done)
                        break;
                if (r < 0)
                        return r;
                /* Also when something came: what comes for others must not keep this one waiting. */
                now = io_now_usec();
                if (now >= *deadline_usec)
                        return -ETIMEDOUT;
                if (r > 0)
                        continue;
                r = sandbox_client_wait(c,
                        *deadline_usec == SANDBOX_FOREVER ? SANDBOX_FOREVER : *deadline_usec - now);
                if (r < 0 && r != -EINTR)
                        return failure_set(&c->failure, r, SANDBOX_ERROR_LOCAL, NULL,
                                "cannot wait for sandboxd: %s", strerrordesc_np(-r));
        }
        return 0;
}
