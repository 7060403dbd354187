/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One client: frames in, frames out, and its jobs.
 */

#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "daemon/frontend/frontend.h"
#include "daemon/frontend/out-queue.h"
#include "proto/frame.h"
#include "proto/sandboxd.pb-c.h"

enum connection_state {
        CONNECTION_NEW, /* has not said Hello */
        CONNECTION_READY,
        CONNECTION_CLOSING, /* is told why, then closed */
        _CONNECTION_STATE_COUNT,
};

/* A request that more will be said to, by its id: the Run of a job, one that waits for something of a
 * job, or one that is told of all. */
struct under_way {
        struct table_entry entry;
        struct job *job; /* all but one are NULL */
        struct watch *watch;
        struct job_watch *jobs;
};

struct connection {
        struct frontend *frontend;
        LIST_ENTRY(connection) entries;
        struct job_list jobs;
        struct watch_list watches;
        struct job_watch_list job_watches;
        struct table under_way; /* all of them, by the id of the request */
        int fd;
        uid_t uid;                /* whose it is in every respect */
        bool of_bus;              /* the bus service's, which acts for nobody on it yet */
        enum account_kind charge; /* that it is charged as */
        uint32_t listener;        /* the one that it came by */
        enum connection_state state;
        uint32_t max_frame_bytes; /* as HelloReply says, whatever a reload has changed since */
        struct frame_reader reader;
        uint64_t buffered; /* bytes in it that its user is charged */
        struct out_queue out;
        uint64_t unread; /* bytes in it that its user is charged */
        bool congested;  /* out is over its high-water mark and not yet below the low one */
        bool blocked;    /* the socket takes no more for now */
        sd_event_source *io;
        sd_event_source *flush; /* sends what was queued, once a turn of the loop */
        sd_event_source *next;  /* handles the next frame, when there may be one */
        sd_event_source *deadline;
};

/* Takes fd over on success. */
int connection_new(struct frontend *f, int fd, uid_t uid, enum account_kind charge,
        uint32_t listener);
/* From here on it is another user's. What it is charged as is charged to that user already. */
void connection_act_for(struct connection *c, uid_t uid);
/* Ends its jobs, too. Only the connection's own events and the end of the frontend may call this:
 * everything below them uses connection_fail(). */
void connection_free(struct connection *c);

void connection_set_ready(struct connection *c);

/* Queues a response. One that there is no memory for closes the connection. */
void connection_send(struct connection *c, const Sandboxd__V1__Response *response);
/* The same, with fds for a job that are charged as ACCOUNT_SOCKETS and are taken over. */
void connection_send_fds(struct connection *c, const Sandboxd__V1__Response *response, uint64_t job,
        int *fds, size_t n_fds);
/* Says why, takes no further request, ends its jobs, and closes once the client has read it. */
void connection_fail(struct connection *c, uint64_t id, Sandboxd__V1__ErrorCode code,
        const char *format, ...) _printf_(4, 5);

/* What a Run gets that names no profile: a matter of the socket that the client chose. */
static inline const struct policy_profile *connection_default_profile(const struct connection *c)
{
        const struct policy *p = c->frontend->policy;

        return &p->profiles[p->listener_profiles[c->listener]];
}

/* Whether jobs should hold back their output. */
static inline bool connection_is_congested(const struct connection *c)
{
        return c->congested;
}

/* Whether bytes of its client are here, or wait in its socket, that were not handled yet. */
bool connection_has_unread(const struct connection *c);

/* Releases what of stream sockets has been received, of all users: what one holds leaves less to others. */
void connections_settle_sockets(struct frontend *f);

/* By the id of a request that is under way; NULL when there is none, or it is of the other kind. */
struct job *connection_find_job(struct connection *c, uint64_t request);
struct watch *connection_find_watch(struct connection *c, uint64_t request);
struct job_watch *connection_find_job_watch(struct connection *c, uint64_t request);
