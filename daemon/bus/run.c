/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run and RunWithFds: begin a job, and answer with its object once it is there. Runs in sandboxd-bus. A job
 * of Run outlives everybody; one of RunWithFds has relays (relay.h) between its streams and the caller's
 * fds, which are asked nothing of here, and ends with this process.
 */
#include "daemon/bus/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/log.h"
#include "daemon/bus/execute.h"
#include "daemon/bus/relay-check.h"
#include "daemon/bus/submission.h"

#define STREAMS 3

struct run {
        LIST_ENTRY(run) entries;
        struct service *service;
        struct user *user;
        struct call *call;            /* NULL: it was answered, or its caller has left */
        sandbox_job *job;             /* NULL: it is over, or goes on without us */
        char id[SANDBOX_JOB_ID_SIZE]; /* "": not started yet */
        bool with_fds;
        bool counted;      /* as a call */
        bool before_watch; /* it has begun before the jobs were asked for that there are */
        int fds[STREAMS];  /* the caller's; -EBADF: handed on */
        struct relay *relays[STREAMS]; /* NULL: none, or ended */
        unsigned n_checking;           /* relays that have not said that they can copy */
};

/* What the call keeps until it is answered. */
struct run_call {
        struct submission submission; /* first: what submission.c sees of it */
        struct run *run;
};

static void end_count(struct run *r)
{
        if (r->counted)
                user_end_call(r->user);
        r->counted = false;
}

static void run_free(struct run *r)
{
        for (size_t i = 0; i < STREAMS; i++) {
                r->fds[i] = safe_close(r->fds[i]);
                relay_stop(r->relays[i]);
        }
        if (r->job)
                sandbox_job_abandon(r->job);
        LIST_REMOVE(r, entries);
        end_count(r);
        (void) user_unhold(r->user);
        service_touch(r->service);
        free(r);
}

/* Once nothing of it is left. */
static void run_check_over(struct run *r)
{
        for (size_t i = 0; i < STREAMS; i++)
                if (r->relays[i])
                        return;
        if (!r->job && !r->call)
                run_free(r);
}

static void ignore(sandbox_client *client, const sandbox_error *error, void *userdata)
{
}

/* Nobody was told of the job, and nobody will be: it ends. */
static void give_up(struct run *r)
{
        struct link *l = &r->user->link;

        /* One that was started and detached is no longer the connection's to cancel. */
        if (!r->job && r->id[0] && l->state == LINK_READY &&
                sandbox_cancel_job_async(l->client, r->id, ignore, NULL, NULL) < 0)
                log_notice("job %s of user %u, who has left, goes on", r->id,
                        (unsigned) r->user->uid);
        run_free(r);
}

/* The call ends, by an error or because its caller has left; after an answer there is no run here. */
static void run_call_free(void *data)
{
        struct run_call *rc = data;
        struct run *r = rc->run;

        submission_done(&rc->submission);
        free(rc);
        if (!r)
                return;
        r->call = NULL;
        give_up(r);
}

static void answer(struct run *r, const char *path)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        struct call *c = TAKE_PTR(r->call);
        struct run_call *rc = c->data;
        int e;

        rc->run = NULL;
        e = sd_bus_message_new_method_return(c->message, &m);
        if (e >= 0)
                e = sd_bus_message_append(m, "o", path);
        if (e < 0)
                call_fail_errno(c, e, "put the job's path into a message");
        else
                call_reply(c, m);
        /* It waits for its start, or has begun, by itself: with fds it is ours to look after. */
        if (!r->with_fds)
                end_count(r);
}

/* Whether its object has been there, and is no more. */
static bool has_gone(const struct run *r)
{
        const struct runs *rs = &r->service->runs;

        for (size_t i = 0; i < RUNS_GONE_MAX; i++)
                if (streq(rs->gone[i], r->id))
                        return true;
        return false;
}

/* A caller that asks the object something at once must find it. r may be gone when it returns. */
static void go_on(struct run *r)
{
        char path[sizeof(BUS_JOB_PATH "/") + SANDBOX_JOB_ID_SIZE];

        if (r->call && r->id[0] && r->n_checking == 0 &&
                (jobs_find(&r->service->jobs, r->id) || has_gone(r))) {
                (void) snprintf(path, sizeof(path), BUS_JOB_PATH "/%s", r->id);
                answer(r, path);
        }
        run_check_over(r);
}

static void note_gone(struct runs *rs, const char *id)
{
        (void) str_copy(rs->gone[rs->n_gone++ % RUNS_GONE_MAX], sizeof(rs->gone[0]), id);
}

