/* SPDX-License-Identifier: Apache-2.0 */
/*
 * org.sandboxd1.Manager on /org/sandboxd1, and GetManagedObjects() there. Runs in sandboxd-bus.
 */
#include <stdio.h>

#include "daemon/bus/call.h"
#include "daemon/bus/execute.h"
#include "daemon/bus/job-object.h"
#include "daemon/bus/text.h"

/* Objects in one answer: what they are in bytes is far below what a message may have. */
#define OBJECTS_MAX 10000

/* ---- Properties -------------------------------------------------------------------------------- */

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *name,
        sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        return sd_bus_message_append(reply, "s", PACKAGE_VERSION);
}

static int get_running(sd_bus *bus, const char *path, const char *interface, const char *name,
        sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        const struct service *s = userdata;

        return sd_bus_message_append(reply, "u", s->jobs.n_running);
}

static int get_queued(sd_bus *bus, const char *path, const char *interface, const char *name,
        sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        const struct service *s = userdata;

        return sd_bus_message_append(reply, "u", s->jobs.n_queued);
}

static int get_draining(sd_bus *bus, const char *path, const char *interface, const char *name,
        sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        const struct service *s = userdata;

        return sd_bus_message_append(reply, "b", (int) s->jobs.draining);
}

/* What this interface can do, for callers that meet older and newer ones. */
static int get_features(sd_bus *bus, const char *path, const char *interface, const char *name,
        sd_bus_message *reply, void *userdata, sd_bus_error *ret_error)
{
        return sd_bus_message_append(reply, "as", 4, "execute", "run-with-fds", "output-fd",
                "subscribe");
}

/* ---- Jobs -------------------------------------------------------------------------------------- */

/* An id of the caller's own job, or NULL; what is no id is none. */
static const struct bus_job *find_own(const struct call *c, const char *id)
{
        const struct bus_job *j = jobs_find(&c->service->jobs, id);

        return j && caller_may_see(c->caller, j->owner) ? j : NULL;
}

static void refuse_id(struct call *c, const char *id)
{
        call_fail(c, "NoSuchJob", "no job has the id '%.32s': ListJobs() has those that run", id);
}

/* The one argument of many methods. On failure the call is answered, and over. */
static int read_string(struct call *c, sd_bus_message *m, const char **ret)
{
        int r = sd_bus_message_read(m, "s", ret);

        if (r < 0)
                call_fail(c, "InvalidArgument",
                        "the string has code points that are no characters: leave them out");
        return r;
}

static int get_job_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const struct bus_job *j;
        const char *id;
        struct call *c;
        int r, e;

        r = call_new(userdata, m, &c, ret_error);
        if (r < 0 || read_string(c, m, &id) < 0)
                return r;
        j = find_own(c, id);
        if (!j) {
                refuse_id(c, id);
                return r;
        }
        e = sd_bus_message_new_method_return(m, &reply);
        if (e >= 0)
                e = sd_bus_message_append(reply, "o", j->path);
        call_finish(c, reply, e, "put the path into a message", 0);
        return r;
}

static int append_job(sd_bus_message *reply, const struct bus_job *j)
{
        const char *runtime = sandbox_job_info_get_runtime(j->info);
        const char *profile = sandbox_job_info_get_profile(j->info);
        const char *state = sandbox_job_state_name(sandbox_job_info_get_state(j->info));

        return sd_bus_message_append(reply, "(susssto)", j->id, (uint32_t) j->owner, runtime,
                profile, state, sandbox_job_info_get_started_at_usec(j->info), j->path);
}

static int append_jobs(sd_bus_message *reply, const struct call *c, unsigned *n)
{
        const struct bus_job *j;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(susssto)");
        if (r < 0)
                return r;
        TAILQ_FOREACH (j, &c->service->jobs.list, entries) {
                if (!caller_may_see(c->caller, j->owner) || bus_job_has_ended(j))
                        continue;
                r = append_job(reply, j);
                if (r < 0)
                        return r;
                (*n)++;
        }
        return sd_bus_message_close_container(reply);
}

