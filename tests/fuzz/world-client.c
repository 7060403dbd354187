/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of the frontend under test: what they send is made of the input, and what they hear is checked
 * against what they have asked for.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "common/io.h"
#include "daemon/frontend/connection.h"
#include "tests/fuzz/world.h"

#define BODY(name) SANDBOXD__V1__REQUEST__BODY_##name
#define RESPONSE(name) SANDBOXD__V1__RESPONSE__BODY_##name
#define OUT_MAX (256 * KIB)
#define FILES_MAX 3
#define STRINGS_MAX 4
#define CHUNK_MAX (60 * KIB)

static uint8_t chunk[CHUNK_MAX];

void client_open(struct world *w, struct world_client *c)
{
        static const uid_t uids[] = { 0, 1000, 1001, 1001, WORLD_BUS };
        uid_t uid = uids[input_below(&w->in, ELEMENTSOF(uids))];
        enum account_kind charge = uid == WORLD_BUS ? ACCOUNT_BUS : ACCOUNT_CONNECTIONS;
        int pair[2], small = 4096;

        if (c->fd >= 0)
                return;
        ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        (void) setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
        ASSERT(account_charge(&w->frontend->accounts, uid, charge, 1, ACCOUNT_UNLIMITED,
                       ACCOUNT_UNLIMITED) == 0);
        ASSERT(connection_new(w->frontend, pair[0], uid, charge, 0) == 0);
        *c = (struct world_client) { .fd = pair[1], .reads = true };
        frame_reader_init(&c->reader, WORLD_FRAME_MAX);
}

void client_close(struct world_client *c)
{
        queue_done(&c->out);
        frame_reader_done(&c->reader);
        c->fd = safe_close(c->fd);
}

/* --- what it sends */

/* With fds, which go with the first byte, or not at all. */
static void send_bytes(struct world_client *c, const uint8_t *data, size_t size, const int *fds,
        size_t n_fds)
{
        union {
                struct cmsghdr header;
                uint8_t room[CMSG_SPACE(4 * sizeof(int))];
        } control = {};
        struct iovec iov = { (void *) data, size };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        ssize_t n;

        if (n_fds > 0 && queue_size(&c->out) == 0) {
                msg.msg_control = &control;
                msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
                memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
                n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
                if (n > 0) {
                        data += n;
                        size -= (size_t) n;
                }
        }
        if (queue_size(&c->out) < OUT_MAX)
                ASSERT(queue_push(&c->out, data, size) == 0);
        else
                c->wild = true;
}

static void send_request(struct world_client *c, const Sandboxd__V1__Request *request,
        const int *fds, size_t n_fds)
{
        size_t size = sandboxd__v1__request__get_packed_size(request);
        _cleanup_free_ uint8_t *frame = malloc(FRAME_HEADER_SIZE + size);

        ASSERT(frame);
        if (size == 0)
                return;
        frame_header(frame, size);
        (void) sandboxd__v1__request__pack(request, frame + FRAME_HEADER_SIZE);
        send_bytes(c, frame, FRAME_HEADER_SIZE + size, fds, n_fds);
}

void client_raw(struct world *w, struct world_client *c)
{
        size_t size;
        const uint8_t *data = input_bytes(&w->in, input_byte(&w->in), &size);

        if (c->fd < 0 || size == 0)
                return;
        c->wild = true;
        send_bytes(c, data, size, NULL, 0);
}

/* --- a Run */

struct run {
        Sandboxd__V1__Run m;
        Sandboxd__V1__File files[FILES_MAX];
        Sandboxd__V1__File *file_items[FILES_MAX];
        ProtobufCBinaryData argv[STRINGS_MAX];
        ProtobufCBinaryData env[STRINGS_MAX];
        ProtobufCBinaryData get[STRINGS_MAX];
        Sandboxd__V1__Run__LimitsEntry limit;
        Sandboxd__V1__Run__LimitsEntry *limit_items[1];
};

