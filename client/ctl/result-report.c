/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result of a job, for programs and for people. Runs in sandboxctl. Text that the job wrote (its
 * return value) is never put on a terminal as it is.
 */
#include "client/ctl/result-report.h"

#include <inttypes.h>

#include "common/limit.h"

json_t *usage_json(const sandbox_usage *usage, bool so_far)
{
        json_t *object = json_new_object();

        json_set_number(object, "wall_usec", usage->wall_usec);
        json_set_number(object, "cpu_user_usec", usage->cpu_user_usec);
        json_set_number(object, "cpu_system_usec", usage->cpu_system_usec);
        json_set_number(object, so_far ? "memory_bytes" : "memory_peak_bytes",
                usage->memory_peak_bytes);
        json_set_number(object, so_far ? "pids" : "pids_peak", usage->pids_peak);
        return object;
}

static json_t *return_value_json(const sandbox_result *result)
{
        json_t *object;
        const void *text;
        size_t size;

        if (!sandbox_result_has_return_value(result))
                return json_null();
        text = sandbox_result_get_return_text(result, &size);
        object = json_new_object();
        json_set_bytes(object, "text", text, size);
        json_set(object, "json", json_null()); /* result_show_json() puts the value in */
        return object;
}

static void set_verdict(json_t *object, const sandbox_result *result)
{
        json_set_text(object, "job_id", sandbox_result_get_job_id(result));
        json_set_text(object, "status", sandbox_status_name(sandbox_result_get_status(result)));
        json_set(object, "exit_code", json_integer(sandbox_result_get_exit_code(result)));
        json_set(object, "signal", json_integer(sandbox_result_get_signal(result)));
        json_set_text(object, "message", sandbox_result_get_message(result));
        json_set_text(object, "step", sandbox_result_get_step(result));
}

static void set_output(json_t *object, const sandbox_result *result, const struct run_stream *out,
        const struct run_stream *err)
{
        if (out)
                json_set_bytes(object, "stdout", out->data, out->size);
        if (err)
                json_set_bytes(object, "stderr", err->data, err->size);
        json_set_number(object, "stdout_bytes", sandbox_result_get_stdout_bytes(result));
        json_set_number(object, "stderr_bytes", sandbox_result_get_stderr_bytes(result));
        json_set_bool(object, "stdout_truncated", sandbox_result_get_stdout_truncated(result));
        json_set_bool(object, "stderr_truncated", sandbox_result_get_stderr_truncated(result));
}

json_t *result_json(const sandbox_result *result, const struct run_stream *out,
        const struct run_stream *err)
{
        json_t *object = json_new_object();
        sandbox_usage usage;

        set_verdict(object, result);
        set_output(object, result, out, err);
        json_set_bool(object, "pids_limit_hit", sandbox_result_get_pids_limit_hit(result));
        json_set_bool(object, "cpu_throttled", sandbox_result_get_cpu_throttled(result));
        json_set(object, "return_value", return_value_json(result));
        (void) sandbox_result_get_usage(result, &usage); /* all 0 when nothing was measured */
        json_set(object, "usage", usage_json(&usage, false));
        json_set_number(object, "queued_usec", sandbox_result_get_queued_usec(result));
        json_set_number(object, "setup_usec", sandbox_result_get_setup_usec(result));
        json_set_bool(object, "warm", sandbox_result_get_warm(result));
        json_set_text(object, "runtime", sandbox_result_get_runtime(result));
        json_set_text(object, "profile", sandbox_result_get_profile(result));
        json_set_text(object, "label", sandbox_result_get_label(result));
        json_set_number(object, "started_at_usec", sandbox_result_get_started_at_usec(result));
        json_set_number(object, "ended_at_usec", sandbox_result_get_ended_at_usec(result));
        json_set_number(object, "files", sandbox_result_get_files(result));
        return object;
}

void result_show_json(const json_t *object, const sandbox_result *result, FILE *f)
{
        _cleanup_free_ char *minified = NULL;
        const void *text;
        size_t size;

        if (result && sandbox_result_has_return_value(result)) {
                text = sandbox_result_get_return_json(result, &size);
                minified = json_minify_untrusted(text, size);
        }
        if (minified)
                json_show_with(object, "json", minified, f);
        else
                json_show(object, f);
}

