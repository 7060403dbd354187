/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.sandboxd1.Job on /org/sandboxd1/job/ID. Runs in sandboxd-bus. A job that the caller may not see is one
 * that is not there: find() and list() alone decide that.
 */
#include "daemon/bus/job-object.h"

#include "common/log.h"
#include "daemon/bus/call.h"
#include "daemon/bus/capture.h"
#include "daemon/bus/message.h"
#include "daemon/bus/result.h"
#include "daemon/bus/text.h"

/* Of an answer of ReadOutput. */
#define READ_MAX MIB

/* In an introspection of the folder of jobs: GetManagedObjects() has all. */
#define NODES_MAX 256

/* ---- Properties -------------------------------------------------------------------------------- */

typedef int (*property_appender)(sd_bus_message *m, const struct bus_job *j);

static int append_text(sd_bus_message *m, const char *text)
{
        char clean[512];

        return sd_bus_message_append(m, "s",
                text_make_string(clean, sizeof(clean), text ? text : ""));
}

static int append_id(sd_bus_message *m, const struct bus_job *j)
{
        return sd_bus_message_append(m, "s", j->id);
}

static int append_owner(sd_bus_message *m, const struct bus_job *j)
{
        return sd_bus_message_append(m, "u", (uint32_t) j->owner);
}

static int append_runtime(sd_bus_message *m, const struct bus_job *j)
{
        return append_text(m, sandbox_job_info_get_runtime(j->info));
}

static int append_profile(sd_bus_message *m, const struct bus_job *j)
{
        return append_text(m, sandbox_job_info_get_profile(j->info));
}

static int append_label(sd_bus_message *m, const struct bus_job *j)
{
        return append_text(m, sandbox_job_info_get_label(j->info));
}

static int append_state(sd_bus_message *m, const struct bus_job *j)
{
        return append_text(m, sandbox_job_state_name(sandbox_job_info_get_state(j->info)));
}

static int append_status(sd_bus_message *m, const struct bus_job *j)
{
        return append_text(m, bus_job_status(j));
}

static int append_exit_code(sd_bus_message *m, const struct bus_job *j)
{
        const sandbox_result *r = sandbox_job_info_get_result(j->info);

        return sd_bus_message_append(m, "i", r ? (int32_t) sandbox_result_get_exit_code(r) : 0);
}

static int append_started_at(sd_bus_message *m, const struct bus_job *j)
{
        return sd_bus_message_append(m, "t", sandbox_job_info_get_started_at_usec(j->info));
}

static int append_usage(sd_bus_message *m, const struct bus_job *j)
{
        return result_append_usage(m, sandbox_job_info_get_result(j->info));
}

static const struct property {
        const char *name;
        const char *type;
        property_appender append;
        bool changes;
} properties[] = {
        { "Id", "s", append_id },
        { "Owner", "u", append_owner },
        { "Runtime", "s", append_runtime },
        { "Profile", "s", append_profile },
        { "Label", "s", append_label },
        { "State", "s", append_state, true },
        { "Status", "s", append_status, true },
        { "ExitCode", "i", append_exit_code, true },
        { "StartedAt", "t", append_started_at, true },
        { "Usage", "a{sv}", append_usage, true },
};

static int append_property(sd_bus_message *m, const struct property *p, const struct bus_job *j)
{
        int r;

        r = message_open_entry(m, p->name, p->type);
        if (r < 0)
                return r;
        r = p->append(m, j);
        return r < 0 ? r : message_close_entry(m);
}

int job_object_append_properties(sd_bus_message *m, const struct bus_job *j, bool changing)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(properties); i++)
                if (!changing || properties[i].changes)
                        r = append_property(m, &properties[i], j);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int job_object_append_interfaces(sd_bus_message *m, const struct bus_job *j)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sa{sv}}");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'e', "sa{sv}");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "s", BUS_JOB);
        if (r < 0)
                return r;
        r = job_object_append_properties(m, j, false);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int job_object_append_result(sd_bus_message *m, const struct bus_job *j)
{
        const sandbox_result *r = sandbox_job_info_get_result(j->info);

        return r ? result_append(m, r, NULL, NULL) : sd_bus_message_append(m, "a{sv}", 0);
}

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *name,
        sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
                if (streq(properties[i].name, name))
                        return properties[i].append(reply, userdata);
        return -ENOENT;
}

/* ---- Methods ----------------------------------------------------------------------------------- */

/* What the methods keep until sandboxd has answered. */
struct job_call {
        char id[SANDBOX_JOB_ID_SIZE];
        struct capture capture; /* what is read */
        struct capture errors;
        enum sandbox_stream stream;
        uint64_t offset;
        bool full;
        sandbox_result *result; /* Wait: it is there, its output is read */
};