static ProtobufCBinaryData take_text(struct input *in)
{
        static const char *const texts[] = { "a", "d/b", "*", "d/*.c", "main.py", "/box", "A=b",
                "python", "command", "open", "..", "" };
        size_t i = input_below(in, ELEMENTSOF(texts) + 4), size;
        const uint8_t *data;

        if (i < ELEMENTSOF(texts))
                return (ProtobufCBinaryData) { strlen(texts[i]), (uint8_t *) texts[i] };
        data = input_bytes(in, input_below(in, 32), &size);
        return (ProtobufCBinaryData) { size, (uint8_t *) data };
}

static size_t take_texts(struct input *in, ProtobufCBinaryData *texts)
{
        size_t n = input_below(in, STRINGS_MAX + 1);

        for (size_t i = 0; i < n; i++)
                texts[i] = take_text(in);
        return n;
}

static void fill_files(struct input *in, struct run *run)
{
        run->m.n_files = input_below(in, FILES_MAX + 1);
        run->m.files = run->file_items;
        for (size_t i = 0; i < run->m.n_files; i++) {
                Sandboxd__V1__File *f = run->file_items[i] = &run->files[i];

                sandboxd__v1__file__init(f);
                f->name = take_text(in);
                f->mode = (uint32_t) input_number(in) & 0777;
                f->size = input_number(in);
                if (input_below(in, 4) == 3)
                        f->size *= 64 * KIB;
                if (input_below(in, 2) == 1)
                        f->data.len = (size_t) MIN(f->size, CHUNK_MAX / 4);
                f->data.data = chunk;
        }
}

static void fill_run(struct input *in, struct run *run)
{
        static const char *const limits[] = { "output_bytes", "memory_bytes", "wall_time_usec",
                "no_such_limit" };
        uint8_t flags = input_byte(in);

        *run = (struct run) {};
        sandboxd__v1__run__init(&run->m);
        run->argv[0] = (ProtobufCBinaryData) { 4, (uint8_t *) "true" };
        run->m.argv = run->argv;
        run->m.n_argv = 1;
        run->m.stdin = flags & 1;
        run->m.detach = flags & 2;
        run->m.strict_output = flags & 4;
        if (flags & 8)
                fill_files(in, run);
        if (flags & 16) {
                run->m.get = run->get;
                run->m.n_get = take_texts(in, run->get);
        }
        if (flags & 32)
                run->m.output_credit = input_number(in);
        if (flags & 64)
                run->m.stream_sockets = (uint32_t) input_below(in, 10);
        if (!(flags & 128))
                return;
        run->m.runtime = take_text(in);
        run->m.code = take_text(in);
        run->m.profile = take_text(in);
        run->m.workdir = take_text(in);
        run->m.label = take_text(in);
        run->m.n_argv = take_texts(in, run->argv);
        run->m.env = run->env;
        run->m.n_env = take_texts(in, run->env);
        sandboxd__v1__run__limits_entry__init(&run->limit);
        run->limit.key = (char *) limits[input_below(in, ELEMENTSOF(limits))];
        run->limit.value = input_number(in);
        run->limit_items[0] = &run->limit;
        run->m.limits = run->limit_items;
        run->m.n_limits = input_below(in, 2);
}

/* Mostly without fds, as it should be. */
static void send_run(struct world *w, struct world_client *c, Sandboxd__V1__Request *request)
{
        struct run run;
        size_t n_fds = 0;
        int fds[4];

        fill_run(&w->in, &run);
        if (run.m.stream_sockets && input_below(&w->in, 8) == 7) {
                n_fds = 1 + input_below(&w->in, ELEMENTSOF(fds));
                c->wild = true;
        }
        for (size_t i = 0; i < n_fds; i++) {
                fds[i] = eventfd(0, EFD_CLOEXEC);
                ASSERT(fds[i] >= 0);
        }
        if (run.m.detach)
                c->requests[request->id].vague = true;
        request->run = &run.m;
        send_request(c, request, fds, n_fds);
        io_close_all(fds, n_fds);
}

/* --- all others */