static void reply_jobs(struct call *c, sandbox_client *client)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        unsigned n = 0;
        int r;

        r = sd_bus_message_new_method_return(c->message, &reply);
        if (r >= 0)
                r = append_jobs(reply, c, &n);
        call_finish(c, reply, r, "list the jobs", UINT64_C(256) * n);
}

/* A method whose answer is made of many jobs. */
static int begin_listing(struct service *s, sd_bus_message *m, call_step step,
        sd_bus_error *ret_error)
{
        struct call *c;
        int r;

        r = call_new(s, m, &c, ret_error);
        if (r < 0)
                return r;
        c->step = step;
        listings_add(&s->listings, c);
        return r;
}

static int list_jobs_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        return begin_listing(userdata, m, reply_jobs, ret_error);
}

static void cancel(struct call *c, sandbox_client *client)
{
        const char *id = c->data;

        if (sandbox_cancel_job_async(client, id, call_on_done, c, &c->request) < 0)
                call_fail_error(c, sandbox_client_get_error(client));
}

/* An administrator's word, and another's job. Whether there is one shows to nobody else. */
static void on_manage_allowed(struct call *c, bool allowed, const char *reason)
{
        const struct bus_job *j = jobs_find(&c->service->jobs, c->data);

        if (!allowed || !j)
                refuse_id(c, c->data);
        else {
                call_become_root(c);
                call_connect(c, cancel);
        }
}

static int cancel_job_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        const char *id;
        struct call *c;
        int r;

        r = call_new(userdata, m, &c, ret_error);
        if (r < 0 || read_string(c, m, &id) < 0)
                return r;
        if (strlen(id) >= SANDBOX_JOB_ID_SIZE) {
                refuse_id(c, id);
                return r;
        }
        c->data = strdup(id);
        c->free_data = free;
        if (!c->data)
                call_fail_errno(c, -ENOMEM, "take the request");
        else if (find_own(c, id))
                call_connect(c, cancel);
        else
                question_ask(c, ACTION_MANAGE_JOBS, NULL, NULL, on_manage_allowed);
        return r;
}

/* ---- What there is ----------------------------------------------------------------------------- */

static const char *clean(char buf[static 512], const char *text)
{
        return text_make_string(buf, 512, text ? text : "");
}