static void job_call_free(void *data)
{
        struct job_call *jc = data;

        capture_done(&jc->capture);
        capture_done(&jc->errors);
        (void) sandbox_result_unref(jc->result);
        free(jc);
}

/* Begins a method of a job's object; NULL when it is over already. */
static struct job_call *begin(sd_bus_message *m, const struct bus_job *j, struct service *s,
        struct call **ret, int *ret_r, sd_bus_error *ret_error)
{
        struct job_call *jc;

        *ret_r = call_new(s, m, ret, ret_error);
        if (*ret_r < 0)
                return NULL;
        jc = calloc(1, sizeof(*jc));
        if (!jc) {
                call_fail_errno(*ret, -ENOMEM, "take the request");
                return NULL;
        }
        memcpy(jc->id, j->id, sizeof(jc->id));
        (*ret)->data = jc;
        (*ret)->free_data = job_call_free;
        return jc;
}

static struct service *service_of(sd_bus_message *m)
{
        return sd_bus_slot_get_userdata(sd_bus_get_current_slot(sd_bus_message_get_bus(m)));
}

static void fail_of(struct call *c, sandbox_client *client)
{
        call_fail_error(c, sandbox_client_get_error(client));
}

static void cancel(struct call *c, sandbox_client *client)
{
        const struct job_call *jc = c->data;

        if (sandbox_cancel_job_async(client, jc->id, call_on_done, c, &c->request) < 0)
                fail_of(c, client);
}

static int cancel_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct call *c;
        int r;

        if (begin(m, userdata, service_of(m), &c, &r, ret_error))
                call_connect(c, cancel);
        return r;
}

/* ReadOutput: a negative return value ends the reading where the answer is full. */
static int on_piece(sandbox_request *q, enum sandbox_stream stream, const void *data, size_t size,
        void *userdata)
{
        struct call *c = userdata;
        struct job_call *jc = c->data;
        int r;

        r = capture_put(&jc->capture, data, size);
        if (r < 0)
                return r;
        jc->full = jc->capture.cut;
        return jc->full ? -ENOBUFS : 0;
}

/* The message has the output, and is charged for it in the place of what it was collected in. */
static void finish_read(struct call *c, struct job_call *jc, sd_bus_message *m, int r,
        const char *what)
{
        uint64_t size = jc->capture.size + jc->errors.size;

        capture_done(&jc->capture);
        capture_done(&jc->errors);
        call_finish(c, m, r, what, size);
}

static void reply_output(struct call *c, struct job_call *jc, bool eof)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_return(c->message, &m);
        if (r >= 0)
                r = sd_bus_message_append_array(m, 'y', jc->capture.data, jc->capture.size);
        if (r >= 0)
                r = sd_bus_message_append(m, "b", (int) eof);
        finish_read(c, jc, m, r, "put the output into a message");
}

static void on_read(sandbox_client *client, const sandbox_error *error,
        const sandbox_output_end *end, void *userdata)
{
        struct call *c = userdata;
        struct job_call *jc = c->data;

        c->request = NULL;
        if (error && !jc->full)
                call_fail_error(c, error);
        else
                reply_output(c, jc, !error && !end->running);
}

static void read_output(struct call *c, sandbox_client *client)
{
        struct job_call *jc = c->data;

        if (sandbox_read_output_async(client, jc->id, jc->stream, jc->offset, 0, on_piece, on_read,
                    c, &c->request) < 0)
                fail_of(c, client);
}

static int read_output_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct job_call *jc;
        struct call *c;
        const char *name;
        int r;

        jc = begin(m, userdata, service_of(m), &c, &r, ret_error);
        if (!jc)
                return r;
        r = sd_bus_message_read(m, "st", &name, &jc->offset);
        if (r < 0 || (!streq(name, "stdout") && !streq(name, "stderr"))) {
                call_fail(c, "InvalidArgument", "a stream is 'stdout' or 'stderr'");
                return 1;
        }
        jc->stream = streq(name, "stdout") ? SANDBOX_STDOUT : SANDBOX_STDERR;
        r = capture_init(&jc->capture, c->user, READ_MAX, false);
        if (r < 0)
                call_fail_errno(c, r, "make room for the output");
        else
                call_connect(c, read_output);
        return 1;
}

/* ---- Wait -------------------------------------------------------------------------------------- */

static void reply_result(struct call *c, struct job_call *jc)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        const struct result_output output = { .out = &jc->capture, .err = &jc->errors };
        int r;

        r = sd_bus_message_new_method_return(c->message, &m);
        if (r >= 0)
                r = result_append(m, jc->result, c->service, &output);
        finish_read(c, jc, m, r, "put the result into a message");
}

static int on_kept_piece(sandbox_request *q, enum sandbox_stream stream, const void *data,
        size_t size, void *userdata)
{
        struct call *c = userdata;
        struct job_call *jc = c->data;

        return capture_put(stream == SANDBOX_STDOUT ? &jc->capture : &jc->errors, data, size);
}