/* One that was told of, or one that cannot be. */
static ProtobufCBinaryData take_job(struct world *w)
{
        size_t i = input_below(&w->in, WORLD_JOBS + 2);

        if (i < w->n_jobs)
                return (ProtobufCBinaryData) { strlen(w->jobs[i]), (uint8_t *) w->jobs[i] };
        return i % 2 ? take_text(&w->in)
                     : (ProtobufCBinaryData) { 16, (uint8_t *) "0123456789abcdef" };
}

/* The messages of one request, of which it points to one. */
struct bodies {
        Sandboxd__V1__Hello hello;
        Sandboxd__V1__OnBehalfOf behalf;
        uint32_t gid;
        Sandboxd__V1__FileData file_data;
        Sandboxd__V1__StdinData stdin_data;
        Sandboxd__V1__Cancel empty; /* as all messages without fields */
        Sandboxd__V1__ListJobs list_jobs;
        Sandboxd__V1__GetJob get_job;
        Sandboxd__V1__ReadOutput read_output;
        Sandboxd__V1__GetFiles get_files;
        Sandboxd__V1__SignalJob signal_job;
        Sandboxd__V1__OutputCredit output_credit;
        ProtobufCBinaryData names[STRINGS_MAX];
};

static void fill_data(struct input *in, Sandboxd__V1__Request *request, struct bodies *b)
{
        uint64_t most = input_number(in);
        size_t size = (size_t) MIN(most, CHUNK_MAX);

        if (request->body_case == BODY(FILE_DATA)) {
                sandboxd__v1__file_data__init(&b->file_data);
                b->file_data.file = (uint32_t) input_below(in, FILES_MAX + 1);
                b->file_data.data = (ProtobufCBinaryData) { size, chunk };
                request->file_data = &b->file_data;
                return;
        }
        sandboxd__v1__stdin_data__init(&b->stdin_data);
        b->stdin_data.data = (ProtobufCBinaryData) { size, chunk };
        b->stdin_data.eof = input_below(in, 4) == 3;
        request->stdin_data = &b->stdin_data;
}

static void fill_reading(struct world *w, Sandboxd__V1__Request *request, struct bodies *b)
{
        struct input *in = &w->in;

        if (request->body_case == BODY(READ_OUTPUT)) {
                sandboxd__v1__read_output__init(&b->read_output);
                b->read_output.job_id = take_job(w);
                b->read_output.stream = (Sandboxd__V1__Output__Stream) input_below(in, 4);
                b->read_output.offset = input_number(in);
                b->read_output.follow = input_below(in, 2);
                if (input_below(in, 2) == 1)
                        b->read_output.output_credit = input_number(in);
                request->read_output = &b->read_output;
                return;
        }
        sandboxd__v1__get_files__init(&b->get_files);
        b->get_files.job_id = take_job(w);
        if (input_below(in, 2) == 1)
                b->get_files.output_credit = input_number(in);
        b->get_files.names = b->names;
        b->get_files.n_names = take_texts(in, b->names);
        request->get_files = &b->get_files;
}

/* Messages without fields, by their bodies. */
static const ProtobufCMessageDescriptor *empty_descriptor(Sandboxd__V1__Request__BodyCase body)
{
        switch (body) {
        case BODY(LIST_RUNTIMES):
                return &sandboxd__v1__list_runtimes__descriptor;
        case BODY(LIST_PROFILES):
                return &sandboxd__v1__list_profiles__descriptor;
        case BODY(GET_HOST):
                return &sandboxd__v1__get_host__descriptor;
        case BODY(DRAIN):
                return &sandboxd__v1__drain__descriptor;
        case BODY(RESUME):
                return &sandboxd__v1__resume__descriptor;
        case BODY(STOP_ALL):
                return &sandboxd__v1__stop_all__descriptor;
        case BODY(FORGET):
                return &sandboxd__v1__forget__descriptor;
        case BODY(WATCH_JOBS):
                return &sandboxd__v1__watch_jobs__descriptor;
        default:
                return &sandboxd__v1__cancel__descriptor;
        }
}

