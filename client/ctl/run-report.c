/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result of a job, for programs and for people. Runs in sandboxctl. Text that the job wrote
 * (its return value) is never put on a terminal as it is.
 */
#include "client/ctl/run-report.h"

#include <inttypes.h>

#include "common/limit.h"

#define SUMMARY_WIDTH 14

static json_t *usage_json(const sandbox_result *result)
{
        json_t *object = json_new_object();
        sandbox_usage usage;

        (void) sandbox_result_get_usage(result, &usage);
        json_set_number(object, "wall_usec", usage.wall_usec);
        json_set_number(object, "cpu_user_usec", usage.cpu_user_usec);
        json_set_number(object, "cpu_system_usec", usage.cpu_system_usec);
        json_set_number(object, "memory_peak_bytes", usage.memory_peak_bytes);
        json_set_number(object, "pids_peak", usage.pids_peak);
        return object;
}

static json_t *return_value_json(const sandbox_result *result)
{
        const void *text;
        json_t *object;
        size_t size;

        if (!sandbox_result_has_return_value(result))
                return json_null();
        object = json_new_object();
        text = sandbox_result_get_return_text(result, &size);
        json_set_bytes(object, "text", text, size);
        json_set(object, "json", json_null()); /* run_report_show_json() puts the value in */
        return object;
}

/* Limits that were hit, and what the output came to. */
static void set_flags(json_t *object, const sandbox_result *result)
{
        json_set_number(object, "stdout_bytes", sandbox_result_get_stdout_bytes(result));
        json_set_number(object, "stderr_bytes", sandbox_result_get_stderr_bytes(result));
        json_set_bool(object, "stdout_truncated", sandbox_result_get_stdout_truncated(result));
        json_set_bool(object, "stderr_truncated", sandbox_result_get_stderr_truncated(result));
        json_set_bool(object, "pids_limit_hit", sandbox_result_get_pids_limit_hit(result));
        json_set_bool(object, "cpu_throttled", sandbox_result_get_cpu_throttled(result));
}

json_t *run_report_json(const sandbox_result *result, const struct run_stream *out,
        const struct run_stream *err)
{
        json_t *object = json_new_object();

        json_set_text(object, "job_id", sandbox_result_get_job_id(result));
        json_set_text(object, "status", sandbox_status_name(sandbox_result_get_status(result)));
        json_set(object, "exit_code", json_integer(sandbox_result_get_exit_code(result)));
        json_set(object, "signal", json_integer(sandbox_result_get_signal(result)));
        json_set_text(object, "message", sandbox_result_get_message(result));
        json_set_text(object, "step", sandbox_result_get_step(result));
        json_set_bytes(object, "stdout", out->data, out->size);
        json_set_bytes(object, "stderr", err->data, err->size);
        set_flags(object, result);
        json_set(object, "return_value", return_value_json(result));
        json_set(object, "usage", usage_json(result));
        json_set_number(object, "queued_usec", sandbox_result_get_queued_usec(result));
        json_set_number(object, "setup_usec", sandbox_result_get_setup_usec(result));
        json_set_bool(object, "warm", sandbox_result_get_warm(result));
        json_set_text(object, "runtime", sandbox_result_get_runtime(result));
        json_set_text(object, "profile", sandbox_result_get_profile(result));
        json_set_number(object, "started_at_usec", sandbox_result_get_started_at_usec(result));
        return object;
}

void run_report_show_json(const sandbox_result *result, const struct run_stream *out,
        const struct run_stream *err, FILE *f)
{
        json_auto_t *object = run_report_json(result, out, err);
        _cleanup_free_ char *text = NULL;
        const void *value;
        size_t size;

        value = sandbox_result_get_return_json(result, &size);
        if (sandbox_result_has_return_value(result))
                text = json_minify_untrusted(value, size);
        if (text)
                json_show_with(object, "json", text, f);
        else
                json_show(object, f);
}

static void note_cut(const char *name, uint64_t kept, uint64_t written)
{
        char a[HUMAN_MAX], b[HUMAN_MAX];

        (void) fprintf(stderr, "sandboxctl: %s was cut at %s of %s: raise %s\n", name,
                human_size(a, kept), human_size(b, written), limit_table[LIMIT_OUTPUT].option);
}

