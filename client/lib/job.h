/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A job under way on a connection: its request, what it still has to be sent, what it has been told.
 */

#include "client/lib/connection.h"
#include "client/lib/incoming.h"
#include "client/lib/spec.h"

/* What did not fit into the request of one of its files. */
struct upload {
        struct source *source;
        uint32_t index; /* in Run.files */
        uint64_t size;
        uint64_t offset; /* of the next byte */
        dev_t dev;       /* of the file when its size was asked */
        ino_t ino;
        int fd; /* while it is read */
};

/* Of a stream that goes over one. */
struct job_socket {
        bool wanted;
        int fd; /* until it is taken */
};

struct sandbox_job {
        struct exchange x;
        TAILQ_ENTRY(sandbox_job) entries; /* of client->feeding */
        bool feeding;
        sandbox_job_handlers handlers;
        void *userdata;
        char id[SANDBOX_JOB_ID_SIZE]; /* "": not known yet */
        char *runtime;
        char *profile;
        bool detached;
        bool started;
        bool cancelled;

        struct upload *uploads; /* files that are not in the request */
        size_t n_uploads;
        size_t next_upload;
        uint64_t file_credit;
        bool keeps_file_credit; /* else any number of bytes may be sent */
        uint64_t upload_sent;   /* bytes of files, with those in the request */
        uint64_t upload_size;
        uint64_t data_size; /* that, and the code */

        bool stdin_stream;
        struct blob *stdin_data;
        size_t stdin_offset;   /* in stdin_data */
        uint64_t stdin_credit; /* bytes that the daemon takes */
        bool stdin_ended;      /* by us: the daemon was told */
        bool end_wanted;       /* by the caller, before it started */
        bool stdin_closed;     /* by the job */
        bool ready_wanted;     /* on_stdin_ready is to be called when there is room */

        struct job_socket sockets[JOB_SOCKETS];

        struct incoming incoming;
        sandbox_fetch *fetch; /* where files go, if not to on_file */
};

/* Fills the job from its spec, and queues its Run. With the sentence. */
int job_request(sandbox_job *job, const sandbox_spec *s);

/* Puts it among those that have input to send, when it has. */
void job_update_feeding(sandbox_job *job);
void job_stop_feeding(sandbox_job *job);
/* Whether there are bytes of files that were not sent yet. */
bool job_has_uploads(const sandbox_job *job);
void job_free_input(sandbox_job *job);
/* It has started: the end of its stdin may be due. As client_queue(). */
int job_start_input(sandbox_job *job);

/* Ends it for the caller with an error of our own, and asks the daemon to cancel it. */
void job_fail(sandbox_job *job, const sandbox_error *error);
