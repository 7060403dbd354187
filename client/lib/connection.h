/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A client: its connection, and what is under way on it. Every job and request is an exchange: an
 * id, what it does with responses to it, and credit for what comes.
 */

#include <sys/queue.h>

#include "client/lib/convert.h"
#include "client/lib/failure.h"
#include "client/lib/wire.h"

/* Input is produced as long as no more than this waits to be sent. */
#define QUEUE_MAX (256 * KIB)

struct exchange;

struct exchange_ops {
        /* Takes a response. 0, or a negative errno when the daemon talks nonsense. Sets finished when
         * no other can follow; the exchange is then freed. */
        int (*take)(struct exchange *x, const Sandboxd__V1__Response *response);
        /* The connection is lost: the last callback. */
        void (*lose)(struct exchange *x, const sandbox_error *error);
        void (*free)(struct exchange *x);
};

/* Credit of one stream. */
struct flow {
        uint64_t unconsumed; /* bytes that came and were not consumed */
        uint64_t owed;       /* consumed, and the daemon not yet told */
        bool congested;      /* more came than there was credit for */
};

enum {
        FLOW_STREAMS = SANDBOX_FILES + 1,
};

struct exchange {
        const struct exchange_ops *ops;
        sandbox_client *client;
        uint64_t id;
        struct exchange *next; /* of the same bucket */
        bool finished;
        bool silent; /* no callback is called any more */
        bool manual; /* credit */
        uint64_t window;
        struct flow flows[FLOW_STREAMS];
};

enum client_state {
        CLIENT_IDLE,       /* not connected */
        CLIENT_CONNECTING, /* the daemon's queue was full */
        CLIENT_GREETING,   /* hello was sent */
        CLIENT_READY,
        CLIENT_LOST,
        _CLIENT_STATE_COUNT,
};

TAILQ_HEAD(job_queue, sandbox_job);

struct behalf {
        uint32_t uid;
        size_t n_gids;
        uint32_t gids[];
};

struct sandbox_client {
        enum client_state state;
        struct wire *wire;
        char *name;
        struct behalf *behalf; /* for whom we act; NULL: for ourselves */
        char *path;
        uint64_t timeout_usec;
        uint64_t deadline_usec; /* of connecting and greeting */
        sandbox_connect_handler on_connect;
        void *connect_userdata;
        uint64_t hello_id;
        bool has_credit; /* the daemon keeps credit for output; to one that does not, none is told */
        Sandboxd__V1__Response *hello;

        struct exchange **buckets;
        size_t n_buckets;
        size_t n_exchanges;
        struct job_queue feeding; /* jobs that have input to send */
        size_t n_congested;       /* flows: nothing is read meanwhile */
        struct exchange *current; /* whose response is being taken */
        bool dispatching;         /* a callback may be running */
        bool more;                /* responses may be there that the socket does not tell of */
        uint8_t *piece;           /* input on its way to the queue; wire_max_piece() of room */

        struct failure failure; /* of the last call */
        struct failure lost;    /* when CLIENT_LOST */
};

/* Checks that requests can be made. -ENOTCONN with the sentence. */
int client_ready(sandbox_client *c);
/* Checks that this is no callback. -EDEADLK with the sentence. */
int client_may_wait(sandbox_client *c);
/* Checks that the daemon can do what a feature stands for. -EOPNOTSUPP with the sentence. */
int client_require(sandbox_client *c, const char *feature);
/* Queues a request for an exchange, or with x NULL a fresh id. -EMSGSIZE and
 * -ENOMEM with the sentence. */
int client_queue(sandbox_client *c, struct exchange *x, Sandboxd__V1__Request *request);
/* Sends at once what the socket takes. What fails is found by the next sandbox_client_process(). */
void client_flush(sandbox_client *c);
/* Processes until *done is set: 0; else -ETIMEDOUT, or what the connection was lost with. A handler may
 * move the deadline. */
int client_loop(sandbox_client *c, const bool *done, const uint64_t *deadline_usec);
/* The point in CLOCK_MONOTONIC that is timeout_usec from now. */
uint64_t deadline_after(uint64_t timeout_usec);

/* Enters an exchange under a fresh id. -ENOMEM. */
int exchange_begin(struct exchange *x, sandbox_client *c, const struct exchange_ops *ops);
/* Removes and frees it. */
void exchange_end(struct exchange *x);
struct exchange *exchange_find(sandbox_client *c, uint64_t id);

/* Bytes came on a stream. */
void flow_receive(struct exchange *x, enum sandbox_stream stream, uint64_t bytes);
/* They are done with: gives credit back. -EINVAL when that many did not come, -ENOMEM. */
int flow_consume(struct exchange *x, enum sandbox_stream stream, uint64_t bytes);
/* The same after a callback, which may have consumed or released them itself. */
int flow_settle(struct exchange *x, enum sandbox_stream stream, uint64_t bytes);
/* The same for all that came, and all that will. */
void flow_release(struct exchange *x);

/* In job.c: sends what jobs have to send, as far as the queue has room; calls on_stdin_ready. */
void jobs_feed(sandbox_client *c);