static int append_runtimes(sd_bus_message *reply, const sandbox_runtime_list *list)
{
        int r = sd_bus_message_open_container(reply, 'a', "(sss)");

        for (size_t i = 0; r >= 0 && i < sandbox_runtime_list_get_count(list); i++) {
                char name[512], description[512], package[512], reason[600] = "";

                if (!sandbox_runtime_list_get_available(list, i))
                        (void) snprintf(reason, sizeof(reason), "not installed: install %s",
                                clean(package, sandbox_runtime_list_get_package(list, i)));
                r = sd_bus_message_append(reply, "(sss)",
                        clean(name, sandbox_runtime_list_get_name(list, i)),
                        clean(description, sandbox_runtime_list_get_description(list, i)), reason);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static void on_runtimes(sandbox_client *client, const sandbox_error *error,
        sandbox_runtime_list *list, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        struct call *c = userdata;
        int r;

        c->request = NULL;
        if (error) {
                call_fail_error(c, error);
                return;
        }
        r = sd_bus_message_new_method_return(c->message, &reply);
        if (r >= 0)
                r = append_runtimes(reply, list);
        call_finish(c, reply, r, "list the runtimes", 0);
}

static void list_runtimes(struct call *c, sandbox_client *client)
{
        if (sandbox_list_runtimes_async(client, on_runtimes, c, &c->request) < 0)
                call_fail_error(c, sandbox_client_get_error(client));
}

static int append_profiles(sd_bus_message *reply, const sandbox_profile_list *list)
{
        int r = sd_bus_message_open_container(reply, 'a', "(ss)");

        for (size_t i = 0; r >= 0 && i < sandbox_profile_list_get_count(list); i++) {
                char name[512], description[512];

                r = sd_bus_message_append(reply, "(ss)",
                        clean(name, sandbox_profile_list_get_name(list, i)),
                        clean(description, sandbox_profile_list_get_description(list, i)));
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static void on_profiles(sandbox_client *client, const sandbox_error *error,
        sandbox_profile_list *list, void *userdata)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        struct call *c = userdata;
        int r;

        c->request = NULL;
        if (error) {
                call_fail_error(c, error);
                return;
        }
        r = sd_bus_message_new_method_return(c->message, &reply);
        if (r >= 0)
                r = append_profiles(reply, list);
        call_finish(c, reply, r, "list the profiles", 0);
}

static void list_profiles(struct call *c, sandbox_client *client)
{
        if (sandbox_list_profiles_async(client, on_profiles, c, &c->request) < 0)
                call_fail_error(c, sandbox_client_get_error(client));
}

static int connect_method(sd_bus_message *m, struct service *s, call_step step,
        sd_bus_error *ret_error)
{
        struct call *c;
        int r;

        r = call_new(s, m, &c, ret_error);
        if (r >= 0)
                call_connect(c, step);
        return r;
}

static int list_runtimes_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        return connect_method(m, userdata, list_runtimes, ret_error);
}

static int list_profiles_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        return connect_method(m, userdata, list_profiles, ret_error);
}

/* ---- Control ----------------------------------------------------------------------------------- */

typedef int (*control_function)(sandbox_client *c, sandbox_done_handler handler, void *userdata,
        sandbox_request **ret);

static const struct control {
        const char *member;
        control_function function;
} controls[] = {
        { "Drain", sandbox_drain_async },
        { "Resume", sandbox_resume_async },
        { "StopAll", sandbox_stop_all_async },
};

static void control(struct call *c, sandbox_client *client)
{
        const char *member = sd_bus_message_get_member(c->message);

        for (size_t i = 0; i < ELEMENTSOF(controls); i++) {
                if (!streq(controls[i].member, member))
                        continue;
                if (controls[i].function(client, call_on_done, c, &c->request) < 0)
                        call_fail_error(c, sandbox_client_get_error(client));
                return; /* a call that failed is gone, and its member with it */
        }
}

static void on_control_allowed(struct call *c, bool allowed, const char *reason)
{
        if (!allowed) {
                call_deny(c, "%s", reason);
                return;
        }
        call_become_root(c);
        call_connect(c, control);
}

static int control_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct call *c;
        int r;

        r = call_new(userdata, m, &c, ret_error);
        if (r >= 0)
                question_ask(c, ACTION_CONTROL, NULL, NULL, on_control_allowed);
        return r;
}

/* ---- Subscriptions ----------------------------------------------------------------------------- */

static int subscribe_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct call *c;
        int r;

        r = call_new(userdata, m, &c, ret_error);
        if (r < 0)
                return r;
        if (signals_subscribe(c->caller) < 0)
                call_fail(c, "Busy", "too many have subscribed already: end some of them");
        else
                call_reply_empty(c);
        return r;
}

static int unsubscribe_method(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        struct call *c;
        int r;

        r = call_new(userdata, m, &c, ret_error);
        if (r < 0)
                return r;
        signals_unsubscribe(c->caller);
        call_reply_empty(c);
        return r;
}

/* ---- The objects there are --------------------------------------------------------------------- */

static int append_object(sd_bus_message *reply, const struct bus_job *j)
{
        int r;

        r = sd_bus_message_open_container(reply, 'e', "oa{sa{sv}}");
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "o", j->path);
        if (r < 0)
                return r;
        r = job_object_append_interfaces(reply, j);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* -E2BIG for more than an answer has. */
