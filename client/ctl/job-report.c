/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs for programs and for people. Runs in sandboxctl. Labels and what jobs wrote are never put on
 * a terminal as they are.
 */
#include "client/ctl/job-report.h"

#include <inttypes.h>
#include <pwd.h>
#include <time.h>

#include "client/ctl/result-report.h"
#include "client/ctl/table.h"
#include "common/limit.h"

static json_t *limits_json(const sandbox_job_info *info)
{
        json_t *object = json_new_object();
        const char *name;
        uint64_t value;

        for (size_t i = 0; (name = sandbox_job_info_get_limit(info, i, &value)); i++)
                json_set_number(object, name, value);
        return object;
}

/* What is known of a job in any state. */
static void set_identity(json_t *object, const sandbox_job_info *info)
{
        json_set_text(object, "job_id", sandbox_job_info_get_id(info));
        json_set_text(object, "state", sandbox_job_state_name(sandbox_job_info_get_state(info)));
        json_set_number(object, "owner_uid", sandbox_job_info_get_owner(info));
        json_set_text(object, "runtime", sandbox_job_info_get_runtime(info));
        json_set_text(object, "profile", sandbox_job_info_get_profile(info));
        json_set_text(object, "label", sandbox_job_info_get_label(info));
        json_set_bool(object, "detached", sandbox_job_info_get_detached(info));
        json_set_number(object, "created_at_usec", sandbox_job_info_get_created_at_usec(info));
        json_set_number(object, "started_at_usec", sandbox_job_info_get_started_at_usec(info));
        json_set_number(object, "ended_at_usec", sandbox_job_info_get_ended_at_usec(info));
        json_set_number(object, "stdout_bytes", sandbox_job_info_get_stdout_bytes(info));
        json_set_number(object, "stderr_bytes", sandbox_job_info_get_stderr_bytes(info));
        json_set_text(object, "sandbox_id", sandbox_job_info_get_sandbox_id(info));
}

json_t *job_report_json(const sandbox_job_info *info, bool whole)
{
        const sandbox_result *result = sandbox_job_info_get_result(info);
        json_t *object = json_new_object();
        json_t *ended = result ? result_json(result, NULL, NULL) : json_null();
        sandbox_usage usage;

        set_identity(object, info);
        if (!whole && result)
                (void) json_object_del(ended, "return_value");
        json_set(object, "result", ended);
        if (!whole)
                return object;
        if (sandbox_job_info_get_usage(info, &usage) > 0)
                json_set(object, "usage", usage_json(&usage, true));
        else
                json_set(object, "usage", json_null());
        json_set(object, "limits", limits_json(info));
        return object;
}

void job_report_show_json(const sandbox_job_info *info, FILE *f)
{
        json_auto_t *object = job_report_json(info, true);

        result_show_json(object, sandbox_job_info_get_result(info), f);
}

/* The time from one moment to another, as both clocks may say it. */
static uint64_t between(uint64_t from, uint64_t to)
{
        return from > 0 && to > from ? to - from : 0;
}

/* How long it has run, or ran: 0 when it did not. */
static uint64_t run_time(const sandbox_job_info *info, uint64_t now_usec)
{
        const sandbox_result *result = sandbox_job_info_get_result(info);
        sandbox_usage usage;

        if (!result)
                return between(sandbox_job_info_get_started_at_usec(info), now_usec);
        (void) sandbox_result_get_usage(result, &usage);
        return usage.wall_usec;
}

static void add_owner(struct table *t, uid_t uid)
{
        const struct passwd *user = getpwuid(uid);

        if (user)
                table_add(t, STYLE_NONE, user->pw_name);
        else
                table_add_format(t, STYLE_NONE, "%u", uid);
}

static void add_status(struct table *t, const sandbox_result *result)
{
        int status = result ? sandbox_result_get_status(result) : 0;

        if (!result)
                table_add(t, STYLE_NONE, "-");
        else if (status == SANDBOX_STATUS_EXITED)
                table_add_format(t, STYLE_RED, "%s %d", sandbox_status_name(status),
                        sandbox_result_get_exit_code(result));
        else if (status == SANDBOX_STATUS_SIGNALED)
                table_add_format(t, STYLE_RED, "%s %d", sandbox_status_name(status),
                        sandbox_result_get_signal(result));
        else
                table_add(t, status == SANDBOX_STATUS_OK ? STYLE_GREEN : STYLE_RED,
                        sandbox_status_name(status));
}

static void add_row(struct table *t, const sandbox_job_info *info, bool with_owner,
        uint64_t now_usec)
{
        const char *label = sandbox_job_info_get_label(info);
        uint64_t ran = run_time(info, now_usec);
        char text[HUMAN_MAX];

        table_add(t, STYLE_NONE, sandbox_job_info_get_id(info));
        table_add(t, STYLE_NONE, sandbox_job_state_name(sandbox_job_info_get_state(info)));
        table_add(t, STYLE_NONE, sandbox_job_info_get_runtime(info));
        table_add(t, STYLE_NONE, sandbox_job_info_get_profile(info));
        if (with_owner)
                add_owner(t, sandbox_job_info_get_owner(info));
        table_add(t, STYLE_NONE,
                human_age(text, between(sandbox_job_info_get_created_at_usec(info), now_usec)));
        table_add(t, STYLE_NONE, ran > 0 ? human_time(text, ran) : "-");
        add_status(t, sandbox_job_info_get_result(info));
        table_add(t, STYLE_NONE, strnull(label) ? "-" : label);
}

