/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The result of a job, for programs and for people. Runs in sandboxctl. Text that the job wrote
 * (its return value) is never put on a terminal as it is.
 */
#include "client/ctl/run-report.h"

#include <inttypes.h>

#include "common/limit.h"
#include "common/status.h"

#define SUMMARY_WIDTH 14

static json_t *usage_json(const Sandboxd__V1__Usage *usage)
{
        static const Sandboxd__V1__Usage none = SANDBOXD__V1__USAGE__INIT;
        json_t *object = json_new_object();

        if (!usage)
                usage = &none;
        json_set_number(object, "wall_usec", usage->wall_usec);
        json_set_number(object, "cpu_user_usec", usage->cpu_user_usec);
        json_set_number(object, "cpu_system_usec", usage->cpu_system_usec);
        json_set_number(object, "memory_peak_bytes", usage->memory_peak_bytes);
        json_set_number(object, "pids_peak", usage->pids_peak);
        return object;
}

static json_t *return_value_json(const Sandboxd__V1__ReturnValue *value)
{
        json_t *object;

        if (!value)
                return json_null();
        object = json_new_object();
        json_set_bytes(object, "text", value->text.data, value->text.len);
        json_set(object, "json", json_null()); /* run_report_show_json() puts the value in */
        return object;
}

json_t *run_report_json(const Sandboxd__V1__Result *result, const struct run_stream *out,
        const struct run_stream *err)
{
        json_t *object = json_new_object();

        json_set_text(object, "job_id", result->job_id);
        json_set_text(object, "status", job_status_name((enum job_status) result->status));
        json_set(object, "exit_code", json_integer(result->exit_code));
        json_set(object, "signal", json_integer(result->signal));
        json_set_text(object, "message", result->message);
        json_set_text(object, "step", result->step);
        json_set_bytes(object, "stdout", out->kept, out->kept_size);
        json_set_bytes(object, "stderr", err->kept, err->kept_size);
        json_set_number(object, "stdout_bytes", result->stdout_bytes);
        json_set_number(object, "stderr_bytes", result->stderr_bytes);
        json_set_bool(object, "stdout_truncated", result->stdout_truncated);
        json_set_bool(object, "stderr_truncated", result->stderr_truncated);
        json_set_bool(object, "pids_limit_hit", result->pids_limit_hit);
        json_set_bool(object, "cpu_throttled", result->cpu_throttled);
        json_set(object, "return_value", return_value_json(result->return_value));
        json_set(object, "usage", usage_json(result->usage));
        json_set_number(object, "queued_usec", result->queued_usec);
        json_set_number(object, "setup_usec", result->setup_usec);
        json_set_bool(object, "warm", result->warm);
        json_set_text(object, "runtime", result->runtime);
        json_set_text(object, "profile", result->profile);
        json_set_number(object, "started_at_usec", result->started_at_usec);
        return object;
}

void run_report_show_json(const Sandboxd__V1__Result *result, const struct run_stream *out,
        const struct run_stream *err, FILE *f)
{
        const Sandboxd__V1__ReturnValue *value = result->return_value;
        json_auto_t *object = run_report_json(result, out, err);
        _cleanup_free_ char *text = NULL;

        if (value)
                text = json_minify_untrusted(value->json.data, value->json.len);
        if (text)
                json_show_with(object, "json", text, f);
        else
                json_show(object, f);
}

int run_report_exit_code(const Sandboxd__V1__Result *result)
{
        return job_status_exit_code((enum job_status) result->status, result->exit_code,
                result->signal, result->step, result->error);
}

static void note_cut(const char *name, uint64_t kept, uint64_t written)
{
        char a[HUMAN_MAX], b[HUMAN_MAX];

        (void) fprintf(stderr, "sandboxctl: %s was cut at %s of %s: raise %s\n", name,
                human_size(a, kept), human_size(b, written), limit_table[LIMIT_OUTPUT].option);
}

static void print_notes(const Sandboxd__V1__Result *result, const struct run_stream *out,
        const struct run_stream *err)
{
        if (result->stdout_truncated)
                note_cut("stdout", out->received, result->stdout_bytes);
        if (result->stderr_truncated)
                note_cut("stderr", err->received, result->stderr_bytes);
        if (result->pids_limit_hit)
                (void) fprintf(stderr,
                        "sandboxctl: the job was refused a process or thread: raise %s\n",
                        limit_table[LIMIT_PIDS].option);
}

static void print_verdict(const struct ctl *ctl, const Sandboxd__V1__Result *result)
{
        /* OK says nothing, and a program that exits non-zero has said why itself. */
        if (result->status == SANDBOXD__V1__STATUS__OK ||
                result->status == SANDBOXD__V1__STATUS__EXITED)
                return;
        (void) fputs("sandboxctl: ", stderr);
        style_print(stderr, color_enabled(ctl->color, stderr), STYLE_RED,
                job_status_name((enum job_status) result->status));
        if (!strnull(result->message)) {
                (void) fputs(": ", stderr);
                print_untrusted(stderr, result->message, strlen(result->message), ONE_LINE);
        }
        (void) fputc('\n', stderr);
}

static void summary_name(bool colors, const char *name)
{
        style_print(stderr, colors, STYLE_BOLD, name);
        (void) fprintf(stderr, "%*s", (int) (SUMMARY_WIDTH - strlen(name)), "");
}

static void print_status_line(const Sandboxd__V1__Result *result, bool colors)
{
        enum style style = result->status == SANDBOXD__V1__STATUS__OK ? STYLE_GREEN : STYLE_RED;

        summary_name(colors, "status");
        style_print(stderr, colors, style, job_status_name((enum job_status) result->status));
        if (result->status == SANDBOXD__V1__STATUS__EXITED)
                (void) fprintf(stderr, " with code %d", (int) result->exit_code);
        if (result->signal > 0)
                (void) fprintf(stderr, " by signal %d", (int) result->signal);
        (void) fputc('\n', stderr);
}

static void print_summary(const Sandboxd__V1__Result *result, bool colors)
{
        const Sandboxd__V1__ReturnValue *value = result->return_value;
        char a[HUMAN_MAX], b[HUMAN_MAX];

        print_status_line(result, colors);
        if (value) {
                summary_name(colors, "return value");
                print_untrusted(stderr, value->text.data, value->text.len, SUMMARY_WIDTH);
                (void) fputc('\n', stderr);
        }
        if (!result->usage)
                return;
        summary_name(colors, "wall time");
        (void) fprintf(stderr, "%s\n", human_time(a, result->usage->wall_usec));
        summary_name(colors, "CPU time");
        (void) fprintf(stderr, "%s user, %s system\n", human_time(a, result->usage->cpu_user_usec),
                human_time(b, result->usage->cpu_system_usec));
        summary_name(colors, "peak memory");
        (void) fprintf(stderr, "%s\n", human_size(a, result->usage->memory_peak_bytes));
        summary_name(colors, "peak pids");
        (void) fprintf(stderr, "%" PRIu64 "\n", result->usage->pids_peak);
}

void run_report_text(const struct ctl *ctl, const struct run_options *o,
        const Sandboxd__V1__Result *result, const struct run_stream *out,
        const struct run_stream *err)
{
        const Sandboxd__V1__ReturnValue *value = result->return_value;

        print_notes(result, out, err);
        print_verdict(ctl, result);
        if (o->summary)
                print_summary(result, color_enabled(ctl->color, stderr));
        else if (value && isatty(STDERR_FILENO)) {
                (void) fputs("=> ", stderr);
                print_untrusted(stderr, value->text.data, value->text.len, 3);
                (void) fputc('\n', stderr);
        }
}
