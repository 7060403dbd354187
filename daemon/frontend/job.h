/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One job, from its accepted Run to its end. It belongs to a connection and is charged to that
 * client's uid; one that was started detached, or whose client is gone, lives on without a connection
 * until the monitor has ended it. What is to be said of it is in its result, which stays.
 */

#include <sys/queue.h>
#include <systemd/sd-event.h>

#include "daemon/frontend/admission-queue.h"
#include "daemon/frontend/connection.h"
#include "daemon/frontend/credit.h"
#include "daemon/frontend/feed.h"
#include "daemon/frontend/fetch.h"
#include "daemon/frontend/input.h"
#include "daemon/frontend/job-state.h"
#include "daemon/frontend/output.h"
#include "daemon/frontend/plan.h"
#include "daemon/frontend/relay.h"
#include "daemon/frontend/stream-socket.h"
#include "daemon/frontend/upload.h"

/* One output pipe, its place in the event loop and its name on the wire. What it brings goes to the client
 * by credit, or into the socket that it has for it. */
struct job_stream {
        struct job *job;
        Sandboxd__V1__Output__Stream name;
        struct output output;
        sd_event_source *source;
        struct credit credit;
        bool unread; /* there is more, and no credit for it */
        int socket;  /* our end; -EBADF without */
        sd_event_source *socket_source;
        struct queue
                unsent; /* what it had no room for: one read at most, and no other comes before */
        uint64_t drain_end; /* what is written at most, once the job is gone; 0 before */
};

enum job_stream_id {
        JOB_STDOUT,
        JOB_STDERR,
        _JOB_STREAMS,
};

struct job {
        struct frontend *frontend;
        struct connection *connection; /* NULL when the client is gone */
        LIST_ENTRY(job) entries;       /* of frontend->jobs */
        LIST_ENTRY(job) of_connection;
        struct under_way under_way; /* at the connection */
        uint64_t id;
        uint64_t request; /* the client's id of the Run */
        uid_t uid;
        enum job_state state;
        enum account_kind place; /* that it is charged: a slot, or one in the queue for it */
        struct waiter waiter;
        struct result *result; /* what is to be said of it, also when it has ended */

        struct mapped_policy *policy; /* that it was planned with */
        bool planned;                 /* and may still be started with */
        const struct policy_runtime *runtime;
        const struct policy_profile *profile;
        char *command; /* what is executed, for the sentence when it cannot be */
        char *workdir;
        bool strict_output;
        bool wants_stdin;

        struct upload upload;
        uint64_t upload_charge;  /* bytes, until the upload is handed over */
        uint64_t strings_charge; /* the same of strings, and to its end kept_strings of them */
        uint64_t kept_strings;
        sd_event_source *upload_deadline; /* while it is not complete */
        unsigned upload_waits;            /* how often it passed since bytes of files came */
        sd_event_source *policy_deadline; /* the same, of an older policy */
        struct feed feed;                 /* of files that come by a pipe */
        sd_event_source *feed_source;
        struct job_stream streams[_JOB_STREAMS];
        struct input input;
        uint64_t input_charge; /* bytes of its credit, while it is open */
        sd_event_source *input_source;
        struct strv get; /* names of files to fetch */
        struct fetch fetch;
        sd_event_source *fetch_source;
        struct credit fetch_credit;
        uint32_t stream_sockets;             /* as in the Run */
        int client_sockets[_STREAM_SOCKETS]; /* the client's ends, charged, until Started; -EBADF */
        struct relay stdin_relay;

        bool may_be_warm; /* a parked sandbox may take it: it brings pipes of its own */
        bool made;        /* whose pipes there are is known */
        int held_input;   /* our end of its stdin and of the socket for it, until then */
        int held_socket;
        bool starting;  /* the monitor has yet to make its sandbox */
        bool told;      /* its client was sent Queued or Started */
        bool killed;    /* the monitor was asked to end it */
        bool cancelled; /* what its client has no room for is not waited for */
        bool overdue;   /* nor is it, since there was long enough time for it */
        sd_event_source *overdue_source;
        bool usage_asked;       /* and the answer has not come */
        bool settled;           /* how it ended is known, whatever is still to be read */
        bool recorded;          /* and is in the journal */
        bool start_recorded;    /* its start is there, too */
        bool gone;              /* nothing of the sandbox is left: no more output can come */
        int return_fd;          /* file of the return value, if there is one */
        uint64_t complete_usec; /* when all files were there */
};

/* Makes a job of a plan whose place, a slot or one in the queue, is charged already. Starts it once its
 * files are complete and it has a slot. Tells the client if it cannot, and releases the place. */
void job_begin(struct connection *c, uint64_t request, enum account_kind place, struct plan *plan,
        const Sandboxd__V1__Run *run);
/* It has its slot: has its sandbox made, now or when it is its turn. May free the job. */
void job_launch(struct job *j);
/* It is its turn. May free the job. */
void job_ask_monitor(struct job *j);
/* Frees it, with its result unless that was taken; the monitor is told by others before. */
void job_free(struct job *j);
/* The frontend ends, and this with it. */
void job_lose(struct job *j);

/* Whether its files come by a pipe, once it has one. */
static inline bool job_is_fed(const struct job *j)
{
        return j->feed.left != NULL;
}