void job_report_table(const sandbox_job_list *list, bool with_owner, uint64_t now_usec, FILE *f,
        bool colors)
{
        static const char *const headers[] = { "ID", "STATE", "RUNTIME", "PROFILE", "AGE", "TIME",
                "STATUS", "LABEL" };
        static const char *const owner_headers[] = { "ID", "STATE", "RUNTIME", "PROFILE", "USER",
                "AGE", "TIME", "STATUS", "LABEL" };
        _cleanup_(table_freep) struct table *t =
                with_owner ? table_new(owner_headers, ELEMENTSOF(owner_headers))
                           : table_new(headers, ELEMENTSOF(headers));
        const sandbox_job_info *info;

        for (size_t i = 0; (info = sandbox_job_list_get(list, i)); i++)
                add_row(t, info, with_owner, now_usec);
        table_print(t, f, colors);
}

static void line(FILE *f, bool colors, const char *name, const char *text)
{
        page_name(f, colors, name);
        print_untrusted(f, text, strlen(text), ONE_LINE);
        (void) fputc('\n', f);
}

/* The owner by name and number. */
static void owner_line(FILE *f, bool colors, uid_t uid)
{
        const struct passwd *user = getpwuid(uid);

        page_name(f, colors, "user");
        if (user)
                (void) fprintf(f, "%s (%u)\n", user->pw_name, uid);
        else
                (void) fprintf(f, "%u\n", uid);
}

/* A moment in local time, and how long ago it was. */
static void moment_line(FILE *f, bool colors, const char *name, uint64_t usec, uint64_t now_usec)
{
        time_t seconds = (time_t) (usec / USEC_PER_SEC);
        char text[64], age[HUMAN_MAX];
        struct tm tm;

        if (usec == 0 || !localtime_r(&seconds, &tm) ||
                strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S %Z", &tm) == 0)
                return;
        page_name(f, colors, name);
        (void) fprintf(f, "%s (%s ago)\n", text, human_age(age, between(usec, now_usec)));
}

static int find_limit(const char *field)
{
        for (int i = 0; i < _LIMIT_COUNT; i++)
                if (streq(limit_table[i].field, field))
                        return i;
        return -ENOENT;
}

/* The limits as options of run, as far as there are options for them. */
static void limit_lines(FILE *f, bool colors, const sandbox_job_info *info)
{
        const char *name, *head = "limits";
        uint64_t value;

        for (size_t i = 0; (name = sandbox_job_info_get_limit(info, i, &value)); i++) {
                int limit = find_limit(name);
                char text[LIMIT_TEXT_MAX];

                page_name(f, colors, head);
                head = "";
                if (limit < 0)
                        (void) fprintf(f, "%s %" PRIu64 "\n", name, value);
                else
                        (void) fprintf(f, "%s %s\n",
                                limit_table[limit].option ? limit_table[limit].option : name,
                                limit_format((enum limit_id) limit, value, text));
        }
}

static void output_line(FILE *f, bool colors, const sandbox_job_info *info)
{
        char a[HUMAN_MAX], b[HUMAN_MAX];

        page_name(f, colors, "written");
        (void) fprintf(f, "%s to stdout, %s to stderr\n",
                human_size(a, sandbox_job_info_get_stdout_bytes(info)),
                human_size(b, sandbox_job_info_get_stderr_bytes(info)));
}

/* Where it is to be found on the host: its scope, or what its cgroups are named by. */
static void sandbox_line(FILE *f, bool colors, const sandbox_job_info *info, bool has_scopes)
{
        const char *id = sandbox_job_info_get_sandbox_id(info);
        char scope[64];

        if (strnull(id))
                return;
        (void) snprintf(scope, sizeof(scope), "sandbox-%s.scope", id);
        line(f, colors, has_scopes ? "scope" : "sandbox", has_scopes ? scope : id);
}

/* How it ended, or what it has used so far. */
static void progress_lines(FILE *f, bool colors, const sandbox_job_info *info)
{
        const sandbox_result *result = sandbox_job_info_get_result(info);
        sandbox_usage usage;

        if (result) {
                result_page(f, colors, result);
                if (!strnull(sandbox_result_get_message(result)))
                        line(f, colors, "message", sandbox_result_get_message(result));
                if (sandbox_result_get_files(result) > 0) {
                        page_name(f, colors, "files");
                        (void) fprintf(f, "%u fetched\n", sandbox_result_get_files(result));
                }
        } else if (sandbox_job_info_get_usage(info, &usage) > 0)
                page_usage(f, colors, &usage, true);
}

void job_report_page(const sandbox_job_info *info, bool has_scopes, uint64_t now_usec, FILE *f,
        bool colors)
{
        line(f, colors, "job", sandbox_job_info_get_id(info));
        line(f, colors, "state", sandbox_job_state_name(sandbox_job_info_get_state(info)));
        owner_line(f, colors, sandbox_job_info_get_owner(info));
        line(f, colors, "runtime", sandbox_job_info_get_runtime(info));
        line(f, colors, "profile", sandbox_job_info_get_profile(info));
        if (!strnull(sandbox_job_info_get_label(info)))
                line(f, colors, "label", sandbox_job_info_get_label(info));
        line(f, colors, "detached", sandbox_job_info_get_detached(info) ? "yes" : "no");
        sandbox_line(f, colors, info, has_scopes);
        moment_line(f, colors, "created", sandbox_job_info_get_created_at_usec(info), now_usec);
        moment_line(f, colors, "started", sandbox_job_info_get_started_at_usec(info), now_usec);
        moment_line(f, colors, "ended", sandbox_job_info_get_ended_at_usec(info), now_usec);
        progress_lines(f, colors, info);
        output_line(f, colors, info);
        limit_lines(f, colors, info);
}
