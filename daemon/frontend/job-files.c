/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pipes by which a job's files come and go, between its client and its sandbox. Runs in the frontend.
 * No file is ever held whole: of what comes, as much as the client has credit for; of what goes, as much
 * as the client has given credit for, or, when it is to be kept, as its user has room for.
 */
#include <fcntl.h>

#include "common/io.h"
#include "common/log.h"
#include "daemon/frontend/job.h"
#include "daemon/frontend/reply-files.h"

/* Reads in one turn of the loop. */
#define READS_PER_TURN 16

/* A pipe of which we keep one end, non-blocking. */
static int open_pipe(int *ret_own, int *ret_job, bool own_reads)
{
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        r = io_set_nonblock(fds[own_reads ? 0 : 1]);
        if (r < 0) {
                io_close_all(fds, 2);
                return r;
        }
        *ret_own = fds[own_reads ? 0 : 1];
        *ret_job = fds[own_reads ? 1 : 0];
        return 0;
}

static int on_feed(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct job *j = userdata;

        /* Writing would say that nobody reads any more, but there may be nothing to write. */
        if (revents & EPOLLERR)
                feed_set_closed(&j->feed);
        else
                feed_flush(&j->feed);
        job_update_feed(j);
        return 0;
}

static int on_fetch(sd_event_source *source, int fd, uint32_t revents, void *userdata);

int job_open_files(struct job *j, uint32_t *flags, int fds[static _CHANNEL_FD_COUNT])
{
        sd_event *event = j->frontend->event;
        int own = -EBADF, r = 0;

        if (job_is_fed(j)) {
                *flags |= CHANNEL_START_INPUT;
                r = open_pipe(&j->feed.fd, &fds[CHANNEL_FD_INPUT], false);
                if (r >= 0)
                        r = sd_event_add_io(event, &j->feed_source, j->feed.fd, 0, on_feed, j);
        }
        if (r < 0 || j->get.n == 0)
                return r;
        *flags |= CHANNEL_START_COLLECT;
        r = open_pipe(&own, &fds[CHANNEL_FD_COLLECT], true);
        if (r < 0)
                return r;
        fetch_init(&j->fetch, own, j->result->limits.value[LIMIT_FILES_SIZE]);
        return sd_event_add_io(event, &j->fetch_source, j->fetch.fd, EPOLLIN, on_fetch, j);
}

/* The bytes that were counted stay so: what its client has sent yet is to be dropped. */
void job_end_feed(struct job *j)
{
        if (!job_is_fed(j))
                return;
        feed_set_closed(&j->feed);
        j->feed_source = sd_event_source_disable_unref(j->feed_source);
        j->feed.fd = safe_close(j->feed.fd);
        j->upload_deadline = sd_event_source_disable_unref(j->upload_deadline);
}

/* Its client is waited for while it has both, bytes to send and credit for them. */
static int update_deadline(struct job *j)
{
        if (feed_is_owed(&j->feed) && j->feed.credit > 0)
                return job_await_files(j);
        return j->upload_deadline ? sd_event_source_set_enabled(j->upload_deadline, SD_EVENT_OFF)
                                  : 0;
}

void job_update_feed(struct job *j)
{
        struct feed *f = &j->feed;
        uint64_t credit;

        if (j->state != JOB_FEEDING)
                return;
        /* The sandbox has closed its end: why, the monitor tells. */
        if (f->closed) {
                job_end_feed(j);
                return;
        }
        feed_flush(f);
        if (feed_is_over(f)) {
                job_end_feed(j);
                job_begin_running(j);
                return;
        }
        credit = feed_take_credit(f);
        if (credit > 0 && j->connection)
                reply_file_credit(j->connection, j->request, credit);
        (void) sd_event_source_set_io_events(j->feed_source,
                queue_size(&f->queue) > 0 ? EPOLLOUT : 0);
        if (update_deadline(j) < 0)
                job_fail(j, SANDBOXD__V1__ERROR_CODE__INTERNAL, "",
                        "sandboxd is out of memory: try again later");
}