static int append_objects(sd_bus_message *reply, const struct call *c, unsigned *n)
{
        const struct bus_job *j;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "{oa{sa{sv}}}");
        if (r < 0)
                return r;
        TAILQ_FOREACH (j, &c->service->jobs.list, entries) {
                if (!caller_may_see(c->caller, j->owner))
                        continue;
                if (++*n > OBJECTS_MAX)
                        return -E2BIG;
                r = append_object(reply, j);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(reply);
}

static void reply_objects(struct call *c, sandbox_client *client)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        unsigned n = 0;
        int r;

        r = sd_bus_message_new_method_return(c->message, &reply);
        if (r >= 0)
                r = append_objects(reply, c, &n);
        if (r == -E2BIG)
                call_fail(c, "OverLimit",
                        "there are more than %d objects: ask for jobs by ListJobs() and GetJob()",
                        OBJECTS_MAX);
        else
                call_finish(c, reply, r, "list the objects", UINT64_C(1024) * n);
}

/* Before libsystemd answers by itself: that would be charged to nobody, and may be as large as it likes. */
static int on_manager_object(sd_bus_message *m, void *userdata, sd_bus_error *ret_error)
{
        if (!sd_bus_message_is_method_call(m, BUS_OBJECT_MANAGER, "GetManagedObjects"))
                return 0;
        if (!sd_bus_message_has_signature(m, ""))
                return 0;
        return begin_listing(userdata, m, reply_objects, ret_error);
}

/* ---- The object -------------------------------------------------------------------------------- */

#define ANYBODY SD_BUS_VTABLE_UNPRIVILEGED

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("RunningJobs", "u", get_running, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("QueuedJobs", "u", get_queued, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Draining", "b", get_draining, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Features", "as", get_features, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_METHOD_WITH_ARGS("Execute", SD_BUS_ARGS("s", language, "s", code, "a{sv}", options),
                SD_BUS_RESULT("a{sv}", result), execute_method, ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Run",
                SD_BUS_ARGS("s", runtime, "as", argv, "ay", code, "a{sv}", options),
                SD_BUS_RESULT("o", job), run_method, ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("RunWithFds",
                SD_BUS_ARGS("s", runtime, "as", argv, "ay", code, "a{sv}", options, "h", stdin_fd,
                        "h", stdout_fd, "h", stderr_fd),
                SD_BUS_RESULT("o", job), run_with_fds_method, ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("GetJob", SD_BUS_ARGS("s", id), SD_BUS_RESULT("o", job),
                get_job_method, ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("ListJobs", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(susssto)", jobs),
                list_jobs_method, ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("CancelJob", SD_BUS_ARGS("s", id), SD_BUS_NO_RESULT,
                cancel_job_method, ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("ListRuntimes", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sss)", runtimes),
                list_runtimes_method, ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("ListProfiles", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ss)", profiles),
                list_profiles_method, ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Drain", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, control_method, ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, control_method,
                ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("StopAll", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, control_method,
                ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Subscribe", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, subscribe_method,
                ANYBODY),
        SD_BUS_METHOD_WITH_ARGS("Unsubscribe", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, unsubscribe_method,
                ANYBODY),
        SD_BUS_SIGNAL_WITH_ARGS("JobNew", SD_BUS_ARGS("s", id, "o", job), 0),
        SD_BUS_SIGNAL_WITH_ARGS("JobRemoved", SD_BUS_ARGS("s", id, "o", job, "s", status), 0),
        SD_BUS_VTABLE_END,
};

int manager_add(struct service *s)
{
        int r;

        r = sd_bus_add_object(s->bus, NULL, BUS_PATH, on_manager_object, s);
        if (r < 0)
                return r;
        r = sd_bus_add_object_vtable(s->bus, NULL, BUS_PATH, BUS_MANAGER, vtable, s);
        return r < 0 ? r : sd_bus_add_object_manager(s->bus, NULL, BUS_PATH);
}