/* A result whose output is no longer kept is told without. */
static void on_kept_read(sandbox_client *client, const sandbox_error *error,
        const sandbox_output_end *end, void *userdata)
{
        struct call *c = userdata;
        struct job_call *jc = c->data;

        c->request = NULL;
        if (error && error->code != SANDBOX_ERROR_NO_SUCH_JOB) {
                call_fail_error(c, error);
                return;
        }
        if (error)
                jc->capture.cut = jc->errors.cut = true;
        reply_result(c, jc);
}

static void on_result(sandbox_client *client, const sandbox_error *error, sandbox_result *result,
        void *userdata)
{
        struct call *c = userdata;
        struct job_call *jc = c->data;

        c->request = NULL;
        if (error) {
                call_fail_error(c, error);
                return;
        }
        jc->result = sandbox_result_ref(result);
        if (sandbox_read_output_async(client, jc->id, SANDBOX_BOTH, 0, 0, on_kept_piece,
                    on_kept_read, c, &c->request) < 0)
                fail_of(c, client);
}

static void wait_for_end(struct call *c, sandbox_client *client)
{
        const struct job_call *jc = c->data;

        if (sandbox_wait_job_async(client, jc->id, on_result, c, &c->request) < 0)
                fail_of(c, client);
}

static int wait_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct job_call *jc;
        struct call *c;
        int r, e;

        jc = begin(m, userdata, service_of(m), &c, &r, ret_error);
        if (!jc)
                return r;
        e = capture_init(&jc->capture, c->user, CAPTURE_INLINE_MAX, false);
        if (e >= 0)
                e = capture_init(&jc->errors, c->user, CAPTURE_INLINE_MAX, false);
        if (e < 0)
                call_fail_errno(c, e, "make room for the output");
        else
                call_connect(c, wait_for_end);
        return r;
}

/* ---- The object -------------------------------------------------------------------------------- */

#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Id", "s", get_property, 0, CONSTANT),
        SD_BUS_PROPERTY("Owner", "u", get_property, 0, CONSTANT),
        SD_BUS_PROPERTY("Runtime", "s", get_property, 0, CONSTANT),
        SD_BUS_PROPERTY("Profile", "s", get_property, 0, CONSTANT),
        SD_BUS_PROPERTY("Label", "s", get_property, 0, CONSTANT),
        SD_BUS_PROPERTY("State", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Status", "s", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("ExitCode", "i", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("StartedAt", "t", get_property, 0, CHANGES),
        SD_BUS_PROPERTY("Usage", "a{sv}", get_property, 0, CHANGES),
        SD_BUS_METHOD("Cancel", "", "", cancel_method, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Wait", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{sv}", result), wait_method,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReadOutput", SD_BUS_ARGS("s", stream, "t", offset),
                SD_BUS_RESULT("ay", data, "b", eof), read_output_method,
                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("Finished", SD_BUS_ARGS("a{sv}", result), 0),
        SD_BUS_VTABLE_END,
};

static int find(sd_bus *bus, const char *path, const char *interface, void *userdata,
        void **ret_found, sd_bus_error *ret_error)
{
        sd_bus_message *m = sd_bus_get_current_message(bus);
        struct service *s = userdata;
        struct bus_job *j = jobs_find_path(&s->jobs, path);
        struct caller *caller;
        int r;

        if (!j || !m)
                return 0;
        r = caller_find(s, m, &caller);
        if (r < 0)
                return r == -ENXIO ? 0 : r;
        /* Asking who calls waited for the bus, and for nothing else: the job is still there. */
        if (!caller_may_see(caller, j->owner))
                return 0;
        *ret_found = j;
        return 1;
}

static int list(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
        sd_bus_error *ret_error)
{
        sd_bus_message *m = sd_bus_get_current_message(bus);
        struct service *s = userdata;
        const struct bus_job *j;
        struct caller *caller;
        char **nodes;
        size_t n = 0;

        if (!m || caller_find(s, m, &caller) < 0)
                return 0;
        nodes = calloc(s->jobs.n + 1, sizeof(char *));
        if (!nodes)
                return -ENOMEM;
        TAILQ_FOREACH (j, &s->jobs.list, entries) {
                if (!caller_may_see(caller, j->owner))
                        continue;
                nodes[n] = strdup(j->path);
                if (nodes[n] && ++n >= NODES_MAX)
                        break;
        }
        *ret_nodes = nodes;
        return 0;
}

int job_object_add(struct service *s)
{
        int r;

        r = sd_bus_add_fallback_vtable(s->bus, NULL, BUS_JOB_PATH, BUS_JOB, vtable, find, s);
        return r < 0 ? r : sd_bus_add_node_enumerator(s->bus, NULL, BUS_JOB_PATH, list, s);
}