/* Of a detached job all is kept; what nobody is there for is dropped. */
static void hand_on(struct job *j, const struct fetch_event *e)
{
        struct result *r = j->result;

        if (r->detached)
                kept_files_add(r, e);
        else if (j->connection)
                reply_file(j->connection, j->request, e, &r->limits);
}

static void count_file(struct job *j, const struct fetch_event *e)
{
        if (e->kind == TRANSFER_FOLDER || (e->kind == TRANSFER_REGULAR && e->size == 0) ||
                (e->kind == TRANSFER_DATA && !transfer_reader_in_file(&j->fetch.reader)))
                j->result->files.n++;
}

static void end_fetch(struct job *j)
{
        j->fetch_source = sd_event_source_disable_unref(j->fetch_source);
        fetch_done(&j->fetch);
}

static void hand_on_loss(struct job *j, const char *name)
{
        const struct fetch_event e = {
                .kind = TRANSFER_FAILED,
                .name = name,
                .error = TRANSFER_ERROR_LOST,
        };

        hand_on(j, &e);
}

static void lose_files(struct job *j)
{
        if (transfer_reader_in_file(&j->fetch.reader))
                hand_on_loss(j, j->fetch.reader.name);
        for (size_t i = 0; i < j->get.n; i++)
                hand_on_loss(j, j->get.items[i]);
        end_fetch(j);
}

/* How many bytes of data its taker has room for. */
static size_t room(const struct job *j)
{
        size_t most = FRONTEND_BUFFER_SIZE;

        if (j->result->detached || !j->connection)
                return most;
        return credit_allows(&j->fetch_credit, MIN(most, reply_file_most(j->connection)));
}

static bool may_read(const struct job *j)
{
        if (!j->result->detached && j->connection && connection_is_congested(j->connection))
                return false;
        return !fetch_wants_data(&j->fetch) || room(j) > 0;
}

static void update_fetch(struct job *j)
{
        if (j->fetch_source)
                (void) sd_event_source_set_enabled(j->fetch_source,
                        may_read(j) ? SD_EVENT_ON : SD_EVENT_OFF);
}

/* Reads once. Whether more can be read. */
static bool step_fetch(struct job *j)
{
        uint8_t *buffer = j->frontend->buffer;
        struct fetch_event e;
        int r;

        if (!may_read(j))
                return false;
        r = fetch_read(&j->fetch, buffer, FRONTEND_BUFFER_SIZE, room(j), &e);
        if (r == -EAGAIN)
                return false;
        if (r < 0) {
                if (r != -EPIPE)
                        log_warning("init sent files in a form that is none");
                lose_files(j);
                return false;
        }
        if (r == 0)
                return true;
        if (e.kind == TRANSFER_END) {
                end_fetch(j);
                return false;
        }
        if (e.kind == TRANSFER_DATA && !j->result->detached && j->connection)
                credit_use(&j->fetch_credit, e.data_size);
        count_file(j, &e);
        hand_on(j, &e);
        return true;
}

void job_lose_files(struct job *j)
{
        while (j->fetch.pending && step_fetch(j))
                ;
        if (j->fetch.pending)
                lose_files(j);
}

static int on_fetch(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct job *j = userdata;

        for (unsigned i = 0; i < READS_PER_TURN && step_fetch(j); i++)
                ;
        update_fetch(j);
        if (!j->fetch.pending)
                job_try_finish(j);
        return 0;
}

void job_add_fetch_credit(struct job *j, uint64_t bytes)
{
        credit_give(&j->fetch_credit, bytes);
        update_fetch(j);
}

void job_pause_files(struct job *j)
{
        if (j->fetch_source && !j->result->detached)
                (void) sd_event_source_set_enabled(j->fetch_source, SD_EVENT_OFF);
}

void job_resume_files(struct job *j)
{
        update_fetch(j);
}

void job_close_files(struct job *j)
{
        job_end_feed(j);
        end_fetch(j);
}
