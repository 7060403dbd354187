/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a spec to the Run message: small files go into it, of others only the size. Runs in the
 * client's process, and opens only what the caller named.
 */
#include "client/lib/job.h"

/* Files of up to this size go into the Run message itself, as long as it stays below the second
 * number and what sandboxd takes; others are streamed. */
#define INLINE_FILE_MAX (64 * KIB)
#define INLINE_TOTAL_MAX MIB
/* What a file adds beside its name and bytes, and a request around its Run: tags, lengths, numbers,
 * at their longest. */
#define FILE_OVERHEAD 64
#define REQUEST_OVERHEAD 32

/* The message and the arrays that it points to; the texts are the spec's. */
struct run_message {
        Sandboxd__V1__Run run;
        Sandboxd__V1__File *files;
        uint8_t **inlined; /* bytes that were read, by file */
        Sandboxd__V1__Run__LimitsEntry *limits;
};

static void run_message_done(struct run_message *m)
{
        for (size_t i = 0; i < m->run.n_files; i++)
                free(m->inlined[i]);
        free(m->inlined);
        free(m->files);
        free(m->limits);
        free(m->run.files);
        free(m->run.limits);
        free(m->run.argv);
        free(m->run.env);
        free(m->run.get);
}

static int set_texts(ProtobufCBinaryData **list, size_t *n, char *const *texts, size_t count)
{
        *list = calloc(count + 1, sizeof(**list));
        if (!*list)
                return -ENOMEM;
        for (size_t i = 0; i < count; i++)
                (*list)[i] = bytes_of_text(texts[i]);
        *n = count;
        return 0;
}

static int set_limits(struct run_message *m, const sandbox_spec *s)
{
        m->limits = calloc(s->n_limits + 1, sizeof(*m->limits));
        m->run.limits = calloc(s->n_limits + 1, sizeof(*m->run.limits));
        if (!m->limits || !m->run.limits)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_limits; i++) {
                sandboxd__v1__run__limits_entry__init(&m->limits[i]);
                m->limits[i].key = s->limits[i].name;
                m->limits[i].value = s->limits[i].value;
                m->run.limits[i] = &m->limits[i];
        }
        m->run.n_limits = s->n_limits;
        return 0;
}

static int set_values(struct run_message *m, const sandbox_spec *s, const sandbox_job *job)
{
        Sandboxd__V1__Run *run = &m->run;
        int r;

        run->runtime = bytes_of_text(s->runtime);
        run->profile = bytes_of_text(s->profile);
        run->workdir = bytes_of_text(s->workdir);
        run->label = bytes_of_text(s->label);
        if (s->code)
                run->code = (ProtobufCBinaryData) { .len = s->code->size, .data = s->code->data };
        run->strict_output = s->strict_output;
        run->stdin = s->stdin_stream || s->stdin_data;
        run->detach = job->detached;
        run->output_credit = job->x.client->has_credit ? s->credit : 0;
        r = set_texts(&run->argv, &run->n_argv, s->argv, s->argc);
        if (r == 0)
                r = set_texts(&run->env, &run->n_env, s->env, s->n_env);
        if (r == 0)
                r = set_texts(&run->get, &run->n_get, s->get, s->n_get);
        return r == 0 ? set_limits(m, s) : r;
}

