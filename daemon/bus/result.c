/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a job ended, as a{sv}. Runs in sandboxd-bus; what jobs wrote goes out as strings only where the bus
 * takes it as such.
 */
#include "daemon/bus/result.h"

#include <stdio.h>

#include "daemon/bus/capture.h"
#include "daemon/bus/message.h"
#include "daemon/bus/text.h"

static int append_string(sd_bus_message *m, const char *key, const char *value)
{
        return sd_bus_message_append(m, "{sv}", key, "s", value ? value : "");
}

static int append_u64(sd_bus_message *m, const char *key, uint64_t value)
{
        return sd_bus_message_append(m, "{sv}", key, "t", value);
}

static int append_bool(sd_bus_message *m, const char *key, bool value)
{
        return sd_bus_message_append(m, "{sv}", key, "b", (int) value);
}

static int append_raw(sd_bus_message *m, const char *key, const void *data, size_t size)
{
        char name[64];
        int r;

        (void) snprintf(name, sizeof(name), "%s_raw", key);
        r = message_open_entry(m, name, "ay");
        if (r < 0)
                return r;
        r = sd_bus_message_append_array(m, 'y', data, size);
        return r < 0 ? r : message_close_entry(m);
}

/* Copies into the message, without a NUL at the end of the data. */
static int append_utf8(sd_bus_message *m, const char *key, const void *data, size_t size)
{
        char *room;
        int r;

        r = message_open_entry(m, key, "s");
        if (r < 0)
                return r;
        r = sd_bus_message_append_string_space(m, size, &room);
        if (r < 0)
                return r;
        if (size > 0)
                memcpy(room, data, size);
        return message_close_entry(m);
}

/* Under "key", or as bytes under "key_raw". */
static int append_text(sd_bus_message *m, const char *key, const void *data, size_t size)
{
        return text_is_string(data, size) ? append_utf8(m, key, data, size)
                                          : append_raw(m, key, data, size);
}

int result_append_usage(sd_bus_message *m, const sandbox_result *r)
{
        sandbox_usage u;

        if (!r || !sandbox_result_get_usage(r, &u))
                return sd_bus_message_append(m, "a{sv}", 0);
        return sd_bus_message_append(m, "a{sv}", 5, "wall_usec", "t", u.wall_usec, "cpu_user_usec",
                "t", u.cpu_user_usec, "cpu_system_usec", "t", u.cpu_system_usec,
                "memory_peak_bytes", "t", u.memory_peak_bytes, "pids_peak", "t", u.pids_peak);
}

static int append_usage(sd_bus_message *m, const sandbox_result *result)
{
        int r;

        r = message_open_entry(m, "usage", "a{sv}");
        if (r < 0)
                return r;
        r = result_append_usage(m, result);
        return r < 0 ? r : message_close_entry(m);
}

static int append_value_fields(sd_bus_message *m, const sandbox_result *result)
{
        const void *data;
        size_t size;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        data = sandbox_result_get_return_text(result, &size);
        r = append_text(m, "text", data, size);
        if (r < 0)
                return r;
        data = sandbox_result_get_return_json(result, &size);
        /* JSON that is no text is none. */
        if (size > 0 && text_is_string(data, size)) {
                r = append_utf8(m, "json", data, size);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

static int append_value(sd_bus_message *m, const sandbox_result *result)
{
        int r;

        if (!sandbox_result_has_return_value(result))
                return 0;
        r = message_open_entry(m, "return_value", "a{sv}");
        if (r < 0)
                return r;
        r = append_value_fields(m, result);
        return r < 0 ? r : message_close_entry(m);
}

static int append_stream(sd_bus_message *m, const char *key, struct capture *c, struct service *s,
        bool as_fds)
{
        _cleanup_close_ int fd = -EBADF;
        char name[32];
        int r;

        if (!as_fds || c->size == 0)
                return append_text(m, key, c->data, c->size);
        r = capture_lend(c, s, &fd);
        if (r < 0)
                return r;
        (void) snprintf(name, sizeof(name), "%s_fd", key);
        return sd_bus_message_append(m, "{sv}", name, "h", fd); /* which duplicates it */
}

static int append_numbers(sd_bus_message *m, const sandbox_result *r)
{
        const struct {
                const char *key;
                uint64_t value;
        } numbers[] = {
                { "stdout_bytes", sandbox_result_get_stdout_bytes(r) },
                { "stderr_bytes", sandbox_result_get_stderr_bytes(r) },
                { "queued_usec", sandbox_result_get_queued_usec(r) },
                { "setup_usec", sandbox_result_get_setup_usec(r) },
                { "started_at_usec", sandbox_result_get_started_at_usec(r) },
                { "ended_at_usec", sandbox_result_get_ended_at_usec(r) },
        };

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                int e = append_u64(m, numbers[i].key, numbers[i].value);

                if (e < 0)
                        return e;
        }
        return 0;
}

static int append_flags(sd_bus_message *m, const sandbox_result *r, const struct result_output *o)
{
        const struct {
                const char *key;
                bool value;
        } flags[] = {
                { "stdout_truncated",
                        sandbox_result_get_stdout_truncated(r) || (o && o->out->cut) },
                { "stderr_truncated",
                        sandbox_result_get_stderr_truncated(r) || (o && o->err->cut) },
                { "pids_limit_hit", sandbox_result_get_pids_limit_hit(r) },
                { "cpu_throttled", sandbox_result_get_cpu_throttled(r) },
                { "warm", sandbox_result_get_warm(r) },
        };

        for (size_t i = 0; i < ELEMENTSOF(flags); i++) {
                int e = append_bool(m, flags[i].key, flags[i].value);

                if (e < 0)
                        return e;
        }
        return 0;
}

static int append_texts(sd_bus_message *m, const sandbox_result *r)
{
        const struct {
                const char *key, *value;
        } texts[] = {
                { "job_id", sandbox_result_get_job_id(r) },
                { "status", sandbox_status_name(sandbox_result_get_status(r)) },
                { "message", sandbox_result_get_message(r) },
                { "step", sandbox_result_get_step(r) },
                { "runtime", sandbox_result_get_runtime(r) },
                { "profile", sandbox_result_get_profile(r) },
        };
        const char *label = sandbox_result_get_label(r);
        char clean[1024];

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                int e = append_string(m, texts[i].key,
                        text_make_string(clean, sizeof(clean),
                                texts[i].value ? texts[i].value : ""));

                if (e < 0)
                        return e;
        }
        return append_text(m, "label", label ? label : "", label ? strlen(label) : 0);
}

int result_append(sd_bus_message *m, const sandbox_result *result, struct service *s,
        const struct result_output *output)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        r = append_texts(m, result);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "{sv}{sv}", "exit_code", "i",
                (int32_t) sandbox_result_get_exit_code(result), "signal", "i",
                (int32_t) sandbox_result_get_signal(result));
        if (r < 0)
                return r;
        r = append_numbers(m, result);
        if (r < 0)
                return r;
        r = append_flags(m, result, output);
        if (r < 0)
                return r;
        r = append_usage(m, result);
        if (r < 0)
                return r;
        r = append_value(m, result);
        if (r < 0)
                return r;
        if (output) {
                r = append_stream(m, "stdout", output->out, s, output->as_fds);
                if (r < 0)
                        return r;
                r = append_stream(m, "stderr", output->err, s, output->as_fds);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}