void runs_on_gone(struct service *s, const struct bus_job *j)
{
        note_gone(&s->runs, j->id);
        runs_on_job(s, j);
}

void runs_on_watch(struct service *s)
{
        struct run *r;

        LIST_FOREACH (r, &s->runs.list, entries)
                r->before_watch = r->id[0] != '\0';
}

/* What has begun before, and was not told of, has ended and is kept no longer. */
void runs_on_current(struct service *s)
{
        struct run *r, *next;

        for (r = LIST_FIRST(&s->runs.list); r; r = next) {
                next = LIST_NEXT(r, entries);
                if (!r->call || !r->before_watch || jobs_find(&s->jobs, r->id))
                        continue;
                note_gone(&s->runs, r->id);
                go_on(r);
        }
}

void runs_on_job(struct service *s, const struct bus_job *j)
{
        struct run *r, *next;

        for (r = LIST_FIRST(&s->runs.list); r; r = next) {
                next = LIST_NEXT(r, entries);
                if (r->call && streq(r->id, j->id))
                        go_on(r);
        }
}

void runs_on_feed_lost(struct service *s)
{
        struct run *r, *next;

        for (r = LIST_FIRST(&s->runs.list); r; r = next) {
                next = LIST_NEXT(r, entries);
                if (r->call && r->id[0])
                        call_fail(r->call, "Unreachable",
                                "sandboxd went away when job %s had started: try again", r->id);
        }
}

void runs_done(struct runs *rs)
{
        while (!LIST_EMPTY(&rs->list)) {
                struct run *r = LIST_FIRST(&rs->list);

                ASSERT(!r->call);
                run_free(r);
        }
}

/* ---- Streams ----------------------------------------------------------------------------------- */

/* A job that has ended reads no more, while its relay may wait for what will never come. One that is still
 * checking what it was given is told by the answer to the call. */
static void stop_stdin(struct run *r)
{
        if (!r->job && r->relays[RELAY_STDIN] && relay_is_ready(r->relays[RELAY_STDIN]))
                relay_stop(TAKE_PTR(r->relays[RELAY_STDIN]));
}

static void on_relay_ready(struct relay *relay, void *userdata)
{
        struct run *r = userdata;

        r->n_checking--;
        stop_stdin(r);
        go_on(r);
}

static void on_relay_end(struct relay *relay, enum relay_end end, bool was_ready,
        const char *reason, void *userdata)
{
        struct run *r = userdata;

        for (size_t i = 0; i < STREAMS; i++)
                if (r->relays[i] == relay)
                        r->relays[i] = NULL;
        if (!was_ready)
                r->n_checking--;
        if (end == RELAY_ENDED) {
                go_on(r);
                return;
        }
        if (r->call) {
                call_fail(r->call, end == RELAY_REFUSED ? "InvalidArgument" : "Internal", "%s",
                        reason);
                return;
        }
        log_notice("job %s of user %u loses a stream: %s", r->id, (unsigned) r->user->uid, reason);
        run_check_over(r);
}

static int start_relays(struct run *r)
{
        int e;

        for (int i = 0; i < STREAMS; i++) {
                _cleanup_close_ int socket = sandbox_job_take_fd(r->job, i);

                if (socket < 0)
                        return socket;
                e = relays_start(&r->service->relays, r->user->uid, r->fds[i], socket, i,
                        on_relay_ready, on_relay_end, r, &r->relays[i]);
                if (e < 0)
                        return e;
                r->n_checking++;
                r->fds[i] = safe_close(r->fds[i]);
        }
        return 0;
}

static void refuse_relays(struct call *c, int e)
{
        if (e == -EDQUOT || e == -EUSERS)
                call_fail(c, "Busy", "too many jobs with fds of their own run: wait for some");
        else
                call_fail_errno(c, e, "start what copies the streams");
}

/* ---- The job ----------------------------------------------------------------------------------- */

static void set_id(struct run *r, sandbox_job *job)
{
        if (r->id[0] == '\0')
                (void) str_copy(r->id, sizeof(r->id), sandbox_job_get_id(job));
}

static void on_queued(sandbox_job *job, unsigned position, void *userdata)
{
        struct run *r = userdata;

        /* Streams are there only when it has started. */
        if (r->with_fds || !r->call || !sandbox_job_may_be_left(job))
                return;
        set_id(r, job);
        go_on(r);
}