static void print_notes(const sandbox_result *result, const struct run_stream *out,
        const struct run_stream *err)
{
        if (sandbox_result_get_stdout_truncated(result))
                note_cut("stdout", out->received, sandbox_result_get_stdout_bytes(result));
        if (sandbox_result_get_stderr_truncated(result))
                note_cut("stderr", err->received, sandbox_result_get_stderr_bytes(result));
        if (sandbox_result_get_pids_limit_hit(result))
                (void) fprintf(stderr,
                        "sandboxctl: the job was refused a process or thread: raise %s\n",
                        limit_table[LIMIT_PIDS].option);
}

static void print_verdict(const struct ctl *ctl, const sandbox_result *result)
{
        const char *message = sandbox_result_get_message(result);
        int status = sandbox_result_get_status(result);

        /* OK says nothing, and a program that exits non-zero has said why itself. */
        if (status == SANDBOX_STATUS_OK || status == SANDBOX_STATUS_EXITED)
                return;
        (void) fputs("sandboxctl: ", stderr);
        style_print(stderr, color_enabled(ctl->color, stderr), STYLE_RED,
                sandbox_status_name(status));
        if (!strnull(message)) {
                (void) fputs(": ", stderr);
                print_untrusted(stderr, message, strlen(message), ONE_LINE);
        }
        (void) fputc('\n', stderr);
}

static void summary_name(bool colors, const char *name)
{
        style_print(stderr, colors, STYLE_BOLD, name);
        (void) fprintf(stderr, "%*s", (int) (SUMMARY_WIDTH - strlen(name)), "");
}

static void print_status_line(const sandbox_result *result, bool colors)
{
        int status = sandbox_result_get_status(result), signal = sandbox_result_get_signal(result);

        summary_name(colors, "status");
        style_print(stderr, colors, status == SANDBOX_STATUS_OK ? STYLE_GREEN : STYLE_RED,
                sandbox_status_name(status));
        if (status == SANDBOX_STATUS_EXITED)
                (void) fprintf(stderr, " with code %d", sandbox_result_get_exit_code(result));
        if (signal > 0)
                (void) fprintf(stderr, " by signal %d", signal);
        (void) fputc('\n', stderr);
}

static void print_usage(const sandbox_usage *usage, bool colors)
{
        char a[HUMAN_MAX], b[HUMAN_MAX];

        summary_name(colors, "wall time");
        (void) fprintf(stderr, "%s\n", human_time(a, usage->wall_usec));
        summary_name(colors, "CPU time");
        (void) fprintf(stderr, "%s user, %s system\n", human_time(a, usage->cpu_user_usec),
                human_time(b, usage->cpu_system_usec));
        summary_name(colors, "peak memory");
        (void) fprintf(stderr, "%s\n", human_size(a, usage->memory_peak_bytes));
        summary_name(colors, "peak pids");
        (void) fprintf(stderr, "%" PRIu64 "\n", usage->pids_peak);
}

static void print_summary(const sandbox_result *result, bool colors)
{
        sandbox_usage usage;
        const void *text;
        size_t size;

        print_status_line(result, colors);
        if (sandbox_result_has_return_value(result)) {
                text = sandbox_result_get_return_text(result, &size);
                summary_name(colors, "return value");
                print_untrusted(stderr, text, size, SUMMARY_WIDTH);
                (void) fputc('\n', stderr);
        }
        if (sandbox_result_get_usage(result, &usage))
                print_usage(&usage, colors);
}

void run_report_text(const struct ctl *ctl, const struct run_options *o,
        const sandbox_result *result, const struct run_stream *out, const struct run_stream *err)
{
        const void *text;
        size_t size;

        print_notes(result, out, err);
        print_verdict(ctl, result);
        if (o->summary)
                print_summary(result, color_enabled(ctl->color, stderr));
        else if (sandbox_result_has_return_value(result) && isatty(STDERR_FILENO)) {
                text = sandbox_result_get_return_text(result, &size);
                (void) fputs("=> ", stderr);
                print_untrusted(stderr, text, size, 3);
                (void) fputc('\n', stderr);
        }
}