/* By one byte: another version, or for whom. */
static void fill_hello(struct input *in, Sandboxd__V1__Request *request, struct bodies *b)
{
        static const uint32_t uids[] = { 0, 1000, 1001, WORLD_BUS, UINT32_MAX };
        size_t how = input_below(in, 16);

        sandboxd__v1__hello__init(&b->hello);
        b->hello.protocol = how == 15 ? 2 : 1;
        b->hello.client = (char *) "fuzz";
        request->hello = &b->hello;
        if (how < 10 || how == 15)
                return;
        sandboxd__v1__on_behalf_of__init(&b->behalf);
        b->gid = 100;
        b->behalf.uid = uids[how - 10];
        b->behalf.gids = &b->gid;
        b->behalf.n_gids = 1;
        b->hello.on_behalf_of = &b->behalf;
}

static void fill_body(struct world *w, Sandboxd__V1__Request *request, struct bodies *b)
{
        struct input *in = &w->in;

        switch (request->body_case) {
        case BODY(HELLO):
                sandboxd__v1__hello__init(&b->hello);
                fill_hello(in, request, b);
                break;
        case BODY(FILE_DATA):
        case BODY(STDIN_DATA):
                fill_data(in, request, b);
                break;
        case BODY(LIST_JOBS):
                sandboxd__v1__list_jobs__init(&b->list_jobs);
                b->list_jobs.all = input_below(in, 2);
                request->list_jobs = &b->list_jobs;
                break;
        case BODY(GET_JOB):
        case BODY(WAIT_JOB):
        case BODY(CANCEL_JOB):
                sandboxd__v1__get_job__init(&b->get_job);
                b->get_job.job_id = take_job(w);
                request->get_job = &b->get_job;
                /* They have the same fields, but each its descriptor. */
                if (request->body_case == BODY(WAIT_JOB))
                        b->get_job.base.descriptor = &sandboxd__v1__wait_job__descriptor;
                else if (request->body_case == BODY(CANCEL_JOB))
                        b->get_job.base.descriptor = &sandboxd__v1__cancel_job__descriptor;
                break;
        case BODY(READ_OUTPUT):
        case BODY(GET_FILES):
                fill_reading(w, request, b);
                break;
        case BODY(SIGNAL_JOB):
                sandboxd__v1__signal_job__init(&b->signal_job);
                b->signal_job.job_id = take_job(w);
                b->signal_job.signal = (uint32_t) input_number(in);
                request->signal_job = &b->signal_job;
                break;
        case BODY(OUTPUT_CREDIT):
                sandboxd__v1__output_credit__init(&b->output_credit);
                b->output_credit.of = (Sandboxd__V1__OutputCredit__Of) input_below(in, 5);
                b->output_credit.bytes = input_number(in);
                request->output_credit = &b->output_credit;
                break;
        default:
                sandboxd__v1__cancel__init(&b->empty);
                b->empty.base.descriptor = empty_descriptor(request->body_case);
                request->cancel = &b->empty;
        }
}

/* What it will be told: nothing, something last, or what cannot be known here. */
static void note_request(struct world_client *c, const Sandboxd__V1__Request *request)
{
        struct world_request *r = &c->requests[request->id];

        switch (request->body_case) {
        case BODY(FILE_DATA):
        case BODY(STDIN_DATA):
        case BODY(CANCEL):
        case BODY(OUTPUT_CREDIT):
                break;
        case BODY(FORGET):
                r->vague = true;
                break;
        default:
                r->asked++;
        }
}

void client_request(struct world *w, struct world_client *c)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;
        struct bodies bodies;

        if (c->fd < 0)
                return;
        request.body_case = (Sandboxd__V1__Request__BodyCase) (2 + input_below(&w->in, 21));
        request.id = input_below(&w->in, WORLD_IDS);
        note_request(c, &request);
        if (request.body_case == BODY(RUN)) {
                send_run(w, c, &request);
                return;
        }
        fill_body(w, &request, &bodies);
        /* Large ones, to reach what is bounded. */
        if (request.body_case == BODY(FILE_DATA) || request.body_case == BODY(STDIN_DATA))
                for (size_t n = input_below(&w->in, 4) == 3 ? 20 : 0; n > 0; n--)
                        send_request(c, &request, NULL, 0);
        send_request(c, &request, NULL, 0);
}

