/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building responses. Runs in the frontend. protobuf-c takes `char *` for what it only reads: hence
 * the casts.
 */
#include "daemon/frontend/reply.h"

#include <stdio.h>

#include "common/error.h"
#include "daemon/frontend/feed.h"
#include "daemon/frontend/text.h"

/* What an Output has beside its data: tags, lengths, the id, at their longest. */
#define OUTPUT_OVERHEAD 64

static const char *const features[] = { "run", "files", "stdin", "cancel", "lists", "credit",
        "jobs", "detach", "queue", "drain", "get", "stream-sockets", "on-behalf", "watch-jobs" };

int reply_pack(struct queue *q, size_t max, const Sandboxd__V1__Response *response)
{
        size_t size = sandboxd__v1__response__get_packed_size(response);
        uint8_t *p;

        if (size > max)
                return -EMSGSIZE;
        p = queue_extend(q, FRAME_HEADER_SIZE + size);
        if (!p)
                return -ENOMEM;
        frame_header(p, size);
        (void) sandboxd__v1__response__pack(response, p + FRAME_HEADER_SIZE);
        return 0;
}

/* An Error and the text that it points to. */
struct error_response {
        Sandboxd__V1__Response response;
        Sandboxd__V1__Error error;
        char field[64];
        char text[ERROR_TEXT_MAX];
};

static const Sandboxd__V1__Response *fill_error(struct error_response *e, uint64_t id,
        Sandboxd__V1__ErrorCode code, const char *field, const char *text)
{
        e->response = (Sandboxd__V1__Response) SANDBOXD__V1__RESPONSE__INIT;
        e->error = (Sandboxd__V1__Error) SANDBOXD__V1__ERROR__INIT;
        (void) snprintf(e->field, sizeof(e->field), "%s", field);
        (void) snprintf(e->text, sizeof(e->text), "%s", text);
        e->error.code = code;
        e->error.field = text_clean(e->field);
        e->error.message = text_clean(e->text);
        e->response.id = id;
        e->response.body_case = SANDBOXD__V1__RESPONSE__BODY_ERROR;
        e->response.error = &e->error;
        return &e->response;
}

int reply_pack_error(struct queue *q, uint64_t id, Sandboxd__V1__ErrorCode code, const char *field,
        const char *text)
{
        struct error_response e;

        return reply_pack(q, SIZE_MAX, fill_error(&e, id, code, field, text));
}

void reply_error(struct connection *c, uint64_t id, Sandboxd__V1__ErrorCode code, const char *field,
        const char *text)
{
        struct error_response e;

        connection_send(c, fill_error(&e, id, code, field, text));
        record_refusal(&c->frontend->records, c->uid, code, e.text);
}

void reply_busy(struct connection *c, uint64_t id, const char *field, const char *text,
        uint64_t retry_after_usec)
{
        const Sandboxd__V1__ErrorCode code = SANDBOXD__V1__ERROR_CODE__BUSY;
        struct error_response e;

        (void) fill_error(&e, id, code, field, text);
        e.error.retry_after_usec = retry_after_usec;
        connection_send(c, &e.response);
        record_refusal(&c->frontend->records, c->uid, code, e.text);
}

void reply_done(struct connection *c, uint64_t id)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__Done done = SANDBOXD__V1__DONE__INIT;

        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_DONE;
        response.done = &done;
        connection_send(c, &response);
}

void reply_hello(struct connection *c, uint64_t id)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__HelloReply hello = SANDBOXD__V1__HELLO_REPLY__INIT;

        hello.protocol = REPLY_PROTOCOL;
        hello.version = (char *) PACKAGE_VERSION;
        hello.n_features = ELEMENTSOF(features);
        hello.features = (char **) features;
        hello.max_frame_bytes = c->max_frame_bytes;
        hello.file_credit = FEED_CREDIT;
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_HELLO;
        response.hello = &hello;
        connection_send(c, &response);
}

static void send_output(struct connection *c, uint64_t id, Sandboxd__V1__Output__Stream stream,
        const uint8_t *data, size_t size)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__Output output = SANDBOXD__V1__OUTPUT__INIT;

        output.stream = stream;
        output.data = (ProtobufCBinaryData) { .len = size, .data = (uint8_t *) data };
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_OUTPUT;
        response.output = &output;
        connection_send(c, &response);
}

void reply_output(struct connection *c, uint64_t id, Sandboxd__V1__Output__Stream stream,
        const uint8_t *data, size_t size)
{
        size_t most = c->max_frame_bytes - OUTPUT_OVERHEAD;

        for (size_t done = 0, n; done < size; done += n) {
                n = MIN(size - done, most);
                send_output(c, id, stream, data + done, n);
        }
}

void reply_stdin_credit(struct connection *c, uint64_t id, uint64_t bytes, bool closed)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__StdinCredit credit = SANDBOXD__V1__STDIN_CREDIT__INIT;

        credit.bytes = bytes;
        credit.closed = closed;
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_STDIN_CREDIT;
        response.stdin_credit = &credit;
        connection_send(c, &response);
}

