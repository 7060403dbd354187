/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a job still has to be sent: its larger files and its stdin, in pieces, each job in its turn
 * and within the credit that the daemon gives. Runs in the client's process.
 */
#include "client/lib/job.h"

static size_t queue_room(const sandbox_client *c)
{
        size_t queued = wire_queued(c->wire);

        return queued < QUEUE_MAX ? QUEUE_MAX - queued : 0;
}

static bool stdin_open(const sandbox_job *job)
{
        return job->started && !job->cancelled && !job->stdin_ended && !job->stdin_closed;
}

size_t sandbox_job_get_stdin_room(const sandbox_job *job)
{
        if (!job->stdin_stream || !stdin_open(job) || !job->x.client->wire)
                return 0;
        return (size_t) MIN((uint64_t) queue_room(job->x.client), job->stdin_credit);
}

bool job_has_uploads(const sandbox_job *job)
{
        return job->next_upload < job->n_uploads;
}

static bool wants_upload(const sandbox_job *job)
{
        return job_has_uploads(job) && (!job->keeps_file_credit || job->file_credit > 0);
}

static bool wants_stdin(const sandbox_job *job)
{
        if (job->stdin_data)
                return stdin_open(job) &&
                       (job->stdin_credit > 0 || job->stdin_offset == job->stdin_data->size);
        return job->ready_wanted && job->started &&
               (job->stdin_closed || (stdin_open(job) && job->stdin_credit > 0));
}

void job_update_feeding(sandbox_job *job)
{
        bool wants = !job->cancelled && !job->x.finished && (wants_upload(job) || wants_stdin(job));

        if (wants == job->feeding)
                return;
        if (wants)
                TAILQ_INSERT_TAIL(&job->x.client->feeding, job, entries);
        else
                TAILQ_REMOVE(&job->x.client->feeding, job, entries);
        job->feeding = wants;
}

void job_stop_feeding(sandbox_job *job)
{
        if (job->feeding)
                TAILQ_REMOVE(&job->x.client->feeding, job, entries);
        job->feeding = false;
}

void job_free_input(sandbox_job *job)
{
        job_stop_feeding(job);
        for (size_t i = 0; i < job->n_uploads; i++) {
                source_unref(job->uploads[i].source);
                safe_close(job->uploads[i].fd);
        }
        free(job->uploads);
        blob_unref(job->stdin_data);
}

/* The file that was meant when its size was told. */
static int open_upload(struct upload *u, struct failure *f)
{
        struct stat st;
        int fd;

        if (u->fd >= 0 || u->source->kind == SOURCE_DATA)
                return 0;
        fd = source_open(u->source, &st, f);
        if (fd < 0)
                return fd;
        u->fd = fd;
        if (st.st_dev != u->dev || st.st_ino != u->ino)
                return failure_set(f, -ESTALE, SANDBOX_ERROR_LOCAL, "files",
                        "%s was replaced while it was sent: try again",
                        u->source->path ? u->source->path : u->source->name);
        return 0;
}

/* The next bytes of a file, at most size: how many, with *ret_data. */
static ssize_t read_upload(sandbox_client *c, struct upload *u, size_t size,
        const uint8_t **ret_data, struct failure *f)
{
        const char *name = u->source->path ? u->source->path : u->source->name;
        ssize_t n;
        int r;

        if (u->source->kind == SOURCE_DATA) {
                *ret_data = u->source->data->data + u->offset;
                return (ssize_t) size;
        }
        r = open_upload(u, f);
        if (r < 0)
                return r;
        if (!c->piece)
                c->piece = malloc(wire_max_piece(c->wire));
        if (!c->piece)
                return failure_memory(f);
        do
                n = pread(u->fd, c->piece, size, (off_t) u->offset);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return failure_set(f, -errno, SANDBOX_ERROR_LOCAL, "files",
                        "cannot read %s: %s: name a file that you can read", name,
                        strerrordesc_np(errno));
        if (n == 0)
                return failure_set(f, -ESTALE, SANDBOX_ERROR_LOCAL, "files",
                        "%s became shorter while it was read: try again", name);
        *ret_data = c->piece;
        return n;
}

/* Why a request was not queued is what the client says. */
static int not_queued(const sandbox_job *job, int error, struct failure *f)
{
        failure_copy(f, &job->x.client->failure.error);
        return error;
}