/* --- what it hears */

static void note_job(struct world *w, const char *id)
{
        ASSERT(strlen(id) == RESULT_ID_TEXT_MAX - 1);
        for (size_t i = 0; i < w->n_jobs; i++)
                if (streq(w->jobs[i], id))
                        return;
        if (w->n_jobs < WORLD_JOBS)
                memcpy(w->jobs[w->n_jobs++], id, RESULT_ID_TEXT_MAX);
}

static bool is_last(const Sandboxd__V1__Response *r)
{
        switch (r->body_case) {
        case RESPONSE(STARTED):
        case RESPONSE(OUTPUT):
        case RESPONSE(STDIN_CREDIT):
        case RESPONSE(QUEUED):
        case RESPONSE(FILE_CREDIT):
        case RESPONSE(FILE_OUT):
        case RESPONSE(JOB_EVENT):
                return false;
        case RESPONSE(JOBS):
                return !r->jobs->more;
        default:
                return true;
        }
}

/* Each request has one last answer, and nothing comes behind it, nor for what was never asked. */
static void check_response(struct world_client *c, const Sandboxd__V1__Response *r)
{
        struct world_request *q = &c->requests[r->id % WORLD_IDS];

        ASSERT(r->body_case != SANDBOXD__V1__RESPONSE__BODY__NOT_SET);
        if (c->wild)
                return;
        ASSERT(!c->refused && r->id < WORLD_IDS);
        if (r->body_case == RESPONSE(ERROR)) {
                ASSERT(r->error->code > 0 && r->error->message[0]);
                if (r->id == 0 || q->ended == q->asked) {
                        /* Of bytes that were not to be sent: the connection ends. */
                        c->refused = r->id == 0 || !q->vague;
                        return;
                }
        }
        if (q->vague)
                return;
        ASSERT(q->ended < q->asked);
        q->ended += is_last(r);
}

static void hear(struct world *w, struct world_client *c, const uint8_t *body, size_t size)
{
        Sandboxd__V1__Response *r = sandboxd__v1__response__unpack(NULL, size, body);

        ASSERT(r);
        if (r->body_case == RESPONSE(STARTED))
                note_job(w, r->started->job_id);
        else if (r->body_case == RESPONSE(QUEUED))
                note_job(w, r->queued->job_id);
        check_response(c, r);
        sandboxd__v1__response__free_unpacked(r, NULL);
}

/* Receives once; sockets that come stay in the world, to be used as a client does. */
static ssize_t receive(struct world *w, struct world_client *c)
{
        union {
                struct cmsghdr header;
                uint8_t room[CMSG_SPACE(4 * sizeof(int))];
        } control = {};
        struct iovec iov = {};
        struct msghdr msg = {
                .msg_iov = &iov,
                .msg_iovlen = 1,
                .msg_control = &control,
                .msg_controllen = sizeof(control),
        };
        struct cmsghdr *h;
        int fds[4];
        ssize_t n;

        ASSERT(frame_reader_reserve(&c->reader, &iov.iov_base, &iov.iov_len) == 0);
        n = recvmsg(c->fd, &msg, MSG_CMSG_CLOEXEC);
        h = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);
        for (size_t i = 0; h && i < (h->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
                size_t place = w->n_sockets++ % WORLD_SOCKETS;

                memcpy(fds, CMSG_DATA(h), h->cmsg_len - CMSG_LEN(0));
                (void) safe_close(w->sockets[place]);
                w->sockets[place] = fds[i];
        }
        if (n > 0)
                frame_reader_advance(&c->reader, (size_t) n);
        return n;
}

void client_step(struct world *w, struct world_client *c)
{
        const uint8_t *body;
        size_t size;

        if (c->fd < 0)
                return;
        (void) queue_write(&c->out, c->fd);
        while (c->reads && receive(w, c) > 0)
                while (frame_reader_next(&c->reader, &body, &size) > 0)
                        hear(w, c, body, size);
}