void reply_runtimes(struct connection *c, uint64_t id)
{
        const struct policy *policy = c->frontend->policy;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__RuntimeList list = SANDBOXD__V1__RUNTIME_LIST__INIT;
        Sandboxd__V1__RuntimeInfo infos[POLICY_RUNTIMES_MAX], *items[POLICY_RUNTIMES_MAX];
        char *aliases[POLICY_RUNTIMES_MAX][POLICY_ALIASES_MAX];

        for (uint32_t i = 0; i < policy->n_runtimes; i++) {
                const struct policy_runtime *r = &policy->runtimes[i];

                items[i] = &infos[i];
                infos[i] = (Sandboxd__V1__RuntimeInfo) SANDBOXD__V1__RUNTIME_INFO__INIT;
                infos[i].name = (char *) r->name;
                infos[i].description = (char *) r->description;
                infos[i].aliases = aliases[i];
                for (size_t j = 0; j < POLICY_ALIASES_MAX && r->aliases[j][0] != '\0'; j++)
                        aliases[i][infos[i].n_aliases++] = (char *) r->aliases[j];
                infos[i].available = r->available;
                infos[i].interpreter = (char *) r->interpreter;
                infos[i].package = (char *) r->package;
                infos[i].returns_value = r->returns_value;
                infos[i].file_name = (char *) r->file_name;
        }
        list.n_runtimes = policy->n_runtimes;
        list.runtimes = items;
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_RUNTIMES;
        response.runtimes = &list;
        connection_send(c, &response);
}

void reply_profiles(struct connection *c, uint64_t id)
{
        const struct policy *policy = c->frontend->policy;
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__ProfileList list = SANDBOXD__V1__PROFILE_LIST__INIT;
        Sandboxd__V1__ProfileInfo infos[POLICY_PROFILES_MAX], *items[POLICY_PROFILES_MAX];
        Sandboxd__V1__LimitInfo limits[POLICY_PROFILES_MAX][_LIMIT_COUNT];
        Sandboxd__V1__LimitInfo *limit_items[POLICY_PROFILES_MAX][_LIMIT_COUNT];

        for (uint32_t i = 0; i < policy->n_profiles; i++) {
                const struct policy_profile *p = &policy->profiles[i];

                items[i] = &infos[i];
                infos[i] = (Sandboxd__V1__ProfileInfo) SANDBOXD__V1__PROFILE_INFO__INIT;
                infos[i].name = (char *) p->name;
                infos[i].description = (char *) p->description;
                for (size_t j = 0; j < _LIMIT_COUNT; j++) {
                        limit_items[i][j] = &limits[i][j];
                        limits[i][j] = (Sandboxd__V1__LimitInfo) SANDBOXD__V1__LIMIT_INFO__INIT;
                        limits[i][j].field = (char *) limit_table[j].field;
                        limits[i][j].default_value = p->defaults.value[j];
                        limits[i][j].maximum = p->maximums.value[j];
                }
                infos[i].n_limits = _LIMIT_COUNT;
                infos[i].limits = limit_items[i];
        }
        list.n_profiles = policy->n_profiles;
        list.profiles = items;
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_PROFILES;
        response.profiles = &list;
        connection_send(c, &response);
}

/* A Host and what it points to. */
struct host_parts {
        Sandboxd__V1__Host host;
        char text[POLICY_TEXT_MAX];
        char *missing[POLICY_TEXT_MAX / 2];
};

static Sandboxd__V1__Host *fill_host(const struct frontend *f, struct host_parts *p)
{
        Sandboxd__V1__Host *m = &p->host;
        char *save = NULL;

        *m = (Sandboxd__V1__Host) SANDBOXD__V1__HOST__INIT;
        memcpy(p->text, f->policy->missing, sizeof(p->text));
        m->missing = p->missing;
        for (char *s = strtok_r(p->text, ", ", &save); s; s = strtok_r(NULL, ", ", &save))
                p->missing[m->n_missing++] = s;
        m->driver = (char *) f->policy->driver;
        m->running_jobs = (uint32_t) f->accounts.total[ACCOUNT_JOBS];
        m->queued_jobs = (uint32_t) f->accounts.total[ACCOUNT_QUEUED];
        m->draining = f->draining;
        m->kept_results = (uint32_t) f->accounts.total[ACCOUNT_RESULTS];
        m->kept_bytes = f->accounts.total[ACCOUNT_KEPT];
        m->parked_max = f->policy->pool.maximum;
        m->warm_jobs = f->warm_jobs;
        m->missed_jobs = f->missed_jobs;
        m->pid = (uint32_t) f->monitor_pid;
        return m;
}

void reply_host(struct connection *c, uint64_t id)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        struct host_parts p;

        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_HOST;
        response.host = fill_host(c->frontend, &p);
        connection_send(c, &response);
}

void reply_host_event(struct connection *c, uint64_t id)
{
        Sandboxd__V1__Response response = SANDBOXD__V1__RESPONSE__INIT;
        Sandboxd__V1__JobEvent event = SANDBOXD__V1__JOB_EVENT__INIT;
        struct host_parts p;

        event.kind = SANDBOXD__V1__JOB_EVENT__KIND__HOST;
        event.host = fill_host(c->frontend, &p);
        response.id = id;
        response.body_case = SANDBOXD__V1__RESPONSE__BODY_JOB_EVENT;
        response.job_event = &event;
        connection_send(c, &response);
}