/* Puts the bytes of a small file into the message itself. */
static int read_inline(struct run_message *m, size_t i, int fd, const char *path, struct failure *f)
{
        Sandboxd__V1__File *file = &m->files[i];
        size_t size = (size_t) file->size, done = 0;

        m->inlined[i] = malloc(size + 1);
        if (!m->inlined[i])
                return failure_memory(f);
        while (done < size) {
                ssize_t n = pread(fd, m->inlined[i] + done, size - done, (off_t) done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return failure_set(f, -errno, SANDBOX_ERROR_LOCAL, "files",
                                "cannot read %s: %s: name a file that you can read", path,
                                strerrordesc_np(errno));
                if (n == 0)
                        return failure_set(f, -ESTALE, SANDBOX_ERROR_LOCAL, "files",
                                "%s became shorter while it was read: try again", path);
                done += (size_t) n;
        }
        file->data = (ProtobufCBinaryData) { .len = size, .data = m->inlined[i] };
        return 0;
}

/* room: bytes that the message can still take. */
static int add_file(struct run_message *m, size_t i, sandbox_job *job, struct source *source,
        size_t *room)
{
        const char *path = source->kind == SOURCE_PATH ? source->path : source->name;
        struct failure *f = &job->x.client->failure;
        _cleanup_close_ int fd = -EBADF;
        Sandboxd__V1__File *file = &m->files[i];
        struct stat st = {};
        bool fits;

        if (source->kind == SOURCE_DATA)
                st.st_size = (off_t) source->data->size;
        else {
                fd = source_open(source, &st, f);
                if (fd < 0)
                        return fd;
        }
        file->name = bytes_of_text(source->name);
        file->mode = source->mode;
        file->size = (uint64_t) st.st_size;
        job->upload_size += file->size;
        fits = file->size <= MIN(INLINE_FILE_MAX, *room);
        if (!fits) {
                job->uploads[job->n_uploads++] = (struct upload) {
                        .source = source_ref(source),
                        .index = (uint32_t) i,
                        .size = file->size,
                        .dev = st.st_dev,
                        .ino = st.st_ino,
                        .fd = -EBADF,
                };
                return 0;
        }
        *room -= (size_t) file->size;
        job->upload_sent += file->size;
        if (source->kind != SOURCE_DATA)
                return read_inline(m, i, fd, path, f);
        file->data = (ProtobufCBinaryData) {
                .len = source->data->size,
                .data = source->data->data,
        };
        return 0;
}

/* What the message leaves for the bytes of files when their names are in it too. */
static size_t inline_room(const struct run_message *m, const sandbox_spec *s, size_t max_request)
{
        size_t used = sandboxd__v1__run__get_packed_size(&m->run) + REQUEST_OVERHEAD;
        size_t most = MIN(max_request, INLINE_TOTAL_MAX);

        for (size_t i = 0; i < s->n_sources; i++)
                used += strlen(s->sources[i]->name) + FILE_OVERHEAD;
        return used < most ? most - used : 0;
}

static int add_files(struct run_message *m, sandbox_job *job, const sandbox_spec *s)
{
        size_t room = inline_room(m, s, wire_max_request(job->x.client->wire));
        size_t n = s->n_sources;

        m->files = calloc(n + 1, sizeof(*m->files));
        m->inlined = calloc(n + 1, sizeof(*m->inlined));
        m->run.files = calloc(n + 1, sizeof(*m->run.files));
        job->uploads = calloc(n + 1, sizeof(*job->uploads));
        if (!m->files || !m->inlined || !m->run.files || !job->uploads)
                return failure_memory(&job->x.client->failure);
        for (size_t i = 0; i < n; i++) {
                int r;

                sandboxd__v1__file__init(&m->files[i]);
                m->run.files[i] = &m->files[i];
                m->run.n_files++;
                r = add_file(m, i, job, s->sources[i], &room);
                if (r < 0)
                        return r;
        }
        job->data_size = job->upload_size + m->run.code.len;
        return 0;
}

/* Asks for the sockets; -EOPNOTSUPP. */
static int set_sockets(struct run_message *m, sandbox_job *job, const sandbox_spec *s)
{
        for (size_t i = 0; i < JOB_SOCKETS; i++) {
                job->sockets[i].wanted = s->sockets[i];
                if (s->sockets[i])
                        m->run.stream_sockets |= 1U << i;
        }
        return m->run.stream_sockets ? client_require(job->x.client, "stream-sockets") : 0;
}

static int queue_run(sandbox_job *job, struct run_message *m)
{
        Sandboxd__V1__Request request = SANDBOXD__V1__REQUEST__INIT;

        request.body_case = SANDBOXD__V1__REQUEST__BODY_RUN;
        request.run = &m->run;
        return client_queue(job->x.client, &job->x, &request);
}

int job_request(sandbox_job *job, const sandbox_spec *s)
{
        _cleanup_(run_message_done) struct run_message m = { .run = SANDBOXD__V1__RUN__INIT };
        sandbox_client *c = job->x.client;
        int r = 0;

        if (job->detached)
                r = client_require(c, "detach");
        if (r == 0 && s->n_get > 0)
                r = client_require(c, "get");
        if (r < 0)
                return r;
        r = set_sockets(&m, job, s);
        if (r < 0)
                return r;
        if (set_values(&m, s, job) < 0)
                return failure_memory(&c->failure);
        r = add_files(&m, job, s);
        return r < 0 ? r : queue_run(job, &m);
}