static void on_started(sandbox_job *job, void *userdata)
{
        struct run *r = userdata;
        int e;

        set_id(r, job);
        if (!r->call)
                return;
        if (r->with_fds) {
                e = start_relays(r);
                if (e < 0) {
                        refuse_relays(r->call, e);
                        return;
                }
        }
        go_on(r);
}

static void on_end(sandbox_job *job, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        struct run *r = userdata;

        r->job = NULL;
        stop_stdin(r);
        if (error && r->call) {
                call_fail_error(r->call, error);
                return;
        }
        if (error)
                log_notice("job %s of user %u is lost: %s", r->id, (unsigned) r->user->uid,
                        error->message);
        /* Of a job that has ended before it was told of: what it was told of is still to come. */
        run_check_over(r);
}

static void start(struct call *c, sandbox_client *client)
{
        static const sandbox_job_handlers handlers = {
                .size = sizeof(handlers),
                .on_queued = on_queued,
                .on_started = on_started,
                .on_end = on_end,
        };
        struct run_call *rc = c->data;

        if (sandbox_job_start(client, rc->submission.options.spec, &handlers, rc->run, 0,
                    &rc->run->job) < 0)
                call_fail_error(c, sandbox_client_get_error(client));
}

/* ---- The methods ------------------------------------------------------------------------------- */

static struct run *run_new(struct call *c, bool with_fds)
{
        struct run *r = calloc(1, sizeof(*r));

        if (!r)
                return NULL;
        r->service = c->service;
        /* It keeps its user's connection, and this process, as a call does. */
        r->user = user_hold(c->user);
        user_begin_call(r->user);
        r->counted = true;
        r->call = c;
        r->with_fds = with_fds;
        for (size_t i = 0; i < STREAMS; i++)
                r->fds[i] = -EBADF;
        LIST_INSERT_HEAD(&c->service->runs.list, r, entries);
        return r;
}

/* What can be said of the fds without asking a file system is said before a job is made for them. */
static int read_fds(sd_bus_message *m, struct run *r, struct error *ret_error)
{
        for (int i = 0; i < STREAMS; i++) {
                int fd, e = sd_bus_message_read(m, "h", &fd);

                if (e < 0)
                        return e;
                e = relay_check_quick(fd, i, r->user->uid, ret_error);
                if (e < 0)
                        return e;
                r->fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
                if (r->fds[i] < 0)
                        return -errno;
        }
        return 0;
}

static int set_streams(struct call *c, sd_bus_message *m, struct run_call *rc)
{
        static const enum sandbox_stream streams[] = { SANDBOX_STDIN, SANDBOX_STDOUT,
                SANDBOX_STDERR };
        sandbox_spec *spec = rc->submission.options.spec;
        struct error error = {};
        int e;

        if (!rc->run->with_fds) {
                sandbox_spec_set_detach(spec, 1);
                return 0;
        }
        e = read_fds(m, rc->run, &error);
        for (size_t i = 0; e >= 0 && i < STREAMS; i++)
                e = sandbox_spec_set_stream_socket(spec, streams[i], 1);
        if (e < 0)
                submission_refuse(c, e, &error);
        return e;
}

/* Their fds wait with a call for polkit and for sandboxd, before relays are counted. */
static bool has_too_many(const struct call *c)
{
        const struct run *r;
        unsigned n = 0;

        LIST_FOREACH (r, &c->service->runs.list, entries)
                n += r->with_fds && r->user->account == c->user->account;
        return n >= RELAYS_USER_MAX / STREAMS;
}

static int begin(sd_bus_message *m, struct service *s, sd_bus_error *ret_error, bool with_fds)
{
        enum options_of of = with_fds ? OPTIONS_RUN_WITH_FDS : OPTIONS_RUN;
        struct run_call *rc;
        struct call *c;
        int e;

        e = call_new(s, m, &c, ret_error);
        if (e < 0)
                return e;
        if (with_fds && has_too_many(c)) {
                refuse_relays(c, -EDQUOT);
                return 1;
        }
        rc = calloc(1, sizeof(*rc));
        if (rc)
                rc->run = run_new(c, with_fds);
        if (!rc || !rc->run) {
                free(rc);
                call_fail_errno(c, -ENOMEM, "take the request");
                return 1;
        }
        c->data = rc;
        c->free_data = run_call_free;
        if (submission_read(c, m, &rc->submission, of) >= 0 && set_streams(c, m, rc) >= 0)
                submission_begin(c, &rc->submission, start);
        return 1;
}

int run_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        return begin(m, userdata, ret_error, false);
}

int run_with_fds_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        return begin(m, userdata, ret_error, true);
}