static int feed_upload(sandbox_job *job, struct failure *f)
{
        Sandboxd__V1__FileData body = SANDBOXD__V1__FILE_DATA__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        struct upload *u = &job->uploads[job->next_upload];
        sandbox_client *c = job->x.client;
        uint64_t most = MIN(u->size - u->offset, (uint64_t) wire_max_piece(c->wire));
        const uint8_t *data = NULL;
        ssize_t n;
        int r;

        if (job->keeps_file_credit)
                most = MIN(most, job->file_credit);
        n = read_upload(c, u, (size_t) most, &data, f);
        if (n < 0)
                return (int) n;
        body.file = u->index;
        body.data = (ProtobufCBinaryData) { .len = (size_t) n, .data = (uint8_t *) data };
        request.body_case = SANDBOXD__V1__REQUEST__BODY_FILE_DATA;
        request.file_data = &body;
        r = client_queue(c, &job->x, &request);
        if (r < 0)
                return not_queued(job, r, f);
        if (job->keeps_file_credit)
                job->file_credit -= (uint64_t) n;
        job->upload_sent += (uint64_t) n;
        u->offset += (uint64_t) n;
        if (u->offset == u->size) {
                u->fd = safe_close(u->fd);
                job->next_upload++;
        }
        return 0;
}

/* One StdinData, within credit and piece. */
static int queue_stdin(sandbox_job *job, const void *data, size_t size, bool eof)
{
        Sandboxd__V1__StdinData body = SANDBOXD__V1__STDIN_DATA__INIT;
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        int r;

        body.data = (ProtobufCBinaryData) { .len = size, .data = (uint8_t *) data };
        body.eof = eof;
        request.body_case = SANDBOXD__V1__REQUEST__BODY_STDIN_DATA;
        request.stdin_data = &body;
        r = client_queue(job->x.client, &job->x, &request);
        if (r < 0)
                return r;
        job->stdin_credit -= size;
        job->stdin_ended = eof;
        return 0;
}

static int feed_stdin(sandbox_job *job, struct failure *f)
{
        const struct blob *b = job->stdin_data;
        size_t left = b->size - job->stdin_offset;
        size_t size = MIN(MIN(left, wire_max_piece(job->x.client->wire)), job->stdin_credit);
        int r;

        r = queue_stdin(job, b->data + job->stdin_offset, size, size == left);
        if (r < 0)
                return not_queued(job, r, f);
        job->stdin_offset += size;
        return 0;
}

static void tell_ready(sandbox_job *job)
{
        job->ready_wanted = false;
        if (job->handlers.on_stdin_ready && !job->x.silent)
                job->handlers.on_stdin_ready(job, job->userdata);
}

static void feed(sandbox_job *job)
{
        struct failure f;
        int r = 0;

        if (wants_upload(job))
                r = feed_upload(job, &f);
        else if (job->stdin_data)
                r = feed_stdin(job, &f);
        else
                tell_ready(job);
        if (r < 0)
                job_fail(job, &f.error);
}

void jobs_feed(sandbox_client *c)
{
        sandbox_job *job;

        while (queue_room(c) > 0 && (job = TAILQ_FIRST(&c->feeding))) {
                job_stop_feeding(job);
                feed(job);
                job_update_feeding(job);
        }
}

ssize_t sandbox_job_send_stdin(sandbox_job *job, const void *data, size_t size)
{
        sandbox_client *c = job->x.client;
        size_t done = 0;

        if (!job->stdin_stream)
                return failure_set(&c->failure, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT, "stdin",
                        "the job has no stdin stream: see sandbox_spec_set_stdin_stream()");
        if (job->stdin_ended || job->end_wanted || job->stdin_closed)
                return failure_set(&c->failure, -EPIPE, SANDBOX_ERROR_LOCAL, "stdin",
                        "the job's stdin is closed");
        while (done < size) {
                size_t room = sandbox_job_get_stdin_room(job);
                size_t n = MIN(MIN(size - done, room), c->wire ? wire_max_piece(c->wire) : 0);
                int r;

                if (n == 0)
                        break;
                r = queue_stdin(job, (const uint8_t *) data + done, n, false);
                if (r < 0)
                        return done > 0 ? (ssize_t) done : r;
                done += n;
        }
        if (done < size) {
                job->ready_wanted = true;
                job_update_feeding(job);
        }
        client_flush(c);
        return (ssize_t) done;
}

static int end_stdin(sandbox_job *job)
{
        job->end_wanted = true;
        if (!stdin_open(job))
                return 0;
        return queue_stdin(job, NULL, 0, true);
}

int job_start_input(sandbox_job *job)
{
        return job->end_wanted ? end_stdin(job) : 0;
}

int sandbox_job_close_stdin(sandbox_job *job)
{
        int r;

        if (!job->stdin_stream)
                return failure_set(&job->x.client->failure, -EINVAL, SANDBOX_ERROR_INVALID_ARGUMENT,
                        "stdin",
                        "the job has no stdin stream: see sandbox_spec_set_stdin_stream()");
        if (job->x.finished)
                return 0;
        r = end_stdin(job);
        job_update_feeding(job);
        client_flush(job->x.client);
        return r;
}