/* Whether its client has bytes of files to send: to be taken, or when it has ended, to be dropped. */
static inline bool job_is_receiving(const struct job *j)
{
        return j->state == JOB_RECEIVING || (job_is_fed(j) && feed_is_owed(&j->feed));
}

/* Whether its client is not waited for any more, and what there is no room for is dropped. */
static inline bool job_is_hurried(const struct job *j)
{
        return j->cancelled || j->overdue || j->frontend->stopping;
}

/* What was read of an output stream, as far as it is within the limit. */
void job_keep_output(struct job *j, enum job_stream_id stream, const void *data, size_t size);

/* Requests of its client. All but job_push_stdin() may end in job_free(). */
void job_push_file(struct job *j, size_t file, const void *data, size_t size);
/* -EDQUOT for bytes beyond the credit, -EBADE for bytes after the end or for no stdin, -ENOMEM. */
int job_push_stdin(struct job *j, const void *data, size_t size, bool eof);
void job_cancel(struct job *j);

/* Its client hears no more of it. */
void job_leave_connection(struct job *j);
/* Its client is gone. */
void job_abandon(struct job *j);
/* Its client does not keep up, or does again. */
void job_pause(struct job *j);
void job_resume(struct job *j);
/* Its client takes so many bytes more of a stream. May free the job. */
void job_add_credit(struct job *j, enum job_stream_id stream, uint64_t bytes);
/* The daemon is stopping: a job that has not started never will. */
void job_stop(struct job *j);

/* Another policy is in force: what is still uploaded has only so long. May free the job. */
void job_on_policy_replaced(struct job *j);

/* Reports of the monitor. return_fd is taken over. */
void job_on_started(struct job *j, const struct channel_started *started,
        int fds[static _CHANNEL_STARTED_FD_COUNT]);
void job_on_ended(struct job *j, const struct channel_ended *ended, int *return_fd);
void job_on_gone(struct job *j);
void job_on_used(struct job *j, const struct channel_used *used);
/* Asks for that, once for all who wait for the answer. */
void job_ask_usage(struct job *j);

/* For the files that make up the job. */
void job_set_state(struct job *j, enum job_state state);
/* Asks the monitor, once, to end it; when that could not be sent, the next call asks again. */
void job_kill(struct job *j, enum job_status cause);
/* Ends it with the result when all of it is here. May free the job. */
void job_try_finish(struct job *j);
/* Ends it with an Error, or a result that says the same where nobody hears an Error. Frees the job. */
void job_fail(struct job *j, Sandboxd__V1__ErrorCode code, const char *field, const char *format,
        ...) _printf_(4, 5);

/* Gives the client its time anew, for the next bytes of files. */
int job_await_files(struct job *j);
/* All of it is with the monitor: from now on it is a job that its client has heard of. */
void job_begin_running(struct job *j);

/* job-files.c. Makes the pipes for files, where it has some: puts the job's ends into fds, and their flags
 * to the others. */
int job_open_files(struct job *j, uint32_t *flags, int fds[static _CHANNEL_FD_COUNT]);
/* Gives the pipe and the client what can be given; when that was all, it begins to run. May free it. */
void job_update_feed(struct job *j);
/* The sandbox takes no more files. */
void job_end_feed(struct job *j);
void job_add_fetch_credit(struct job *j, uint64_t bytes);
/* The sandbox is gone: takes what is left in the pipe, as far as its client has room for it. Of files that
 * were not fetched it says, for each that was asked for, that they never will be. */
void job_lose_files(struct job *j);
void job_pause_files(struct job *j);
void job_resume_files(struct job *j);
void job_close_files(struct job *j);

/* Makes the pipes and asks the monitor for the sandbox. 1 when the user may have no more sockets: *ret_refusal
 * is what to tell him. */
int job_start(struct job *j, const char **ret_refusal);
/* The client's ends of its sockets, in their order: hands those over that there are. */
size_t job_take_client_sockets(struct job *j, int ret[static _STREAM_SOCKETS]);
/* They cannot be sent: to its client it is as if it had never been. May free it. */
void job_lose_sockets(struct job *j);
/* Closes its ends of the pipes; output that is still in them is lost. */
void job_close_streams(struct job *j);
/* Takes our ends over of the pipe of an output, and of its socket, or -EBADF. */
int job_open_stream(struct job *j, enum job_stream_id stream, int fd, int socket);
/* The sandbox is made, or never will be: from here on its streams move. Those of its pipes that the sandbox
 * has itself are taken in place of ours; fds as in enum channel_started_fd. */
void job_begin_streams(struct job *j, int fds[static _CHANNEL_STARTED_FD_COUNT]);
/* Takes that end of a pipe in place of the one that the stream has. */
int job_replace_output(struct job *j, enum job_stream_id stream, int fd);
/* Whether nothing more can come of it, and all that did is sent. */
bool job_stream_ended(const struct job_stream *s);
void job_close_output(struct job *j);
/* Has its streams go on, or not, as things now are. */
void job_update_output(struct job *j);
/* Forwards what is left in the pipes of a job that is gone, and closes those that nothing holds up. */
void job_drain_output(struct job *j);

void job_send_queued(struct job *j);
void job_send_started(struct job *j);
/* Fills in the result of a job that has ended. */
void job_complete_result(struct job *j);
/* The sentence about how it ended, with what it quotes cleaned. */
void job_format_message(const struct job *j, struct error *text);