void page_name(FILE *f, bool colors, const char *name)
{
        style_print(f, colors, STYLE_BOLD, name);
        (void) fprintf(f, "%*s", (int) (PAGE_NAME_WIDTH - strlen(name)), "");
}

static void page_status(FILE *f, bool colors, const sandbox_result *result)
{
        int status = sandbox_result_get_status(result), signal = sandbox_result_get_signal(result);

        page_name(f, colors, "status");
        style_print(f, colors, status == SANDBOX_STATUS_OK ? STYLE_GREEN : STYLE_RED,
                sandbox_status_name(status));
        if (status == SANDBOX_STATUS_EXITED)
                (void) fprintf(f, " with code %d", sandbox_result_get_exit_code(result));
        if (signal > 0)
                (void) fprintf(f, " by signal %d", signal);
        (void) fputc('\n', f);
}

void page_usage(FILE *f, bool colors, const sandbox_usage *usage, bool so_far)
{
        char a[HUMAN_MAX], b[HUMAN_MAX];

        page_name(f, colors, "wall time");
        (void) fprintf(f, "%s\n", human_time(a, usage->wall_usec));
        page_name(f, colors, "CPU time");
        (void) fprintf(f, "%s user, %s system\n", human_time(a, usage->cpu_user_usec),
                human_time(b, usage->cpu_system_usec));
        page_name(f, colors, so_far ? "memory" : "peak memory");
        (void) fprintf(f, "%s\n", human_size(a, usage->memory_peak_bytes));
        page_name(f, colors, so_far ? "pids" : "peak pids");
        (void) fprintf(f, "%" PRIu64 "\n", usage->pids_peak);
}

void result_page(FILE *f, bool colors, const sandbox_result *result)
{
        sandbox_usage usage;
        const void *text;
        size_t size;

        page_status(f, colors, result);
        if (sandbox_result_has_return_value(result)) {
                text = sandbox_result_get_return_text(result, &size);
                page_name(f, colors, "return value");
                print_untrusted(f, text, size, PAGE_NAME_WIDTH);
                (void) fputc('\n', f);
        }
        if (sandbox_result_get_usage(result, &usage) > 0)
                page_usage(f, colors, &usage, false);
}

/* s: what came of it; NULL when that is not known here. */
static void note_cut(const char *name, const struct run_stream *s, uint64_t written, bool by_limit)
{
        char a[HUMAN_MAX], b[HUMAN_MAX];

        (void) fprintf(stderr, "sandboxctl: %s was cut", name);
        (void) human_size(b, written);
        if (s)
                (void) fprintf(stderr, " at %s of %s", human_size(a, s->received), b);
        else
                (void) fprintf(stderr, ", of %s written", b);
        if (by_limit)
                (void) fprintf(stderr, ": raise %s", limit_table[LIMIT_OUTPUT].option);
        (void) fputc('\n', stderr);
}

static void show_notes(const sandbox_result *result, const struct run_stream *out,
        const struct run_stream *err)
{
        /* What a cancelled job still wrote is not waited for, whatever its limit. */
        bool by_limit = sandbox_result_get_status(result) != SANDBOX_STATUS_CANCELLED;

        if (sandbox_result_get_stdout_truncated(result))
                note_cut("stdout", out, sandbox_result_get_stdout_bytes(result), by_limit);
        if (sandbox_result_get_stderr_truncated(result))
                note_cut("stderr", err, sandbox_result_get_stderr_bytes(result), by_limit);
        if (sandbox_result_get_pids_limit_hit(result))
                (void) fprintf(stderr,
                        "sandboxctl: the job was refused a process or thread: raise %s\n",
                        limit_table[LIMIT_PIDS].option);
}

static void show_verdict(const struct ctl *ctl, const sandbox_result *result)
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

void result_show_text(const struct ctl *ctl, const sandbox_result *result, bool summary,
        const struct run_stream *out, const struct run_stream *err)
{
        const void *text;
        size_t size;

        show_notes(result, out, err);
        show_verdict(ctl, result);
        if (summary)
                result_page(stderr, color_enabled(ctl->color, stderr), result);
        else if (sandbox_result_has_return_value(result) && isatty(STDERR_FILENO)) {
                text = sandbox_result_get_return_text(result, &size);
                (void) fputs("=> ", stderr);
                print_untrusted(stderr, text, size, 3);
                (void) fputc('\n', stderr);
        }
}
